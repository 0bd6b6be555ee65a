"""Members of JSON records that come from a file: of the right type, in range, or FormatError."""

from __future__ import annotations

from typing import Any, TypeVar

from pcc_cli.errors import FormatError

T = TypeVar("T")


def member(record: Any, name: str, kind: type[T]) -> T:
    """`record[name]`, which must be there and be a `kind` (a bool is no int)."""
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise FormatError(f"'{name}' of type {kind.__name__} is missing in the file's description")
    return value


def integer(record: Any, name: str, low: int, high: int) -> int:
    """The integer `record[name]`, which must lie in low .. high."""
    value = member(record, name, int)
    if not low <= value <= high:
        raise FormatError(f"'{name}' is {value}; it must be in {low} .. {high}")
    return value


def records(record: Any, name: str) -> list[dict[str, Any]]:
    """The list of objects `record[name]`."""
    values = member(record, name, list)
    if not all(isinstance(value, dict) for value in values):
        raise FormatError(f"'{name}' must list objects")
    return values
