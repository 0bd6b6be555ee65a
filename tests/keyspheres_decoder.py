"""A second decoder of `keyspheres.1`, written from docs/format-keyspheres.md alone: no pcc in it.

It is for reading, not for speed. Numbers in brackets are chapters of the document.
"""

from __future__ import annotations

import decimal
import struct
from bisect import bisect_right
from functools import cache
from itertools import accumulate

import numpy as np
from occupancy_decoder import Stream

CELLS = 64


class Surface:
    """All that a stream `KEYS` says."""

    def __init__(self, data):
        self.head, places = data[:42], struct.unpack_from("<B2HBf4dH", data)
        layers, width, count, flags, self.band, *centre, self.radius, size = places
        self.centre = np.array(centre)
        assert flags < 8
        self.latent, self.leaky, self.double = (bool(flags & bit) for bit in (1, 2, 4))
        self.cells, self.radii = spheres(data[44 : 44 + size], count)
        features = [(count, 29)] if self.latent and count else []
        inputs = (29 if self.latent else 4) if count else 0
        hidden = [(width, 3 + inputs + 1)] + [(width, width + 1)] * (layers - 1)
        shapes = [*features, *hidden, (1, width + 1)]
        self.codes, self.numbers = matrices(data[44 + size :], shapes)

    def integers(self):
        """[3], last paragraph."""
        codes = np.array(self.codes).reshape(-1, 2)
        return [np.frombuffer(self.head, np.uint8), self.cells, self.radii, codes, *self.numbers]

    def distances(self, points):
        """[3] Of places (n, 3) of the file."""
        places = (points - self.centre) * 0.9 / self.radius
        layers = [
            scaled(whole, *pair)
            for whole, pair in zip(self.numbers, np.reshape(self.codes, (-1, 2)), strict=True)
        ]
        x = np.concatenate([places, *self.means(places, layers)], axis=1)
        *hidden, last = layers
        for layer in hidden:
            x = x @ layer[:, :-1].T + layer[:, -1]
            x = np.where(x < 0, 0.1 * x, x) if self.leaky else np.sin(x)
        found = np.tanh(x @ last[0, :-1] + last[0, -1])
        if self.band:
            found = np.arctanh(np.clip(found, -0.999, 0.999)) * self.band
        return np.where(np.linalg.norm(places, axis=1) < 0.97, found, np.abs(found))

    def means(self, places, layers):
        if not len(self.cells):
            return []
        axes = [self.cells // CELLS**2, self.cells // CELLS % CELLS, self.cells % CELLS]
        centres = (np.stack(axes, axis=1) + 0.5) / (CELLS / 2) - 1
        gaps = np.linalg.norm(places[:, None] - centres, axis=2)
        known = np.concatenate([centres, -self.radii[:, None] / 256], axis=1)
        return [gaps / gaps.sum(axis=1, keepdims=True) @ (layers.pop(0) if self.latent else known)]


def spheres(data, count):
    """[1] Cells and radii."""
    gaps, used = rice(data, count)
    radii, rest = rice(data[used:], count)
    assert used + rest == len(data)
    return np.cumsum(np.array(gaps, int) + 1) - 1, np.array(radii, int)


def rice(data, count):
    """[1] Values, and the bytes that they take."""
    bits, k = "".join(f"{byte:08b}" for byte in data[1:]), data[0]
    at, values = 0, []
    for _ in range(count):
        ones = bits.index("0", at) - at
        at += ones + 1 + k
        values.append(ones << k | int("0" + bits[at - k : at], 2))
    return values, 1 + -(-at // 8)


def matrices(data, shapes):
    """[2] Codes of steps, and whole numbers."""
    count = 2 * len(shapes)
    codes, bells = list(data[:count]), data[count : 2 * count]
    coder, found = Numbers(data[2 * count :]), []
    for place, (rows, columns) in enumerate(shapes):
        weights = coder.take(rows * (columns - 1), bells[2 * place])
        offsets = coder.take(rows, bells[2 * place + 1])
        found.append(np.concatenate([weights.reshape(rows, -1), offsets[:, None]], axis=1))
    assert coder.at_end()
    return codes, found


def scaled(whole, weights, offsets):
    """[2] Numbers as they count."""
    steps = np.full(whole.shape[1], 2.0 ** ((weights - 160) / 8))
    steps[-1] = 2.0 ** ((offsets - 160) / 8)
    return (whole * steps).astype(np.float32).astype(float)


class Numbers(Stream):
    def take(self, count, number):
        symbols = [self.symbol(bounds(number)) - 127 for _ in range(count)]
        far = [place for place, symbol in enumerate(symbols) if abs(symbol) == 127]
        found = np.array(symbols, int)
        if far:
            found[far] += self.take(len(far), number)
        return found

    def symbol(self, limits):
        """format-rangecoder.md, chapter 3."""
        scale = self.span >> 24
        found = bisect_right(limits, self.offset // scale) - 1
        self.offset -= scale * limits[found]
        self.span = scale * (limits[found + 1] - limits[found])
        if self.span < 2**32:
            self.span, self.offset = self.span << 32, self.offset << 32 | self.word()
        return found


@cache
def bounds(number):
    """format-rangecoder.md, chapter 2."""
    sums = accumulate(frequencies(number), initial=0)
    return [(total * (2**24 - 255) >> 16) + place for place, total in enumerate(sums)]


def frequencies(number):
    """[2] Of -127 .. 127."""
    with decimal.localcontext(decimal.Context(30, decimal.ROUND_HALF_EVEN)):
        s = number % 32
        width = decimal.Decimal((4 + s % 4) << s // 4) / 16
        powers = [k * k / (2 * width * width) if number < 32 else k / width for k in range(128)]
        g = [(-power).exp() for power in powers]
        total = 2 * sum(g) - g[0]
        half = [1 + int((65536 - 255) * one / total) for one in g]
    table = half[:0:-1] + half
    table[127] += 65536 - sum(table)
    return table
