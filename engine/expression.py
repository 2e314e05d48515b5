"""An expression of one person: how far each vertex moves and how each reflectance map changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from engine.checks import check_range, check_text
from engine.errors import VocabularyError, check_array, check_magnitude
from engine.identity import FARTHEST_M, LARGEST_SIDE, LONGEST_NAME, STEEPEST, UNKNOWN, Provenance

LOG_FLOOR = 0.02
"""Added to albedo and specular before the ratio: keeps nostrils and brows finite (unlike a division by 1e-8)."""

_LARGEST_CHANGE = {"log_diffuse": 16.0, "log_specular": 16.0, "roughness": 16.0, "slope": STEEPEST}
"""Black to white is a log ratio of 3.9."""
_STRONGEST_UNIT = 100.0


@dataclass(frozen=True, eq=False, slots=True)
class ReflectanceChange:
    """What an expression does to the four maps, in quantities that add: 9 channels on the identity's UV layout.

    Blending by weight w: A = (A_n + f) exp(w * log_diffuse) - f in linear light with f = `LOG_FLOOR`, the same for
    specular; roughness_n + w * roughness; slope_n + w * slope. Ratios follow TexTalker (Li et al. 2025), slopes
    Barre-Brisebois and Hill 2012.
    """

    log_diffuse: np.ndarray
    """(H, W, 3) float16, log((A_e + f) / (A_n + f)) of linear albedo."""
    log_specular: np.ndarray
    """(H, W, 3) float16, log((S_e + f) / (S_n + f)) of specular intensity 0..1."""
    roughness: np.ndarray
    """(H, W) float16, difference of perceptual roughness."""
    slope: np.ndarray
    """(H, W, 2) float16, difference of tangent-space slopes."""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "log_diffuse", check_array("log_diffuse", self.log_diffuse, ("H", "W", 3), np.float16))
        height, width = self.log_diffuse.shape[:2]
        set_(self, "log_specular", check_array("log_specular", self.log_specular, (height, width, 3), np.float16))
        set_(self, "roughness", check_array("roughness", self.roughness, (height, width), np.float16))
        set_(self, "slope", check_array("slope", self.slope, (height, width, 2), np.float16))
        for side in (height, width):
            check_range("changes: texels a side", side, 1, LARGEST_SIDE)
        for name, most in _LARGEST_CHANGE.items():
            check_magnitude(name, getattr(self, name), most)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in texels; may differ from the identity's maps, whose layout it shares."""
        height, width = self.log_diffuse.shape[:2]
        return height, width


@dataclass(frozen=True, slots=True)
class Request:
    """How the model was asked for an expression: the same of the same head gives the same on the same machine. The
    fields are those of `engine.diffusion.request.GenerateRequest`."""

    weights: str
    """Name of the weights and the first digits of their digest."""
    steps: int
    seed: int
    guidance: float
    folds: float
    age_years: float | None
    lock: str
    """What was kept of an expression that was there before; empty for nothing."""

    def __post_init__(self) -> None:
        check_text("Request.weights", self.weights, LONGEST_NAME)
        check_text("Request.lock", self.lock, LONGEST_NAME)


@dataclass(frozen=True, eq=False, slots=True)
class Expression:
    """One expression of one person at full strength."""

    name: str
    offsets_m: np.ndarray
    """(V, 3) float32 metres, on the identity's own vertices (eyes and teeth included)."""
    change: ReflectanceChange
    prompt: str = ""
    facs: Mapping[str, float] = field(default_factory=dict)
    """FACS action units and their strength, for example {"AU26": 1.0}."""
    provenance: Provenance = UNKNOWN
    request: Request | None = None
    """None for what no model made."""

    def __post_init__(self) -> None:
        check_text("Expression.name", self.name, LONGEST_NAME)
        check_text("Expression.prompt", self.prompt)
        for unit, strength in self.facs.items():
            check_text(f"{self.name}: facs", unit, 32)
            check_range(f"{self.name}: {unit}", strength, -_STRONGEST_UNIT, _STRONGEST_UNIT)
        checked = check_array(f"{self.name}: offsets_m", self.offsets_m, ("V", 3), np.float32)
        check_magnitude(f"{self.name}: offsets_m", checked, FARTHEST_M)
        object.__setattr__(self, "offsets_m", checked)


@dataclass(frozen=True, eq=False, slots=True)
class ExpressionSet:
    """Expressions of one identity, in order, names unique."""

    identity_hash: str
    """`Identity.hash` of the person they were made for: a set is never applied to another."""
    expressions: tuple[Expression, ...] = ()

    def __post_init__(self) -> None:
        names = [expression.name for expression in self.expressions]
        if len(set(names)) != len(names):
            raise ValueError(f"ExpressionSet: expected unique names, found {sorted(names)}")
        counts = {len(expression.offsets_m) for expression in self.expressions}
        if len(counts) > 1:
            raise ValueError(f"ExpressionSet: expected one vertex count, found {sorted(counts)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(expression.name for expression in self.expressions)

    def __getitem__(self, name: str) -> Expression:
        for expression in self.expressions:
            if expression.name == name:
                return expression
        names = ", ".join(self.names) or "none"
        raise VocabularyError(f"expression '{name}' is not in this set; it has: {names}. Generate it first.")

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def beside(self, made: Expression) -> Expression:
        """`made`, called after its seed too where this set has its prompt from another seed: both stay."""
        older = next((each for each in self.expressions if each.name == made.name), None)
        if not made.prompt or made.name != made.prompt or older is None:
            return made
        if older.request is None or made.request is None or older.request.seed == made.request.seed:
            return made
        suffix = f" (seed {made.request.seed})"
        return replace(made, name=made.name[: LONGEST_NAME - len(suffix)] + suffix)

    def merged(self, other: ExpressionSet) -> ExpressionSet:
        """This set with `other`'s expressions added; those of the same name are replaced in place."""
        if other.identity_hash != self.identity_hash:
            raise ValueError("ExpressionSet.merged: expected sets of one identity, found two")
        fresh = {expression.name: expression for expression in other.expressions}
        older = tuple(fresh.pop(expression.name, expression) for expression in self.expressions)
        return ExpressionSet(self.identity_hash, older + tuple(fresh.values()))
