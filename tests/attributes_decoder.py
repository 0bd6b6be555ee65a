"""A second decoder of `neighbours.1`, written from docs/format-attributes.md alone: no pcc in it.

It is for reading, not for speed. Numbers in brackets are chapters of the document.
"""

from __future__ import annotations

from itertools import accumulate, pairwise, product

from occupancy_decoder import Stream, solve, squash
from test_format_contents import image_of_column

CUBE = list(product((-1, 0, 1), repeat=3))
BESIDE = [offset for offset in CUBE if any(offset)]
FACES = [4, 10, 12, 13, 15, 21]


def clip(value, low, high):
    return min(max(value, low), high)


def symbol(stream, row):
    """The next symbol of a range-coded stream; format-rangecoder.md, chapters 2 and 3."""
    sums = accumulate(row, initial=0)
    bounds = [(f * (2**24 - len(row)) >> 16) + s for s, f in enumerate(sums)]
    scale = stream.span >> 24
    found = max(s for s in range(len(row)) if bounds[s] <= stream.offset // scale)
    stream.offset -= scale * bounds[found]
    stream.span = scale * (bounds[found + 1] - bounds[found])
    if stream.span < 2**32:
        stream.span, stream.offset = stream.span << 32, stream.offset << 32 | stream.word()
    return found


class Bits:
    """[1] Plain bits."""

    def __init__(self, data):
        self.bits = "".join(f"{byte:08b}" for byte in data)

    def take(self, width):
        taken, self.bits = self.bits[:width], self.bits[width:]
        return int(taken or "0", 2)


def stages(voxels):
    """[2] Lists of (row, [(row of a neighbour, its position)])."""
    u = max(a ^ b for voxel in voxels for a, b in zip(voxel, voxels[0], strict=True)).bit_length()
    places = [tuple(x % 2**u >> max(0, u - 20) for x in voxel) for voxel in voxels]
    levels = [21] + [
        max(a ^ b for a, b in zip(one, other, strict=True)).bit_length()
        for one, other in pairwise(places)
    ]
    for level in range(20, 0, -1):
        cells = [tuple(x >> level - 1 for x in place) for place in places]
        known = {cells[row]: row for row, own in enumerate(levels) if own > level}
        firsts = {tuple(x >> 1 for x in cell): row for cell, row in known.items()}
        for child in range(1, 8):
            stage = []
            for row, (x, y, z) in enumerate(cells):
                if levels[row] == level and 4 * (x % 2) + 2 * (y % 2) + z % 2 == child:
                    stage.append((row, look((x, y, z), cells, known, firsts)))
            known |= {cells[row]: row for row, _ in stage}
            if stage:
                yield stage
    firsts = list(accumulate(range(len(levels)), lambda a, row: row if levels[row] else a))
    again = [(row, [(firsts[row], 255)]) for row, level in enumerate(levels) if level == 0]
    if again:
        yield again


def moved(cell, offset):
    return tuple(x + step for x, step in zip(cell, offset, strict=True))


def look(cell, cells, known, firsts):
    near = [(known.get(moved(cell, offset)), k) for k, offset in enumerate(BESIDE)]
    near = [(row, k) for row, k in near if row is not None]
    if len(near) < 6:
        for offset in CUBE:
            row = firsts.get(moved(tuple(x >> 1 for x in cell), offset))
            if row is not None:
                square = sum((a - b) ** 2 for a, b in zip(cells[row], cell, strict=True))
                near += [(row, 22 + square)] if square > 3 else []
    return near


def weight(position):
    if position == 255:
        return 48
    offset = BESIDE[position] if position < 26 else None
    return max(1, 48 // (sum(x * x for x in offset) if offset else position - 22))


def log(x):
    """[4]"""
    bits = x.bit_length()
    m = (64 * x >> bits) - 32
    return 16 * (bits - 1) + ((2 * m + 65) ** 16).bit_length() - 97


class Regression:
    """[4]"""

    def __init__(self, first, trust):
        self.first, self.trust, self.weights, self.rows = first, trust, first, 0
        self.p = [[0] * len(first) for _ in first]
        self.q = [0] * len(first)

    def guess(self, inputs):
        return sum(w * x for w, x in zip(self.weights, inputs, strict=True)) >> 16

    def learn(self, inputs, targets):
        inputs = [[clip(x, -4095, 4095) for x in row] for row in inputs]
        targets = [clip(y, -4095, 4095) for y in targets]
        size = range(len(self.q))
        for x, y in zip(inputs, targets, strict=True):
            for k in size:
                self.q[k] += x[k] * y
                for i in size:
                    self.p[k][i] += x[k] * x[i]
        self.rows += len(targets)
        if self.rows > 16384:
            self.p = [[value - (value >> 2) for value in row] for row in self.p]
            self.q = [value - (value >> 2) for value in self.q]
            self.rows -= self.rows >> 2
        matrix, right = [row.copy() for row in self.p], []
        for k in size:
            trust = self.trust + (self.p[k][k] >> 12)
            matrix[k][k] += trust
            right.append(65536 * self.q[k] + trust * self.first[k])
        self.weights = [int(clip(w, -(2**20), 2**20) // 1) for w in solve(matrix, right)]


def normal(counts):
    """[4]"""
    row = [1 + c * (65536 - len(counts)) // sum(counts) for c in counts]
    row[counts.index(max(counts))] += 65536 - sum(row)
    return row


def first_row(bin_, phase):
    octave, height = bin_ // 4, (16, 19, 23, 27)[bin_ % 4]
    edges = [8 * i - 2 * phase - 1 for i in range(-28, 30)]
    limits = [d * (2048 << max(octave - 4, 0)) // (height << octave) for d in edges]
    p = [int(squash(limit)) for limit in limits]
    steps = [b - a for a, b in pairwise(p)]
    return normal([c + 8 for c in [*steps, 65536 - p[-1], p[0]]])


class Table:
    """[4] Rows are made when they are asked for."""

    def __init__(self, first):
        self.first, self.counts, self.seen = first, {}, []

    def row(self, context):
        if context not in self.counts:
            self.counts[context] = [f * 4096 >> 16 for f in self.first(context)]
        return normal(self.counts[context])

    def learn(self, contexts, symbols):
        for context, found in zip(contexts, symbols, strict=True):
            self.counts[context][found] += 32
        for context in set(contexts):
            if sum(self.counts[context]) > 262144:
                self.counts[context] = [c - (c >> 1) for c in self.counts[context]]


class Column:
    """[3] and [5] One column: V, M, S and E of each point by its row."""

    def __init__(self, about, stream, plain, guides):
        g = len(guides)
        self.top, self.guides = about["top"], guides
        self.stream, self.plain = Stream(stream), Bits(plain)
        first = [0] * (4 * (1 + g) + (g or 6))
        first[1 + g] = 65536
        self.guess = Regression(first, 2**22)
        self.error = Regression([20000] * 3 + [0] * (2 + g), 2**16)
        self.buckets = Table(lambda context: first_row(*divmod(context, 4)))
        self.excess = Table(lambda context: normal([1] * 20))
        self.v, self.m, self.s, self.e = {0: 16 * self.plain.take(20)}, {0: 0}, {0: 0}, {0: 0}

    def decode(self, stages):
        coded = 1
        for stage in stages:
            while stage:
                size = min(max(256, coded >> 4), 8192)
                self.block(stage[:size])
                coded, stage = coded + len(stage[:size]), stage[size:]
        assert self.stream.at_end()
        assert len(self.plain.bits) < 8 and "1" not in self.plain.bits

    def inputs(self, row, near):
        w = [weight(position) for _, position in near]
        mean = lambda values: sum(a * b for a, b in zip(w, values, strict=True)) // sum(w)  # noqa: E731
        m = mean([self.v[j] for j, _ in near])
        x = [self.v[j] - m for j, _ in near]
        s, missed = mean([abs(d) for d in x]), mean([self.e[j] for j, _ in near])
        xg = [[g.v[j] - g.m[row] for j, _ in near] for g in self.guides]
        yg = [g.v[row] - g.m[row] for g in self.guides]
        scale = 16 + (s + sum(g.s[row] for g in self.guides)) // (1 + len(yg))
        if yg:
            apart = [sum(abs(a[j] - y) for a, y in zip(xg, yg, strict=True)) for j in range(len(x))]
            t = [min(63, 8 * d // (scale * len(yg))) for d in apart]
        else:
            t = [min(63, 8 * abs(d) // scale) for d in x]
        narrow = [a * max(1, 9216 // (144 + 25 * b * b)) for a, b in zip(w, t, strict=True)]
        wide = [a * max(1, 4096 // (64 + b * b)) for a, b in zip(w, t, strict=True)]
        guess, scatter = [], [s]
        for v in (narrow, wide, [a == 48 for a in w], [a == 24 for a in w]):
            part = lambda d, v=v: sum(map(int.__mul__, v, d)) // max(1, sum(v))  # noqa: E731
            guess.append(part(x))
            if len(scatter) < 3:
                scatter.append(part([abs(d - guess[-1]) for d in x]))
            guess += [y - part(d) for y, d in zip(yg, xg, strict=True)]
        at = {position: d for (_, position), d in zip(near, x, strict=True)}
        guess += yg or [at.get(face, 0) for face in FACES]
        logs = [log(8 + d) for d in [*scatter, missed, *(g.e[row] for g in self.guides)]]
        return m, s, scale, guess, [*logs, 16]

    def block(self, points):
        seen = [self.inputs(row, near) for row, near in points]
        steps = [self.guess.guess(inputs) for _, _, _, inputs, _ in seen]
        limit = 16 * self.top + 15
        guesses = [clip(one[0] + step, 0, limit) for one, step in zip(seen, steps, strict=True)]
        bins = [clip(self.error.guess(one[4]) // 4 - 8, 0, 95) for one in seen]
        qs = [max(b // 4 - 4, 0) for b in bins]
        contexts = [4 * b + (4 * g >> q + 4) % 4 for b, g, q in zip(bins, guesses, qs, strict=True)]
        symbols = [symbol(self.stream, self.buckets.row(context)) for context in contexts]
        far = [s for s in symbols if s > 56]
        sizes = [symbol(self.stream, self.excess.row(0)) for _ in far]
        self.buckets.learn(contexts, symbols)
        self.excess.learn([0] * len(far), sizes)
        low = [self.plain.take(q) for q in qs]
        excess = iter([28 + 2**z + self.plain.take(z) for z in sizes])
        targets, errors = [], []
        for k, (row, _) in enumerate(points):
            d = symbols[k] - 28
            d = next(excess) * (1 if symbols[k] == 57 else -1) if symbols[k] > 56 else d
            i = ((guesses[k] >> qs[k] + 4) + d << qs[k]) + low[k]
            assert 0 <= i <= self.top
            m, s, scale, _, _ = seen[k]
            self.v[row], self.m[row], self.s[row] = 16 * i, m, s
            self.e[row] = abs(16 * i - m - steps[k])
            targets.append(256 * (16 * i - m) // scale)
            errors.append(log(8 + self.e[row]))
        normed = [[256 * x // scale for x in inputs] for _, _, scale, inputs, _ in seen]
        self.guess.learn(normed, targets)
        self.error.learn([one[4] for one in seen], errors)


def decode(entries, data, voxels, widths):
    """The images of all columns, each coded by neighbours; `widths` in bytes."""
    order, chain, images = list(stages(voxels)), [], []
    for about, width in zip(entries, widths, strict=True):
        assert about["coder"] == "neighbours.1"
        part, data = data[: about["bytes"]], data[about["bytes"] :]
        head = about.get("apart", 0)
        split = len(part) - about["plain"]
        chain = chain if about["guides"] else []
        column = Column(about, part[head:split], part[split:], chain[-2:])
        column.decode(order)
        chain.append(column)
        numbers = [column.v[row] // 16 for row in range(len(voxels))]
        if "gaps" in about:
            gaps = image_of_column(about["gaps"], part[:head], about["top"], width, None)
            table = list(accumulate(gaps, initial=about["low"]))
            images.append([table[i] for i in numbers])
        else:
            shift = about.get("shift", 0)
            bits = Bits(part[:head])
            low = [i + about["low"] for i in ((n << shift) + bits.take(shift) for n in numbers)]
            images.append([i % 2 ** (8 * width) for i in low])
    assert not data
    return images
