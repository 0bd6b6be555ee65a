"""A second decoder of `necgs.1`, written from docs/format-necgs.md alone: no pcc in it.

It is for reading, not for speed: every node of every grid is there. Numbers in brackets are
chapters of the document. It ends where the document does: with the places where the surface
crosses the edges between nodes.
"""

from __future__ import annotations

import math
import struct
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from itertools import product

import numpy as np
from neurcomp_decoder import Source

AROUND = list(product((-1, 0, 1), repeat=3))
CHILDREN = [(i, j, k) for k in (0, 1) for j in (0, 1) for i in (0, 1)]
erf = np.frompyfunc(math.erf, 1, 1)


def row_of(bell):
    """Bounds (256,) of the symbols under a bell; format-keyspheres.md 2, format-rangecoder.md 2"""
    with localcontext(Context(prec=30, rounding=ROUND_HALF_EVEN)):
        s = bell % 32
        w = Decimal((4 + s % 4) << (s // 4)) / 16
        if bell < 32:
            g = [(-Decimal(k * k) / (2 * w * w)).exp() for k in range(128)]
        else:
            g = [(-Decimal(k) / w).exp() for k in range(128)]
        total = 2 * sum(g) - g[0]
        half = [1 + math.floor((65536 - 255) * part / total) for part in g]
    row = half[:0:-1] + half
    row[127] += 65536 - sum(row)
    starts = np.cumsum([0, *row])
    return (starts * (2**24 - 255) >> 16) + np.arange(256)


class Numbers:
    """A range-coded stream; format-rangecoder.md, chapter 3."""

    def __init__(self, data):
        self.words = iter(struct.unpack(f"<{len(data) // 4}I", data))
        self.span, self.offset = 2**64 - 1, self.word() << 32 | self.word()

    def word(self):
        return next(self.words, 0)

    def take(self, bells):
        rows = {bell: row_of(bell) for bell in set(bells)}
        return np.array([self.symbol(rows[bell]) - 127 for bell in bells])

    def symbol(self, bounds):
        scale = self.span >> 24
        s = int(np.searchsorted(bounds, self.offset // scale, side="right")) - 1
        self.offset -= scale * int(bounds[s])
        self.span = scale * int(bounds[s + 1] - bounds[s])
        if self.span < 2**32:
            self.span, self.offset = self.span << 32, self.offset << 32 | self.word()
        return s

    def at_end(self):
        return next(self.words, None) is None and self.offset < 2**32


def sides(K):
    return [4 << n for n in range(K.bit_length() - 3)]


def shapes(K, taps, channels):
    """[1] Of the matrices, by name."""
    found, c = {"base": (64, 16)}, 16
    for side, behind in zip(sides(K), channels, strict=True):
        if side >= 16:
            found |= {f"near{side}": (c, 1), f"near{side}.offset": (1, 1)}
        found[f"stage{side}"] = (taps * c, 8 * behind)
        found[f"stage{side}.offset"] = (1, 8 * behind)
        c = behind
    return found | {"last": (27 * c, 4), "last.offset": (1, 4)}


class Network:
    """[1]. models : (id, sha256) -> name -> (rows, columns) numbers of a model"""

    def __init__(self, data, models):
        source = Source(data)
        (self.K,), self.taps = source.numbers("<u2"), source.byte()
        self.K = int(self.K)
        self.channels = list(source.take(len(sides(self.K))))
        name = source.take(source.byte()).decode("ascii")
        model = models[name, source.take(32).hex()] if name else {}
        wanted = shapes(self.K, self.taps, self.channels)
        pairs = [(source.byte(), source.byte()) for _ in wanted]
        self.step, self.bells = 2 ** ((source.byte() - 160) / 8), list(source.take(16))
        numbers = Numbers(source.data)
        self.integers, self.weights = {}, {}
        for (code, bell), (name, shape) in zip(pairs, wanted.items(), strict=True):
            q = numbers.take([bell] * math.prod(shape)).reshape(shape)
            known = model.get(name, np.zeros(0))
            value = q * 2 ** ((code - 160) / 8) + (known if known.shape == shape else 0)
            self.integers[name], self.weights[name] = q, value.astype(np.float32).astype(float)
        assert numbers.at_end()

    def mesh(self, data):
        """[2] flags, (centre, r), features"""
        numbers = Numbers(data[33:])
        features = numbers.take(self.bells * 64).reshape(64, 16)
        assert numbers.at_end()
        *centre, r = struct.unpack("<4d", data[1:33])
        return data[0], (centre, r), features

    def surface(self, features):
        """[3] (n, 3) places, in [-1, 1]^3, where d changes its sign between neighbours."""
        w = self.weights
        a = (features * self.step).astype(np.float32) + w["base"]
        a = a.reshape(4, 4, 4, 16)
        known, inside = np.ones((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
        for s in sides(self.K):
            if s >= 16:
                d = (a @ w[f"near{s}"] + w[f"near{s}.offset"])[..., 0]
                inside = np.where(known, d < 0, inside)
                known = known & (abs(d) < 0.625)
            a = self.children(around(a), w[f"stage{s}"], w[f"stage{s}.offset"])
            known, inside = doubled(known), doubled(inside)
            a = a * known[..., None]
        out = np.clip(around(a) @ w["last"] + w["last.offset"], -1, 1)
        far = np.where(inside, -1.0, 1.0)
        out = np.where(known[..., None], out, np.stack([far, 0 * far, 0 * far, 0 * far], -1))
        out = np.pad(out, [(1, 1)] * 3 + [(0, 0)])
        border = np.pad(np.zeros(known.shape, bool), 1, constant_values=True)
        out[border, 0] = 1
        return crossings(out, self.K)

    def children(self, near, weight, offset):
        if self.taps == 27:
            found = near @ weight + offset
        else:
            c, outputs = near.shape[-1] // 27, weight.shape[1] // 8
            parts = []
            for number, (i, j, k) in enumerate(CHILDREN):
                columns = slice(number * outputs, (number + 1) * outputs)
                total = offset[:, columns]
                for at, (x, y, z) in enumerate(CHILDREN):
                    node = AROUND.index((i - 1 + x, j - 1 + y, k - 1 + z))
                    rows = near[..., node * c : (node + 1) * c]
                    total = total + rows @ weight[at * c : (at + 1) * c, columns]
                parts.append(total)
            found = np.concatenate(parts, -1)
        found = found * (1 + erf(found / 2**0.5).astype(float)) / 2
        s, c = near.shape[0], found.shape[-1] // 8
        a = np.empty((2 * s, 2 * s, 2 * s, c))
        for number, (i, j, k) in enumerate(CHILDREN):
            a[i::2, j::2, k::2] = found[..., number * c : (number + 1) * c]
        return a


def around(a):
    """Channels of the 27 nodes around each, one node after the other."""
    s, padded = len(a), np.pad(a, [(1, 1)] * 3 + [(0, 0)])
    return np.concatenate([padded[x + 1 :, y + 1 :, z + 1 :][:s, :s, :s] for x, y, z in AROUND], -1)


def doubled(a):
    return a.repeat(2, 0).repeat(2, 1).repeat(2, 2)


def crossings(out, K):
    """out : (K + 2,)^3 nodes, one outside all around, each d and a shift"""
    axis = (2 * np.arange(-1, K + 1) + 1) / K - 1
    places = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1) + out[..., 1:] / K
    d, found = out[..., 0], []
    for n in range(3):
        one, other = (np.moveaxis(d, n, 0)[part] for part in (slice(-1), slice(1, None)))
        p, q = (np.moveaxis(places, n, 0)[part] for part in (slice(-1), slice(1, None)))
        cut = (one < 0) != (other < 0)
        share = (one[cut] / (one[cut] - other[cut]))[:, None]
        found.append(p[cut] + (q[cut] - p[cut]) * share)
    return np.concatenate(found)
