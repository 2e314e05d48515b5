"""ICT-FaceKit's own expressions on its vertices: what a map of 128 texels cannot hold of lips, lids and the mouth.

Where the corners of a mouth part, a texel sees both lips; walls of the mouth, gums and teeth are on no map at all. On a
head with ICT-FaceKit's skin (built-in people, heads of its own) the shapes say how they move.
`scripts/build_faces.py` writes the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from engine.derived import derived
from engine.face.head_model import SKIN_VERTICES
from engine.mesh import Part, Topology

PATH = Path(__file__).parent / "shapes.npz"
STEP_MM = 0.02
"""Of the offsets in the file."""
MARGIN_RINGS = 2
"""Rings of vertices between the edge of the skin within an eye, which is under the lid, and the margin, where the lids
meet."""
_JAW_M = 0.001
"""What an open jaw moves by more hangs on it."""
_BOTH_SIDES = ("browInnerUp", "cheekPuff")
"""ARKit shapes that ICT-FaceKit has a left and a right one of."""
_REACH = {"jawForward": 0.75}
"""Of shapes that go further than people do: ICT-FaceKit's jaw comes 11 mm forward, theirs 7 to 10."""
_NO_SIDES = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")


@dataclass(frozen=True, eq=False, slots=True)
class Shapes:
    """Expressions of `head_model.MESH_VERTICES` vertices, sparse."""

    vertices: Mapping[str, np.ndarray]
    """Of each shape (N,) int64: what moves."""
    offsets_m: Mapping[str, np.ndarray]
    """Of each shape (N, 3) float32 metres."""

    def dense_m(self, name: str, vertex_count: int) -> np.ndarray:
        """(V, 3) float64 metres of a shape; zero where the file has none of that name."""
        result = np.zeros((vertex_count, 3))
        if name in self.vertices:
            result[self.vertices[name]] = self.offsets_m[name]
        return result


def ict_mix(arkit: Mapping[str, float]) -> dict[str, float]:
    """ARKit weights -> ICT-FaceKit shape weights: Left/Right become _L/_R, shapes ICT splits get both sides, and
    those that go too far less."""
    mix: dict[str, float] = {}
    for name, weight in arkit.items():
        if name in _BOTH_SIDES:
            targets = (name + "_L", name + "_R")
        elif name not in _NO_SIDES and name.endswith(("Left", "Right")):
            side = "Left" if name.endswith("Left") else "Right"
            targets = (f"{name.removesuffix(side)}_{side[0]}",)
        else:
            targets = (name,)
        for target in targets:
            mix[target] = mix.get(target, 0.0) + weight * _REACH.get(target, 1.0)
    return mix


@derived
def has_shapes(topology: Topology) -> bool:
    """Whether the skin of `topology` is ICT-FaceKit's, vertex by vertex."""
    skin = topology.faces[topology.faces_of(Part.SKIN)]
    fits = len(skin) > 0 and topology.head_vertex_count > SKIN_VERTICES and int(skin.max()) < SKIN_VERTICES
    return fits and skin_digest(skin) == _shipped()[1]


def skin_digest(faces: np.ndarray) -> str:
    """Hex digest of (F, 3) faces, in whatever order they come."""
    each = np.sort(np.ascontiguousarray(faces, np.int32), axis=1)
    return hashlib.sha256(each[np.lexsort(each.T)].tobytes()).hexdigest()[:32]


def shapes() -> Shapes:
    """The shipped shapes."""
    return _shipped()[0]


def on_jaw(topology: Topology) -> np.ndarray:
    """Vertices of teeth and gums that hang on the jaw, of a topology that has shapes."""
    inner = topology.vertices_of(Part.TEETH, Part.MOUTH)
    jaw = np.linalg.norm(shapes().dense_m("jawOpen", topology.vertex_count)[inner], axis=1)
    return inner[jaw > _JAW_M]


@lru_cache(maxsize=1)
def _shipped() -> tuple[Shapes, str]:
    vertices, offsets = {}, {}
    with np.load(PATH, allow_pickle=False) as stored:
        names = [str(name) for name in stored["names"]]
        moves = np.unpackbits(stored["moves"], axis=1).astype(bool)
        steps = np.cumsum(stored["steps"], axis=1, dtype=np.int16).T
        digest = str(stored["skin"])
    start = 0
    for name, moved in zip(names, moves, strict=True):
        vertices[name] = np.flatnonzero(moved)
        offsets[name] = steps[start : start + len(vertices[name])] * np.float32(STEP_MM / 1000)
        start += len(vertices[name])
    return Shapes(vertices, offsets), digest
