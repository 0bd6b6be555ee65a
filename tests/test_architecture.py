"""docs/architecture.md names what is there: every package, and no file that is not."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
NAMES = set(re.findall(r"`([^`\n]+)`", TEXT))


def test_every_package_has_a_layer():
    table = TEXT.split("## Who may import whom")[1].split("\n## ")[0]
    for path in (ROOT / "pcc_cli").iterdir():
        is_package = path.is_dir() and any(path.glob("*.py"))
        if (is_package or path.suffix == ".py") and not path.name.startswith("__"):
            assert f"`{path.stem}`" in table, path.name


def test_every_file_that_is_named_exists():
    for name in NAMES:
        if re.fullmatch(r"[\w/]+(\.py|\.md|/)", name):
            places = (ROOT, ROOT / "pcc_cli", ROOT / "pcc_cli" / "codecs" / "occupancy")
            assert any((place / name).exists() for place in places), name
