"""A second decoder of `raht.1`, written from docs/format-attributes.md alone: no pcc in it.

It is for reading, not for speed. Numbers in brackets are chapters of the document. Python's floats
are IEEE 754 doubles, rounded operation by operation.
"""

from __future__ import annotations

from itertools import pairwise
from math import floor, sqrt

from attributes_decoder import BESIDE, Bits, Regression, Table, clip, log, normal, symbol
from occupancy_decoder import Stream

PAIRS = [(0, 0, 4), (1, 0, 2), (2, 4, 6), (3, 0, 1), (4, 2, 3), (5, 4, 5), (6, 6, 7)]
AXES = [4, 2, 1]
CHANNELS = range(3)


def digits(number):
    return -(-number.bit_length() // 3)


def morton(place):
    axes = list(enumerate(place))
    return sum((x >> bit & 1) << 3 * bit + 2 - axis for axis, x in axes for bit in range(20))


class Node:
    """mean, error : of each channel; place : of a cell in space, None in rank levels"""

    def __init__(self, points, number, place, children):
        self.weight, self.number, self.place, self.children = points, number, place, children
        self.known = False


def tree(voxels):
    """[6.1] The top node, and the levels of parents from the top."""
    u = max(a ^ b for voxel in voxels for a, b in zip(voxel, voxels[0], strict=True)).bit_length()
    places = [tuple(x % 2**u >> max(0, u - 20) for x in voxel) for voxel in voxels]
    codes, ranks = [morton(place) for place in places], [0] * len(voxels)
    for row, (one, other) in enumerate(pairwise(codes), 1):
        ranks[row] = ranks[row - 1] + 1 if one == other else 0
    keys = []
    depth = digits(max(ranks))
    for d in range(depth + 1):
        keys.append([(code, rank >> 3 * d) for code, rank in zip(codes, ranks, strict=True)])
    for level in range(1, digits(codes[0] ^ codes[-1]) + 1):
        keys.append([(code >> 3 * level, 0) for code in codes])
    nodes, levels = [Node(1, 0, None, []) for _ in voxels], []
    rows = list(range(len(voxels)))  # the first point of each node
    bottom = nodes
    for height, (mine, above) in enumerate(pairwise(keys)):
        parents, firsts = [], []
        for node, row in zip(nodes, rows, strict=True):
            node.number = (mine[row][1] if height < depth else mine[row][0]) % 8
            if not parents or above[row] != above[firsts[-1]]:
                cell = [x >> max(height - depth, 0) + 1 for x in places[row]]
                parents.append(Node(0, 0, tuple(cell) if height >= depth else None, []))
                firsts.append(row)
            parents[-1].children.append(node)
            parents[-1].weight += node.weight
        levels.append(parents)
        nodes, rows = parents, firsts
    return nodes[0], levels[::-1], bottom


def gains(block):
    """[6.2]"""
    w = [0] * 8
    for child in block.children:
        w[child.number] = child.weight
    gain, share = [0] * 7, [0] * 7
    for p, a, b in reversed(PAIRS):
        both = w[a] + w[b]
        if both:
            gain[p], share[p] = sqrt(w[a] * w[b] / both), w[b] / both
        w[a] = both
    return gain, share


def differences(means, gain, share):
    m, d = [means.get(o, 0.0) for o in range(8)], [0.0] * 7
    for p, a, b in reversed(PAIRS):
        d[p] = m[b] - m[a]
        m[a] = m[a] + share[p] * d[p]
    return [x if g else 0.0 for x, g in zip(d, gain, strict=True)]


def means_of(parent, d, share):
    m = [parent] + [0.0] * 7
    for p, a, b in PAIRS:
        m[a] = m[a] - share[p] * d[p]
        m[b] = m[a] + d[p]
    return m


def outward(number, bits):
    return tuple((1 if number & bit else -1) if bits & bit else 0 for bit in AXES)


def moved(parents, block, offset):
    return parents.get(tuple(x + step for x, step in zip(block.place, offset, strict=True)))


def look(block, parents):
    """[6.2] The guesses of the children, scatter and near, each a list of the channels."""
    half = [error / 2 for error in block.error]
    if block.place is None:
        alike = [{child.number: mean for child in block.children} for mean in block.mean]
        return alike, [0.0] * 3, half
    guesses, near, found = [{}, {}, {}], [0.0] * 3, 0
    for child in block.children:
        terms = [(24, block)]
        for bit in AXES:
            parent = moved(parents, block, outward(child.number, bit))
            for other in parent.children if parent else []:
                if other.number == child.number ^ bit and other.known:
                    terms.append((14, other))
                    found += 1
                    near = [a + b for a, b in zip(near, other.error, strict=True)]
        for k in range(1, 8):
            parent = moved(parents, block, outward(child.number, k))
            if parent:
                terms.append(((9, 2, 1)[k.bit_count() - 1], parent))
        for k in CHANNELS:
            total = 0.0
            for weight, node in terms:
                total += weight * node.mean[k]
            guesses[k][child.number] = total / sum(weight for weight, _ in terms)
    scatter, weights = [0.0] * 3, 0
    for offset in BESIDE:
        parent = moved(parents, block, offset)
        if parent:
            g = (6, 3, 2)[sum(map(abs, offset)) - 1]
            weights += g
            for k in CHANNELS:
                scatter[k] += g * abs(parent.mean[k] - block.mean[k])
    scatter = [s / max(weights, 1) for s in scatter]
    return guesses, scatter, [error / found for error in near] if found else half


def size(x):
    """[6.3]"""
    return log(8 + floor(min(16 * x, 2**24)))


def first_row(bin_):
    m = max(1, (min(bin_, 31) - 1) * (min(bin_, 31) + 11))
    for _ in range(bin_ - 31):
        m = 8 * m // 7
    c = [2**20]
    for _ in range(15):
        c.append(c[-1] * m // (m + 1100))
    return normal([*c[:-1], c[-1] * (m + 1100) // 1100])


class Channel:
    def __init__(self, k, stream, plain):
        self.stream, self.plain = Stream(stream), Bits(plain)
        self.size = Regression([157286, 262144] + [0] * (3 + k), 2**16)
        self.magnitudes = Table(first_row)
        self.excess = Table(lambda context: normal([1] * 24))
        self.root = (self.plain.take(24) - 2**23) / 16

    def coefficients(self, inputs):
        levels = [max(self.size.guess(one) - 368, 0) for one in inputs]
        bins = [v // 6 if v // 6 < 32 else min(32 + (v - 192) // 24, 63) for v in levels]
        found = [symbol(self.stream, self.magnitudes.row(b)) for b in bins]
        far = [s for s in found if s == 15]
        zs = [symbol(self.stream, self.excess.row(0)) for _ in far]
        self.magnitudes.learn(bins, found)
        self.excess.learn([0] * len(far), zs)
        rest = iter([14 + 2**z + self.plain.take(z) for z in zs])
        found = [next(rest) if s == 15 else s for s in found]
        self.size.learn(inputs, [8 * size(float(c)) for c in found])
        return [-c if c and self.plain.take(1) else c for c in found]


def part(blocks, parents, channels, step):
    """Decodes some blocks."""
    seen = [(block, *gains(block), *look(block, parents)) for block in blocks]
    coefficients = [(p, i) for p in range(7) for i, one in enumerate(seen) if one[1][p]]
    known = [[16, 16 * (p == 0), 16 * (p in (1, 2))] for p, _ in coefficients]
    d = [[differences(one[3][k], one[1], one[2]) for one in seen] for k in CHANNELS]
    expected = [
        [means_of(one[0].mean[k], row, one[2]) for one, row in zip(seen, d[k], strict=True)]
        for k in CHANNELS
    ]
    for k in CHANNELS:
        scales = [seen[i][1][p] / step for p, i in coefficients]
        inputs = [
            [size(seen[i][4][k] * scale), size(seen[i][5][k] * scale), *others]
            for (_, i), scale, others in zip(coefficients, scales, known, strict=True)
        ]
        found = channels[k].coefficients(inputs)
        for (p, i), scale, c in zip(coefficients, scales, found, strict=True):
            d[k][i][p] = d[k][i][p] + c / scale
        known = [[size(float(abs(c))), *others] for c, others in zip(found, known, strict=True)]
    for i, (block, _, share, *_) in enumerate(seen):
        final = [means_of(block.mean[k], d[k][i], share) for k in CHANNELS]
        for child in block.children:
            child.mean = [final[k][child.number] for k in CHANNELS]
            child.error = [
                abs(final[k][child.number] - expected[k][i][child.number]) for k in CHANNELS
            ]
            child.known = True


def decode(entries, data, voxels):
    """Red, green and blue of the points."""
    channels, start = [], 0
    for k, about in enumerate(entries):
        assert about["coder"] == "raht.1"
        end = start + about["bytes"]
        split = end - about["plain"]
        channels.append(Channel(k, data[start:split], data[split:end]))
        start = end
    top, levels, bottom = tree(voxels)
    top.mean, top.error = [channel.root for channel in channels], [0.0] * 3
    for level in levels:
        parents = {parent.place: parent for parent in level}
        for parent in level:
            for child in parent.children:
                child.mean, child.error = parent.mean, [error / 2 for error in parent.error]
                child.known = len(parent.children) == 1
        blocks = [parent for parent in level if len(parent.children) > 1]
        for stage in range(8):
            mine = [b for b in blocks if (stage == b_stage(b))]
            for start in range(0, len(mine), 2048):
                part(mine[start : start + 2048], parents, channels, entries[0]["step"])
    for channel in channels:
        assert channel.stream.at_end()
        assert len(channel.plain.bits) < 8 and "1" not in channel.plain.bits
    return list(zip(*(colours(*node.mean, entries[0]["top"]) for node in bottom), strict=True))


def b_stage(block):
    """The number of a parent in its own parent; rank levels have one stage."""
    if block.place is None:
        return 0
    return sum((x & 1) * bit for x, bit in zip(block.place, AXES, strict=True))


def colours(luma, blue, red, top):
    """[6.4]"""
    three = luma + 1.5748 * red, luma - 0.1873 * blue - 0.4681 * red, luma + 1.8556 * blue
    return [clip(floor(colour + 0.5), 0, top) for colour in three]
