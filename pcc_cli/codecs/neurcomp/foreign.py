"""Classical coders of volumes: zfp through zfpy, SZ3 and SPERR through hdf5plugin.

They code arrays (z, y, x) of floats; integers become float32, and are not rounded when they come
back. A chunk of HDF5 says neither type nor shape, so that 20 bytes are added for both.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pcc_cli import extras
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Array

LAYOUT = struct.Struct("<8s3I")  # type as numpy names it, shape


class ArrayCodec(Protocol):
    """A coder of volumes; a frozen dataclass of its settings."""

    def version(self) -> str: ...

    def command(self) -> str: ...

    def encode(self, samples: Array) -> bytes: ...

    def decode(self, data: bytes) -> Array: ...


@dataclass(frozen=True)
class Zfp:
    """tolerance : largest error of a sample, in its units"""

    tolerance: float

    def version(self) -> str:
        return extras.version_of("zfpy", "zfpy")

    def command(self) -> str:
        return f"zfp -a {self.tolerance:g}"

    def encode(self, samples: Array) -> bytes:
        coded: bytes = _load("zfpy").compress_numpy(_floats(samples), tolerance=self.tolerance)
        return coded

    def decode(self, data: bytes) -> Array:
        decoded: Array = _load("zfpy").decompress_numpy(data)
        return decoded


@dataclass(frozen=True)
class Hdf5Filter:
    """A filter of HDF5, one chunk for the whole volume; what counts is the chunk.

    name : "Sperr" or "SZ3" of hdf5plugin
    option, value : its setting, such as "peak_signal_to_noise_ratio" and 40.0, or "absolute" and
        the largest error of a sample
    """

    name: str
    option: str
    value: float

    def version(self) -> str:
        return f"{self.name}, {extras.version_of('hdf5plugin', 'hdf5plugin')}"

    def command(self) -> str:
        return f"hdf5plugin.{self.name}({self.option}={self.value:g})"

    def encode(self, samples: Array) -> bytes:
        values = _floats(samples)
        with self._file() as file:
            stored = file.create_dataset("v", data=values, chunks=values.shape, **self._filter())
            _, chunk = stored.id.read_direct_chunk((0, 0, 0))
        return _layout(values) + bytes(chunk)

    def decode(self, data: bytes) -> Array:
        dtype, shape = _laid_out(data)
        with self._file() as file:
            stored = file.create_dataset("v", shape, dtype, chunks=shape, **self._filter())
            stored.id.write_direct_chunk((0, 0, 0), data[LAYOUT.size :])
            decoded: Array = stored[...]
        return decoded

    def _file(self) -> Any:
        return _load("h5py").File(io.BytesIO(), "w")

    def _filter(self) -> Any:
        make = getattr(_load("hdf5plugin"), self.name)
        # SPERR takes the first length for that of the fastest axis, unless it is told to swap.
        swapped = {"swap": True} if self.name == "Sperr" else {}
        return make(**{self.option: self.value}, **swapped)


def _load(package: str) -> Any:
    return extras.load(package, package, extras.CLASSICAL)


def _floats(samples: Array) -> Array:
    if samples.ndim != 3 or not samples.size:
        raise InputError(f"a volume has three axes and samples, not the shape {samples.shape}")
    keep = samples.dtype.kind == "f" and samples.dtype.itemsize in (4, 8)
    return np.ascontiguousarray(samples, samples.dtype if keep else np.float32)


def _layout(values: Array) -> bytes:
    return LAYOUT.pack(values.dtype.name.encode(), *values.shape)


def _laid_out(data: bytes) -> tuple[Any, tuple[int, ...]]:
    if len(data) < LAYOUT.size:
        raise FormatError("the volume is cut short")
    name, *shape = LAYOUT.unpack_from(data)
    return np.dtype(name.rstrip(b"\0").decode()), tuple(shape)
