"""Latents to range-coded bytes and back, with any entropy model: one walk for both directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs.deepcompress import scales
from pcc_cli.codecs.deepcompress.latents import Quantizer, about_quality
from pcc_cli.codecs.deepcompress.model import DeepCompressModel
from pcc_cli.codecs.deepcompress.scales import FRACTIONS
from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.geometry import Array
from pcc_cli.tree.neighbours import Level

_ROWS = 1 << 15  # symbols whose tables are made at once

# means in 1/16, scale indices, (m, c) each, and which part of the latents -> whole steps (m, c)
Exchange = Callable[[Array, Array, "Part"], Array]


@dataclass(frozen=True)
class Part:
    """is_hyper : whether of the hyper-latents; rows, channels : which of them"""

    is_hyper: bool
    rows: Tensor | slice
    channels: slice


_HYPER = Part(True, slice(None), slice(None))


@dataclass(frozen=True)
class Latents:
    """steps : (n, C) int64, what was coded; inputs : (n, C) activations of it"""

    steps: Tensor
    inputs: Tensor


def encode(
    model: DeepCompressModel,
    quality: int,
    parents: Level,
    level: Level,
    wanted: Callable[[Part], Array],
) -> tuple[bytes, Latents]:
    """The stream, and the latents that the decoder will get.

    wanted : the whole steps (m, c) of a part; those beyond the reach of their table are limited
    """
    encoder = RangeEncoder()

    def exchange(means: Array, indices: Array, part: Part) -> Array:
        whole = (means + FRACTIONS // 2) >> 4
        reach = scales.reach_of(indices)
        symbols = np.clip(wanted(part) - whole, -reach, reach)
        for rows, table, reached in _tables(means - whole * FRACTIONS, indices):
            encoder.encode(symbols.flat[rows] + reached, table)
        steps: Array = whole + symbols
        return steps

    latents = _walk(model, quality, parents, level, exchange)
    return encoder.finish(), latents


def decode(
    model: DeepCompressModel, quality: int, parents: Level, level: Level, stream: bytes
) -> Latents:
    """The latents of a stream; FormatError when it does not end with the last of them."""
    decoder = RangeDecoder(stream)

    def exchange(means: Array, indices: Array, part: Part) -> Array:
        whole = (means + FRACTIONS // 2) >> 4
        steps = whole.copy()
        for rows, table, reached in _tables(means - whole * FRACTIONS, indices):
            steps.flat[rows] += decoder.decode(table) - reached
        return steps

    latents = _walk(model, quality, parents, level, exchange)
    decoder.finish()
    return latents


def _tables(fractions: Array, indices: Array) -> Any:
    """(places in the flat symbols, frequencies, reach) of symbols with like reach, in turn."""
    flat, part = indices.ravel(), fractions.ravel() + FRACTIONS // 2
    kinds = scales.class_of(flat)
    for number, (_, reach) in enumerate(scales.CLASSES):
        first = scales.CLASSES[number - 1][0] if number else 0
        table = scales.frequency_table(number)
        places = np.flatnonzero(kinds == number)
        for start in range(0, len(places), _ROWS):
            rows = places[start : start + _ROWS]
            yield rows, table[flat[rows] - first, part[rows]], reach


def _walk(
    model: DeepCompressModel, quality: int, parents: Level, level: Level, exchange: Exchange
) -> Latents:
    """Hyper-latents, then the steps of the entropy model; `exchange` turns predictions to steps."""
    device = model.layers.device
    about = model.layers.constant(about_quality(quality).to(device))
    prior = model.prior(model.config, model.layers, level, about)
    if prior.has_hyper:
        quantizer = Quantizer.at(model.hyper_gains, quality)
        means, indices = quantizer.predicted(prior.hyper_prediction())
        shape = len(parents), model.config.hyper
        steps = _exchanged(exchange, means.expand(shape), indices.expand(shape), _HYPER)
        inputs = model.layers.constant(quantizer.activations(steps.to(device)))
        prior.enter(inputs, parents)
    quantizer = Quantizer.at(model.latent_gains, quality)
    coded = torch.zeros(len(level), model.config.latents, dtype=torch.int64, device=device)
    known = model.layers.constant(torch.zeros_like(coded))
    for number, step in enumerate(prior.steps()):
        rows, channels = step.rows(level), step.channels
        means, indices = quantizer.predicted(prior.predict(number, known)[rows], channels)
        steps = _exchanged(exchange, means, indices, Part(False, rows, channels)).to(device)
        coded[rows, channels] = steps
        known[rows, channels] = model.layers.constant(quantizer.part(channels).activations(steps))
    return Latents(coded, known)


def _exchanged(exchange: Exchange, means: Tensor, indices: Tensor, part: Part) -> Tensor:
    mean, index = (np.ascontiguousarray(values.cpu().numpy()) for values in (means, indices))
    return torch.from_numpy(exchange(mean, index, part))
