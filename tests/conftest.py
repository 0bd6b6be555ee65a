"""Options of the test run."""

import os

# Before torch and numpy: many small tests on few busy cores, where further threads only spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # for the tests that do take two

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record", action="store_true", help="write what pcc prints now into tests/cli/*/*.toml"
    )
