"""Options of the test run."""

import os
import signal

# Before torch and numpy: many small tests on few busy cores, where further threads only spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # for the tests that do take two

import pytest

# What a shell in the background or nohup ignores, programs that the tests start would ignore too.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record", action="store_true", help="write what pcc prints now into tests/cli/*/*.toml"
    )
