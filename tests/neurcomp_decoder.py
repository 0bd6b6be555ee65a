"""A second decoder of `neurcomp.1`, written from docs/format-neurcomp.md alone: no pcc in it.

It is for reading, not for speed. Numbers in brackets are chapters of the document.
"""

from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np
import zstandard
from occupancy_decoder import Counts, Mixer, Stream, squash, stretch
from test_format_contents import bytes_of, image_of_column

TYPES = ("|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
AXES = ("zyx", "zyxc", "tzyx", "tzyxc")
STEPS = ("", "delta", "minus", "minus delta", "table", "table delta")
BOUNDS = [1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 48, 64, 88, 120, 160, 220, 300, 420, 600, 850, 1200]
BOUNDS += [1700, 2400, 3400, 4800, 6800, 9600, 14000, 20000, 40000]
SCALE = 1.149604398860241
LIFTS = (0.443506852043971, 0.882911075530934, -0.052980118572961, -1.586134342059924)
HIGHS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))
GROUPS = ((0, 0, 0), (1, 1, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0))
SIZES = {
    "zero": [6 * 8 * 32, 32 * 12, 12**3, 3 * 6 * 32 * 2, 125 * 8, 12**3],
    "more": [8 * 32 * 2, 8 * 32, 8 * 32, 6 * 8 * 4],
    "cold": [6 * 8 * 4],
    "below": [31 * 2 * 4],
}
SETS = {"zero": 16, "more": 8, "cold": 0, "below": 0}


class Source:
    """Bytes, read from the first on."""

    def __init__(self, data):
        self.data = data

    def take(self, count):
        part, self.data = self.data[:count], self.data[count:]
        assert len(part) == count
        return part

    def byte(self):
        return self.take(1)[0]

    def whole(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def block(self):
        return self.take(self.whole())

    def numbers(self, kind, count=1):
        return np.frombuffer(self.take(np.dtype(kind).itemsize * count), kind)


def decode(data, priors):
    """The samples of a stream `DATA`, and their axes; priors : the bytes of priors.bin."""
    source = Source(data)
    first = source.byte()
    place, axes = divmod(first & 127, 4)
    kind, axes = TYPES[place], AXES[axes]
    shape = [source.whole() for _ in axes]
    low, high = source.numbers(kind, 2)
    mask = odd = None
    if first & 128:
        mask, odd = holes(source, kind, math.prod(shape))
    lengths = dict(zip(axes, shape, strict=True))
    sides = [lengths.get(axis, 1) for axis in "tzyxc"]
    if low == high:
        values = np.full(sides, low, kind)
    else:
        restore = (wavelets, bounded, network)[source.byte()]
        samples = restore(source, sides, kind, (float(low), float(high)), read_priors(priors))
        whole = kind[1] != "f"
        values = np.clip(np.rint(samples) if whole else samples.astype(kind), low, high)
        values = values.astype(kind)
    assert not source.data
    values = values.reshape(shape)
    if mask is not None:
        values[mask.reshape(shape)] = odd
    return values, axes


def holes(source, kind, count):
    """[1] Where samples are not finite, and these samples."""
    bits = zstandard.ZstdDecompressor().decompress(source.block())
    mask = np.unpackbits(np.frombuffer(bits, np.uint8))[:count] == 1
    about = {"steps": STEPS[source.byte()]}
    about |= {"table": source.whole(), "table_bytes": source.whole()}
    image = image_of_column(about, source.block(), int(mask.sum()), int(kind[2]), None)
    return mask, np.frombuffer(bytes_of(image, kind), kind)


def parts(sides):
    """[2] The places of all parts, samples being (t, z, y, x, c)."""
    t, *space, c = sides
    cuts = []
    for n in space:
        p = -(-n // 256)
        starts = [16 * (n * i // p // 16) for i in range(p)] + [n]
        cuts.append([slice(a, b) for a, b in pairwise(starts)])
    for step, component in product(range(t), range(c)):
        yield from ((step, *place, component) for place in product(*cuts))


def wavelets(source, sides, kind, limits, priors):
    """[2]"""
    step, mean = source.numbers("<f4", 2).astype(float)
    nudges = np.array([0, *(source.byte() - 128 for _ in range(3))])
    samples = np.empty(sides)
    for place in parts(sides):
        q = coefficients(source.block(), samples[place].shape, priors)
        d = nudges[np.minimum(abs(q), 3)]
        samples[place] = inverse(np.sign(q) * ((abs(q) + d / 256) * step)) + mean
    return samples


def bounded(source, sides, kind, limits, priors):
    """[3]"""
    (unit,) = source.numbers("<f8")
    residuals = np.zeros(sides)
    for place in parts(sides):
        coder = Coder(source.block(), priors)
        residuals[place] = coder.band(0, (1, 1, 1), residuals[place].shape)
        assert coder.stream.at_end()
    base = wavelets(source, sides, kind, limits, priors)
    return (base if kind[1] == "f" else np.rint(base)) + residuals * unit


def corners(sides):
    """[2] The shapes of the corners."""
    found = [tuple(sides)]
    while max(found[-1]) >= 6 and len(found) <= 8:
        found.append(tuple(-(-n // 2) if n >= 6 else n for n in found[-1]))
    return found


def inverse(entries):
    """[2] "Levels"."""
    shapes = corners(entries.shape)
    for level in range(len(shapes) - 2, -1, -1):
        corner = entries[tuple(slice(0, n) for n in shapes[level])]
        for axis in range(3):
            if shapes[level + 1][axis] < shapes[level][axis]:
                unlift(np.moveaxis(corner, axis, 0))
    return entries


def unlift(signal):
    n = len(signal)
    e, o = signal[: -(-n // 2)] / SCALE, signal[-(-n // 2) :] * SCALE
    for number, c in enumerate(LIFTS):
        into, other = (e, o) if number % 2 == 0 else (o, e)
        for i in range(len(into)):
            before, after = (i - 1, i) if number % 2 == 0 else (i, i + 1)
            if before < 0 or after >= len(other):
                there = after if before < 0 else before
                into[i] -= 2 * c * other[there]
            else:
                into[i] -= c * (other[before] + other[after])
    signal[0::2], signal[1::2] = e, o


def bands(sides):
    """[2] "Bands": level, directions and place of each."""
    shapes = corners(sides)
    last = max(len(shapes) - 2, 0)
    yield last, (0, 0, 0), tuple(slice(0, n) for n in shapes[-1])
    for level in range(len(shapes) - 2, -1, -1):
        for high in HIGHS:
            ends = zip(high, shapes[level], shapes[level + 1], strict=True)
            place = tuple(slice(half, n) if up else slice(0, half) for up, n, half in ends)
            if all(part.stop > part.start for part in place):
                yield level, high, place


def coefficients(block, sides, priors):
    """The integers of a part."""
    coder, found = Coder(block, priors), np.zeros(sides, int)
    for level, high, place in bands(sides):
        found[place] = coder.band(level, high, found[place].shape)
    assert coder.stream.at_end()
    return found


def binned(values):
    return np.searchsorted(BOUNDS, values, side="right")


def shifted(padded, offset):
    """What is at an offset from each place; padded : with a border of 1."""
    inner = zip(offset, padded.shape, strict=True)
    return padded[tuple(slice(1 + d, n - 1 + d) for d, n in inner)]


def smooth(values):
    """The sums S of 27 places, (S + 8) >> 4."""
    padded = np.pad(values, 1)
    weight = {0: 8, 1: 4, 2: 2, 3: 1}
    offsets = product((-1, 0, 1), repeat=3)
    return sum(weight[sum(map(abs, o))] * shifted(padded, o) for o in offsets) + 8 >> 4


def taken(values, indices):
    """`values` at the indices of each axis, limited to the last."""
    return values[
        np.ix_(*(np.minimum(i, n - 1) for i, n in zip(indices, values.shape, strict=True)))
    ]


class Coder:
    """[2] The models of one part, and what was decoded before."""

    def __init__(self, block, priors):
        self.stream = Stream(block)
        self.zero, self.more = (Mixed(name, priors) for name in ("zero", "more"))
        self.cold, self.below = (Counted(*priors[name][:2]) for name in ("cold", "below"))
        self.last, self.level, self.same = {}, None, []

    def band(self, level, high, shape):
        if level != self.level:
            self.level, self.same = level, []
        found, magnitudes = np.zeros(shape, int), np.zeros(shape, int)
        about = self.other_bands(high, shape)
        few = found.size <= 27
        for g, start in enumerate(GROUPS[:1] if few else GROUPS):
            place = tuple(slice(first, None, 1 if few else 2) for first in start)
            if found[place].size:
                known = {**about, **in_band(magnitudes)}
                known = {name: values[place].ravel() for name, values in known.items()}
                group = self.group(min(level, 5), g, sum(high), known)
                found[place] = group.reshape(found[place].shape)
                magnitudes = np.minimum(abs(found), 2**14)
        self.last[high] = magnitudes
        self.same.append(magnitudes)
        return found

    def other_bands(self, high, shape):
        parent = above = np.zeros(shape, int)
        if high in self.last:
            half = [np.arange(n) // 2 for n in shape]
            parent = taken(self.last[high], half)
            above = taken(smooth(self.last[high]), half)
        same = [np.arange(n) for n in shape]
        beside = sum((taken(values, same) for values in self.same), np.zeros(shape, int))
        return {"parent": parent, "above": above, "beside": beside, "wide": smooth(beside)}

    def group(self, level, g, k, known):
        near, parent, above, wide = (known[name] for name in ("near", "parent", "above", "wide"))
        cold = near + parent + above + wide == 0
        some = np.zeros(len(near), int)
        some[cold] = self.cold.take(self.stream, np.full(cold.sum(), (level * 8 + g) * 4 + k))
        warm = {name: values[~cold] for name, values in known.items()}
        some[~cold] = self.zero.take(self.stream, *zero_contexts(level, g, k, warm))
        busy = {name: values[some == 1] for name, values in known.items()}
        some[some == 1] = self.numbers(level, k, busy)
        return some

    def numbers(self, level, k, known):
        near, parent, above = (known[name] for name in ("near", "parent", "above"))
        size = np.ones(len(near), int)
        going = np.arange(len(near))
        r = binned(2 * near + 4 * parent + 2 * above + known["wide"])
        a = binned(4 * parent + above)
        for s in range(1, 31):
            if not len(going):
                break
            j = min(s - 1, 7)
            contexts = [(j * 32 + r) * 2 + (k > 1), j * 32 + binned(near), j * 32 + a]
            contexts.append(np.full(len(near), (level * 8 + j) * 4 + k))
            sets = np.full(len(going), j)
            more = self.more.take(self.stream, [context[going] for context in contexts], sets)
            going = going[more == 1]
            size[going] += 1
        return self.signed(size)

    def signed(self, size):
        found = np.ones(len(size), int)
        for number in range(30):
            rows = np.flatnonzero(size > number + 1)
            if number < 2:
                last = found[rows] & 1 if number else np.zeros(len(rows), int)
                bits = self.below.take(self.stream, (size[rows] * 2 + number) * 2 + last)
            else:
                bits = even(self.stream, len(rows))
            found[rows] = 2 * found[rows] + bits
        return np.where(even(self.stream, len(size)) == 1, -found, found)


def in_band(magnitudes):
    padded = np.pad(magnitudes, 1)
    near, faces = np.zeros_like(magnitudes), np.zeros_like(magnitudes)
    for offset in product((-1, 0, 1), repeat=3):
        weight = {0: 0, 1: 4, 2: 2, 3: 1}[sum(map(abs, offset))]
        near += weight * shifted(padded, offset)
    for axis in range(3):
        pair = [tuple(way * (a == axis) for a in range(3)) for way in (-1, 1)]
        faces = faces * 5 + sum(np.minimum(shifted(padded, offset), 2) for offset in pair)
    return {"near": near, "faces": faces}


def zero_contexts(level, g, k, known):
    """The contexts of the six tables, and the set of weights."""
    near, faces, parent, above, beside, wide = (
        known[name] for name in ("near", "faces", "parent", "above", "beside", "wide")
    )
    t = binned(16 * near // (1 + g) + 4 * parent + 2 * above + 2 * beside + wide // 4)

    def at_most(values):
        return np.minimum(binned(values), 11)

    contexts = [
        (level * 8 + g) * 32 + binned(near),
        t * 12 + at_most(near),
        (at_most(near) * 12 + at_most(4 * parent + above)) * 12 + at_most(4 * beside + wide // 4),
        (((k - 1) % 3 * 6 + level) * 32 + t) * 2 + (g > 3),
        faces * 8 + g,
        (at_most(4 * parent) * 12 + at_most(wide)) * 12 + at_most(above),
    ]
    return contexts, 2 * g + (binned(near) > 4)


def even(stream, count):
    return np.array([stream.bit(32768) for _ in range(count)], int)


class Counted:
    """[2] "Models": one table, no weights."""

    def __init__(self, ones, total):
        self.counts, self.coded = Counts(ones.copy(), total.copy(), 8 << 14), 0

    def take(self, stream, contexts):
        bits = []
        while len(bits) < len(contexts):
            size = min(max(128, self.coded >> 1), 1 << 15)
            which = contexts[len(bits) : len(bits) + size]
            ones = np.clip(self.counts.ratio(which), 2, 65534).tolist()
            block = np.array([stream.bit(p) for p in ones], int)
            self.counts.learn(which, block, 8)
            bits += block.tolist()
            self.coded += size
        return np.array(bits, int)


class Mixed:
    """[2] "Models": several tables, mixed."""

    def __init__(self, name, priors):
        ones, total, weights = priors[name]
        ends = np.cumsum(SIZES[name])[:-1]
        pairs = zip(np.split(ones, ends), np.split(total, ends), strict=True)
        self.counts = [Counts(one.copy(), all_.copy(), 8 * 1023) for one, all_ in pairs]
        self.mixers = [Mixer(row) for row in weights]
        self.coded = 0

    def take(self, stream, contexts, sets):
        bits = []
        while len(bits) < len(sets):
            size = min(max(128, self.coded >> 3), 4096)
            part = slice(len(bits), len(bits) + size)
            bits += self.block(stream, [context[part] for context in contexts], sets[part])
            self.coded += size
        return np.array(bits, int)

    def block(self, stream, contexts, sets):
        pairs = list(zip(self.counts, contexts, strict=True))
        inputs = [stretch(counts.ratio(which)) for counts, which in pairs]
        inputs = np.array([*inputs, np.full(len(sets), 256)])
        p = np.zeros(len(sets), int)
        for number, mixer in enumerate(self.mixers):
            p[sets == number] = squash(mixer.mix(inputs[:, sets == number]))
        bits = np.array([stream.bit(ones) for ones in p.tolist()], int)
        for number, mixer in enumerate(self.mixers):
            mine = sets == number
            if mine.any():
                mixer.learn(inputs[:, mine], p[mine], bits[mine])
        for counts, which in pairs:
            counts.learn(which, bits, 8)
        return bits.tolist()


def read_priors(data):
    """[2] Model -> ones, totals, weights of each set."""
    source, found = Source(zstandard.ZstdDecompressor().decompress(data)), {}
    for name, sizes in SIZES.items():
        ones, total = (source.numbers("<u2", sum(sizes)).astype(int) for _ in range(2))
        weights = source.numbers("<i4", SETS[name] * (len(sizes) + 1)).astype(int)
        found[name] = ones, total, weights.reshape(SETS[name], len(sizes) + 1)
    assert not source.data
    return found


def network(source, sides, kind, limits, priors):
    """[4]"""
    width, layers, residual = source.whole(), source.byte(), source.byte()
    (w0,) = source.numbers("<f4").astype(float)
    hidden = (2 if residual else 1) * (layers - 1)
    shapes = [(width, 3), *[(width, width)] * hidden, (sides[4], width)]
    longest = max(max(sides[1:4]) - 1, 1)
    ends = [(n - 1) / longest for n in sides[1:4]]
    axes = [np.linspace(-e, e, n) for e, n in zip(ends, sides[1:4], strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    steps = [
        evaluated(tensors(source.block(), shapes), places, float(w0), residual)
        for _ in range(sides[0])
    ]
    samples = np.reshape(steps, sides)
    return (samples / 2 + 0.5) * (limits[1] - limits[0]) + limits[0]


def evaluated(layers, x, w0, residual):
    def sine(x, layer):
        return np.sin(w0 * (x @ layer[0].T + layer[1]))

    first, *hidden, last = layers
    x = sine(x, first)
    count = len(hidden) // 2 if residual else len(hidden)
    for block in range(count):
        if residual:
            a = 1.0 if block == 0 else 0.5
            inner = sine(sine(a * x, hidden[2 * block]), hidden[2 * block + 1])
            x = (0.5 if block == count - 1 else 1.0) * (x + inner)
        else:
            x = sine(x, hidden[block])
    return x @ last[0].T + last[1]


def tensors(block, shapes):
    """[4] Matrix and biases of each layer."""
    source, heads = Source(block), []
    for number, shape in enumerate(shapes):
        for is_matrix in (True, False):
            (scale,) = source.numbers("<f4").astype(float)
            clustered = is_matrix and 0 < number < len(shapes) - 1
            heads.append(
                (shape if is_matrix else shape[:1], scale, source.whole() if clustered else 0)
            )
    coder = Weights(Stream(source.data))
    flat = [coder.tensor(*head) for head in heads]
    assert coder.stream.at_end()
    return list(zip(flat[0::2], flat[1::2], strict=True))


class Weights:
    """[4] Whole numbers of a network."""

    def __init__(self, stream):
        self.stream = stream
        self.sizes, self.first = (
            Counted(np.full(size, 8), np.full(size, 16)) for size in (3 * 18, 16)
        )

    def tensor(self, shape, scale, centres):
        count = math.prod(shape)
        if not centres:
            whole = self.numbers(count, 0)
        else:
            steps = [self.numbers(1, 1), self.numbers(centres - 1, 2)]
            whole = np.cumsum(np.concatenate(steps))[self.indices(count, centres)]
        return (whole * scale).astype(np.float32).astype(float).reshape(shape)

    def numbers(self, count, kind):
        size, going = np.zeros(count, int), np.arange(count)
        for bits in range(17):
            more = self.sizes.take(self.stream, np.full(len(going), 18 * kind + bits))
            going = going[more == 1]
            size[going] += 1
        found = np.minimum(size, 1)
        for number in range(16):
            rows = np.flatnonzero(size > number + 1)
            found[rows] = 2 * found[rows] + even(self.stream, len(rows))
        if kind < 2:
            some = np.flatnonzero(found)
            found[some] *= 1 - 2 * even(self.stream, len(some))
        return found

    def indices(self, count, centres):
        found = np.zeros(count, int)
        for i in range((centres - 1).bit_length()):
            if i < 4:
                bits = self.first.take(self.stream, 2**i - 1 + found)
            else:
                bits = even(self.stream, count)
            found = 2 * found + bits
        return found
