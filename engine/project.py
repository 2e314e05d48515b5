"""Project: what a person authors, the command line renders and a file saves. One frozen value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from engine.checks import check_range, check_text
from engine.expression import ExpressionSet
from engine.identity import LONGEST_NAME, Identity
from engine.mesh import Part, boundary_edges
from engine.scene import Camera, Scene, View, scene_with
from engine.sides import LARGEST_WEIGHT, Weight, both, is_on, plain

_PORTRAIT_RAD = math.radians(15.0)
"""Of a portrait lens, 91 mm on full frame: a head that fills the picture is seen from more than a metre away."""
_HEADROOM, _HEAD_M, _FACE_M = 0.09, 0.25, 0.30
"""Share of the picture above the head; from the crown to the chin and to the neck of a large head with its hair."""


@dataclass(frozen=True, eq=False, slots=True)
class Project:
    """One person, the expressions brought or asked for, how strongly each is on, and how they are looked at.

    What is drawn, exported and saved is a project too: `resolve` adds what a library has beside its own.
    """

    identity: Identity
    expressions: ExpressionSet
    weights: Mapping[str, Weight] = field(default_factory=dict)
    """Expression name -> weight, a pair where left and right differ; 0..1 is the usual range, beyond it is allowed.
    Names without an expression wait."""
    scene: Scene = field(default_factory=Scene)

    def __post_init__(self) -> None:
        if self.expressions.identity_hash != self.identity.hash:
            raise ValueError("Project: expected expressions made for this identity, found another's")
        count = self.identity.topology.vertex_count
        for expression in self.expressions.expressions:
            if len(expression.offsets_m) != count:
                raise ValueError(
                    f"Project: expected {count} offsets in '{expression.name}', found {len(expression.offsets_m)}"
                )
        for name, weight in self.weights.items():
            check_text("weights", name, LONGEST_NAME)
            for side in both(weight):
                check_range(f"weights: '{name}'", side, -LARGEST_WEIGHT, LARGEST_WEIGHT)
        object.__setattr__(
            self, "weights", MappingProxyType({name: plain(each) for name, each in self.weights.items()})
        )

    def active(self) -> dict[str, Weight]:
        """Weights that have an expression and can be seen (`LEAST_WEIGHT`), in the set's order."""
        return {name: self.weights[name] for name in self.expressions.names if is_on(self.weights.get(name, 0.0))}


def resolve(project: Project, library: ExpressionSet, like: Project | None = None) -> Project:
    """What is seen of `project`: its own expressions, and after them those of `library` of other names.

    ValueError for a library of another head. The set of `like` is used again where it holds the same, since listeners
    compare with `is`.
    """
    others = tuple(each for each in library.expressions if each.name not in project.expressions)
    seen = project.expressions.merged(ExpressionSet(library.identity_hash, others)) if others else project.expressions
    if like is not None and like.identity is project.identity and like.expressions.expressions == seen.expressions:
        seen = like.expressions
    return project if seen is project.expressions else replace(project, expressions=seen)


def new_project(identity: Identity, scene: Scene | None = None) -> Project:
    """A project of `identity` with no expressions yet, framed on the face (portrait, eyes above the middle)."""
    if scene is None:
        scene = Scene(View(framed(identity)))
    return Project(identity, ExpressionSet(identity.hash), {}, scene)


def framed(identity: Identity) -> Camera:
    """A camera that holds head and neck, as a portrait does: where the skin of a bust ends is below the picture, at any
    width of it."""
    height, depth = identity.positions_m[:, 1], identity.positions_m[:, 2]
    top, bottom = float(height.max()), float(height.min())
    face = depth[height > top - _FACE_M]
    middle_m, lens = float(face.min() + face.max()) / 2, 2 * math.tan(_PORTRAIT_RAD / 2)
    skin = identity.topology.faces[identity.topology.faces_of(Part.SKIN)]
    rim = np.unique(boundary_edges(skin)) if len(skin) else np.zeros(0, int)
    rim = rim[height[rim] < top - 0.74 * (top - bottom)]  # neither eyes nor lips
    low = max(bottom, top - _FACE_M)
    if len(rim):
        # what lies behind the middle is drawn nearer to the picture's own middle
        near = (top - low) / lens / ((top - low) / lens + middle_m - depth[rim])
        ends = float(((height[rim] - (top + low) / 2) * near).max()) + (top + low) / 2
        low = max(low, min(ends, top - _HEAD_M))
    span = (top - low) / (1 - _HEADROOM)
    return replace(
        Camera(), target_m=(0.0, low + span / 2, middle_m), distance_m=span / lens, vertical_fov_rad=_PORTRAIT_RAD
    )


def scened(project: Project, **changes: Any) -> Project:
    """`project` with fields of its scene, or of the scene's view, replaced."""
    return replace(project, scene=scene_with(project.scene, **changes))
