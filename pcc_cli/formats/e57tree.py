"""The tree of an E57 file as JSON and back, through libE57 (the extra `e57`).

A node is a list: its kind, then what it holds.

    ["structure", [[name, node], ...]]         ["vector", mixed, [node, ...]]
    ["integer", value, low, high]              ["scaled", value, low, high, scale, offset]
    ["float", value, bytes, low, high]         ["string", value]
    ["blob", number, size]                     bytes, which are kept beside the tree
    ["table", number, prototype, codecs]       rows of numbers, which are kept beside it, too
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pcc_cli.geometry import Array

Node = list[Any]
AXES = ("cartesianX", "cartesianY", "cartesianZ")
NAMES = {"colorRed": "red", "colorGreen": "green", "colorBlue": "blue", "timeStamp": "gps_time"}
_ROWS = 1 << 16  # read at once, so that memory grows with what is really there
_DEPTH = 64


@dataclass
class Tree:
    """root : the node of the file; extensions : [prefix, URI] of each
    blobs : their bytes; tables : a column for each field, float64, float32 or int64
    """

    root: Node = field(default_factory=list)
    extensions: list[list[str]] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    tables: list[dict[str, Array]] = field(default_factory=list)


def load(path: str, size_bytes: int) -> Tree:
    """The tree of the file at `path`; ValueError for what no E57 file of this size can hold."""
    from pye57 import libe57

    file = libe57.ImageFile(path, "r")
    try:
        tree = Tree()
        count = file.extensionsCount()
        tree.extensions = [[file.extensionsPrefix(i), file.extensionsUri(i)] for i in range(count)]
        tree.root = _Loader(file, size_bytes, tree).children(file.root(), 0)
        return tree
    finally:
        file.close()


class _Loader:
    """Walks the nodes of libE57."""

    def __init__(self, file: Any, size_bytes: int, tree: Tree) -> None:
        from pye57 import libe57

        self._lib, self._file, self._size, self._tree = libe57, file, size_bytes, tree
        kinds = libe57.NodeType
        self._kinds: dict[Any, Callable[[Any, int], Node]] = {
            kinds.E57_STRUCTURE: self._structure,
            kinds.E57_VECTOR: self._vector,
            kinds.E57_INTEGER: self._integer,
            kinds.E57_SCALED_INTEGER: self._scaled,
            kinds.E57_FLOAT: self._float,
            kinds.E57_STRING: lambda node, _: ["string", libe57.StringNode(node).value()],
            kinds.E57_BLOB: self._blob,
            kinds.E57_COMPRESSED_VECTOR: self._table,
        }

    def node(self, node: Any, depth: int) -> Node:
        if depth > _DEPTH:
            raise ValueError("its tree is too deep")
        return self._kinds[node.type()](node, depth + 1)

    def _structure(self, node: Any, depth: int) -> Node:
        return self.children(self._lib.StructureNode(node), depth)

    def children(self, structure: Any, depth: int) -> Node:
        """The node of a structure of libE57."""
        inner = [structure.get(i) for i in range(structure.childCount())]
        return ["structure", [[child.elementName(), self.node(child, depth)] for child in inner]]

    def _vector(self, node: Any, depth: int) -> Node:
        return self._items(self._lib.VectorNode(node), depth)

    def _items(self, vector: Any, depth: int) -> Node:
        inner = [self.node(vector.get(i), depth) for i in range(vector.childCount())]
        return ["vector", bool(vector.allowHeteroChildren()), inner]

    def _integer(self, node: Any, depth: int) -> Node:
        inner = self._lib.IntegerNode(node)
        return ["integer", inner.value(), inner.minimum(), inner.maximum()]

    def _scaled(self, node: Any, depth: int) -> Node:
        inner = self._lib.ScaledIntegerNode(node)
        bounds = inner.rawValue(), inner.minimum(), inner.maximum()
        return ["scaled", *bounds, _finite(inner.scale()), _finite(inner.offset())]

    def _float(self, node: Any, depth: int) -> Node:
        inner = self._lib.FloatNode(node)
        width = 4 if inner.precision() == self._lib.FloatPrecision.E57_SINGLE else 8
        values = [_finite(value) for value in (inner.value(), inner.minimum(), inner.maximum())]
        return ["float", values[0], width, *values[1:]]

    def _blob(self, node: Any, depth: int) -> Node:
        inner = self._lib.BlobNode(node)
        size = inner.byteCount()
        if size > self._size:
            raise ValueError(f"a blob claims {size} bytes")
        self._tree.blobs.append(inner.read_buffer().tobytes() if size else b"")
        return ["blob", len(self._tree.blobs) - 1, size]

    def _table(self, node: Any, depth: int) -> Node:
        inner = self._lib.CompressedVectorNode(node)
        prototype = self.node(inner.prototype(), depth)
        codecs = self._items(inner.codecs(), depth)
        kinds = fields_of(prototype)
        rows, bits = inner.childCount(), sum(_bits(kind) for kind in kinds.values())
        if rows * bits > 8 * self._size or (rows and not bits):
            raise ValueError(f"it claims {rows:,} points, more than its size allows")
        self._tree.tables.append(self._rows(inner, kinds, rows))
        return ["table", len(self._tree.tables) - 1, prototype, codecs]

    def _rows(self, table: Any, kinds: dict[str, Node], rows: int) -> dict[str, Array]:
        buffers = {name: np.zeros(_ROWS, buffer_type(kind)) for name, kind in kinds.items()}
        reader = table.reader(_destinations(self._file, buffers)) if rows else None
        pieces: dict[str, list[Array]] = {name: [] for name in kinds}
        done = 0
        while reader is not None and done < rows:
            count = reader.read()
            if not count:
                raise ValueError(f"it ends after {done:,} of {rows:,} points")
            for name, buffer in buffers.items():
                pieces[name].append(buffer[:count].copy())
            done += count
        if reader is not None:
            reader.close()
        empty = {name: np.zeros(0, buffer.dtype) for name, buffer in buffers.items()}
        return {name: np.concatenate([empty[name], *pieces[name]]) for name in kinds}


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("a number of its description is not finite")
    return float(value)


def fields_of(prototype: Node) -> dict[str, Node]:
    """name -> node of the numbers in a row; ValueError for rows of anything else."""
    if prototype[0] != "structure":
        raise ValueError("rows that are no structures are not supported")
    fields: dict[str, Node] = dict(prototype[1])
    for name, node in fields.items():
        if node[0] not in ("integer", "scaled", "float"):
            raise ValueError(f"the field '{name}' is no number, which is not supported")
    return fields


def scans_of(root: Node) -> list[dict[str, Node]]:
    """The children of each scan that has points, by name."""
    vector = dict(root[1]).get("data3D", ["vector", True, []])
    scans = [dict(node[1]) for node in vector[2] if node[0] == "structure"]
    return [scan for scan in scans if scan.get("points", [""])[0] == "table"]


def scaled(node: Node, values: Array) -> Array:
    """What stored values mean."""
    if node[0] == "float":
        return values
    floats = values.astype(np.float64)
    return floats * node[4] + node[5] if node[0] == "scaled" else floats


def buffer_type(node: Node) -> str:
    """The numpy type in which libE57 hands out the values, scaled ones as their integers."""
    return f"f{node[2]}" if node[0] == "float" else "q"


def _bits(node: Node) -> int:
    """What a value takes in the file."""
    return 8 * int(node[2]) if node[0] == "float" else int(node[3] - node[2]).bit_length()


def _destinations(file: Any, buffers: dict[str, Array]) -> Any:
    from pye57 import libe57

    found = libe57.VectorSourceDestBuffer()
    for name, buffer in buffers.items():
        found.append(libe57.SourceDestBuffer(file, name, buffer, len(buffer), True, False))
    return found


def save(tree: Tree, path: str) -> None:
    """Writes the tree as a new file; E57Exception when a value is out of its bounds."""
    from pye57 import libe57

    file = libe57.ImageFile(path, "w")
    try:
        for prefix, uri in tree.extensions:
            file.extensionsAdd(prefix, uri)
        saver = _Saver(file)
        root = file.root()
        for name, node in tree.root[1]:
            root.set(name, saver.node(node))
        for number, blob in saver.blobs:
            content = np.frombuffer(tree.blobs[number], np.uint8)
            if len(content):
                blob.write(content, 0, len(content))
        for number, table in saver.tables:
            _write_rows(file, table, tree.tables[number])
    finally:
        file.close()


class _Saver:
    """Makes nodes of libE57; blobs and tables have to be written when the tree is whole."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.blobs: list[tuple[int, Any]] = []
        self.tables: list[tuple[int, Any]] = []

    def node(self, node: Node) -> Any:
        from pye57 import libe57

        kind, *held = node
        if kind == "structure":
            made = libe57.StructureNode(self._file)
            for name, child in held[0]:
                made.set(name, self.node(child))
            return made
        if kind == "vector":
            made = libe57.VectorNode(self._file, held[0])
            for child in held[1]:
                made.append(self.node(child))
            return made
        return self._leaf(kind, held)

    def _leaf(self, kind: str, held: list[Any]) -> Any:
        from pye57 import libe57

        if kind == "float":
            value, width, low, high = held
            precision = libe57.FloatPrecision
            bits = precision.E57_SINGLE if width == 4 else precision.E57_DOUBLE
            return libe57.FloatNode(self._file, value, bits, low, high)
        if kind == "blob":
            number, size = held
            self.blobs.append((number, libe57.BlobNode(self._file, size)))
            return self.blobs[-1][1]
        if kind == "table":
            number, prototype, codecs = held
            parts = self.node(prototype), self.node(codecs)
            self.tables.append((number, libe57.CompressedVectorNode(self._file, *parts)))
            return self.tables[-1][1]
        makers = {
            "integer": libe57.IntegerNode,
            "scaled": libe57.ScaledIntegerNode,
            "string": libe57.StringNode,
        }
        return makers[kind](self._file, *held)


def _write_rows(file: Any, table: Any, columns: dict[str, Array]) -> None:
    rows = len(next(iter(columns.values()), ()))
    kinds = {name: column.dtype for name, column in columns.items()}
    buffers = {
        name: np.zeros(_ROWS, kind.char if kind.kind == "f" else "q")
        for name, kind in kinds.items()
    }
    writer = table.writer(_destinations(file, buffers))
    for start in range(0, rows, _ROWS):
        count = min(_ROWS, rows - start)
        for name, buffer in buffers.items():
            buffer[:count] = columns[name][start : start + count]
        writer.write(count)
    writer.close()
