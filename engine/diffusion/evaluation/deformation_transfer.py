"""Deformation transfer (Sumner and Popovic 2004) on the position map: the mean change carried to another head.

Each edge between neighbouring texels of the training people's mean head has a deformation gradient: what turns its
frame (the edge, the surface across it, the normal scaled to both) into that of the mean posed head. A head is deformed
so that its edges become what these gradients make of its neutral's, in the least squares sense. Texels that hardly move
are held.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu
from torch import Tensor

STILL_M = 0.0001
"""The mean change of a held texel is shorter than this."""
_HOLD, _LEAN = 1.0, 1e-4
"""Weights beside the edges' 1: a held texel's rest; and everywhere the mean offset, for parts that nothing holds."""


class DeformationTransfer:
    """One expression, ready for any head."""

    def __init__(self, mean_position_m: Tensor, mean_offset_m: Tensor, skin: Tensor) -> None:
        """From the mean neutral and the mean offsets (1, 3, h, w) over `skin` (h, w), 0 or 1."""
        self._inside = skin.cpu().numpy() > 0
        self._edges, upright = _edges(self._inside)
        rest, offset = (_image(maps[0]) for maps in (mean_position_m, mean_offset_m))
        before, after = (self._frames(image, upright) for image in (rest, rest + offset))
        self._gradient = (after - before) @ _inverse(before)
        """(E, 3, 3), less the identity."""
        mean = offset[self._inside]
        still = np.linalg.norm(mean, axis=1) < STILL_M
        self._pull = np.where(still, _HOLD, _LEAN)[:, None]
        self._target = np.where(still[:, None], 0.0, mean)
        self._factor = splu((self._edges.T @ self._edges + diags(self._pull[:, 0])).tocsc())
        self._fill = distance_transform_edt(~self._inside, return_distances=False, return_indices=True)

    def __call__(self, neutral_position_m: Tensor) -> Tensor:
        """(B, 3, h, w) neutrals in metres -> offsets of the same shape; off the skin those of the nearest texel."""
        assert self._fill is not None
        answers = []
        for position_m in neutral_position_m:
            edges = self._edges @ _image(position_m)[self._inside]
            wanted = np.einsum("eij,ej->ei", self._gradient, edges)
            image = np.zeros((*self._inside.shape, 3))
            image[self._inside] = self._factor.solve(self._edges.T @ wanted + self._pull * self._target)
            answers.append(torch.from_numpy(image[self._fill[0], self._fill[1]]).movedim(-1, 0))
        return torch.stack(answers).to(neutral_position_m)

    def _frames(self, image: np.ndarray, upright: np.ndarray) -> np.ndarray:
        """(h, w, 3) positions -> (E, 3, 3): columns are the edge, what crosses it, and the normal of their size."""
        along = self._edges @ image[self._inside]
        mean = abs(self._edges) / 2
        down, right = (mean @ np.gradient(image, axis=axis)[self._inside] for axis in (0, 1))
        across = np.where(upright[:, None], right, down)
        normal = np.cross(along, across)
        normal /= np.sqrt(np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-18))
        return np.stack([along, across, normal], -1)


def _edges(inside: np.ndarray) -> tuple[csr_matrix, np.ndarray]:
    """(E, N) differences of neighbours that are both inside, and (E,) which of these edges run down the map."""
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(inside.sum())
    a, b = (np.concatenate(ends) for ends in zip(*(_neighbours(number, axis) for axis in (1, 0)), strict=True))
    upright = np.arange(len(a)) >= len(_neighbours(number, 1)[0])
    rows, signs = np.arange(len(a)), np.ones(len(a))
    shape = (len(a), int(inside.sum()))
    return csr_matrix((np.r_[signs, -signs], (np.r_[rows, rows], np.r_[b, a])), shape), upright


def _neighbours(number: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the two texels of each edge along an axis."""
    first, second = np.moveaxis(number, axis, 0)[:-1], np.moveaxis(number, axis, 0)[1:]
    both = (first >= 0) & (second >= 0)
    return first[both], second[both]


def _image(maps: Tensor) -> np.ndarray:
    """(3, h, w) -> (h, w, 3) float64."""
    return maps.movedim(0, -1).cpu().double().numpy()


def _inverse(frames: np.ndarray) -> np.ndarray:
    """Inverses, damped where a frame is nearly flat (texels that were filled in), so that those turn nothing wildly."""
    size = np.square(frames).sum((1, 2))[:, None, None]
    turned = frames.transpose(0, 2, 1)
    return np.linalg.solve(turned @ frames + (1e-6 * size + 1e-18) * np.eye(3), turned)
