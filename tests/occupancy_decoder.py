"""A second decoder of `occupancy.1`, written from docs/format-occupancy.md alone: no pcc in it.

It is for reading, not for speed. Numbers in brackets are chapters of the document.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
from safetensors.numpy import load
from test_format_contents import image_of_column

OFFSETS = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)]
EDGES = (1, 2, 4, 6, 9, 13, 18)
FIRST_WEIGHTS = [0] * 12 + [27000, 20500, 18000, 0, 0]


class Stream:
    """Bits of a stream; format-rangecoder.md, chapters 2 and 3."""

    def __init__(self, data):
        self.words = iter(struct.unpack(f"<{len(data) // 4}I", data))
        self.span, self.offset = 2**64 - 1, self.word() << 32 | self.word()

    def word(self):
        return next(self.words, 0)

    def bit(self, ones):
        inner = ((65536 - ones) * (2**24 - 2) >> 16) + 1
        scale = self.span >> 24
        bit = int(self.offset >= scale * inner)
        if bit:
            self.offset -= scale * inner
        self.span = scale * (2**24 - inner if bit else inner)
        if self.span < 2**32:
            self.span, self.offset = self.span << 32, self.offset << 32 | self.word()
        return bit

    def at_end(self):
        return next(self.words, None) is None and self.offset < 2**32


class Network:
    """[2] and [4]. Features and states are (n, C) arrays."""

    def __init__(self, config, weights):
        config = json.loads(config)
        assert config["architecture"] == "occupancy-network.1"
        self.channels, self.blocks = config["network"]["channels"], config["network"]["blocks"]
        self.tensors = {name: part.astype(np.int64) for name, part in load(weights).items()}

    def layer(self, name, inputs, skip=0):
        weight, bias, multiplier, shift = (
            self.tensors[f"{name}/{part}"] for part in ("weight", "bias", "multiplier", "shift")
        )
        # BLAS knows floats only; the sums are below 2**53.
        sums = (inputs.astype(float) @ weight.astype(float)).astype(np.int64)
        y = sums * multiplier + bias
        return y >> shift if name.endswith("out") else np.clip(y + (skip << shift) >> shift, 0, 127)

    def statistics(self, near, parent_codes):
        count = len(near)
        branching = np.bincount([int(code).bit_count() for code in parent_codes], minlength=9)[1:]
        classes = [sum(edge < e for edge in EDGES) for e in (near < count).sum(1).tolist()]
        size = np.zeros(8, int)
        size[min(count.bit_length() // 3, 7)] = 127
        crowding = np.bincount(classes, minlength=8)
        return [*(127 * branching // len(parent_codes)), *(127 * crowding // count), *size]

    def enter(self, level, state):
        count, c = len(level.near), self.channels
        slots = np.zeros((count, 8, c), int)
        slots[np.arange(count), level.octants] = state[level.parents]
        about = np.tile(self.statistics(level.near, level.parent_codes), (count, 1))
        inputs = [slots.reshape(count, -1), (level.near < count) * 64, about]
        features = self.layer("enter", np.hstack(inputs))
        for block in range(self.blocks):
            inner = self.layer(f"block{block}.first", around(features, level.near))
            features = self.layer(f"block{block}.second", around(inner, level.near), features)
        return features

    def refresh(self, number, features, window, level):
        inputs = np.hstack([around(features, level.near), bits_of(window, level.near)])
        return self.layer(f"refresh{number}", inputs, features)

    def log_odds(self, stage, features, window, level):
        x = np.hstack([features, bits_of(window, level.near)])
        for part in ("window", "hidden", "out"):
            x = self.layer(f"stage{stage}.{part}", x)
        return x[:, 0]


def around(rows, near):
    """The numbers of all neighbours; missing ones, which have the number n, are 0."""
    return np.vstack([rows, rows[:1] * 0])[near].reshape(len(near), -1)


def bits_of(window, near):
    return around((window[:, None] >> np.arange(8) & 1) * 64, near)


class Level:
    """[3] The rows of a level and their neighbours, and their mates [6]. The number n is none."""

    def __init__(self, cells, parents, octants, parent_codes):
        self.cells, self.parents, self.octants = cells, parents, octants
        self.parent_codes = parent_codes
        rows = {cell: row for row, cell in enumerate(cells)}
        self.near = np.array(
            [
                [rows.get((x + dx, y + dy, z + dz), len(cells)) for dx, dy, dz in OFFSETS]
                for x, y, z in cells
            ]
        )
        self.mates = np.full((len(cells), 6), len(cells))
        self.adjacent = np.zeros((len(cells), 6), int)
        for axis in range(3):
            self.find_mates(axis)

    def find_mates(self, axis):
        along = [cell[axis] % 2**21 for cell in self.cells]
        line = [[cell[a] % 2**21 for a in range(3) if a != axis] for cell in self.cells]
        order = sorted(range(len(line)), key=lambda row: (line[row], along[row]))
        for before, after in pairwise(order):
            if line[before] == line[after]:
                self.mates[after, axis], self.mates[before, 3 + axis] = before, after
                adjacent = along[after] - along[before] == 1
                self.adjacent[after, axis] = self.adjacent[before, 3 + axis] = adjacent

    def children(self, codes):
        pairs = [(row, c) for row, code in enumerate(codes) for c in range(8) if code >> c & 1]
        cells = [
            (2 * x + (c >> 2), 2 * y + (c >> 1 & 1), 2 * z + (c & 1))
            for (x, y, z), c in ((self.cells[row], c) for row, c in pairs)
        ]
        parents, octants = np.array(pairs).T
        return Level(cells, parents, octants, codes)


UPPER = [min(65534, math.floor(65536 / (1 + math.exp(-x / 256)) + 0.5)) for x in range(3072)]
SQUASH = np.array([65536 - p for p in UPPER[:0:-1]] + UPPER)
STRETCH = np.searchsorted(SQUASH, range(8, 65536, 16)) - 3071


def squash(x):
    return SQUASH[np.clip(x, -3071, 3071) + 3071]


def stretch(p):
    return STRETCH[np.asarray(p) >> 4]


def known_at(level, codes, stage):
    """[6] What is known of every row at a stage."""
    count, known = len(codes), codes & (1 << stage) - 1
    bits, byte = np.append(known, 0), np.append(known | 128, 0)
    touching = np.zeros(count, int)
    for m in range(1, 8):
        offset = [(1 if stage & bit else -1) * (m & bit > 0) for bit in (4, 2, 1)]
        near, t = level.near[:, OFFSETS.index(tuple(offset))], stage ^ m
        touching |= (bits[near] >> t & 1 if t < stage else near < count) << m - 1
    before, after = byte[level.mates[:, :3]], byte[level.mates[:, 3:]]
    adjacent = level.adjacent[:, :3] << 16 | level.adjacent[:, 3:] << 17
    cells = np.array(level.cells)
    around_it = np.vstack([cells, cells[:1]])[level.mates, np.tile(range(3), 2)]
    bend = np.clip(around_it[:, :3] + around_it[:, 3:] - 2 * cells, -2, 2) + 3
    bend *= (level.mates[:, :3] < count) & (level.mates[:, 3:] < count)
    return SimpleNamespace(
        cells=cells,
        siblings=known,
        begun=(known > 0).astype(int),
        crowd=(level.near < count).sum(1) - 1,
        lineage=8 * level.parent_codes[level.parents] + level.octants,
        touching=touching,
        before=before,
        after=after,
        side=before | after << 8 | adjacent | bend << 18,
        faces=(level.adjacent << np.arange(6)).sum(1),
    )


def chosen(known, rows):
    return SimpleNamespace(**{name: values[rows] for name, values in vars(known).items()})


class Counts:
    """[7] A table of counts, `ones` of `total` each."""

    def __init__(self, ones, total, limit=255):
        self.ones, self.total, self.limit = ones, total, limit

    def ratio(self, which):
        return np.minimum((self.ones[which] << 16) // self.total[which], 65535)

    def learn(self, which, bits, weights=1):
        np.add.at(self.total, which, weights)
        np.add.at(self.ones, which, bits * weights)
        full = np.unique(which)
        full = full[self.total[full] >= 2 * self.limit]
        self.ones[full] = self.ones[full] * self.limit // self.total[full]
        self.total[full] = self.limit


def new_counts(size, ones=1, total=2):
    return Counts(np.full(size, ones), np.full(size, total))


def new_bins(contexts):
    ones = squash(96 * (np.arange(33) - 16)) * 384 >> 16
    return Counts(np.tile(ones, contexts), np.full(33 * contexts, 384), 24480)


def hash17(v):
    """[7.1] Products wrap at 2**64, which 2**32 divides."""
    return (v * 2654435761 % 2**32) >> 15


class Axes:
    """[7.2] and [7.3], of one level."""

    def __init__(self):
        self.counts = [new_counts(4096 * 8, 2, 4) for _ in range(3)]
        self.rates = np.zeros((3, 4096, 2, 2), int)  # axis, u, h -> ones, total
        self.seen = np.array([1, 4])

    def predict(self, stage, known):
        self.which, self.u = [], known.cells % 4096
        for axis, bit in enumerate((4, 2, 1)):
            h = int(stage & bit > 0)
            halves = [c & bit == stage & bit for c in range(stage)]
            same = sum(1 << c for c, is_same in enumerate(halves) if is_same)
            other = sum(1 << c for c, is_same in enumerate(halves) if not is_same)
            flags = 2 * (known.siblings & same > 0) + (known.siblings & other > 0)
            self.which.append((2 * self.u[:, axis] + h) * 4 + flags)
        ratios = [counts.ratio(w) for counts, w in zip(self.counts, self.which, strict=True)]
        return [stretch(ratio) for ratio in ratios], self.guess(stage, known)

    def guess(self, stage, known):
        mean = max(1, int((self.seen[0] << 16) // self.seen[1]))
        halves = []  # of each axis: lower, upper
        for axis in range(3):
            ones, total = np.moveaxis(self.rates[axis][self.u[:, axis]], -1, 0)
            rate = ((ones << 16) + 4 * mean) // (total + 4)
            lower = np.clip((rate[:, 0] << 16) // (rate.sum(1) + 1), 64, 65472)
            halves.append((lower, 65536 - lower))
        shares = [
            (halves[0][c >> 2] * halves[1][c >> 1 & 1] >> 16) * halves[2][c & 1] >> 12
            for c in range(stage, 8)
        ]
        first = (shares[0] << 16) // (sum(shares) + 1)
        return stretch(np.where(known.begun, shares[0] >> 4, first))

    def learn(self, stage, bits):
        for axis, bit in enumerate((4, 2, 1)):
            self.counts[axis].learn(self.which[axis], bits)
            rate = self.rates[axis, :, int(stage & bit > 0)]
            np.add.at(rate, self.u[:, axis], np.stack([bits, np.ones_like(bits)], axis=1))
        self.seen += [bits.sum(), len(bits)]


class Mixer:
    """[8] One set of weights."""

    def __init__(self, first):
        self.weights = np.array(first)
        self.matrix = np.zeros((len(first), len(first)), int)

    def mix(self, inputs):
        return self.weights @ inputs >> 16

    def learn(self, x, p, bits):
        v = np.maximum(p * (65536 - p) >> 20, 4)
        a = self.matrix
        a += (x * v) @ x.T - (a >> 16) * (5243 * len(bits) >> 11)
        damping = np.eye(len(a), dtype=int) * 100 << 28
        damped = [[float(e) for e in row] for row in a + damping]
        d = solve(damped, [float(int(g) << 20) for g in x @ ((bits << 16) - p)])
        step = np.array([math.floor(min(max(e, -32768), 32768)) for e in d])
        self.weights = np.clip(self.weights + step, -524288, 524288)


class Stage:
    """[7.1], [7.4] and [8], of one stage."""

    def __init__(self, stage):
        self.stage = stage
        sizes = [128 << stage, 2048 << stage] + [1 << 17] * 5
        self.counts = [new_counts(size) for size in sizes]
        self.calibrations = [new_bins(contexts) for contexts in (16, 27, 128, 2560)]
        self.mixers = [Mixer(FIRST_WEIGHTS) for _ in range(2)]

    def predict(self, log_odds, known, axes):
        direct = [about << self.stage | known.siblings for about in (known.touching, known.lineage)]
        three = [x << 16 | y << 8 | z for x, y, z in (known.before.T, known.after.T)]
        hashed = [hash17(v << 8 | known.siblings) for v in (*known.side.T, *three)]
        self.which = direct + hashed
        pairs = zip(self.counts, self.which, strict=True)
        counted = [stretch(counts.ratio(which)) for counts, which in pairs]
        of_axes, guess = axes.predict(self.stage, known)
        network = np.clip(log_odds, -2500, 2500)
        calibrated = self.calibrate(network, known, counted[0], guess)
        constant = np.full(len(network), 256)
        self.inputs = np.array([network, *counted, *of_axes, guess, *calibrated, constant])
        mixed = [mixer.mix(self.inputs) for mixer in self.mixers]
        self.begun = known.begun
        self.p = squash(np.where(known.begun, mixed[1], mixed[0]))
        return self.p.tolist()

    def calibrate(self, network, known, counted, guess):
        v = np.clip(network, -1536, 1535) + 1536
        bins, self.upper = v // 96, v % 96
        contexts = [np.clip(counted // 128 + 8, 0, 15), known.crowd, known.touching]
        last = np.clip(guess // 192 + 10, 0, 19)
        contexts.append((2 * known.faces + known.begun) * 20 + last)
        self.bins = [33 * context + bins for context in contexts]
        return [
            stretch((c.ratio(j) * (96 - self.upper) + c.ratio(j + 1) * self.upper) // 96)
            for c, j in zip(self.calibrations, self.bins, strict=True)
        ]

    def learn(self, bits, axes):
        for counts, which in zip(self.counts, self.which, strict=True):
            counts.learn(which, bits)
        weights = np.concatenate([96 - self.upper, self.upper])
        for counts, j in zip(self.calibrations, self.bins, strict=True):
            counts.learn(np.concatenate([j, j + 1]), np.tile(bits, 2), weights)
        axes.learn(self.stage, bits)
        for begun in (0, 1):
            mine = self.begun == begun
            if mine.any():
                self.mixers[begun].learn(self.inputs[:, mine], self.p[mine], bits[mine])


def solve(matrix, right):
    """[8] Python's floats are binary64, rounded after each operation."""
    system = [[*row, r] for row, r in zip(matrix, right, strict=True)]
    for k, pivot in enumerate(system):
        scaled = [number / pivot[k] for number in pivot]
        for i, row in enumerate(system):
            system[i] = [a - row[k] * q for a, q in zip(row, scaled, strict=True)]
        system[k] = scaled
    return [row[-1] for row in system]


class Certain:
    """[9] The counts of one stage by which bits are certain."""

    def __init__(self, rarest):
        self.rarest = rarest
        self.counts = Counts(np.full(79, 1024), np.full(79, 2048), 8388608)

    def bins(self, log_odds):
        return np.clip((log_odds + 32) // 64 + 39, 0, 78)

    def are(self, bins):
        ratio = self.counts.ratio(bins)
        return np.minimum(ratio, 65536 - ratio) < self.rarest

    def ones(self, bins):
        return np.clip(self.counts.ratio(bins), 2, 65534).tolist()

    def learn(self, bins, bits):
        self.counts.learn(bins, bits, 1024)


def decode_tree(data, settings, depth, voxels, network, loss):
    """[3] and [9] The cells of level `depth`, and numbers of bits: mixed, certain in one stage."""
    stream, stages, coded, quick = Stream(data), [Stage(s) for s in range(8)], 0, 0
    rarest, growth = settings
    grown, sure, threshold = loss
    certain = [Certain(rarest) for _ in range(8)]
    level = Level([(0, 0, 0)], np.array([0]), np.array([0]), np.array([255]))
    state = np.zeros((1, network.channels), int)
    for number in range(depth):
        axes, codes = Axes(), np.zeros(len(level.cells), int)
        features = network.enter(level, state)
        for s in range(8):
            if s in (2, 4, 6):
                features = network.refresh(s // 2, features, codes | 128, level)
            log_odds = network.log_odds(s, features, codes | 128, level)
            known, bits = known_at(level, codes, s), np.ones_like(codes)
            is_open = (codes > 0) | (s < 7)
            if number >= depth - grown:  # [3.1]
                odds_of_one = threshold if number == depth - 1 else 0
                bits[is_open] = log_odds[is_open] > odds_of_one
                is_open &= (abs(log_odds) < sure) & (number == depth - grown)
            rows = np.flatnonzero(is_open)
            bins = certain[s].bins(log_odds)
            are_certain = certain[s].are(bins)
            surely, rows = rows[are_certain[rows]], rows[~are_certain[rows]]
            quick = max(quick, len(surely))
            while len(surely):
                block, surely = surely[:16384], surely[16384:]
                bits[block] = [stream.bit(one) for one in certain[s].ones(bins[block])]
                certain[s].learn(bins[block], bits[block])
            left_in_part = 0
            while len(rows):
                left_in_part = left_in_part or 16384
                size = min(max(256, coded >> growth), 2048, left_in_part, len(rows))
                left_in_part -= size
                block, rows = rows[:size], rows[size:]
                ones = stages[s].predict(log_odds[block], chosen(known, block), axes)
                bits[block] = [stream.bit(one) for one in ones]
                stages[s].learn(bits[block], axes)
                certain[s].learn(bins[block], bits[block])
                coded += len(block)
            codes |= bits << s
        state = network.refresh(4, features, codes, level)
        assert sum(int(code).bit_count() for code in codes) <= voxels
        level = level.children(codes)
    assert stream.at_end()
    return level.cells, (coded, quick)


def morton(voxel):
    return [axis >> bit & 1 for bit in reversed(range(32)) for axis in voxel]


def numbers(about, data, count):
    """A column of type <u4; format-contents.md, chapter 4."""
    return image_of_column(about, data, count, 4, None)


def decode(meta, streams, config, weights):
    """[1] The voxels of a payload, and the counts of `decode_tree`."""
    if not meta["points"]:
        return [], (0, 0)
    voxels, coded = [(0, 0, 0)], (0, 0)
    if meta["depth"]:
        sha256 = hashlib.sha256(struct.pack("<Q", len(config)) + config + weights).hexdigest()
        assert meta["model"]["sha256"] == sha256
        voxels, coded = decode_tree(
            streams["OCCU"],
            (meta["certain"], meta["growth"]),
            meta["depth"],
            meta["voxels"],
            Network(config, weights),
            [meta.get(name, 0) for name in ("grown", "sure", "threshold")],
        )
    assert len(voxels) == meta["voxels"]
    pairs = zip(zip(*voxels, strict=True), meta["base"], strict=True)
    axes = [[v + base for v in axis] for axis, base in pairs]
    scale = meta.get("scale", 256)
    if scale != 256:
        axes = [[min((v * scale + scale // 2) // 256, 2**32 - 1) for v in axis] for axis in axes]
    for name, about in meta.get("ranks", {}).items():
        used = np.cumsum(numbers(about, streams["GAP" + name], about["used"])).tolist()
        axes["XYZ".index(name)] = [used[rank] for rank in axes["XYZ".index(name)]]
    voxels = list(zip(*axes, strict=True))
    if "ranks" in meta or scale != 256:
        voxels.sort(key=morton)
    if "repeats" in meta:
        more = numbers(meta["repeats"], streams["MULT"], len(voxels))
        voxels = [voxel for voxel, m in zip(voxels, more, strict=True) for _ in range(m + 1)]
    assert len(voxels) == meta["points"]
    return voxels, coded
