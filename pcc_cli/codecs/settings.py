"""What a user may set on a codec: the fields of its class, by name, from values or from text."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from pcc_cli.errors import InputError

_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Setting:
    """One setting of a codec.

    kind : int, float, str or bool
    default : None where the codec decides
    help : one line about it
    """

    name: str
    kind: type[Any]
    default: Any
    help: str

    @property
    def option(self) -> str:
        """How the command line calls it."""
        return "--" + self.name.replace("_", "-")

    def value(self, given: Any) -> Any:
        """`given` as a value of this setting. Raises InputError."""
        if given is None and self.default is None:
            return None
        if isinstance(given, bool) != (self.kind is bool):
            raise self._wrong(given)
        wanted = (int, float) if self.kind is float else self.kind
        if not isinstance(given, wanted):
            raise self._wrong(given)
        if isinstance(given, float) and not math.isfinite(given):
            raise self._wrong(given)
        return float(given) if self.kind is float else given

    def parsed(self, text: str) -> Any:
        """The value that `text` says. Raises InputError."""
        with suppress(ValueError, KeyError):
            value: Any = _WORDS[text.lower()] if self.kind is bool else self.kind(text)
            return value
        raise self._wrong(text)

    def _wrong(self, given: Any) -> InputError:
        noun = {int: "a whole number", float: "a number", bool: "yes or no", str: "text"}
        return InputError(f"{self.option} must be {noun[self.kind]}, not '{given}'")


def of(codec: type) -> dict[str, Setting]:
    """Name -> setting, of a class of codecs."""
    hints = get_type_hints(codec)
    return {
        field.name: Setting(
            field.name, _plain(hints[field.name]), field.default, field.metadata.get("help", "")
        )
        for field in fields(codec)
    }


def parsed(codec: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings `given` with text turned into what it says, as far as `codec` knows them."""
    known = of(codec)
    return {
        name: known[name].parsed(value) if name in known and isinstance(value, str) else value
        for name, value in given.items()
    }


def values(codec: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings `given`, all of them settings of `codec`, checked. Raises InputError."""
    known = of(codec)
    return {name: known[name].value(value) for name, value in given.items()}


def _plain(hint: Any) -> type:
    """The type of a value that may also be None."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(kind for kind in get_args(hint) if kind is not types.NoneType)
    found: type = hint
    return found
