"""What a caller may choose, and what that means for one shape: its codecs, its grid, its notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pcc_cli import codecs
from pcc_cli.attributes.coder import Colours
from pcc_cli.codecs import settings
from pcc_cli.codecs.base import Codec
from pcc_cli.errors import InputError
from pcc_cli.geometry import Mesh, Volume, Whole
from pcc_cli.grid import fit
from pcc_cli.spine import invalid, tiling
from pcc_cli.spine.header import Header

FALLBACK = "plain.1"
LIKENESS_FACES = 200  # of a mesh that keyspheres makes smaller


@dataclass(frozen=True)
class Options:
    """What a caller may choose.

    codec : name or id; None: the default for the kind of shape
    settings : of the codec, by name, such as {"model": "occupancy-1"}; text for a value will do
    step, bits, lossless : the grid of float coordinates, at most one of the three (`grid.fit`)
    drop, only : attributes to leave out, or the only ones to keep
    attribute_quality : 1 to 100: colours of points may lose something; None: nothing does
    keep_order : store the order of the points, too
    keep_invalid : store points that are not finite, too, which are left out otherwise
    device : "auto", "cpu" or "cuda", for codecs that compute on one
    fallback : whether `plain` takes the tiles that it makes smaller
    allow_extras : whether a file may need packages beside pcc to be read, where that is better
    """

    codec: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    step: float | None = None
    bits: int | None = None
    lossless: bool = False
    drop: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    attribute_quality: float | None = None
    keep_order: bool = False
    keep_invalid: bool = False
    device: str = "auto"
    fallback: bool = True
    allow_extras: bool = False


def contenders_for(shape: Whole, options: Options) -> list[Codec]:
    """The codec to use, and behind it the one that may turn out smaller.

    UnsupportedError for a codec that is unknown, or does not take `shape`.
    """
    kind = codecs.kind_of(shape)
    usual = codecs.default_for(kind, options.settings)
    chosen = codecs.resolve(options.codec) if options.codec else usual
    codecs.check_takes(chosen, kind, options.settings)
    given = settings.parsed(codecs.get(chosen), options.settings)
    first = codecs.create(chosen, given, options.device)
    rival = options.fallback and first.lossless and chosen != FALLBACK
    return [first, codecs.create(FALLBACK, {})] if rival else [first]


def lossy_colours(header: Header, options: Options) -> Colours | None:
    """Which columns may lose something, and how much; InputError for a quality that cannot be."""
    quality = options.attribute_quality
    if quality is None:
        return None
    if not 1 <= quality <= 100:
        raise InputError(f"the quality of attributes is 1 to 100, not {quality:g}")
    place = header.place_of_colours()
    return None if place is None else Colours(place, quality)


def split_for(shape: Whole, options: Options, lossless: bool) -> tiling.Split:
    """The header and the pieces of `shape`; InputError for options that contradict the codec.

    lossless : whether its codec is
    """
    if isinstance(shape, Volume):
        return tiling.split_volume(shape, lossless)
    if isinstance(shape, Mesh):
        return tiling.split_mesh(shape, lossless)
    exact = [name for name in ("keep_order", "keep_invalid", "lossless") if getattr(options, name)]
    if not lossless and exact:
        names = " and ".join("--" + name.replace("_", "-") for name in exact)
        raise InputError(f"{names} cannot be had from a lossy codec; leave out one or the other")
    whole = shape if options.keep_invalid else invalid.left_out(shape)
    if not options.keep_order or len(whole) < len(shape):
        unordered = {name: value for name, value in shape.source.items() if name != "ordered"}
        whole = replace(whole, source=unordered)
    place = fit(
        invalid.stood_in(whole.points),
        step=options.step,
        bits=options.bits,
        lossless=options.lossless,
        scales=shape.source.get("scales"),
        offsets=shape.source.get("offsets"),
    )
    if not lossless and place.grid.kind == "step":  # zeros lose their sign
        place = place._replace(grid=replace(place.grid, residual=None), residual=None)
    patch = invalid.patch_of(whole.points, place) if lossless else None
    return tiling.split_points(whole, place, options.keep_order, patch, lossless)


def notes_on(shape: Whole, header: Header, options: Options) -> list[str]:
    """What a user should know of the shape, beside the codecs."""
    notes = []
    if isinstance(shape, Mesh) and (options.step is not None or options.bits is not None):
        notes.append("the coordinates of a mesh are kept as they are: no step or bits were used")
    if isinstance(shape, Mesh) and not options.codec and len(shape.face_sizes) >= LIKENESS_FACES:
        notes.append("exact; --codec keyspheres --size 4k makes a likeness of a few kB")
    if isinstance(shape, Mesh) and not header.lossless:
        lost = [*shape.attributes, *shape.face_attributes]
        notes += [f"{', '.join(lost)} not kept: the codec makes new vertices"] if lost else []
    coloured, asked = header.place_of_colours() is not None, options.attribute_quality is not None
    if asked and not coloured:
        notes.append("no colours of points, of 8 or 16 bits: every attribute is kept exactly")
    if coloured and not asked and not header.lossless:
        notes.append("colours kept exactly: --attribute-quality 50 makes them far smaller")
    invalid_points = len(shape) - header.count
    if invalid_points:
        notes.append(
            f"{invalid_points:,} points that are not finite left out (--keep-invalid keeps them)"
        )
    elif any(column.role == "patch" for column in header.columns) and not options.keep_order:
        notes.append("points that are not finite come last")
    gone = set(shape.source.get("ordered", {})) - set(header.source.get("ordered", {}))
    if gone:
        notes.append(f"{' and '.join(sorted(gone))} not kept, for the order of points is not")
    return notes
