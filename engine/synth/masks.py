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


@dataclass(frozen=True, slots=True)
class Where:
    """Where things are on a square of `size` texels: (size, size) float32 tensors on `device`, kept; do not write."""

    size: int
    device: torch.device

    def __call__(self, *names: str, soft: float = 0.03) -> Tensor:
        """1 inside any of the regions `names` of `engine.face.regions`, falling to 0 over `soft` (UV units)."""
        return _mask(names, soft, self.size, self.device)

    def grid(self) -> tuple[Tensor, Tensor]:
        """v (size, 1) and u (1, size) of texel centres."""
        at = (torch.arange(self.size, device=self.device) + 0.5) / self.size
        return at[:, None], at[None]

    def beyond(self, name: str) -> Tensor:
        """Signed distance to a region's outline in UV units, negative inside."""
        return _kept("beyond", name, self.size, self.device)

    def lash_line(self) -> Tensor:
        """Dark rim of the lids, 0..1."""
        return _kept("lash_line", "", self.size, self.device)

    def inner_charts(self) -> Tensor:
        """1 on the charts of mouth bag and eye sockets, else 0."""
        return _kept("inner_charts", "", self.size, self.device)

    def slit_v(self, name: str) -> Tensor:
        """(1, size) v of the line of the slit `name` at each column."""
        return _kept("slit_v", name, self.size, self.device)


@lru_cache(maxsize=128)
def _mask(names: tuple[str, ...], soft: float, size: int, device: torch.device) -> Tensor:
    return _tensor(np.maximum.reduce([regions.mask(name, size, soft) for name in names]), device)


@lru_cache(maxsize=32)
def _kept(kind: str, name: str, size: int, device: torch.device) -> Tensor:
    if kind == "beyond":
        return _tensor(regions.distance(name, size), device)
    if kind == "lash_line":
        return _tensor(face_skin.lash_line(size), device)
    if kind == "inner_charts":
        return _tensor(face_skin.inner_charts(size), device)
    slit = next(slit for slit in SLITS if slit.name == name)
    return _tensor(slit.v_at((np.arange(size) + 0.5) / size)[None], device)


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32)).to(device)
