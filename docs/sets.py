"""How near the meshes of a set file come back, beside decimation with Draco of each mesh alone.

python docs/sets.py FILE.dcz FOLDER [FACES...]

FOLDER holds the files that the set was made of; FACES are those to which meshes are decimated.
Each mesh is measured in a frame of its own, its longest side from -1 to 1, as in the paper.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pcc_cli
from pcc_cli import formats
from pcc_cli.evaluation.peers.draco import DECIMATED_BITS, Draco
from pcc_cli.geometry import Mesh
from pcc_cli.metrics import sets
from pcc_cli.metrics.meshes import Surface

Found = dict[str, float]


def surface(mesh: Mesh, seed: int) -> Surface:
    return Surface(mesh.points.astype(np.float64), mesh.triangles(), seed)


def line(title: str, text: int, size: int, rows: list[Found]) -> str:
    """A row of the table: means over the meshes."""
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    chamfer = 1000 * means.pop("set_chamfer")
    values = "".join(f" {value:.3f} |" for value in means.values())
    return f"| {title} | {size:,} | {text / size:.0f} | {chamfer:.2f} |{values}"


def main(path: str, folder: str, faces: list[int]) -> None:
    """Prints the table, a row as soon as it is known."""
    with pcc_cli.open(path) as file:
        back = {name: file.meshes[name] for name in file.meshes}
    originals = {name: formats.read((Path(folder) / name).read_bytes(), name) for name in back}
    text = sum(len(formats.write(".obj", mesh)) for mesh in originals.values())
    print(f"| {len(back)} meshes, OBJ {text:,} bytes | bytes | ratio | Chamfer x 1000 | "
          "normals | F1 0.005 | F1 0.01 |\n|---|---|---|---|---|---|---|")  # fmt: skip

    def measured(decoded: Callable[[str], Mesh]) -> list[Found]:
        return [
            sets.measure([surface(mesh, 0)], [surface(decoded(name), 1)])
            for name, mesh in originals.items()
        ]

    print(line("necgs", text, Path(path).stat().st_size, measured(back.__getitem__)), flush=True)
    for count in faces:
        peer = Draco(DECIMATED_BITS, count)
        coded = {name: peer.encode(mesh) for name, mesh in originals.items()}
        size = sum(payload.size_bytes for payload in coded.values())
        rows = measured(lambda name: peer.decode(coded[name]))  # noqa: B023
        print(line(f"decimation to {count} faces, Draco", text, size, rows), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(count) for count in sys.argv[3:]])
