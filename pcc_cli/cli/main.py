"""Entry point of the command `pcc`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 128 + n stopped by signal n (Ctrl-C is 130).
"""

from __future__ import annotations

import os
import sys

from pcc_cli.cli.signals import stop_cleanly


def main() -> None:
    """Runs the command line of this process; ends with SystemExit."""
    stop_cleanly()
    if sys.stderr is None:  # closed by a parent; print() would take standard output instead
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (it lives as long as the process)
    # The coder multiplies thousands of tiny matrices: a second BLAS thread would only spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # On a busy machine threads that spin while they wait cost several times the work itself.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Imported here: most of the time of `pcc --help` goes into imports, and Ctrl-C may come early.
    from pcc_cli.cli.app import app

    app(prog_name="pcc")
