"""The fresh process of one coding or decoding: `python -m pcc_cli.evaluation.worker DO FOLDER`.

FOLDER holds `subject.json`, and `shape.npz` to encode or a payload to decode. The result and
`cost.json` are written beside them; what is left of an error is one line in `error.txt`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import cast

from pcc_cli.errors import PccError
from pcc_cli.evaluation import exchange, subject
from pcc_cli.evaluation.exchange import Cost
from pcc_cli.evaluation.peers import process
from pcc_cli.evaluation.subject import Subject
from pcc_cli.geometry import Content, Shape

SUBJECT, SHAPE, DECODED, COST, ERROR = (
    "subject.json",
    "shape.npz",
    "decoded.npz",
    "cost.json",
    "error.txt",
)
ENCODE, DECODE = "encode", "decode"


def ask(do: str, folder: Path) -> Cost:
    """Runs a worker and returns what it took. Raises PccError when it fails."""
    argv = [sys.executable, "-m", "pcc_cli.evaluation.worker", do, str(folder)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True)
    told = folder / ERROR
    if told.exists():
        raise PccError(f"{do}: {told.read_text('utf-8')}")
    if done.returncode:
        last = process.last_line(done.stderr.decode("utf-8", "replace"))
        raise PccError(f"{do}: its process ended with exit code {done.returncode}: {last}")
    return Cost(**exchange.read_json(folder / COST))


def prepare(folder: Path, coder: Subject, shape: Content) -> None:
    """Writes what a worker needs to encode."""
    exchange.write_json(folder / SUBJECT, subject.to_json(coder))
    exchange.write_shape(folder / SHAPE, shape)


def decoded(folder: Path) -> Content:
    """What a worker has decoded."""
    return exchange.read_shape(folder / DECODED)


def encode(folder: Path) -> Cost:
    """In the fresh process: the shape to a payload."""
    coder = _subject(folder)
    shape = cast("Shape", exchange.read_shape(folder / SHAPE))  # or a set, for codecs of sets
    with process.measured() as usage:
        began = time.perf_counter()
        payload = coder.encode(shape)
        seconds = time.perf_counter() - began
    exchange.write_payload(folder, payload)
    size = payload.size_bytes + (len(json.dumps(payload.meta)) if payload.meta else 0)
    return Cost(*_taken(seconds, usage), size, coder.sections(payload), coder.device())


def decode(folder: Path) -> Cost:
    """In another fresh process: the payload to a shape."""
    coder = _subject(folder)
    payload = exchange.read_payload(folder)
    with process.measured() as usage:
        began = time.perf_counter()
        shape = coder.decode(payload)
        seconds = time.perf_counter() - began
    exchange.write_shape(folder / DECODED, shape)
    return Cost(*_taken(seconds, usage), payload.size_bytes, {}, coder.device())


def _subject(folder: Path) -> Subject:
    found = subject.from_json(exchange.read_json(folder / SUBJECT))
    found.version()  # imports and loads what is not to be timed
    return found


def _taken(seconds: float, usage: process.Usage) -> tuple[float, float]:
    """Seconds and MiB: of the programs when any ran, else of this process."""
    return (usage.seconds, usage.mb) if usage.programs else (seconds, _own_peak_mb())


def _own_peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # Not what getrusage says: that counts the memory of the process that started this one.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) / 1024
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # bytes on macOS


def main(do: str, folder: Path) -> None:
    """Does what `do` says; an error becomes one line in the folder and exit code 1."""
    # As `pcc` itself: threads that spin while they wait cost several times the work.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        cost = {ENCODE: encode, DECODE: decode}[do](folder)
    except PccError as error:
        (folder / ERROR).write_text(str(error), "utf-8")
        raise SystemExit(1) from None
    exchange.write_json(folder / COST, asdict(cost))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
