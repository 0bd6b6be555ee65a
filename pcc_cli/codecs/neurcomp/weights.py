"""The numbers of a sine network to bytes and back: clusters of hidden weights, all else in 16 bits.

A tensor is a scale and whole numbers from -32767 to 32767; so are the centres of clusters, which
ascend and are stored by their gaps. Sizes in bits are learned, and so are the first bits of an
index, for clusters in the middle hold more weights. docs/format-neurcomp.md, chapter 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.codecs.neurcomp.around import bits_of
from pcc_cli.codecs.neurcomp.bits import Counted, Reader, Side, Writer, blank, even
from pcc_cli.codecs.neurcomp.clusters import clustered, nearest
from pcc_cli.codecs.neurcomp.stream import In, Out
from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array

TOP = 32767
BITS_LEAST, BITS_MOST = 1, 15  # of an index
_LEARNED = 4  # bits of an index


@dataclass(frozen=True)
class Tensor:
    """shape; scale : of one unit; whole : integers, or centres, which `indices` name"""

    shape: tuple[int, ...]
    scale: float
    whole: Array
    indices: Array | None = None

    @classmethod
    def of(cls, values: Array, bits: int | None) -> Tensor:
        """`values` as they will be stored; bits : of an index to clusters, None without."""
        flat = values.astype(np.float64).ravel()
        scale = float(np.float32(np.abs(flat).max(initial=0.0) / TOP)) or 1.0
        if bits is None:
            return cls(values.shape, scale, _rounded(flat, scale))
        centres = np.unique(_rounded(clustered(flat, bits).centres, scale))
        return cls(values.shape, scale, centres, nearest(centres * scale, flat))

    def values(self) -> Array:
        """float32, of the tensor's shape."""
        whole = self.whole if self.indices is None else self.whole[self.indices]
        return (whole * self.scale).astype(np.float32).reshape(self.shape)

    def arrays(self) -> list[Array]:
        """All integers."""
        return [self.whole] if self.indices is None else [self.whole, self.indices]


def _rounded(values: Array, scale: float) -> Array:
    return np.clip(np.rint(values / scale), -TOP, TOP).astype(np.int64)


def pack(tensors: list[Tensor]) -> bytes:
    """All tensors; their shapes are known to the decoder, and which are clustered."""
    out, side = Out(), Writer()
    coder = _Coder(side)
    for tensor in tensors:
        out.float32(tensor.scale)
        if tensor.indices is not None:
            out.whole(len(tensor.whole))
        coder.tensor(tensor)
    out.append(side.finish())
    return out.finish()


def unpack(data: bytes, shapes: list[tuple[tuple[int, ...], bool]]) -> list[Tensor]:
    """The tensors of `shapes`, each with whether it is clustered; FormatError when damaged."""
    stream = In(data)
    blank = []
    for shape, is_clustered in shapes:
        scale, count = stream.float32(), int(np.prod(shape))
        centres = stream.whole(min(count, 1 << BITS_MOST)) if is_clustered else count
        if scale <= 0 or not centres:
            raise FormatError("a tensor of the network has no scale or no centres")
        indices = np.zeros(count, np.int64) if is_clustered else None
        blank.append(Tensor(shape, scale, np.zeros(centres, np.int64), indices))
    side = Reader(stream.rest())
    coder = _Coder(side)
    found = [coder.tensor(tensor) for tensor in blank]
    side.finish()
    return found


class _Coder:
    def __init__(self, side: Side) -> None:
        self._side = side
        self._sizes = Counted(blank([3 * 18], 0))
        self._first = Counted(blank([1 << _LEARNED], 0))

    def tensor(self, tensor: Tensor) -> Tensor:
        if tensor.indices is None:
            whole = self._numbers(tensor.whole, 0)
            return Tensor(tensor.shape, tensor.scale, whole)
        start = self._numbers(tensor.whole[:1], 1)
        gaps = self._numbers(np.diff(tensor.whole), 2, signed=False)
        centres = np.cumsum(np.concatenate([start, gaps]))
        indices = self._indices(tensor.indices, len(centres))
        return Tensor(tensor.shape, tensor.scale, centres, indices)

    def _numbers(self, values: Array, kind: int, signed: bool = True) -> Array:
        """Numbers of up to 17 bits, with their sign."""
        sizes = bits_of(values)
        found = np.zeros(len(values), np.int64)
        going = np.arange(len(values))
        for size in range(17):
            context = np.full(len(going), kind * 18 + size)
            more = self._sizes.code(self._side, context, (sizes[going] > size).astype(np.int64))
            going = going[more > 0]
            found[going] += 1
        magnitudes = np.minimum(found, 1)
        for number in range(16):
            rows = np.flatnonzero(found > number + 1)
            left = found[rows] - number - 2
            bits = even(self._side, np.abs(values[rows]) >> left & 1)
            magnitudes[rows] = magnitudes[rows] << 1 | bits
        if not signed:
            return magnitudes
        some = np.flatnonzero(magnitudes)
        negative = even(self._side, (values[some] < 0).astype(np.int64))
        magnitudes[some] = np.where(negative > 0, -magnitudes[some], magnitudes[some])
        return magnitudes

    def _indices(self, indices: Array, centres: int) -> Array:
        """The highest bits in contexts of those before, the others as they are."""
        width = max(centres - 1, 0).bit_length()
        found = np.zeros(len(indices), np.int64)
        for number in range(width):
            bits = indices >> (width - 1 - number) & 1
            if number < _LEARNED:
                bits = self._first.code(self._side, (1 << number) - 1 + found, bits)
            else:
                bits = even(self._side, bits)
            found = found << 1 | bits
        if len(found) and int(found.max()) >= centres:
            raise FormatError("a weight of the network names a cluster that is not there")
        return found
