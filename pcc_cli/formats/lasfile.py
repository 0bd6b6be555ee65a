"""The parts of a LAS or LAZ file as raw bytes, taken apart and put together.

Everything that does not depend on the order of the points travels as it is. The LASzip record and
the records of COPC do, so they are left out; writing LAZ makes a new LASzip record.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pcc_cli.formats import lazchunks
from pcc_cli.geometry import Array

COMPRESSED = 0x80  # this bit of the point format marks LAZ
LASZIP, WAVEFORMS, COPC = ("laszip encoded", 22204), ("LASF_Spec", 65535), "copc"
_VLR, _EVLR = struct.Struct("<H16sHH32s"), struct.Struct("<H16sHQ32s")
_HEADER_LEAST = 227
_CHUNK = 1 << 16  # points decompressed at once, so that memory grows with what is really there
_WAVE_START, _EVLR_START, _LONG_COUNT = 227, 235, 247
_LOSSY = (9, 10)  # lazrs 0.8 does not give back their waveforms when the scanner channel changes
_INTERNAL_WAVEFORMS = 2  # a bit of the global encoding


class Record(NamedTuple):
    """A variable length record: `raw` is all of it, `data` what follows its head."""

    user: str
    id: int
    raw: bytes
    data: bytes


@dataclass(frozen=True)
class Parts:
    """What a file holds beside its points.

    header : as long as it says itself
    vlrs, evlrs : the records before and behind the points, raw, one after the other
    gap : bytes between the records and the points
    """

    header: bytes
    vlrs: bytes
    gap: bytes
    evlrs: bytes

    @property
    def minor(self) -> int:
        """The version after "1."."""
        return self.header[25]

    @property
    def point_format(self) -> int:
        return self.header[104] & ~0xC0

    @property
    def scales(self) -> tuple[float, ...]:
        return struct.unpack_from("<3d", self.header, 131)

    @property
    def offsets(self) -> tuple[float, ...]:
        return struct.unpack_from("<3d", self.header, 155)


def split(data: bytes) -> tuple[Parts, Array, list[str]]:
    """The parts of a file, its points as (n, bytes of a point) uint8, and what was left out.

    ValueError when something does not fit, LazrsError when compressed points are damaged.
    """
    if len(data) < _HEADER_LEAST or data[:4] != b"LASF":
        raise ValueError("the header is cut off")
    header_size, start, vlr_count = struct.unpack_from("<HII", data, 94)
    minor, (width,) = data[25], struct.unpack_from("<H", data, 105)
    least = {3: 235, 4: 375}.get(minor, _HEADER_LEAST if minor < 3 else 375)
    if not least <= header_size <= start <= len(data) or not width:
        raise ValueError("the header is cut off or does not fit its version")
    vlrs, after = _records(data, header_size, start, vlr_count, _VLR)
    evlrs, _ = _records(data, *_behind_points(data, minor), _EVLR)
    count = struct.unpack_from("<Q", data, _LONG_COUNT)[0] if minor >= 4 else 0
    count = count or struct.unpack_from("<I", data, 107)[0]
    points = _points(data, start, count, width, vlrs)
    records = [record for record in (*vlrs, *evlrs) if _depends_on_order(record)]
    kept = [b"".join(r.raw for r in group if r not in records) for group in (vlrs, evlrs)]
    header = _without_places(data[:header_size], minor)
    parts = Parts(header, kept[0], data[after:start], kept[1])
    return parts, points, [f"{record.user} {record.id}" for record in records]


def _without_places(header: bytes, minor: int) -> bytes:
    """The header with zeros where it says where things are in the file."""
    blank = bytearray(header)
    blank[96:104] = bytes(8)
    if minor >= 4:
        blank[_EVLR_START : _EVLR_START + 12] = bytes(12)
    if minor >= 3 and header[6] & _INTERNAL_WAVEFORMS:
        blank[_WAVE_START : _WAVE_START + 8] = bytes(8)
    return bytes(blank)


def _behind_points(data: bytes, minor: int) -> tuple[int, int, int]:
    """Where the records behind the points start and may end at last, and their number."""
    end = len(data)
    if minor >= 4:
        start, count = struct.unpack_from("<QI", data, _EVLR_START)
        return (start, end, count) if count else (end, end, 0)
    (start,) = struct.unpack_from("<Q", data, _WAVE_START) if minor == 3 else (0,)
    internal = data[6] & _INTERNAL_WAVEFORMS and start
    return (start, end, 1) if internal else (end, end, 0)


def _records(
    data: bytes, start: int, end: int, count: int, head: struct.Struct
) -> tuple[list[Record], int]:
    """`count` records from `start` on, and where they end; ValueError past `end`."""
    found = []
    for _ in range(count):
        if start + head.size > end:
            raise ValueError("its variable length records are cut off")
        _, user, number, length, _ = head.unpack_from(data, start)
        body, after = start + head.size, start + head.size + length
        if after > end:
            raise ValueError(f"a variable length record claims {length} bytes")
        name = user.split(b"\0")[0].decode("latin-1")
        found.append(Record(name, number, data[start:after], data[body:after]))
        start = after
    return found, start


def _depends_on_order(record: Record) -> bool:
    return (record.user, record.id) == LASZIP or record.user == COPC


def _points(data: bytes, start: int, count: int, width: int, vlrs: list[Record]) -> Array:
    if not data[104] & COMPRESSED:
        if start + count * width > len(data):
            raise ValueError(f"it ends after {(len(data) - start) // width} of {count} points")
        return np.frombuffer(data, np.uint8, count * width, start).reshape(count, width)
    laszip = [record.data for record in vlrs if (record.user, record.id) == LASZIP]
    if not laszip:
        raise ValueError("it has no LASzip record")
    return _decompressed(data, start, count, width, laszip[0])


def _decompressed(data: bytes, start: int, count: int, width: int, laszip: bytes) -> Array:
    import lazrs

    about = lazrs.LazVlr(laszip)
    _refuse_waveforms(data[104] & ~0xC0)
    if about.item_size() != width:
        raise ValueError(f"its compressed points have {about.item_size()} bytes, not {width}")
    if not count:
        return np.zeros((0, width), np.uint8)
    lazchunks.check(data, start, laszip)
    stream = io.BytesIO(data)
    stream.seek(start)
    unpacker = lazrs.LasZipDecompressor(stream, laszip)
    pieces = []
    for first in range(0, count, _CHUNK):
        piece = np.empty((min(_CHUNK, count - first), width), np.uint8)
        _fill(piece.reshape(-1), unpacker)
        pieces.append(piece)
    return np.concatenate(pieces)


def _refuse_waveforms(point_format: int) -> None:
    if point_format in _LOSSY:
        raise ValueError(f"compressed point format {point_format} is not supported; use LAS")


def _fill(piece: Array, unpacker: Any) -> None:
    try:
        unpacker.decompress_many(piece)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"its compressed points are damaged: {error}") from None


def records_of(parts: Parts) -> Iterator[Record]:
    """All records, those before the points first."""
    for raw, head in ((parts.vlrs, _VLR), (parts.evlrs, _EVLR)):
        yield from _each(raw, head)


def _each(raw: bytes, head: struct.Struct) -> Iterator[Record]:
    start = 0
    while start < len(raw):
        (record,), start = _records(raw, start, len(raw), 1, head)
        yield record


def join(parts: Parts, points: Array, about: dict[str, Any], compressed: bool) -> bytes:
    """The bytes of a file.

    points : (n, bytes of a point) uint8
    about : "returns", 15 counts of points by return, "low" and "high" corners, "scales", "offsets"

    LazrsError when LAZ does not know the point format.
    """
    header, count = bytearray(parts.header), len(points)
    vlrs = parts.vlrs
    laszip = None
    if compressed:
        laszip, record = _laszip(parts, points.shape[1])
        vlrs += record
    start = len(header) + len(vlrs) + len(parts.gap)
    stream = io.BytesIO()
    stream.write(bytes(start))
    if laszip is not None and count:
        _compress(stream, laszip, points)
    else:
        stream.write(points.tobytes())
    behind = stream.seek(0, io.SEEK_END)
    stream.write(parts.evlrs)
    number = sum(1 for _ in _each(vlrs, _VLR))
    struct.pack_into("<II", header, 96, start, number)
    header[104] = parts.point_format | (COMPRESSED if compressed else 0)
    _set_counts(header, parts.minor, count, about["returns"])
    _set_place(header, about)
    _set_behind(header, parts, behind)
    stream.seek(0)
    stream.write(bytes(header) + vlrs + parts.gap)
    return stream.getvalue()


def _laszip(parts: Parts, width: int) -> tuple[Any, bytes]:
    """How points are compressed, and the record that says so."""
    import laspy
    import lazrs

    _refuse_waveforms(parts.point_format)
    standard = laspy.PointFormat(parts.point_format).num_standard_bytes
    about = lazrs.LazVlr.new_for_compression(parts.point_format, width - standard)
    body = about.record_data()
    user, number = LASZIP
    return about, _VLR.pack(0, user.encode(), number, len(body), b"pcc") + body


def _compress(stream: io.BytesIO, laszip: Any, points: Array) -> None:
    import lazrs

    packer = lazrs.LasZipCompressor(stream, laszip)
    packer.compress_many(np.ascontiguousarray(points).reshape(-1))
    packer.done()


def _set_counts(header: bytearray, minor: int, count: int, returns: list[int]) -> None:
    """Both kinds of counters; LAS 1.4 wants the old one to be 0, but not all writers know."""
    old = minor < 4 or (count < 1 << 32 and any(header[107:111]))
    struct.pack_into("<6I", header, 107, *((count, *returns[:5]) if old else (0,) * 6))
    if minor >= 4:
        struct.pack_into("<16Q", header, _LONG_COUNT, count, *returns)


def _set_place(header: bytearray, about: dict[str, Any]) -> None:
    """Scales, offsets and bounds; bounds stay when they differ by rounding alone."""
    struct.pack_into("<6d", header, 131, *about["scales"], *about["offsets"])
    for axis, scale in enumerate(about["scales"]):
        for at, value in enumerate((about["high"][axis], about["low"][axis])):
            place = 179 + 16 * axis + 8 * at
            if not abs(struct.unpack_from("<d", header, place)[0] - value) < scale:
                struct.pack_into("<d", header, place, value)


def _set_behind(header: bytearray, parts: Parts, behind: int) -> None:
    """Where records behind the points are now, and waveforms among them."""
    records = list(_each(parts.evlrs, _EVLR))
    if parts.minor >= 4:
        struct.pack_into("<QI", header, _EVLR_START, behind if records else 0, len(records))
    if parts.minor >= 3 and header[6] & _INTERNAL_WAVEFORMS:
        sizes = np.cumsum([0, *(len(record.raw) for record in records)])
        at = [i for i, record in enumerate(records) if (record.user, record.id) == WAVEFORMS]
        place = behind + int(sizes[at[0]]) if at else 0
        struct.pack_into("<Q", header, _WAVE_START, place)


def crs_of(parts: Parts) -> str | None:
    """The coordinate reference system: WKT, or "EPSG:n" from GeoTIFF keys; None if unknown."""
    records = {(r.user, r.id): r.data for r in records_of(parts)}
    wkt = records.get(("LASF_Projection", 2112), b"").split(b"\0")[0].decode("utf-8", "replace")
    if wkt.strip():
        return wkt.strip()
    keys = np.frombuffer(records.get(("LASF_Projection", 34735), b"")[:65528], "<u2")
    keys = keys[4 : 4 + 4 * ((len(keys) - 4) // 4)].reshape(-1, 4) if len(keys) >= 8 else keys[:0]
    codes = {int(key[0]): int(key[3]) for key in keys.reshape(-1, 4) if key[1] == 0}
    known = [codes.get(3072) or codes.get(2048), codes.get(4096)]
    epsg = [str(code) for code in known if code and code < 32767]
    return "EPSG:" + "+".join(epsg) if epsg and known[0] and known[0] < 32767 else None
