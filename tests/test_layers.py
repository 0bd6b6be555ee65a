"""Who may import whom: the table of docs/architecture.md, checked against the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pcc_cli"

BASE = {"errors", "extras", "geometry", "fields", "locations", "progress", "words"}
PLAIN = {
    "container",
    "records",
    "grid",
    "formats",
    "entropy",
    "metrics",
    "levelset",
    "tree.morton",
    "tree.octree",
}
TENSOR = {"nn", "exact", "tree", "weights"}
CODING = {"codecs", "attributes"}
SPINE = {"spine", "api"}
SUPPORT = {"parallel", "datasets"}
TOP = {"training", "evaluation"}
LOWER = BASE | PLAIN | TENSOR | CODING | SPINE

# Package or module -> what it may import beside itself; the longest matching name counts.
ALLOWED = {
    **dict.fromkeys(BASE | PLAIN, BASE),
    "container": BASE | {"records"},
    "formats": BASE | {"grid"},  # LAS stores integers
    "tree.octree": BASE | {"tree.morton"},
    "nn": BASE | {"exact", "tree", "weights"},
    "exact": BASE | TENSOR,
    "tree": BASE | {"exact", "entropy"},
    "weights": BASE | {"exact"},
    "codecs": BASE | TENSOR | {"attributes", "container", "grid", "entropy", "levelset"},
    "attributes": BASE | {"entropy", "tree.morton"},
    "spine": BASE | CODING | {"container", "grid", "entropy", "metrics", "records", "tree.morton"},
    "api": BASE | CODING | {"spine", "container", "grid"},
    "parallel": LOWER,
    "datasets": LOWER | {"parallel"},
    "parallel.distributed": LOWER,  # of training alone, so it may load torch at once
    "training": LOWER | SUPPORT,
    "evaluation": LOWER | SUPPORT,
    "cli": LOWER | SUPPORT | TOP | {"dczfile", "scripting"},
    "__main__": {"cli"},
    "dczfile": BASE | SPINE | {"container", "grid"},
    "scripting": BASE | SPINE | {"container", "dczfile", "formats"},
    "": {"errors", "geometry", "api", "spine", "dczfile", "scripting"},  # on first use
}
TORCH_FREE = BASE | PLAIN | {"attributes", "spine"}
LAZY_TORCH = {
    "api",
    "dczfile",
    "scripting",
    "cli",
    "",
    "__main__",
    *SUPPORT,
}  # import it inside functions only


def modules() -> dict[str, Path]:
    """Name below pcc_cli, such as "formats.ply", of every source file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(path: Path) -> list[tuple[str, bool]]:
    """(full name, whether it runs when the module is imported) of every import."""
    tree = ast.parse(path.read_text("utf-8"))
    inner = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found += [(name, id(node) not in inner) for name in names]
    return found


def owner(name: str, table: set[str] | dict[str, set[str]]) -> str | None:
    """The longest entry of `table` that is `name` or a package around it."""
    parts = name.split(".")
    prefixes = (".".join(parts[:size]) for size in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in table), None)


@pytest.mark.parametrize("name", modules())
def test_imports_follow_the_layers(name: str) -> None:
    home = owner(name, ALLOWED) if name else ""
    assert home is not None, f"{name} is in no layer: add it to the table"
    for full, _ in imports(modules()[name]):
        if not full.startswith("pcc_cli.") or full == "pcc_cli.__version__":
            continue
        target = full.removeprefix("pcc_cli.")
        inside = home != "" and owner(target, {home}) is not None
        assert inside or owner(target, ALLOWED[home]), f"{name} must not import {full}"


def test_no_codec_imports_another() -> None:
    for name, path in modules().items():
        parts = name.split(".")
        if parts[0] != "codecs" or len(parts) < 2 or not (PACKAGE / "codecs" / parts[1]).is_dir():
            continue
        for full, _ in imports(path):
            target = full.split(".")
            if target[:2] == ["pcc_cli", "codecs"] and (PACKAGE / "codecs" / target[2]).is_dir():
                assert target[2] == parts[1], f"{name} imports {full}"


@pytest.mark.parametrize("name", modules())
def test_torch_stays_where_it_belongs(name: str) -> None:
    for full, on_import in imports(modules()[name]):
        if full.split(".")[0] != "torch":
            continue
        home = owner(name, ALLOWED) if name else ""
        assert home not in TORCH_FREE, f"{name} must not import torch"
        assert not (on_import and home in LAZY_TORCH), f"{name} must import torch inside functions"


def test_command_line_starts_without_torch() -> None:
    heavy = ("torch", "scipy", "trimesh", "plyfile")
    code = f"import sys, pcc_cli.cli.main; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
