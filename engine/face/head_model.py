"""The shipped head model: ICT-FaceKit's mesh in the canonical UV layout, and the shapes that people are drawn from.

Vertices are the first `MESH_VERTICES` of ICT-FaceKit's, in its order: face, head and neck, mouth bag, sockets, gums,
teeth, eyeballs, the wet rim of the lids. `scripts/build_faces.py` writes the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

MESH_VERTICES, SKIN_VERTICES = 24999, 11248
"""Vertices of the mesh; of them the skin's, which come first."""
LASH_ROWS, LASH_COLUMNS = 6, 19
"""Points of a lash card from its root to its tip and along the lid."""
VARIETY = 0.85
"""Standard deviations are scaled by this: rarer shapes of the model's tails look less like someone."""
LANDMARKS = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443, 268, 493,
    1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360, 1507, 1542,
    1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461,
    5518, 5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)  # fmt: skip
"""Vertices of the 68 Multi-PIE landmarks (Gross et al. 2010 numbering, 0 to 67; ICT-FaceKit's vertex_indices.json)."""
_LIPS = ((5711, 5966), (5533, 5517), (6216, 6470))
"""Upper and lower vertices of the inner lips (`LANDMARKS` 61 to 63 and 67 to 65)."""


@dataclass(frozen=True, eq=False, slots=True)
class HeadShape:
    """One person's vertices, metres."""

    mesh_m: np.ndarray
    """(24999, 3) float64."""
    lash_cards_m: np.ndarray
    """(12, 6, 19, 3) float64: of the subject's left eye three upper cards and three lower ones, then of the right eye;
    from the root to the tip, along the lid."""


@dataclass(frozen=True, eq=False, slots=True)
class HeadModel:
    """A linear model of head shape (Blanz and Vetter 1999)."""

    mean_mm: np.ndarray
    """(V, 3) float32, mesh and lash cards."""
    components: np.ndarray
    """(K, V, 3) int8."""
    step_mm: np.ndarray
    """(K,) float32: one deviation of component k is `components[k] * step_mm[k]`."""
    jaw_mm: np.ndarray
    """(V, 3) float32: how an open jaw moves the mean head."""
    blink_mm: np.ndarray
    """(V, 3) float32: how a blink of both eyes moves it."""
    faces: np.ndarray
    """(F, 3) int64 of the mesh."""
    uvs: np.ndarray
    """(U, 2) float32 canonical; the first 11248 are the skin's vertices'."""
    uv_faces: np.ndarray
    """(F, 3) int64. A face over the back's seam lies on one side of the chart whole, and reaches beyond its edge."""
    parts: np.ndarray
    """(F,) uint8 indices into `PARTS`."""
    ict_vertices: np.ndarray
    """(V,) int64 numbers of the vertices in ICT-FaceKit's files."""

    def shape(self, weights: np.ndarray, lids: float = 0.0) -> HeadShape:
        """The head of (K,) standard normal `weights`, its lips together, its lids lowered by a share of a blink:
        ICT-FaceKit's people stare."""
        scaled = (weights * self.step_mm).astype(np.float32)
        positions = self.mean_mm + np.tensordot(scaled, self.components.astype(np.float32), axes=1)
        return closed_lips(positions + lids * self.blink_mm, self.jaw_mm)


def ict_shape(positions_m: np.ndarray) -> HeadShape:
    """The head of (26719, 3) ICT-FaceKit positions in metres, its lips together."""
    model = head_model()
    return closed_lips(positions_m[model.ict_vertices] * 1000, model.jaw_mm)


def closed_lips(positions_mm: np.ndarray, jaw_mm: np.ndarray, apart_mm: float = -0.15) -> HeadShape:
    """The head of (V, 3) positions with its jaw closed by the least that brings the inner lips to `apart_mm` of each
    other all along: ICT-FaceKit's heads stand 0.6 to 1.6 mm open."""
    pairs = np.array(_LIPS)
    gap = positions_mm[pairs[:, 0], 1] - positions_mm[pairs[:, 1], 1]
    opens = jaw_mm[pairs[:, 0], 1] - jaw_mm[pairs[:, 1], 1]
    share = max(float(((gap - apart_mm) / opens).max()), 0.0)
    metres = (positions_mm.astype(np.float64) - share * jaw_mm) / 1000
    cards = metres[MESH_VERTICES:].reshape(12, LASH_ROWS, LASH_COLUMNS, 3)
    return HeadShape(metres[:MESH_VERTICES], cards)


def sample_shape(seed: int) -> HeadShape:
    """The model's person `seed`."""
    model, rng = head_model(), np.random.default_rng([seed, 0x4EAD])
    weights = rng.standard_normal(len(model.step_mm)) * VARIETY
    return model.shape(weights, rng.uniform(0.02, 0.13))


def packed(values: np.ndarray) -> np.ndarray:
    """Integers as differences along the vertices (the axis before the last), which compress better; wraps around."""
    return np.diff(values, axis=-2, prepend=np.zeros_like(values[..., :1, :]))


def unpacked(differences: np.ndarray) -> np.ndarray:
    """The inverse of `packed`."""
    return np.cumsum(differences, axis=-2, dtype=differences.dtype)


MEAN_STEP_MM = 0.01
"""Of the positions in the file."""


@lru_cache(maxsize=1)
def head_model() -> HeadModel:
    """The shipped model."""
    with np.load(Path(__file__).parent / "head_model.npz", allow_pickle=False) as stored:
        return HeadModel(
            unpacked(stored["mean"]).astype(np.float32) * np.float32(MEAN_STEP_MM),
            unpacked(stored["components"]),
            stored["step_mm"],
            unpacked(stored["jaw"]).astype(np.float32) * stored["jaw_step_mm"],
            unpacked(stored["blink"]).astype(np.float32) * stored["jaw_step_mm"],
            unpacked(stored["faces"]).astype(np.int64),
            stored["uvs"],
            unpacked(stored["uv_faces"]).astype(np.int64),
            stored["parts"],
            stored["ict_vertices"].astype(np.int64),
        )
