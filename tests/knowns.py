"""What a bit coder is told, for tests: random, at every limit, or from the levels of a tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import trees

from pcc_cli.tree.contexts import Contexts, LevelContexts
from pcc_cli.tree.octree import Octree
from pcc_cli.tree.stage import Known

# Member -> number of values, and columns; `siblings` depends on the stage.
RANGES = {
    "touching": (128, ()),
    "crowd": (27, ()),
    "lineage": (2048, ()),
    "sides": (1 << 18, (3,)),
    "faces": (64, ()),
    "cells": (1 << 32, (3,)),
}


def random(rng: np.random.Generator, stage: int, count: int, spread: int = 600) -> Known:
    """`count` bits in unrelated contexts, log odds with a deviation of `spread`."""
    members = {
        name: rng.integers(0, values, (count, *columns)).astype(
            np.int64 if name == "cells" else np.int32
        )
        for name, (values, columns) in RANGES.items()
    }
    siblings = rng.integers(0, 1 << stage, count).astype(np.int32)
    logits = np.rint(rng.normal(0, spread, count)).astype(np.int32)
    return Known(logits=logits, siblings=siblings, **members)


def extremes(stage: int) -> Known:
    """Every member at both ends of its range, with the largest log odds of either sign."""
    ends = {
        name: np.array([np.zeros(columns), np.full(columns, values - 1)] * 2).astype(
            np.int64 if name == "cells" else np.int32
        )
        for name, (values, columns) in RANGES.items()
    }
    siblings = np.array([0, (1 << stage) - 1] * 2, dtype=np.int32)
    logits = np.array([-(1 << 31), -(1 << 31), (1 << 31) - 1, (1 << 31) - 1], dtype=np.int32)
    return Known(logits=logits, siblings=siblings, **ends)


def of_tree(tree: Octree, guess: float = 0.0) -> Iterator[tuple[int, int, Known, np.ndarray]]:
    """(level, stage, known, bits) of all bits of `tree`, of which the last of a node too.

    guess : log odds that a network would give the right value with, in units of 1/256
    """
    rng = np.random.default_rng(20)
    for number, (level, codes, parent_codes) in enumerate(trees.levels_of(tree)):
        contexts = LevelContexts(level, parent_codes)
        for stage in range(8):
            bits = tree.codes[number] >> stage & 1
            logits = np.rint((2.0 * bits - 1.0) * guess + rng.normal(0, 256, len(bits)))
            context = contexts.at(stage, codes)
            named = {field.name: getattr(context, field.name).numpy() for field in fields(Contexts)}
            yield number, stage, Known(logits=logits.astype(np.int32), **named), bits
