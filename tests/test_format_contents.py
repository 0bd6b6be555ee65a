"""docs/format-contents.md is enough to read a file: a second decoder, written from it alone.

It reads the clouds that `plain` stored and imports nothing of pcc.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from importlib import import_module
from itertools import accumulate
from pathlib import Path

import pytest
import zstandard

DICTIONARY = Path(__file__).parent.parent / "pcc_cli" / "records.txt"
GOLDEN = Path(__file__).parent / "golden" / "plain.1"


def read_container(data):
    """The header and (kind, tile) -> data; format.md, chapter 1."""
    length = struct.unpack_from("<I", data, 12)[0]
    header = record(data[16 : 16 + length])
    end = struct.unpack_from("<Q", data, len(data) - 16)[0]
    sections, start = {}, 20 + length
    while start < end:
        kind, _, tile, size = struct.unpack_from("<4sBIQ", data, start)
        sections[kind.decode().strip(), tile] = data[start + 17 : start + 17 + size]
        start += 21 + size
    return header, sections


def record(data):
    """format.md, chapter 1.5."""
    stream = zlib.decompressobj(-15, DICTIONARY.read_bytes())
    return json.loads(stream.decompress(data) + stream.flush())


def frame(data, count, width):
    raw = zstandard.ZstdDecompressor().decompress(data)
    assert len(raw) == count * width
    planes = [raw[plane * count : (plane + 1) * count] for plane in range(width)]
    return [int.from_bytes(bytes(number), "little") for number in zip(*planes, strict=True)]


def unfold(number):
    return -(number + 1) // 2 if number & 1 else number // 2


def image_of_column(about, data, count, width, reference):
    """The images of the numbers of a column; chapter 4."""
    steps, modulus = about["steps"].split(), 1 << 8 * width
    head = about.get("table_bytes", 0)
    numbers = frame(data[head:], count, 2 if "table" in steps else width)
    if "delta" in steps:
        total, sums = 0, []
        for number in numbers:
            total += unfold(number)
            sums.append(total)
        numbers = sums
    elif "minus" in steps:
        numbers = [unfold(number) for number in numbers]
    if "minus" in steps:
        numbers = [a + b for a, b in zip(numbers, reference, strict=True)]
    if "table" in steps:
        inner = {"steps": "delta"}
        table = image_of_column(inner, data[:head], about["table"], width, None)
        numbers = [table[number] for number in numbers]
    return [number % modulus for number in numbers]


def bytes_of(image, kind):
    """Little-endian bytes of the numbers with these images."""
    width = int(kind[2])
    top = 1 << (8 * width - 1)
    if kind[1] == "f":
        image = [n ^ top if n & top else n ^ (2 * top - 1) for n in image]
    return b"".join(number.to_bytes(width, "little") for number in image)


def voxels_of(meta, streams):
    """Chapter 5."""
    if not meta["points"]:
        return []
    codes = frame(streams["CODE"], meta["nodes"], 1)
    cells, start = [(0, 0, 0)], 0
    for _ in range(meta["depth"]):
        level = codes[start : start + len(cells)]
        start += len(cells)
        cells = [
            (2 * x + (c >> 2), 2 * y + (c >> 1 & 1), 2 * z + (c & 1))
            for (x, y, z), code in zip(cells, level, strict=True)
            for c in range(8)
            if code >> c & 1
        ]
    repeats = [0] * len(cells)
    if "repeats" in meta:
        repeats = image_of_column(meta["repeats"], streams["MULT"], len(cells), 4, None)
    return [cell for cell, more in zip(cells, repeats, strict=True) for _ in range(more + 1)]


def image_of_ranks(about, data, count, width, before):
    """Chapter 4.1; before : images of the columns before."""
    head, gaps = about.get("apart", 0), [1] * about["top"]
    if "gaps" in about:
        gaps = image_of_column(about["gaps"], data[:head], about["top"], width, None)
    table = list(accumulate(gaps, initial=about["low"]))
    ranks = image_of_column(about, data[head:], count, 4, None)
    if "by" in about:
        order = sorted(range(count), key=lambda row: [before[place][row] for place in about["by"]])
        rests = [rest - ((rest & 1 << 31) << 1) for rest in ranks]
        ranks = [rests[row] + rank for rank, row in sorted(enumerate(order), key=lambda r: r[1])]
    return [table[rank] for rank in ranks]


def columns_of(header, tile, data, voxels):
    """The bytes of each column of a cloud's tile."""
    images = []
    widths = [int(column["type"][2]) for column in header["columns"]]
    while len(images) < len(widths):
        first = len(images)
        coder = tile["columns"][first].get("coder")
        size = {"raht.1": 3, "neighbours.1": length_of_chain(tile["columns"][first:])}.get(coder, 1)
        entries, wide = tile["columns"][first : first + size], widths[first : first + size]
        length = sum(about["bytes"] for about in entries)
        part, data = data[:length], data[length:]
        if coder == "neighbours.1":
            images += decoder("attributes").decode(entries, part, voxels, wide)
        elif coder == "raht.1":
            images += decoder("raht").decode(entries, part, voxels)
        elif "top" in entries[0]:
            images.append(image_of_ranks(entries[0], part, tile["points"], wide[0], images))
        else:
            before = images[-1] if images else None
            images.append(image_of_column(entries[0], part, tile["points"], wide[0], before))
    kinds = [column["type"] for column in header["columns"]]
    return [bytes_of(image, kind) for image, kind in zip(images, kinds, strict=True)]


def decoder(name):
    """That of format-attributes.md, which builds on this module."""
    return import_module(f"{name}_decoder")


def length_of_chain(entries):
    """format-attributes.md, chapter 1."""
    found = 1
    while found < len(entries) and entries[found].get("guides"):
        found += 1
    return found


def source_of(header, sections):
    """Chapter 1.1: the source with its bytes and texts, of which the tests have no nested ones."""
    whole = zstandard.ZstdDecompressor().decompress(sections["SRCE", 0xFFFFFFFF])
    found = {}
    for name, value in sorted(header["source"].items()):
        if isinstance(value, dict):
            ((mark, size),) = value.items()
            part, whole = whole[:size], whole[size:]
            value = part if mark == "$bytes" else part.decode()
        found[name] = value
    assert not whole
    return found


def patched(coordinate, patch, place):
    """The bits of a coordinate, some of them flipped; `patch` is a column of as wide numbers."""
    width = len(coordinate)
    flips = patch[place * width : (place + 1) * width] if patch else bytes(width)
    return bytes(a ^ b for a, b in zip(coordinate, flips, strict=True))


def coordinates(header, voxels, zeros):
    """format.md, chapter 3: grids of kind step, float32 and integers.

    zeros : axis -> a byte for each point, not 0 where the coordinate is -0.0
    """
    grid = header["grid"]
    for row, voxel in enumerate(voxels):
        for axis in range(3):
            index = voxel[axis] * grid["stride"][axis] + grid["offset"][axis]
            if grid["dtype"] == "float32":
                x = float(index) * grid["numerator"][axis] / grid["denominator"][axis]
                x += grid["origin"][axis]
                yield struct.pack("<f", -0.0 if zeros and zeros["xyz"[axis]][row] else x)
            else:
                width = int(grid["dtype"].lstrip("uint")) // 8
                yield (index % (1 << 8 * width)).to_bytes(width, "little")


WHOLE = ["colours", "neighbours", "shades", "holes", "wide", "one", "empty"]  # grids read here


@pytest.mark.parametrize("case", [*WHOLE, "rounded", "doubles", "scan"])
def test_a_decoder_written_from_the_document_agrees(case):
    header, sections = read_container((GOLDEN / case / "v1.dcz").read_bytes())
    whole = hashlib.blake2b(digest_size=16)
    for number in range(header["tiles"]):
        tile = record(sections["TILE", number])
        voxels = voxels_of(tile["meta"], {n: sections[n, number] for n in tile["streams"]})
        columns = columns_of(header, tile, sections.get(("ATTR", number), b""), voxels)
        raw = b"".join(struct.pack("<3q", *voxel) for voxel in voxels) + b"".join(columns)
        assert hashlib.blake2b(raw, digest_size=16).hexdigest() == tile["digest"]
        assert tile["points"] == len(voxels)
        axes = list(zip(*voxels, strict=True))
        assert tile["bounds"] == [[min(axis) for axis in axes], [max(axis) for axis in axes]]
        if case in WHOLE:
            named = list(zip(header["columns"], columns, strict=True))
            zeros = {about["name"]: data for about, data in named if about["role"] == "residual"}
            points = [data for about, data in named if about["role"] == "point"]
            patch = {about["name"]: data for about, data in named if about["role"] == "patch"}
            restored = [
                patched(coordinate, patch.get("xyz"[place % 3]), place // 3)
                for place, coordinate in enumerate(coordinates(header, voxels, zeros))
            ]
            whole.update(b"".join([*restored, *points]))
    if case in WHOLE:
        assert whole.digest() == sections["HASH", 0xFFFFFFFF]


def test_the_source_comes_back_with_its_bytes_and_texts():
    header, sections = read_container((GOLDEN / "holes" / "v1.dcz").read_bytes())
    source = source_of(header, sections)
    assert source["head"] == b"\0\1\xff" * 90
    assert source["note"] == "é" * 300
    assert source["format"] == "other"
    assert {column["role"] for column in header["columns"]} == {"point", "residual", "patch"}
