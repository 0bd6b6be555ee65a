"""Colours by a region-adaptive hierarchical transform, quantized: to bytes and back.

    mean of all points -> levels of the octree -> blocks of two to eight children
    guess from around -> differences in the block -> steps of the quantizer -> range coder

Encoder and decoder share one walk down the tree, on the values that the decoder knows; they
differ in who exchanges expectations for coefficients. docs/format-attributes.md, part 2, is the
specification. Unlike everything else that is stored, this is made to lose something.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pcc_cli.attributes.hierarchy import Level, levels
from pcc_cli.attributes.magnitudes import UNIT, MagnitudeReader, MagnitudeWriter, parts
from pcc_cli.attributes.surroundings import Surroundings, View
from pcc_cli.attributes.transform import SLOTS, Blocks
from pcc_cli.geometry import Array

BLOCKS = 2048  # coded with what was learned before; at most 2**14 coefficients
ROOT_BITS = 24  # of the mean of all points, in parts
_HALF = 1 << ROOT_BITS - 1
_OTHERS = 3  # inputs beside the first two: a constant, and which pair it is


@dataclass(frozen=True)
class Coded:
    """A channel as it is stored: the range-coded stream, and bits that follow no model."""

    stream: bytes
    plain: bytes


def encode(channels: Array, voxels: Array, step: float) -> tuple[list[Coded], Array]:
    """`channels` (k, n) float64 of points at `voxels` (n, 3), coded in steps of `step`; and the
    (k, n) float64 values that `decode` gives."""
    tree = levels(voxels)
    side = _Writer(channels, tree)
    decoded = _walk(side, tree, len(channels), step)
    return [
        Coded(writer.stream.finish(), writer.plain.finish()) for writer in side.writers
    ], decoded


def decode(coded: Sequence[Coded], voxels: Array, step: float) -> Array:
    """(k, n) float64 channels; FormatError when the data are damaged."""
    side = _Reader(coded)
    decoded = _walk(side, levels(voxels), len(coded), step)
    for reader in side.readers:
        reader.finish()
    return decoded


class _Side(Protocol):
    """What encoder and decoder do in their own ways."""

    def root(self) -> list[int]:
        """The mean of all points in each channel, in parts of 1."""

    def begin(self, depth: int, blocks: Blocks, guessed: Array, scale: Array) -> None:
        """Blocks of the level `depth` come next; `guessed` (k, 7, s) are their differences, and
        `scale` (7, s) makes steps of the quantizer of them."""

    def exchange(self, channel: int, there: Array, inputs: Array) -> Array:
        """(m,) int64 coefficients of the pairs `there` (7, s), expected as `inputs` (i, m) say."""


class _Writer:
    def __init__(self, channels: Array, tree: list[Level]) -> None:
        self.writers = [MagnitudeWriter(_OTHERS + k) for k in range(len(channels))]
        self._means = [channels]
        for level in tree:
            weights = np.add.reduceat(level.weights, level.firsts)
            sums = np.add.reduceat(self._means[-1] * level.weights, level.firsts, axis=1)
            self._means.append(sums / weights)
        self._wanted = channels[:0]

    def root(self) -> list[int]:
        means = [int(mean) for mean in np.floor(self._means[-1][:, 0] * UNIT + 0.5)]
        for writer, mean in zip(self.writers, means, strict=True):
            writer.plain.put(np.array([mean + _HALF]), np.array([ROOT_BITS]))
        return means

    def begin(self, depth: int, blocks: Blocks, guessed: Array, scale: Array) -> None:
        actual = blocks.differences(self._means[depth][:, blocks.nodes])
        self._wanted = (actual - guessed) * scale

    def exchange(self, channel: int, there: Array, inputs: Array) -> Array:
        return self.writers[channel].exchange(inputs, self._wanted[channel][there])


class _Reader:
    def __init__(self, coded: Sequence[Coded]) -> None:
        self.readers = [
            MagnitudeReader(_OTHERS + k, channel.stream, channel.plain)
            for k, channel in enumerate(coded)
        ]

    def root(self) -> list[int]:
        bits = np.array([ROOT_BITS])
        return [int(reader.plain.take(bits)[0]) - _HALF for reader in self.readers]

    def begin(self, depth: int, blocks: Blocks, guessed: Array, scale: Array) -> None:
        pass

    def exchange(self, channel: int, there: Array, inputs: Array) -> Array:
        return self.readers[channel].exchange(inputs)


def _walk(side: _Side, tree: list[Level], channels: int, step: float) -> Array:
    """The decoded values (k, n) of the points.

    While blocks are coded, a thread looks around the next ones of the stage, which do not touch.
    """
    means = np.array([side.root()], dtype=np.float64) / UNIT
    errors = np.zeros((1, channels))
    with ThreadPoolExecutor(1) as ahead:
        for depth in reversed(range(len(tree))):
            nodes = Surroundings(tree[depth], means, errors)
            for stage in nodes.stages():
                parts_of_stage = [stage[k : k + BLOCKS] for k in range(0, len(stage), BLOCKS)]
                for seen in ahead.map(nodes.look, parts_of_stage):
                    _code(side, depth, nodes, seen, step)
            means, errors = nodes.means, nodes.errors
    return means.T.copy()


def _code(side: _Side, depth: int, nodes: Surroundings, seen: View, step: float) -> None:
    """Codes the blocks of the level `depth` that were `seen`."""
    blocks, guessed = seen.blocks, seen.differences
    there = blocks.gains > 0
    scale = blocks.gains / step
    side.begin(depth, blocks, guessed, scale)
    steps = np.zeros_like(guessed)
    known = _constants(there)
    for channel in range(len(seen.own)):
        around = [
            parts((values * scale)[there]) for values in (seen.scatter[channel], seen.near[channel])
        ]
        found = side.exchange(channel, there, np.stack([*around, *known]))
        steps[channel][there] = found / scale[there]
        known.insert(0, parts(np.abs(found).astype(np.float64)))
    nodes.keep(seen, blocks.means(seen.own, guessed + steps))


def _constants(there: Array) -> list[Array]:
    """A constant, and whether a pair is the coarsest one of its block or one of the next two."""
    slots = np.broadcast_to(np.arange(SLOTS)[:, None], there.shape)[there]
    return [
        np.full(len(slots), float(UNIT)),
        (slots == 0) * float(UNIT),
        ((slots == 1) | (slots == 2)) * float(UNIT),
    ]
