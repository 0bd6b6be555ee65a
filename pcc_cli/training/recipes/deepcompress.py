"""How the deepcompress networks are trained: rate and distortion, at all qualities at once.

    loss = focal loss of the children of three levels / voxels + bits of the latents / voxels / a

where a = worth ** quality. First the transforms learn together with the `hyperprior` model; then
they stay as they are, and each of the other entropy models learns to predict their latents.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pcc_cli.codecs.deepcompress import priors
from pcc_cli.codecs.deepcompress.latents import quality_activation
from pcc_cli.codecs.deepcompress.model import export
from pcc_cli.codecs.deepcompress.network import (
    EXTRA,
    STAGES,
    Analysis,
    NetworkConfig,
    Synthesis,
    bits_of,
    codes_of,
    is_logit,
    is_residual,
)
from pcc_cli.codecs.deepcompress.priors.base import Prior
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array
from pcc_cli.nn.layers import FloatLayers
from pcc_cli.nn.quantizers import ACTIVATION_MAX, ACTIVATION_STEP, round_through
from pcc_cli.training import checkpoint
from pcc_cli.training.loop import CHECKPOINT
from pcc_cli.training.recipes.augment import augmented, cropped
from pcc_cli.training.recipes.base import Cloud, Recipe
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.morton import depth_of, morton_order
from pcc_cli.tree.neighbours import Level

LOG_SCALE_MIN, LOG_SCALE_MAX = -3.5, 4.4
_FAIR = 4.0  # the worth from which a quality moves the latents themselves as it wants
_STEPS = 2  # of an entropy model that one training step looks at
_LITTLE = 0.01  # bits a voxel; rates far below weigh little
_RARE = 1e-6  # a chance below which float32 knows no difference
SHARES = {"mesh": 0.65, "capture": 0.35}


@dataclass(frozen=True)
class DeepCompressRecipe:
    """Settings of data and loss."""

    nodes: int = 32_000
    shift_bits: int = 4
    entropy_models: tuple[str, ...] = ("hyperprior",)
    transforms: str = ""  # folder of a run whose transforms are taken, and stay as they are
    worth: tuple[float, ...] = (2.0, 3.6, 6.6, 12.0, 22.0, 40.0)  # a, by quality
    level_weights: tuple[float, ...] = (2.0, 1.5, 1.0)  # of the levels, coarse first
    alpha: float = 0.5  # focal loss: weight of occupied children; empty ones have 1 - alpha
    rate_from: int = 1000  # steps in which latents cost nothing, until the synthesis knows them
    rate_warmup: int = 2000  # steps after those in which their price rises
    gamma: float = 0.0  # focal loss: how much less what is certain counts
    augment: bool = True  # whether clouds are turned and moved
    mixed_precision: bool = True  # bfloat16 products; else float32
    entropy_rate: float = 1.0  # rate of the entropy models, in units of that of the transforms


@dataclass(frozen=True)
class Sight:
    """A cloud as the networks see it: levels of depth d - 4 .. d - 1, and the codes of each."""

    levels: list[Level]
    codes: list[Tensor]
    voxels: int


def sight(voxels: Array, device: torch.device) -> Sight:
    """Of `voxels` (n, 3), distinct, in Morton order."""
    tree = octree.build(voxels, max(depth_of(voxels), STAGES + 1))
    level, levels, codes = neighbours.root(device), [], []
    for number, level_codes in enumerate(tree.codes):
        code = torch.from_numpy(level_codes).to(device)
        if number >= tree.depth - STAGES - 1:
            levels.append(level)
            codes.append(code)
        if number + 1 < tree.depth:
            level = neighbours.children(level, code)
    return Sight(levels, codes, len(voxels))


class DeepCompressNetwork(nn.Module):
    """Float layers of the transforms and of entropy models, and the gains of each quality.

    log_gains, hyper_gains : (qualities, channels), log2; one step of quantization is 2**-gain
    """

    def __init__(
        self, config: NetworkConfig, entropy_models: Sequence[str], mixed_precision: bool = True
    ) -> None:
        super().__init__()
        self.config = config
        self.priors = [priors.get(name) for name in entropy_models]
        shapes = config.layers()
        for prior in self.priors:
            shapes |= prior.shapes(config)
        loud = {"a.out", "h.out"}  # latents that hardly differ would be rounded to nothing
        quiet = {name for name in shapes if is_residual(name) or is_logit(name)} - loud
        dtype = torch.bfloat16 if mixed_precision else torch.float32
        self.layers = FloatLayers(shapes, frozenset(quiet), dtype)
        rows = torch.linspace(0.0, 2.5, config.qualities)[:, None]
        self.log_gains = nn.Parameter(rows.repeat(1, config.latents))
        self.hyper_gains = nn.Parameter(0.5 * rows.repeat(1, config.hyper))

    def is_of_prior(self, parameter: str) -> bool:
        """Whether the parameter with this name belongs to an entropy model."""
        own = tuple(f"{prior.name}_" for prior in self.priors)
        return parameter.rpartition(".")[2].startswith(own)

    @property
    def quantized(self) -> bool:
        return self.layers.quantized

    @quantized.setter
    def quantized(self, value: bool) -> None:
        self.layers.quantized = value

    def about(self, quality: int) -> Tensor:
        """(EXTRA,) the activations that say which quality it is."""
        values = torch.zeros(EXTRA, dtype=torch.long, device=self.log_gains.device)
        values[0] = 64
        values[1] = quality_activation(quality / max(self.config.qualities - 1, 1))
        return self.layers.constant(values)


def activations(values: Tensor) -> Tensor:
    """Latents as layer inputs: 0 is in the middle."""
    shifted = (values / ACTIVATION_STEP + 64).clamp(1, ACTIVATION_MAX)
    return round_through(shifted) * ACTIVATION_STEP


def gaussian_bits(values: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Sum of -log2 of the probability that a normal variable rounds to `values`."""
    scale = torch.exp2(log_scale.clamp(LOG_SCALE_MIN, LOG_SCALE_MAX))
    far = (values - mean).abs() / scale
    half = 0.5 / scale
    root = math.sqrt(0.5)
    chance = 0.5 * (torch.erfc((far - half) * root) - torch.erfc((far + half) * root))
    # Far out, where the difference vanishes, its logarithm still grows with the square.
    tail = 0.5 * far**2 / math.log(2)
    bits = torch.where(chance > _RARE, -torch.log2(chance.clamp_min(_RARE)), tail)
    return bits.sum()


def focal_loss(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    """The sum over all elements, in bits; with alpha 1/2 and gamma 0 half the cross-entropy."""
    loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if gamma:
        loss = loss * (1 - torch.exp(-loss)) ** gamma
    weight = torch.where(targets > 0, alpha, 1 - alpha)
    return (weight * loss).sum() / math.log(2)


@dataclass(frozen=True)
class Quantized:
    """Latents (n, c) on their way through the file.

    values : in steps of quantization, rounded, or with noise in place of rounding
    inputs : activations of what the decoder gets
    log_gain : (c,)
    """

    values: Tensor
    inputs: Tensor
    log_gain: Tensor

    @classmethod
    def of(
        cls,
        latents: Tensor,
        log_gain: Tensor,
        noisy: bool,
        pull: tuple[float, float],
        dtype: torch.dtype,
    ) -> Quantized:
        """pull : how much of the gradient of the rate reaches latents and gains"""
        gain = torch.exp2(log_gain)
        scaled = latents * gain
        rounded = round_through(scaled)
        # Rounding lets no gradient through to the rate; uniform noise of the same size does.
        pulled_gain = log_gain.detach() + pull[1] * (log_gain - log_gain.detach())
        by_latents, by_gain = latents * gain.detach(), latents.detach() * torch.exp2(pulled_gain)
        pulled = by_gain + pull[0] * (by_latents - by_latents.detach())
        values = pulled + torch.rand_like(scaled) - 0.5 if noisy else rounded
        return cls(values, activations(rounded / gain).to(dtype), pulled_gain)

    def bits(
        self, prediction: Tensor, rows: Any = slice(None), channels: slice = slice(None)
    ) -> Tensor:
        """Bits of the given part, of which `prediction` has means and scales side by side."""
        mean, log_scale = prediction.chunk(2, dim=1)
        log_gain = self.log_gain[channels]
        values = self.values[rows][:, channels]
        return gaussian_bits(values, mean * torch.exp2(log_gain), log_scale + log_gain)


class DeepCompressTask:
    """The parts that `training.loop` needs: draw, loss, evaluate."""

    def __init__(
        self,
        config: NetworkConfig,
        recipe: DeepCompressRecipe,
        train: Sequence[Cloud],
        dev: Sequence[Cloud],
        device: torch.device,
    ) -> None:
        if len(recipe.worth) != config.qualities or len(recipe.level_weights) != STAGES:
            raise InputError(
                f"worth needs a number for each of {config.qualities} qualities, "
                f"level_weights for each of {STAGES} levels"
            )
        self.config, self.recipe, self.device = config, recipe, device
        self.train = [sample for sample in train if sample.domain in SHARES]
        self.dev = dev
        domains = [sample.domain for sample in self.train]
        weights = np.array([SHARES[domain] / domains.count(domain) for domain in domains])
        self.chances = weights / weights.sum()
        self.layers = DeepCompressNetwork(config, recipe.entropy_models, recipe.mixed_precision).to(
            device
        )
        for name, parameter in self.layers.named_parameters():
            if self.layers.is_of_prior(name):
                parameter.rate_factor = recipe.entropy_rate  # type: ignore[attr-defined]
        self.step = 0
        self.keeps_transforms = bool(recipe.transforms)
        if self.keeps_transforms:
            _take_transforms(self.layers, Path(recipe.transforms))

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss of one random training cloud at one random quality."""
        torch.manual_seed(int(rng.integers(1 << 31)))  # of the noise
        sample = self.train[int(rng.choice(len(self.train), p=self.chances))]
        recipe = self.recipe
        if recipe.augment:
            voxels = augmented(sample.voxels(), recipe.nodes, recipe.shift_bits, rng)
        else:
            voxels = cropped(sample.voxels(), recipe.nodes, rng)
            voxels = voxels[morton_order(voxels)]
        seen = sight(voxels, self.device)
        quality = int(rng.integers(self.config.qualities))
        if self.keeps_transforms:
            return self._prior_loss(seen, quality)
        distortion, latent_bits, hyper_bits = self._parts(seen, quality, noisy=True)
        rate = (latent_bits + hyper_bits) / seen.voxels
        loss = distortion / seen.voxels + rate / self.recipe.worth[quality]
        return loss, {
            f"distortion{quality}": float(distortion.detach()) / seen.voxels,
            f"bpp{quality}": float(rate.detach()),
            f"hyper{quality}": float(hyper_bits.detach()) / seen.voxels,
        }

    def _prior_loss(self, seen: Sight, quality: int) -> tuple[Tensor, dict[str, float]]:
        """Of the entropy models alone: the logarithm of bits, so that all qualities count alike."""
        about = self.layers.about(quality)
        with torch.no_grad():
            coded = self._coded(seen, quality, noisy=False)
        loss, values = torch.zeros((), device=self.device), {}
        for prior in self.layers.priors:
            total = torch.stack(self._bits(prior, seen, about, *coded, most=_STEPS)).sum()
            loss = loss + torch.log(total / seen.voxels + _LITTLE)
            values[f"{prior.name}{quality}"] = float(total.detach()) / seen.voxels
        return loss, values

    def _coded(self, seen: Sight, quality: int, noisy: bool) -> tuple[Quantized, Quantized]:
        """Latents and hyper-latents of a cloud."""
        network = self.layers
        analysis = Analysis(self.config, network.layers)
        latents, features = analysis.latents(seen.levels[1:], seen.codes[-1])
        hyper = analysis.hyper_latents(features, seen.levels[1], len(seen.levels[0]))
        dtype = network.layers.dtype
        # At first latents tell the synthesis nothing that would be worth its bits. And a quality
        # at which they hardly are is to lower its gains, not the latents of the others.
        begun = (self.step - self.recipe.rate_from) / max(self.recipe.rate_warmup, 1)
        opened = min(max(begun, 0.0), 1.0)
        pull = opened * min(self.recipe.worth[quality] / _FAIR, 1.0), opened
        return (
            Quantized.of(latents, network.log_gains[quality], noisy, pull, dtype),
            Quantized.of(hyper, network.hyper_gains[quality], noisy, pull, dtype),
        )

    def _parts(self, seen: Sight, quality: int, noisy: bool) -> tuple[Tensor, Tensor, Tensor]:
        """(weighted distortion, bits of latents, bits of hyper-latents), sums over the cloud."""
        about = self.layers.about(quality)
        coded, hyper = self._coded(seen, quality, noisy)
        bits = [self._bits(prior, seen, about, coded, hyper) for prior in self.layers.priors]
        latent_bits, hyper_bits = (torch.stack(parts).sum() for parts in zip(*bits, strict=True))
        entered = torch.cat([coded.inputs, about.expand(len(coded.inputs), EXTRA)], dim=1)
        return self._distortion(seen, entered), latent_bits, hyper_bits

    def _bits(
        self,
        prior_type: type[Prior],
        seen: Sight,
        about: Tensor,
        coded: Quantized,
        hyper: Quantized,
        most: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Bits of latents and of hyper-latents with one entropy model.

        most : steps of the entropy model that are looked at, random ones that stand for all
        """
        parents, level = seen.levels[:2]
        prior = prior_type(self.config, self.layers.layers, level, about)
        hyper_bits = torch.zeros((), device=self.device)
        if prior.has_hyper:
            hyper_bits = hyper.bits(prior.hyper_prediction())
            prior.enter(hyper.inputs, parents)
        steps = prior.steps()
        chosen = torch.randperm(len(steps))[:most].tolist()
        latent_bits = torch.zeros((), device=self.device)
        for number in chosen:
            known = torch.zeros_like(coded.inputs)
            for step in steps[:number]:
                rows = step.rows(level)
                known[rows, step.channels] = coded.inputs[rows, step.channels]
            rows, channels = steps[number].rows(level), steps[number].channels
            prediction = prior.predict(number, known)[rows]
            latent_bits = latent_bits + coded.bits(prediction, rows, channels)
        return latent_bits * (len(steps) / len(chosen)), hyper_bits

    def _distortion(self, seen: Sight, inputs: Tensor) -> Tensor:
        """Of all three levels, each on the children that are occupied or taken for occupied."""
        recipe = self.recipe
        synthesis = Synthesis(self.config, self.layers.layers)
        level, target = seen.levels[1], seen.codes[1]
        synthesis.enter(inputs, level)
        total = torch.zeros((), device=self.device)
        for number in range(STAGES):
            logits = synthesis.log_odds()
            bits = bits_of(target)
            loss = focal_loss(logits, bits.float(), recipe.alpha, recipe.gamma)
            total = total + recipe.level_weights[number] * loss
            if number + 1 < STAGES:
                kept = bits | (logits.detach() > 0)
                level = neighbours.children(level, codes_of(kept))
                synthesis.descend(level)
                below = torch.zeros(len(level), dtype=torch.uint8, device=self.device)
                below[bits[kept > 0] > 0] = seen.codes[number + 2]
                target = below
        return total

    def export(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """(config.json, tensors) of the model as it is now."""
        network = self.layers
        names = [prior.name for prior in network.priors]
        return export(self.config, names, network.layers, network.log_gains, network.hyper_gains)

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Distortion and rate, in bits per voxel, of every dev cloud at the trained qualities.

        Its "score" is the mean loss.
        """
        scores, losses = {}, []
        for sample in self.dev:
            voxels = sample.voxels()
            seen = sight(voxels[morton_order(voxels)], self.device)
            for quality in range(self.config.qualities):
                distortion, *rates = self._parts(seen, quality, noisy=False)
                scores[f"{sample.name}, distortion{quality}"] = float(distortion) / seen.voxels
                rate = float(torch.stack(rates).sum())
                scores[f"{sample.name}, bpp{quality}"] = rate / seen.voxels
                loss = float(distortion) + rate / self.recipe.worth[quality]
                losses.append(loss / seen.voxels)
        return {**scores, "score": sum(losses) / len(losses)} if losses else {}


def _take_transforms(network: DeepCompressNetwork, run: Path) -> None:
    """The transforms and gains of a `run`, for good; and of entropy models what can begin there."""
    described = json.loads((run / "settings.json").read_text())
    source = DeepCompressNetwork(network.config, described["recipe"]["entropy_models"])
    checkpoint.load_weights(run / CHECKPOINT, source)
    known = dict(source.named_parameters())
    first = source.priors[0].name
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            alike = known.get(name)
            for prior in network.priors:  # all have the hyper-synthesis in common
                other = known.get(name.replace(f".{prior.name}_", f".{first}_"))
                alike = other if alike is None else alike
            if alike is not None and alike.shape == parameter.shape:
                parameter.copy_(alike)
            if not network.is_of_prior(name):
                parameter.requires_grad_(False)


RECIPE = Recipe(DeepCompressRecipe, NetworkConfig, DeepCompressTask)
