"""The face of a person at rest: plainly a man's or a woman's, uneven, and looking at somebody.

Heads that a linear model draws are none of these: they lie between men and women, both halves are alike, and their eyes
stare straight ahead from between wide lids. Sizes are plausible, not measured.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from engine.face.eyes import rotation
from engine.face.head_model import LANDMARKS, MESH_VERTICES, HeadShape, head_model
from engine.face.ict_shapes import shapes
from engine.face.traits import manliness
from engine.mesh import PARTS, Part

_FURTHER = 0.95
"""Deviations by which a head goes to the side of men or of women."""
_UNEVEN = {"browOuterUp": 0.16, "browInnerUp": 0.10, "browDown": 0.10, "mouthSmile": 0.07, "mouthFrown": 0.05}
"""Most of a shape on each side of a face at rest."""
_ASKEW = {"mouth": 0.10, "jaw": 0.06}
"""Most of a shape to the left or to the right."""
_LISTENER_M = 1.2
"""How far away whom they look at is."""
_UPPER_MM, _LOWER_MM = (2.2, 0.25), 5.2
"""Of the upper lid's marks above the pupil, mean and deviation; most of the lower one's below: the iris' radius is 5.9,
and the upper lid lies over its top."""


def at_rest(shape: HeadShape, man: bool, seed: int) -> HeadShape:
    """`shape` as the face of person `seed`, whether it is a man's or a woman's."""
    rng = np.random.default_rng([seed, 0x4E57])
    model = head_model()
    moved_mm = (_FURTHER if man else -_FURTHER) * _men_mm()
    positions_mm = np.concatenate([shape.mesh_m, shape.lash_cards_m.reshape(-1, 3)]) * 1000 + moved_mm
    positions_mm[:MESH_VERTICES] += 1000 * _uneven_m(rng)
    eyes = {side: _eye(part) for side, part in (("R", Part.EYE_RIGHT), ("L", Part.EYE_LEFT))}
    marks = {"R": ((37, 38), (40, 41)), "L": ((43, 44), (46, 47))}
    upper_mm, lower_mm = (
        np.mean([positions_mm[_marks(marks[side][row]), 1].mean() - positions_mm[eyes[side][1], 1] for side in eyes])
        for row in (0, 1)
    )
    yaw, lift = rng.normal(0, 0.008), rng.normal(0, 0.006)
    down = float(np.clip((-lower_mm - _LOWER_MM) / 15.0, 0, 0.07))
    for vertices, _ in eyes.values():
        ball = positions_mm[vertices]
        middle = (ball.min(axis=0) + ball.max(axis=0)) / 2
        turn = rotation(yaw - middle[0] / (1000 * _LISTENER_M), lift - down)
        positions_mm[vertices] = (ball - middle) @ turn.T + middle
    lids = (upper_mm + 15.0 * (down - lift) - rng.normal(*_UPPER_MM)) / 7.7
    positions_mm += np.clip(lids, -0.05, 0.12) * model.blink_mm
    metres = positions_mm / 1000
    return HeadShape(metres[:MESH_VERTICES], metres[MESH_VERTICES:].reshape(shape.lash_cards_m.shape))


def _uneven_m(rng: np.random.Generator) -> np.ndarray:
    """(24999, 3) metres: brows and corners of the mouth that stand at different heights."""
    mix = {f"{name}_{side}": rng.uniform(0, most) for name, most in _UNEVEN.items() for side in "LR"}
    mix |= {name + str(rng.choice(("Left", "Right"))): rng.uniform(0, most) for name, most in _ASKEW.items()}
    return sum((weight * shapes().dense_m(name, MESH_VERTICES) for name, weight in mix.items()), np.zeros(3))


def _eye(part: Part) -> tuple[np.ndarray, int]:
    """An eyeball's vertices, and the one in the middle of its pupil."""
    model = head_model()
    faces = model.parts == PARTS.index(part)
    corners, places = model.faces[faces].ravel(), model.uvs[model.uv_faces[faces].ravel()]
    return np.unique(corners), int(corners[np.linalg.norm(places - 0.5, axis=1).argmin()])


def _marks(numbers: tuple[int, ...]) -> list[int]:
    return [LANDMARKS[number] for number in numbers]


@lru_cache(maxsize=1)
def _men_mm() -> np.ndarray:
    """(V, 3) by how much a deviation on the way from women to men moves the head."""
    model = head_model()

    def score(weights: np.ndarray) -> float:
        mesh_mm = np.zeros((MESH_VERTICES, 3))
        marks = list(LANDMARKS)
        mesh_mm[marks] = model.mean_mm[marks] + np.tensordot(
            weights * model.step_mm, model.components[:, marks], axes=1
        )
        return manliness(HeadShape(mesh_mm / 1000, np.zeros(0)))

    each = np.eye(len(model.step_mm))
    slope = np.array([score(one) - score(-one) for one in each])
    towards = slope / np.linalg.norm(slope)
    return np.tensordot(towards * model.step_mm, model.components.astype(np.float32), axes=1)
