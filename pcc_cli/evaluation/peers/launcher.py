"""A program of its own: runs another one, and says how long it took and how much memory.

    python -I -S launcher.py OUT.json PROGRAM [ARGUMENT...]

The operating system counts to a new process the memory of the one that started it, so that a
small process has to stand between: a test found 400 MB for a program that took 2.
"""

import json
import subprocess
import sys
import time


def main() -> None:
    began = time.perf_counter()
    try:
        done = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL)
        code = done.returncode
    except OSError as error:
        sys.stderr.write(f"{error.strerror}\n")
        code = 127
    seconds = time.perf_counter() - began
    with open(sys.argv[1], "w") as stream:
        json.dump({"code": code, "seconds": seconds, "mb": _peak_mb()}, stream)


def _peak_mb() -> float:
    """Of the programs that this process has run, MiB; 0.0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / (1 << 20)


main()
