"""From coordinates to voxels on an integer grid, and back.

`fit` finds the grid, `restore` undoes it, `Grid` is what a file stores; docs/format.md chapter 3.
"""

from pcc_cli.grid.fit import Fit, fit
from pcc_cli.grid.grid import Grid, restore

__all__ = ["Fit", "Grid", "fit", "restore"]
