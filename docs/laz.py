"""Sizes of `pcc` beside those of LAZ on your own LAS and LAZ files, one table row each.

    python docs/laz.py [--keep-order] FILE...

Each file is compressed by `pcc compress`, decoded in another process and compared with the source,
coordinates and every field. LAZ is written by laspy and lazrs, once in the order that pcc gives
back and once in that of the file, without the VLRs, which a .dcz file keeps.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np


def size_of_laz(las: Any, order: Any) -> int:
    """Bytes of the points `order` of `las` as LAZ."""
    import laspy

    header = laspy.LasHeader(point_format=las.header.point_format, version=las.header.version)
    header.scales, header.offsets = las.header.scales, las.header.offsets
    out = laspy.LasData(header)
    out.points = laspy.ScaleAwarePointRecord(
        las.points.array[order], las.point_format, header.scales, header.offsets
    )
    stream = io.BytesIO()
    out.write(stream, do_compress=True, laz_backend=laspy.LazBackend.Lazrs)
    return len(stream.getvalue())


def size_of_dcz(path: Path, folder: Path, options: list[str]) -> tuple[int, Any]:
    """Bytes of the file that `pcc` makes, and which point of the source each decoded one is."""
    from pcc_cli import formats
    from pcc_cli.grid import fit
    from pcc_cli.tree.morton import morton_order

    packed, back = folder / "packed.dcz", folder / "back.ply"
    pcc = [sys.executable, "-m", "pcc_cli"]
    subprocess.run([*pcc, "compress", "-q", "-f", *options, path, "-o", packed], check=True)
    subprocess.run([*pcc, "decompress", "-q", "-f", packed, "-o", back], check=True)
    source = formats.read(path.read_bytes(), path.name)
    found = formats.read(back.read_bytes(), back.name)
    scales, offsets = source.source["scales"], source.source["offsets"]
    place = fit(source.points, step=None, bits=None, lossless=False, scales=scales, offsets=offsets)
    order = np.arange(len(source)) if options else morton_order(place.voxels)
    if found.points.tobytes() != source.points[order].tobytes():
        raise SystemExit(f"{path}: other coordinates came back")
    for name, column in source.attributes.items():
        if found.attributes[name].tobytes() != column[order].tobytes():
            raise SystemExit(f"{path}: another '{name}' came back")
    return packed.stat().st_size, order


def main() -> None:
    """Prints the table."""
    import laspy

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--keep-order", action="store_const", const=["--keep-order"], default=[])
    options = parser.parse_args()
    print("| file | points | pcc | LAZ, same order | LAZ, order of the file |")
    print("|---|---|---|---|---|")
    for path in options.files:
        with tempfile.TemporaryDirectory() as folder:
            size, order = size_of_dcz(path, Path(folder), options.keep_order)
        las = laspy.read(path)
        row = [size, size_of_laz(las, order), size_of_laz(las, slice(None))]
        print(
            f"| `{path.name}` | {len(order):,} | {' | '.join(f'{n:,}' for n in row)} |", flush=True
        )


if __name__ == "__main__":
    main()
