"""A second decoder of `deepcompress.1`, written from docs/format-deepcompress.md: no pcc in it.

It is for reading, not for speed. Numbers in brackets are chapters of the document. The octree coder
is that of `occupancy_decoder`, which the document refers to.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np
import occupancy_decoder
from occupancy_decoder import Axes, Level, Stage, around, chosen, known_at
from safetensors.numpy import load

ONE_BY_ONE = [{0}, {7}, {3}, {4}, {5}, {2}, {6}, {1}]
ALL = [set(range(8))]
CLASSES = [(0, 19, 7), (19, 31, 15), (31, 43, 31), (43, 64, 127)]  # first, beyond, largest k


class Stream(occupancy_decoder.Stream):
    """Symbols of any alphabet."""

    def symbol(self, frequencies):
        bounds, sum_before = [], 0
        for s, frequency in enumerate([*frequencies, 0]):
            bounds.append((sum_before * (2**24 - len(frequencies)) >> 16) + s)
            sum_before += int(frequency)
        scale = self.span >> 24
        s = int(np.searchsorted(bounds, self.offset // scale, side="right")) - 1
        self.offset -= scale * bounds[s]
        self.span = scale * (bounds[s + 1] - bounds[s])
        if self.span < 2**32:
            self.span, self.offset = self.span << 32, self.offset << 32 | self.word()
        return s


class Network:
    """[2] The layers and gains of a model."""

    def __init__(self, config, weights):
        config = json.loads(config)
        assert config["architecture"] == "deepcompress-network.1"
        self.config, self.models = config["network"], config["entropy_models"]
        self.tensors = {name: part.astype(np.int64) for name, part in load(weights).items()}

    def parts(self, name):
        return (self.tensors[f"{name}/{p}"] for p in ("weight", "bias", "multiplier", "shift"))

    def layer(self, name, *inputs, skip=0):
        weight, bias, multiplier, shift = self.parts(name)
        sums = (np.hstack(inputs).astype(float) @ weight.astype(float)).astype(np.int64)
        y = sums * multiplier + bias
        return y >> shift if name.endswith("out") else np.clip(y + (skip << shift) >> shift, 0, 127)

    def conv(self, name, x, near, skip=0):
        if self.config["conv_type"] == "full":
            return self.layer(name, around(x, near), skip=skip)
        x = self.layer(f"{name}.line", around(x, near[:, [4, 13, 22]]))
        return self.layer(f"{name}.plane", around(x, near[:, 9:18]), skip=skip)

    def stage(self, name, x, near):
        if self.config["activation"] != "relu":
            x = self.normalized(f"{name}.norm", x)
        for i in range(self.config["blocks"]):
            inner = self.conv(f"{name}.block{i}.first", x, near)
            x = self.conv(f"{name}.block{i}.second", inner, near, skip=x)
        return x

    def normalized(self, name, x):
        weight, bias, multiplier, shift = self.parts(name)
        gdn = self.config["activation"] == "gdn"
        n = ((x * x if gdn else x) @ weight) * multiplier + np.maximum(bias, 1)
        factor = np.sqrt(n / 2.0 ** (shift + 8)) if gdn else n / 2.0 ** (shift + 4)
        return np.clip(np.floor(x * factor + 0.5), 0, 127).astype(np.int64)


@lru_cache(1)
def roots():
    with localcontext() as context:
        context.prec = 40
        return [round(Decimal(2) ** (16 + Decimal(i) / 256)) for i in range(256)]


def power(logs):
    return np.array([(roots()[x & 255] << (x >> 8) + 16) >> 24 for x in logs.tolist()])


class Gains:
    """[4] Of one table at one gain."""

    def __init__(self, table, g):
        b, p = divmod((g - 1) * (len(table) - 1), 99)
        self.log = (table[b] * (99 - p) + table[b + 1] * p + 49) // 99 if p else table[b]
        self.gain, self.inverse = power(self.log), power(-self.log)

    def activations(self, steps, channels=slice(None)):
        return np.clip((steps * self.inverse[channels] + 1032) >> 4, 1, 127)

    def predicted(self, prediction, channels):
        m, log_scale = np.hsplit(prediction, 2)
        mean = (np.clip(m, -16384, 16384) * self.gain[channels] + 2048) >> 12
        return mean, np.clip((log_scale + self.log[channels] + 912) // 32, 0, 63)


@lru_cache(1)
def normal():
    """D at -2048 .. 2048."""
    with localcontext() as context:
        context.prec = 40
        f = [(-((Decimal(i) / 512) ** 2) / 2).exp() for i in range(4097)]
        sums = [Decimal(0)]
        for j in range(2048):
            sums.append(sums[-1] + f[2 * j] + 4 * f[2 * j + 1] + f[2 * j + 2])
        h = [round(2**39 * (part / sums[-1])) for part in sums]
    return [2**39 - x for x in h[:0:-1]] + [2**39 + x for x in h]


@lru_cache(None)
def frequencies(scale, f):
    reach = next(k for first, beyond, k in CLASSES if first <= scale < beyond)
    with localcontext() as context:
        context.prec = 40
        r = round(2**20 / Decimal(2) ** (Decimal(scale) / 8 - Decimal("3.5")))

    def below(v):
        place = min(max(v * r, -(2**27)), 2**27 - 1) + 2**27
        e, part = divmod(place, 2**16)
        return normal()[e] + (normal()[e + 1] - normal()[e]) * part // 2**16

    ks = range(-reach, reach + 1)
    p = [max(below(16 * k + 8 - f) - below(16 * k - 8 - f), 0) for k in ks]
    return completed([1 + x * (65536 - len(p)) // sum(p) for x in p])


def completed(row):
    row[row.index(max(row))] += 65536 - sum(row)
    return row


class Latents:
    """[4] and [5], the stream `LATE`."""

    def __init__(self, network, name, g, parents, level, data):
        self.network, self.name, self.level, self.near = network, name, level, level.near
        assert name in network.models
        self.stream = Stream(data)
        self.about = np.array([[64, round(112 * (g - 1) / 99), 0, 0, 0, 0, 0, 0]])
        self.gains = Gains(network.tensors["gains/latents"], g)
        if name != "gaussian":
            gains = Gains(network.tensors["gains/hyper"], g)
            prediction = np.repeat(self.layer("hyper.out", self.about), len(parents.near), axis=0)
            hyper = gains.activations(self.group(gains, prediction, slice(None)))
            self.side = self.hyper_synthesis(hyper, parents)
        self.known = np.zeros((len(self.near), network.config["latents"]), int)
        GROUPS[name](self)
        assert (self.known > 0).all() and self.stream.at_end()

    def layer(self, layer, *inputs):
        return self.network.layer(f"{self.name}.{layer}", *inputs)

    def hyper_synthesis(self, hyper, parents):
        x = np.hstack([hyper, np.repeat(self.about, len(hyper), axis=0)])
        x = self.layer("split", self.layer("enter", around(x, parents.near)))
        return self.layer("side", around(part_of_parent(x, self.level), self.near))

    def group(self, gains, prediction, channels):
        """The steps of some cells, of which `prediction` is."""
        mean, scale = gains.predicted(prediction, channels)
        whole = (mean + 8) >> 4
        steps = whole.copy()
        for first, beyond, reach in CLASSES:
            for i, j in np.argwhere((scale >= first) & (scale < beyond)).tolist():
                row = frequencies(int(scale[i, j]), int(mean[i, j] - 16 * whole[i, j]))
                steps[i, j] += self.stream.symbol(row) - reach
        return steps

    def decode(self, predict, phases=ALL, groups=1):
        """Group after group of channels, each in phases of cells; `predict` gets the group."""
        width = self.known.shape[1] // groups
        for g in range(groups):
            channels = slice(g * width, (g + 1) * width)
            for phase in phases:
                rows = [i for i, octant in enumerate(self.level.octants) if octant in phase]
                steps = self.group(self.gains, predict(g)[rows], channels)
                self.known[rows, channels] = self.gains.activations(steps, channels)

    def around_known(self):
        return around(self.known, self.near)

    def attended(self):
        count, heads = len(self.near), 2
        query = self.layer("query", self.side).reshape(count, heads, 16)
        key = self.layer("key", self.side, self.known).reshape(count, heads, 16)
        value = self.layer("value", self.side, self.known).reshape(count, heads, 32)
        place = self.layer("place.out", np.eye(27, 32, dtype=int) * 16)
        found = np.zeros((count, heads, 32), int)
        for i in range(count):
            pairs = [(k, j) for k, j in enumerate(self.near[i]) if j < count and self.known[j, 0]]
            for h in range(heads) if pairs else ():
                scores = [int(query[i, h] @ key[j, h]) + 4 * int(place[k, h]) for k, j in pairs]
                weights = [weight((max(scores) - score) >> 4) for score in scores]
                total = sum(weights)
                sums = sum(w * value[j, h] for w, (_, j) in zip(weights, pairs, strict=True))
                found[i, h] = (sums + total // 2) // total
        return found.reshape(count, -1)

    def gaussian(self):
        self.decode(lambda g: np.repeat(self.layer("out", self.about), len(self.near), axis=0))

    def hyperprior(self):
        self.decode(lambda g: self.layer("out", self.layer("hidden", self.side)))

    def channel(self):
        def predict(g):
            known = [self.layer(f"group{g}.known", self.around_known())] if g else []
            return self.layer(f"group{g}.out", self.layer(f"group{g}.hidden", self.side, *known))

        self.decode(predict, groups=4)

    def context(self):
        def predict(g):
            known = self.layer("known", self.around_known())
            return self.layer("out", self.layer("hidden", self.side, known))

        self.decode(predict, ONE_BY_ONE)

    def attention(self):
        def predict(g):
            return self.layer("out", self.layer("hidden", self.side, self.attended()))

        self.decode(predict, ONE_BY_ONE)

    def hybrid(self):
        def predict(g):
            known = self.layer("known", self.around_known())
            hidden = self.layer(f"group{g}.hidden", self.side, known, self.attended())
            return self.layer(f"group{g}.out", hidden)

        self.decode(predict, ONE_BY_ONE, groups=2)


GROUPS = {
    "gaussian": Latents.gaussian,
    "hyperprior": Latents.hyperprior,
    "channel": Latents.channel,
    "context": Latents.context,
    "attention": Latents.attention,
    "hybrid": Latents.hybrid,
}


def weight(x):
    return math.floor(4096 * math.exp(-x / 64) + 0.5) if x < 639 else 0


def part_of_parent(x, level):
    width = x.shape[1] // 8
    return x.reshape(len(x), 8, width)[level.parents, level.octants]


class Tree:
    """[3] The stream `OCCU`."""

    def __init__(self, data):
        self.stream, self.stages, self.coded = Stream(data), [Stage(s) for s in range(8)], 0

    def codes(self, level, log_odds, decided=None):
        """Of the cells; decided : (n, 8), -1 for bits that are coded; None: all are."""
        axes, codes = Axes(), np.zeros(len(level.cells), int)
        for s in range(8):
            known = known_at(level, codes, s)
            bits = np.ones_like(codes) if decided is None else decided[:, s].copy()
            is_open = (codes > 0) | (s < 7) if decided is None else bits < 0
            rows, left_in_part = np.flatnonzero(is_open), 0
            while len(rows):
                left_in_part = left_in_part or 16384
                size = min(max(256, self.coded >> 9), 2048, left_in_part, len(rows))
                left_in_part -= size
                block, rows = rows[:size], rows[size:]
                ones = self.stages[s].predict(log_odds[block, s], chosen(known, block), axes)
                bits[block] = [self.stream.bit(one) for one in ones]
                self.stages[s].learn(bits[block], axes)
                self.coded += size
            codes |= bits << s
        return codes


def read_thresholds(data, count):
    """[7]"""
    stream, counts, indices = Stream(data), [1] * 16, []
    for _ in range(count):
        total = sum(counts)
        indices.append(stream.symbol(completed([1 + c * 65520 // total for c in counts])))
        counts[indices[-1]] += 4
    assert stream.at_end()
    return indices


def decode(meta, streams, config, weights):
    """[1] The voxels of a payload."""
    if not meta["cells"]:
        return []
    sha256 = hashlib.sha256(struct.pack("<Q", len(config)) + config + weights).hexdigest()
    assert meta["model"]["sha256"] == sha256
    network, tree = Network(config, weights), Tree(streams["OCCU"])
    level = Level([(0, 0, 0)], np.array([0]), np.array([0]), np.array([255]))
    for _ in range(meta["depth"] - 3):
        parents = level
        level = level.children(tree.codes(level, np.zeros((len(level.cells), 8), int)))
    assert len(level.cells) == meta["cells"]
    latents = Latents(network, meta["entropy_model"], meta["gain"], parents, level, streams["LATE"])
    side = meta["block_size"] // 8
    places = [tuple(c // side for c in cell) for cell in level.cells]
    blocks = np.array([list(dict.fromkeys(places)).index(place) for place in places])
    about = np.repeat(latents.about, len(level.near), axis=0)
    x = network.conv("s3.conv", np.hstack([latents.known, about]), level.near)
    for t in (3, 2, 1):
        x = network.stage(f"s{t}", x, level.near)
        log_odds = network.layer(f"s{t}.out", network.layer(f"s{t}.hidden", x))
        decided, marked = None, 3 - t - meta["exact"]
        if marked >= 0:  # [6]
            mark, sure = meta["marks"][marked], meta["sure"][marked]
            decided = (log_odds >= mark).astype(int)
            decided[np.minimum(abs(log_odds - mark), 512).sum(1) < sure] = -1
        codes = tree.codes(level, log_odds, decided)
        if t == 3:
            codes = np.where(codes == 0, 1 << log_odds.argmax(1), codes)
        if t > 1:
            level = level.children(codes)
            x = part_of_parent(network.layer(f"s{t - 1}.split", x), level)
            blocks = blocks[level.parents]
    assert tree.stream.at_end()
    indices = np.array(read_thresholds(streams["THRE"], blocks.max() + 1))
    marks = meta["marks"][-1] + (indices - 8) * 48
    kept = log_odds >= marks[blocks, None]
    kept = np.where(decided < 0, codes[:, None] >> np.arange(8) & 1, kept)
    return [
        tuple(
            2 * a + (c >> bit & 1) + b
            for a, bit, b in zip(cell, (2, 1, 0), meta["base"], strict=True)
        )
        for cell, row in zip(level.cells, kept, strict=True)
        for c in range(8)
        if row[c]
    ]
