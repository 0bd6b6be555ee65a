"""Settings of codecs as options of `pcc compress`: `--n-layers 8` without a line here for each.

A codec's settings are the fields of its class, so the options that click does not know are looked
up there. A codec is imported for it only when such an option is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from pcc_cli.codecs.settings import Setting

AUTO = "auto"  # as a codec: the one that is taken without any
META = "settings"  # key of what was found, in the context: name -> text


class WithSettings(TyperCommand):
    """A verb that takes the settings of every codec."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        ends = args.index("--") if "--" in args else len(args)
        own = {
            name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)
        }
        given, rest = _taken(args[:ends], own)
        ctx.meta[META] = given
        return super().parse_args(ctx, rest + args[ends:])


def given(ctx: typer.Context) -> dict[str, str]:
    """The settings on the command line, name -> text."""
    return dict(ctx.meta.get(META, {}))


def _taken(args: list[str], own: set[str]) -> tuple[dict[str, str], list[str]]:
    """The settings among `args`, and the other arguments; `own` options are left alone."""
    found: dict[str, str] = {}
    rest: list[str] = []
    words = iter(args)
    codec = _codec(args)
    for word in words:
        option, equals, text = word.partition("=")
        setting = None if option in own or not word.startswith("--") else _find(option, codec)
        if setting is None:
            rest.append(word)
        elif setting.kind is bool and not equals:
            found[setting.name] = "false" if option.startswith("--no-") else "true"
        elif equals:
            found[setting.name] = text
        else:
            value = next(words, None)
            if value is None:
                raise typer.BadParameter(f"{option} needs a value")
            found[setting.name] = value
    return found, rest


def _codec(args: list[str]) -> str | None:
    """What --codec says, before click has parsed anything; None for AUTO."""
    for word, after in zip(args, [*args, ""][1:], strict=True):
        option, equals, text = word.partition("=")
        if option == "--codec":
            found = text if equals else after
            return None if found == AUTO else found
    return None


def _find(option: str, codec: str | None) -> Setting | None:
    """The setting that `option` names, of `codec` or else of the first codec that has it."""
    name = option.removeprefix("--").replace("-", "_")
    for known in _settings(codec):
        plain = known.get(name)
        switch = known.get(name.removeprefix("no_"))
        if plain is not None:
            return plain
        if switch is not None and switch.kind is bool:
            return switch
    return None


def _settings(codec: str | None) -> Iterator[dict[str, Setting]]:
    from pcc_cli import codecs
    from pcc_cli.codecs import settings
    from pcc_cli.errors import UnsupportedError

    chosen: Any = ()
    with suppress(UnsupportedError):  # the verb tells of it
        chosen = codecs.CODECS if codec is None else [codecs.resolve(codec)]
    for id in chosen:
        yield settings.of(codecs.get(id))
