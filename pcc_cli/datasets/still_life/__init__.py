"""The scene that the synthetic scanner looks at: a winged figure, a vase and a tree in a garden.

All lengths are millimetres; the ground is at z = 0, the figure faces -y. Everything is made of
distance fields (`solids.py`) and painted by formulas, so it is nobody's property.
"""

from pcc_cli.datasets.still_life.figure import figure
from pcc_cli.datasets.still_life.ground import ground, pedestal
from pcc_cli.datasets.still_life.scene import Scene
from pcc_cli.datasets.still_life.tree import crown, trunk
from pcc_cli.datasets.still_life.vase import vase

__all__ = ["Scene", "still_life"]

CENTER, RADIUS = (0.0, 0.0, 75.0), 116.0  # a ball that holds the scene


def still_life() -> Scene:
    """The whole scene."""
    return Scene((ground(), pedestal(), figure(), vase(), trunk(), crown()))
