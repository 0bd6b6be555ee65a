"""What a decoder must know of a network before its numbers, in ten bytes."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
import torch

from pcc_cli.codecs.keyspheres import network
from pcc_cli.codecs.keyspheres.network import Field
from pcc_cli.codecs.keyspheres.spheres import RADII, Spheres
from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array

MOST = {"layers": 16, "width": 512, "spheres": 2048}
HEAD = struct.Struct("<BHHBf")
_LATENT, _LEAKY, _DOUBLE = 1, 2, 4


@dataclass(frozen=True)
class Plan:
    """layers, width, spheres : K, Q and M of the paper
    latent, activation, band : as the settings of the codec
    double : whether vertices are float64, not float32
    """

    layers: int
    width: int
    spheres: int
    latent: bool
    activation: str
    band: float
    double: bool = False

    def shapes(self) -> list[tuple[int, int]]:
        return network.shapes(self.layers, self.width, self.spheres, self.latent)

    @property
    def numbers(self) -> int:
        """Of the network."""
        return sum(math.prod(shape) for shape in self.shapes())

    def field(self, keys: Spheres, device: torch.device) -> Field:
        centres = torch.from_numpy(keys.centres().astype(np.float32)).to(device)
        depths = torch.from_numpy((-keys.radii / RADII).astype(np.float32)).to(device)
        return Field(centres, depths, self.latent, self.activation)

    def distances(self, values: Array) -> Array:
        """Signed distances that the outputs `values` stand for; cut off some bands away."""
        found: Array = np.arctanh(np.clip(values, -0.999, 0.999)) * self.band
        return found if self.band else values

    def pack(self) -> bytes:
        flags = _LATENT * self.latent + _LEAKY * (self.activation == "leaky")
        flags += _DOUBLE * self.double
        return HEAD.pack(self.layers, self.width, self.spheres, flags, self.band)

    @classmethod
    def unpack(cls, data: bytes) -> Plan:
        """From the front of `data`. FormatError for what no encoder writes."""
        if len(data) < HEAD.size:
            raise FormatError("the description of a mesh is cut off")
        layers, width, spheres, flags, band = HEAD.unpack_from(data)
        if not (1 <= layers <= MOST["layers"] and 1 <= width <= MOST["width"]):
            raise FormatError(f"a network of {layers} layers of {width} units is not possible")
        if spheres > MOST["spheres"] or flags >= 8 or not 0 <= band <= 2:
            raise FormatError("the network of a mesh is of an unknown kind")
        activation = "leaky" if flags & _LEAKY else "sine"
        latent, double = bool(flags & _LATENT), bool(flags & _DOUBLE)
        return cls(layers, width, spheres, latent, activation, band, double)
