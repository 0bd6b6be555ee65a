"""How near the meshes of a set file come back, beside decimation with Draco of each mesh alone.

python docs/sets.py FILE.dcz FOLDER EVERY [FACES...]

FOLDER holds the files that the set was made of, every so manieth is measured; FACES are those to
which meshes are decimated. Each mesh is measured in a frame of its own, its longest side from -1
to 1, as in the paper.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import pcc_cli
from pcc_cli import formats
from pcc_cli.evaluation.peers.draco import DECIMATED_BITS, Draco
from pcc_cli.geometry import Mesh
from pcc_cli.metrics import sets
from pcc_cli.metrics.meshes import Surface

Found = dict[str, float]


def measured(originals: list[Surface], decoded: list[Mesh]) -> Found:
    """Means over the meshes."""
    pairs = zip(originals, decoded, strict=True)
    rows = [sets.measure([one], [surface(mesh, 1)]) for one, mesh in pairs]
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def surface(mesh: Mesh, seed: int) -> Surface:
    return Surface(mesh.points.astype(np.float64), mesh.triangles(), seed)


def tell(title: str, text: int, size: int, found: Found) -> None:
    """Prints a row of the table; text : bytes of the meshes as OBJ"""
    chamfer = 1000 * found.pop("set_chamfer")
    values = "".join(f" {value:.3f} |" for value in found.values())
    print(f"| {title} | {size:,} | {text / size:.0f} | {chamfer:.2f} |{values}", flush=True)


def main(path: str, folder: str, every: int, faces: list[int]) -> None:
    """Prints the table, a row as soon as it is known."""
    with pcc_cli.open(path) as file:
        names = list(file.meshes)
        back = [file.meshes[name] for name in names[::every]]
    meshes = [formats.read((Path(folder) / name).read_bytes(), name) for name in names]
    texts = [len(formats.write(".obj", mesh)) for mesh in meshes]
    chosen, text = meshes[::every], sum(texts[::every])
    originals = [surface(mesh, 0) for mesh in chosen]
    print(f"{len(names)} meshes, {sum(texts):,} bytes as OBJ; {len(chosen)} measured\n")
    print("| | bytes | ratio | Chamfer x 1000 | normals | F1 0.005 | F1 0.01 |")
    print("|---|---|---|---|---|---|---|")
    tell("necgs", sum(texts), Path(path).stat().st_size, measured(originals, back))
    for count in faces:
        peer = Draco(DECIMATED_BITS, count)
        coded = [peer.encode(mesh) for mesh in chosen]
        size = sum(payload.size_bytes for payload in coded)
        found = measured(originals, [peer.decode(payload) for payload in coded])
        tell(f"decimation to {count} faces, Draco", text, size, found)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), [int(count) for count in sys.argv[4:]])
