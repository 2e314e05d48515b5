"""Region masks of the canonical layout as tensors, made once a device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from engine.face import regions
from engine.face import skin as face_skin
from engine.face.layout import SLITS
from engine.synth.noise import floats


@dataclass(frozen=True, slots=True)
class Where:
    """Where things are on a square of `size` texels: (size, size) float32 tensors on `device`, kept; do not write."""

    size: int
    device: torch.device

    @lru_cache(maxsize=128)  # noqa: B019 - here and below: it is two small values
    def __call__(self, *names: str, soft: float = 0.03) -> Tensor:
        """1 inside any of the regions `names` of `engine.face.regions`, falling to 0 over `soft` (UV units)."""
        return floats(np.maximum.reduce([regions.mask(name, self.size, soft) for name in names]), self.device)

    def grid(self) -> tuple[Tensor, Tensor]:
        """v (size, 1) and u (1, size) of texel centres."""
        at = (torch.arange(self.size, device=self.device) + 0.5) / self.size
        return at[:, None], at[None]

    @lru_cache(maxsize=8)  # noqa: B019
    def beyond(self, name: str) -> Tensor:
        """Signed distance to a region's outline in UV units, negative inside."""
        return floats(regions.distance(name, self.size), self.device)

    @lru_cache(maxsize=8)  # noqa: B019
    def lash_line(self) -> Tensor:
        """Dark rim of the lids, 0..1."""
        return floats(face_skin.lash_line(self.size), self.device)

    @lru_cache(maxsize=8)  # noqa: B019
    def inner_charts(self) -> Tensor:
        """1 on the charts of mouth bag and eye sockets, else 0."""
        return floats(face_skin.inner_charts(self.size), self.device)

    @lru_cache(maxsize=8)  # noqa: B019
    def slit_v(self, name: str) -> Tensor:
        """(1, size) v of the line of the slit `name` at each column."""
        slit = next(slit for slit in SLITS if slit.name == name)
        return floats(slit.v_at((np.arange(self.size) + 0.5) / self.size)[None], self.device)
