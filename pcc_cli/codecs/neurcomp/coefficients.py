"""Quantized wavelet coefficients to bytes and back.

    bands, coarse to fine -> eight parities of places -> context -> size, sign, bits below the first

The size of a coefficient is the number of its bits: 0, 1 (for 1), 2 (for 2 and 3) ... It is coded
as a row of yes or no, each in contexts of what is known around: coefficients of the same band at
places of the parities before, the parent and its neighbours in the band of the same directions
one level coarser, and the bands of this level that came before. A place of which nothing around
is known but zeros takes one table and no mix: most of a volume at a low rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from pcc_cli.codecs.neurcomp import priors
from pcc_cli.codecs.neurcomp.around import BINS, binned, bits_of, fitted, smoothed, upsampled
from pcc_cli.codecs.neurcomp.bits import LONG_MEMORY, MEMORY, Counted, Model, Prior, Side, even
from pcc_cli.codecs.neurcomp.wavelet import Band, Sides, bands
from pcc_cli.geometry import Array

SIZES = 31  # bits of the largest coefficient
CAP = 1 << 14  # of magnitudes, as neighbours
_PARITIES = tuple((z, y, x) for z, y, x in product((0, 1), repeat=3))
# In this order the first three parities lie as far from each other as they can.
_ORDER = (0, 7, 3, 5, 6, 1, 2, 4)
_SMALL = 27  # coefficients of a band that is not worth eight passes
_LEVELS = 6  # levels that have tables of their own


# Contexts of each table of each model, and sets of weights.
TABLES = {
    "zero": [_LEVELS * 8 * BINS, BINS * 12, 1728, 3 * _LEVELS * BINS * 2, 125 * 8, 1728],
    "more": [8 * BINS * 2, 8 * BINS, 8 * BINS, _LEVELS * 8 * 4],
    "cold": [_LEVELS * 8 * 4],
    "below": [SIZES * 2 * 4],
}
SETS = {"zero": 16, "more": 8, "cold": 0, "below": 0}


def code(side: Side, sides: Sides, coefficients: Array) -> Array:
    """(z, y, x) int32 the coefficients; the decoder, which does not know them, gives zeros."""
    coder = _Coder(side)
    out = np.zeros(sides, np.int32)
    for band in bands(sides):
        out[band.place] = coder.band(band, coefficients[band.place])
    return out


def code_alone(side: Side, sides: Sides, values: Array) -> Array:
    """The same for integers that are no coefficients: as one band."""
    z, y, x = (slice(0, n) for n in sides)
    return _Coder(side).band(Band(0, (True, True, True), (z, y, x)), values)


def counting(side: Side, coefficients: Array) -> dict[str, Prior]:
    """What the models hold after coding `coefficients`, nothing forgotten: to learn priors."""
    coder = _Coder(side, remember=True)
    z, y, x = coefficients.shape
    for band in bands((z, y, x)):
        coder.band(band, coefficients[band.place])
    return coder.states()


@dataclass(frozen=True)
class _Around:
    """What is known of n places: (n,) int64 each.

    near : magnitudes in the band, by distance, in units of 1/4
    faces : of the six next places, 0, 1 or more, pair by pair: 0 .. 4 each
    parent, above : that of the coarser band, and the mean around it, in units of 1/4
    beside, wide : sums of the bands of this level: of the place, and around it
    """

    near: Array
    faces: Array
    parent: Array
    above: Array
    beside: Array
    wide: Array

    def __getitem__(self, rows: Array) -> _Around:
        return _Around(*(value[rows] for value in vars(self).values()))


class _Coder:
    """Models, and the magnitudes of the bands that came before."""

    def __init__(self, side: Side, remember: bool = False) -> None:
        self._side = side
        known = priors.load()
        memory = (None, None) if remember else (MEMORY, LONG_MEMORY)
        self._zero = Model(TABLES["zero"], known["zero"], memory[0])
        self._more = Model(TABLES["more"], known["more"], memory[0])
        self._cold = Counted(known["cold"], memory[1])
        self._below = Counted(known["below"], memory[1])
        self._coarse: dict[tuple[bool, bool, bool], Array] = {}
        self._same: list[Array] = []
        self._level = -1

    def states(self) -> dict[str, Prior]:
        """Model -> what it holds."""
        mixed = {"zero": self._zero, "more": self._more}
        counted = {"cold": self._cold, "below": self._below}
        return {
            **{name: model.state() for name, model in mixed.items()},
            **{name: model.state() for name, model in counted.items()},
        }

    def band(self, band: Band, values: Array) -> Array:
        """The coefficients of one band, coded after all coarser ones."""
        if band.level != self._level:
            self._level, self._same = band.level, []
        shape = band.shape
        parent, above = self._from_parent(band)
        beside, wide = self._from_beside(shape)
        found = np.zeros(shape, np.int32)
        padded = np.zeros([n + 2 for n in shape], np.int32)
        for number, start, stride in _groups(shape):
            place = tuple(slice(s, None, stride) for s in start)
            part = found[place]
            if not part.size:
                continue
            near, faces = _near(padded, start, part.shape, stride)
            around = _Around(
                near.ravel(),
                faces.ravel(),
                *(array[place].ravel() for array in (parent, above, beside, wide)),
            )
            coded = self._places(band, number, around, values[place].ravel().astype(np.int64))
            found[place] = coded.reshape(part.shape)
            inner = tuple(slice(s + 1, n + 1, stride) for s, n in zip(start, shape, strict=True))
            padded[inner] = np.minimum(np.abs(found[place]), CAP)
        magnitudes = np.ascontiguousarray(padded[1:-1, 1:-1, 1:-1])
        self._coarse[band.high] = magnitudes
        self._same.append(magnitudes)
        return found

    def _from_parent(self, band: Band) -> tuple[Array, Array]:
        """Of each place: the magnitude in the coarser band, and four times the mean around that."""
        coarse = self._coarse.get(band.high)
        if coarse is None or not any(band.high):
            nothing = np.zeros(band.shape, np.int32)
            return nothing, nothing
        return upsampled(coarse, band.shape), upsampled(smoothed(coarse), band.shape)

    def _from_beside(self, shape: Sides) -> tuple[Array, Array]:
        total = np.zeros(shape, np.int32)
        if not self._same or not self._same[0].size:
            return total, total
        for other in self._same:
            total += fitted(other, shape)
        return total, smoothed(total)

    def _places(self, band: Band, number: int, around: _Around, values: Array) -> Array:
        """The coefficients of one parity, the `number`-th; `values` are the encoder's."""
        level = min(band.level, _LEVELS - 1)
        kind = sum(band.high)
        sizes = bits_of(values)
        busy = (around.near | around.above | around.wide | around.parent) > 0
        cold, warm = np.flatnonzero(~busy), np.flatnonzero(busy)
        some = np.empty(len(values), np.int64)
        context = np.full(len(cold), (level * 8 + number) * 4 + kind)
        some[cold] = self._cold.code(self._side, context, np.minimum(sizes[cold], 1))
        if len(warm):
            seen = around[warm]
            contexts, sets = _contexts(seen, level, kind, number)
            some[warm] = self._zero.code(self._side, contexts, sets, np.minimum(sizes[warm], 1))
        rows = np.flatnonzero(some)
        out = np.zeros(len(values), np.int64)
        if len(rows):
            out[rows] = self._signed(level, kind, around[rows], values[rows], sizes[rows])
        return out

    def _signed(self, level: int, kind: int, around: _Around, values: Array, sizes: Array) -> Array:
        """Coefficients that are not 0: size, bits below the first, sign."""
        found = np.ones(len(values), np.int64)
        going = np.arange(len(values))
        total = binned(2 * around.near + 4 * around.parent + 2 * around.above + around.wide)
        near, above = binned(around.near), binned(4 * around.parent + around.above)
        for size in range(1, SIZES):
            step = min(size - 1, 7)
            contexts = np.stack(
                [
                    (step * BINS + total[going]) * 2 + (kind > 1),
                    step * BINS + near[going],
                    step * BINS + above[going],
                    np.full(len(going), (level * 8 + step) * 4 + kind),
                ]
            )
            more = self._more.code(
                self._side,
                contexts,
                np.full(len(going), step),
                (sizes[going] > size).astype(np.int64),
            )
            going = going[more > 0]
            found[going] += 1
            if not len(going):
                break
        return self._filled(found, values, total)

    def _filled(self, sizes: Array, values: Array, total: Array) -> Array:
        """The coefficients of known sizes; the two bits below the first are learned, others not."""
        magnitudes = np.ones(len(values), np.int64)
        truth = np.abs(values)
        left = sizes - 1
        for number in range(SIZES - 1):
            rows = np.flatnonzero(left > number)
            if not len(rows):
                break
            bits = truth[rows] >> (left[rows] - number - 1) & 1
            if number < 2:
                last = magnitudes[rows] & 1 if number else np.zeros(len(rows), np.int64)
                context = (sizes[rows] * 2 + number) * 2 + last
                bits = self._below.code(self._side, context, bits)
            else:
                bits = even(self._side, bits)
            magnitudes[rows] = magnitudes[rows] << 1 | bits
        negative = even(self._side, (values < 0).astype(np.int64))
        return np.where(negative > 0, -magnitudes, magnitudes)


def _contexts(seen: _Around, level: int, kind: int, number: int) -> tuple[Array, Array]:
    """(6, n) contexts of the tables, (n,) sets of weights."""
    near, above = binned(seen.near), binned(4 * seen.parent + seen.above)
    beside = binned(4 * seen.beside + seen.wide // 4)
    known = 1 + number  # the later the parity, the more of its neighbours are known
    total = binned(
        (16 * seen.near) // known
        + 4 * seen.parent
        + 2 * seen.above
        + 2 * seen.beside
        + seen.wide // 4
    )
    contexts = np.stack(
        [
            (level * 8 + number) * BINS + near,
            total * 12 + np.minimum(near, 11),
            (np.minimum(near, 11) * 12 + np.minimum(above, 11)) * 12 + np.minimum(beside, 11),
            (((kind - 1) % 3 * _LEVELS + level) * BINS + total) * 2 + (number > 3),
            seen.faces * 8 + number,
            (np.minimum(binned(seen.parent * 4), 11) * 12 + np.minimum(binned(seen.wide), 11)) * 12
            + np.minimum(binned(seen.above), 11),
        ]
    )
    return contexts, np.minimum(number, 7) * 2 + (near > 4)


def _groups(shape: Sides) -> list[tuple[int, tuple[int, int, int], int]]:
    """What is coded together: number, first place and stride; of a small band all at once."""
    if math.prod(shape) <= _SMALL:
        return [(0, (0, 0, 0), 1)]
    return [(number, _PARITIES[parity], 2) for number, parity in enumerate(_ORDER)]


def _near(
    padded: Array, start: tuple[int, ...], shape: tuple[int, ...], stride: int
) -> tuple[Array, Array]:
    """Of each place of a group: neighbours' magnitudes, weighted; and the faces, capped."""

    def at(dz: int, dy: int, dx: int) -> Array:
        z, y, x = (
            slice(1 + s + d, 1 + s + d + stride * (n - 1) + 1, stride)
            for s, d, n in zip(start, (dz, dy, dx), shape, strict=True)
        )
        return padded[z, y, x]

    near = np.zeros(shape, np.int32)
    faces = np.zeros(shape, np.int32)
    for axis in range(3):
        pair = np.zeros(shape, np.int32)
        for way in (-1, 1):
            step = [0, 0, 0]
            step[axis] = way
            value = at(*step)
            near += 4 * value
            pair += np.minimum(value, 2)
        faces = faces * 5 + pair
    for dz, dy, dx in product((-1, 0, 1), repeat=3):
        distance = abs(dz) + abs(dy) + abs(dx)
        if distance > 1:
            near += (2 if distance == 2 else 1) * at(dz, dy, dx)
    return near.astype(np.int64), faces.astype(np.int64)
