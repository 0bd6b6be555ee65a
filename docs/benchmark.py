"""Times and sizes of `pcc` on your own files, one table row each.

    python docs/benchmark.py [--step STEP] [--only-geometry] [--threads N] FILE...

Each file is compressed in one fresh process and decompressed in another; times leave out imports
and the reading and writing of files. Every row was decoded and compared: coordinates and
attributes as a multiset, exactly when the grid is exact, else against the grid's own values.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np


def encode(path: Path, step: float | None, only_geometry: bool, threads: int) -> dict[str, Any]:
    """In a process of its own: the file, and what it cost."""
    import torch

    from pcc_cli import api, formats
    from pcc_cli.codecs.occupancy import codec  # noqa: F401  (imports are not timed)

    torch.set_num_threads(threads)
    shape = formats.read(path.read_bytes(), path.name)
    keep = np.isfinite(shape.points).all(axis=1)
    columns = {} if only_geometry else {k: v[keep] for k, v in shape.attributes.items()}
    shape = type(shape)(shape.points[keep], columns, shape.source)
    buffer = _Buffer()
    began = time.perf_counter()
    report = api.compress_to(buffer, shape, api.Options(step=step))
    return {
        "seconds": time.perf_counter() - began,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "data": bytes(buffer.data),
        "points": len(shape),
        "geometry_bytes": report.geometry_bytes,
        "grid": report.grid,
        "rows": _rows(shape) if report.max_error == 0 else None,
    }


def decode(data: bytes, threads: int) -> dict[str, Any]:
    """In another process: the shape, and what it cost."""
    import torch

    from pcc_cli import api
    from pcc_cli.codecs.occupancy import codec  # noqa: F401

    torch.set_num_threads(threads)
    began = time.perf_counter()
    shape = api.decompress(data)  # checks the digest of every tile
    return {
        "seconds": time.perf_counter() - began,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": _rows(shape),
    }


class _Buffer:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, part: bytes) -> int:
        self.data += part
        return len(part)


def _rows(shape: Any) -> np.ndarray[Any, Any]:
    """All columns side by side, bit for bit, rows sorted."""
    columns = [*np.ascontiguousarray(shape.points.T), *shape.attributes.values()]
    bits = [np.ascontiguousarray(c).view(f"u{c.dtype.itemsize}").astype(np.uint64) for c in columns]
    return np.stack(bits, axis=1)[np.lexsort(bits)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--step", type=float)
    parser.add_argument("--only-geometry", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print("| file | points | grid | geometry bytes | bits/point | file bytes | s | s back | MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    spawn = multiprocessing.get_context("spawn")
    for path in options.files:
        with spawn.Pool(1) as fresh:
            there = fresh.apply(
                encode, (path, options.step, options.only_geometry, options.threads)
            )
        with spawn.Pool(1) as fresh:
            back = fresh.apply(decode, (there["data"], options.threads))
        if there["rows"] is not None and not np.array_equal(there["rows"], back["rows"]):
            raise SystemExit(f"{path}: came back different")
        print(
            f"| {path.name} | {there['points']} | {there['grid']} | {there['geometry_bytes']} "
            f"| {8 * there['geometry_bytes'] / max(there['points'], 1):.4f} | {len(there['data'])} "
            f"| {there['seconds']:.2f} | {back['seconds']:.2f} "
            f"| {max(there['memory_mb'], back['memory_mb']):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
