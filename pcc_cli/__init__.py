"""pcc: compress point clouds, meshes and volumes.

From Python: `read`, `write`, `compress`, `compress_to`, `decompress` and `open`, which docs/api.md
shows. They are imported when they are first used; `import pcc_cli` alone costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pcc_cli.api import Options
    from pcc_cli.dczfile import DczFile
    from pcc_cli.errors import PccError
    from pcc_cli.geometry import Mesh, MeshSet, PointCloud, Volume
    from pcc_cli.scripting import compress, compress_to, decompress, open, read, write
    from pcc_cli.spine.report import Report

_HOMES = {
    "DczFile": "dczfile",
    "Mesh": "geometry",
    "MeshSet": "geometry",
    "Options": "api",
    "PccError": "errors",
    "PointCloud": "geometry",
    "Report": "spine.report",
    "Volume": "geometry",
}  # all else is in `scripting`
__all__ = [
    "DczFile",
    "Mesh",
    "MeshSet",
    "Options",
    "PccError",
    "PointCloud",
    "Report",
    "Volume",
    "compress",
    "compress_to",
    "decompress",
    "open",
    "read",
    "write",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module 'pcc_cli' has no attribute '{name}'")
    value = globals()[name] = getattr(
        import_module(f"pcc_cli.{_HOMES.get(name, 'scripting')}"), name
    )
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
