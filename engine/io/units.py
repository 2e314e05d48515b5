"""Which unit a head's file is in, by the size of what is in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.errors import FileFormatError

UNITS_M = {"metre": 1.0, "decimetre": 0.1, "centimetre": 0.01, "millimetre": 0.001, "inch": 0.0254}
SMALLEST_M, LARGEST_M = 0.16, 0.50
"""Height of what people save as a head: from a face with forehead to a bust with shoulders."""


def metres_per_unit(positions: np.ndarray, path: Path) -> float:
    """Metres per unit of (V, 3) `positions` in the file `path`; FileFormatError where no common unit gives a head.

    The unit is chosen that brings the height nearest to 0.3 m; inches only where no metric unit fits.
    """
    height = float(np.ptp(positions[:, 1]))
    fits = {name: scale for name, scale in UNITS_M.items() if SMALLEST_M <= height * scale <= LARGEST_M}
    metric = {name: scale for name, scale in fits.items() if name != "inch"} or fits
    if not metric:
        raise FileFormatError(
            f"{path}: expected a head {SMALLEST_M * 1000:g} to {LARGEST_M * 1000:g} mm tall in m, dm, cm, mm or inch, "
            f"found {height:g} units from top to bottom; scale it"
        )
    return min(metric.values(), key=lambda scale: abs(height * scale - 0.3))
