"""The rows of a PLY element, to and from columns, without a loop over rows where possible.

Text becomes a row of float64 tokens first (`plytext.py`; PLY knows no type that float64 cannot
hold) and is then a binary body in which every field, counts of lists too, is a float64.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.formats.plyheader import Element, Property
from pcc_cli.geometry import Array

_COUNT, _ITEMS = "list count", "list items"  # PLY names hold no blanks, so these are free


@dataclass(frozen=True)
class Table:
    """The rows of one element.

    columns : name -> (n,) values of the scalar properties, native byte order
    sizes : (n,) int64, length of the list in each row; empty without a list property
    items : (sum of sizes,), what the lists hold, one after the other
    """

    columns: dict[str, Array]
    sizes: Array
    items: Array


@dataclass(frozen=True)
class _Layout:
    """Where the fields of a row are.

    order : "<" or ">", or "" for tokens of text
    """

    element: Element
    order: str

    def field(self, kind: str) -> str:
        return self.order + kind if self.order else "f8"

    @property
    def items(self) -> Property:
        """The list property; only asked for where there is one."""
        return next(item for item in self.element.properties if item.count_type)

    def count_reader(self) -> tuple[struct.Struct, int]:
        """How to unpack the length of a list, and where it stands in its row."""
        before = self.element.properties[: self.element.properties.index(self.items)]
        at = sum(np.dtype(self.field(item.type)).itemsize for item in before)
        kind = np.dtype(self.field(self.items.count_type or ""))
        return struct.Struct((self.order or "=") + kind.char), at

    def row(self, size: int) -> np.dtype[np.void]:
        """The type of a row whose list has `size` items."""
        fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
        for item in self.element.properties:
            if item.count_type:
                fields.append((_COUNT, self.field(item.count_type)))
                fields.append((_ITEMS, self.field(item.type), (size,)))
            else:
                fields.append((item.name, self.field(item.type)))
        return np.dtype(fields)


def read_table(body: bytes, start: int, element: Element, order: str) -> tuple[Table, int]:
    """The rows of an element at `start`, and the offset behind them.

    InputError when the body ends too early or a text value does not fit its type.
    """
    layout = _Layout(element, order)
    smallest = layout.row(0)
    if element.count and not element.properties:
        raise InputError(f"the element '{element.name}' has rows but no properties")
    if element.count * smallest.itemsize > len(body) - start:
        raise _truncated(element)
    if element.list_property is None:
        rows = np.frombuffer(body, smallest, element.count, start)
        nothing = np.zeros(0, dtype=np.int64)
        return Table(_columns(element, rows), nothing, nothing), start + rows.nbytes
    return _read_lists(body, start, layout)


def _truncated(element: Element) -> InputError:
    return InputError(f"truncated: the data end within the element '{element.name}'")


def _columns(element: Element, rows: Array) -> dict[str, Array]:
    return {
        item.name: _converted(rows[item.name], item.type, item.name)
        for item in element.properties
        if not item.count_type
    }


def _converted(values: Array, kind: str, name: str) -> Array:
    """Values as native `kind`; a text value that is not of an integer type is refused."""
    with np.errstate(over="ignore", invalid="ignore"):
        column = values.astype(kind)
    if values.dtype.kind == "f" and column.dtype.kind != "f" and (column != values).any():
        raise InputError(f"a value of '{name}' does not fit its type")
    return column


def _read_lists(body: bytes, start: int, layout: _Layout) -> tuple[Table, int]:
    """Rows with a list: at once when all lists are equally long, else one length at a time."""
    element, item = layout.element, layout.items
    records = _equal_records(body, start, layout)
    if records is not None:
        pieces = [(np.arange(element.count), records)]
        end = start + records.nbytes
    else:
        pieces, end = _grouped_records(body, start, layout)
    sizes = np.zeros(element.count, dtype=np.int64)
    for rows, part in pieces:
        sizes[rows] = part[_ITEMS].shape[1]
    firsts = np.cumsum(sizes) - sizes
    items = np.empty(int(sizes.sum()), dtype=item.type)
    scalars = [scalar for scalar in element.properties if not scalar.count_type]
    columns = {scalar.name: np.empty(element.count, scalar.type) for scalar in scalars}
    for rows, part in pieces:
        items[_spans(firsts[rows], part[_ITEMS].shape[1])] = _converted(
            part[_ITEMS], item.type, item.name
        )
        for name, values in _columns(element, part).items():
            columns[name][rows] = values
    return Table(columns, sizes, items), end


def _equal_records(body: bytes, start: int, layout: _Layout) -> Array | None:
    """All rows when their lists are as long as the first one, else None."""
    count = layout.element.count
    unpack, at = layout.count_reader()
    first = _list_length(unpack.unpack_from(body, start + at)[0], body) if count else 0
    kind = layout.row(first)
    if start + count * kind.itemsize > len(body):
        return None
    records = np.frombuffer(body, kind, count, start)
    return records if (records[_COUNT] == first).all() else None


def _grouped_records(
    body: bytes, start: int, layout: _Layout
) -> tuple[list[tuple[Array, Array]], int]:
    """(rows, records) for each list length, and the offset behind the element."""
    fixed = layout.row(0).itemsize
    width = np.dtype(layout.field(layout.items.type)).itemsize
    unpack, at = layout.count_reader()
    offsets, sizes = [], []
    for _ in range(layout.element.count):
        if start + fixed > len(body):
            raise _truncated(layout.element)
        offsets.append(start)
        sizes.append(_list_length(unpack.unpack_from(body, start + at)[0], body))
        start += fixed + sizes[-1] * width
    if start > len(body):
        raise _truncated(layout.element)
    begins = np.array(offsets)
    data = np.frombuffer(body, dtype=np.uint8)
    pieces = []
    for size, rows in _groups(np.array(sizes)):
        kind = layout.row(size)
        raw = data[_spans(begins[rows], kind.itemsize)]
        pieces.append((rows, raw.view(kind).ravel()))
    return pieces, start


def _list_length(size: float, body: bytes) -> int:
    """The length of a list as an integer; InputError when it cannot be one."""
    if not 0 <= size <= len(body) or size != int(size):
        raise InputError("a list of the PLY file has no valid length")
    return int(size)


def _spans(starts: Array, length: int) -> Array:
    """(n, length) int64: `length` consecutive indices from each start."""
    spans: Array = starts[:, None] + np.arange(length)
    return spans


def _groups(sizes: Array) -> Iterator[tuple[int, Array]]:
    """Each list length that occurs, with the rows that have it."""
    for size in np.unique(sizes):
        yield int(size), np.flatnonzero(sizes == size)


def write_table(element: Element, order: str, table: Table) -> memoryview:
    """The rows of `table` as the binary body of an element."""
    layout = _Layout(element, order)
    if element.list_property is None:
        records = np.empty(element.count, dtype=layout.row(0))
        return _filled(records, table, slice(None)).view(np.uint8).data
    lengths = layout.row(0).itemsize + table.sizes * layout.row(1)[_ITEMS].itemsize
    begins = np.cumsum(lengths) - lengths
    body = np.empty(int(lengths.sum()), dtype=np.uint8)
    firsts = np.cumsum(table.sizes) - table.sizes
    for size, rows in _groups(table.sizes):
        records = _filled(np.empty(len(rows), dtype=layout.row(size)), table, rows)
        records[_COUNT] = size
        records[_ITEMS] = table.items[_spans(firsts[rows], size)]
        if len(rows) == element.count:
            return records.view(np.uint8).data
        places = _spans(begins[rows], records.itemsize)
        body[places] = records.view(np.uint8).reshape(places.shape)
    return body.data


def _filled(records: Array, table: Table, rows: Array | slice) -> Array:
    """`records` with the scalar properties of the given rows."""
    for name, column in table.columns.items():
        records[name] = column[rows]
    return records


def check_list(element: Element, table: Table) -> None:
    """InputError when the list of `element` has a type too narrow for what the table holds."""
    item = element.list_property
    if item is None:
        return
    for values, kind in ((table.sizes, item.count_type), (table.items, item.type)):
        if len(values) and int(values.max()) > np.iinfo(kind or "i1").max:
            raise InputError(f"the list '{item.name}' of the PLY header is too narrow")
