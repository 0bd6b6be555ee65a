"""Contexts of a bit, against their definition in plain Python."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import trees

from pcc_cli.tree.contexts import LevelContexts

CLOUDS = {name: cloud[:150] for name, cloud in trees.clouds().items()}
FACES = [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (1, 0, 0), (0, 1, 0), (0, 0, 1)]


def moved(cell, offset):
    return tuple(a + b for a, b in zip(cell, offset, strict=True))


def touching(cell, stage: int, codes: dict) -> int:
    """The seven children that touch child `stage` from outside its node, one bit each."""
    octant = (stage >> 2, stage >> 1 & 1, stage & 1)
    child = tuple(2 * c + o for c, o in zip(cell, octant, strict=True))
    total = 0
    for mask in range(1, 8):
        outward = [(2 * o - 1) * (mask >> (2 - axis) & 1) for axis, o in enumerate(octant)]
        x, y, z = moved(child, outward)
        code = codes.get((x >> 1, y >> 1, z >> 1))
        number = 4 * (x & 1) + 2 * (y & 1) + (z & 1)
        known = code is not None and (number >= stage or code >> number & 1)
        total |= bool(known) << (mask - 1)
    return total


def side(cell, axis: int, stage: int, codes: dict) -> int:
    """Known bits of the nearest nodes before and after on an axis, whether they touch, the bend."""
    line = [other for other in codes if all(other[k] == cell[k] for k in range(3) if k != axis)]
    before = max((o for o in line if o[axis] < cell[axis]), default=None)
    after = min((o for o in line if o[axis] > cell[axis]), default=None)
    total = 0
    for place, mate in enumerate((before, after)):
        if mate is not None:
            total |= (codes[mate] & ((1 << stage) - 1) | 0x80) << 8 * place
            total |= (abs(mate[axis] - cell[axis]) == 1) << (16 + place)
    if before is not None and after is not None:
        middle = before[axis] + after[axis] - 2 * cell[axis]
        total |= (max(-2, min(2, middle)) + 3) << 18
    return total


def expected(cells, codes: dict, parents: dict, stage: int) -> Iterator[tuple]:
    for cell in cells:
        near = [
            moved(cell, (x, y, z)) in codes
            for x in (-1, 0, 1)
            for y in (-1, 0, 1)
            for z in (-1, 0, 1)
        ]
        x, y, z = cell
        octant = 4 * (x & 1) + 2 * (y & 1) + (z & 1)
        faces = sum((moved(cell, face) in codes) << place for place, face in enumerate(FACES))
        yield (
            touching(cell, stage, codes),
            codes[cell] & ((1 << stage) - 1),
            sum(near) - 1,
            8 * parents[x >> 1, y >> 1, z >> 1] + octant,
            tuple(side(cell, axis, stage, codes) for axis in range(3)),
            faces,
            cell,
        )


def members(context) -> Iterator[tuple]:
    columns = (
        context.touching.tolist(),
        context.siblings.tolist(),
        context.crowd.tolist(),
        context.lineage.tolist(),
        [tuple(row) for row in context.sides.tolist()],
        context.faces.tolist(),
        [tuple(row) for row in context.cells.tolist()],
    )
    return zip(*columns, strict=True)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_contexts_are_what_they_say(cloud):
    parents = {(0, 0, 0): 255}
    for level, codes, parent_codes in trees.levels_of(trees.tree_of(CLOUDS[cloud])):
        cells = [tuple(cell) for cell in level.cells.tolist()]
        by_cell = dict(zip(cells, codes.tolist(), strict=True))
        contexts = LevelContexts(level, parent_codes)
        for stage in range(8):
            found = list(members(contexts.at(stage, codes)))
            assert found == list(expected(cells, by_cell, parents, stage))
        parents = by_cell


def test_bits_that_are_not_known_yet_are_not_read():
    rng = torch.Generator().manual_seed(10)
    for level, codes, parent_codes in trees.levels_of(trees.tree_of(CLOUDS["lidar"])):
        contexts = LevelContexts(level, parent_codes)
        noise = torch.randint(0, 256, codes.shape, generator=rng, dtype=torch.uint8)
        for stage in range(8):
            unknown = (255 << stage) & 255
            other = codes & ~unknown | noise & unknown
            assert list(members(contexts.at(stage, codes))) == list(
                members(contexts.at(stage, other))
            )
