"""An expression of one person: how far each vertex moves and how each reflectance map changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from engine.channels import CHANNELS, DIFFUSE, MAPS, MODEL_CHANNELS, NORMAL, ROUGHNESS, SPECULAR
from engine.checks import check_range, check_text
from engine.errors import VocabularyError, check_array, check_magnitude, magnitude
from engine.identity import FARTHEST_M, LARGEST_SIDE, LONGEST_NAME, UNKNOWN, Provenance

_STRONGEST_UNIT = 100.0


@dataclass(frozen=True, eq=False, slots=True)
class ReflectanceChange:
    """What an expression does to the maps of a face, in quantities that add, on the identity's UV layout.

    How each is blended by a weight says its row of `engine.channels.MAPS`. The views are what the rows are called.
    """

    channels: np.ndarray
    """(H, W, `CHANNELS`) float16, packed as the table says; of `MODEL_CHANNELS` given, the others are 0."""

    def __post_init__(self) -> None:
        packed = np.asarray(self.channels)
        if packed.ndim == 3 and MODEL_CHANNELS <= packed.shape[2] < CHANNELS:
            packed = np.pad(packed, ((0, 0), (0, 0), (0, CHANNELS - packed.shape[2])))
        packed = check_array("change", packed, ("H", "W", CHANNELS), np.float16)
        for side in packed.shape[:2]:
            check_range("changes: texels a side", side, 1, LARGEST_SIDE)
        if magnitude(packed) > min(each.largest for each in MAPS):  # parts are slow to look through
            for each in MAPS:
                check_magnitude(each.change, each.of(packed), each.largest)
        object.__setattr__(self, "channels", packed)

    @property
    def log_diffuse(self) -> np.ndarray:
        """(H, W, 3) log((A_e + f) / (A_n + f)) of linear albedo, f = `LOG_FLOOR`."""
        return DIFFUSE.of(self.channels)

    @property
    def log_specular(self) -> np.ndarray:
        """(H, W, 3) log((S_e + f) / (S_n + f)) of specular intensity 0..1."""
        return SPECULAR.of(self.channels)

    @property
    def roughness(self) -> np.ndarray:
        """(H, W) difference of perceptual roughness."""
        return ROUGHNESS.of(self.channels)

    @property
    def slope(self) -> np.ndarray:
        """(H, W, 2) difference of tangent-space slopes."""
        return NORMAL.of(self.channels)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in texels; may differ from the identity's maps, whose layout it shares."""
        height, width = self.channels.shape[:2]
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

    def get(self, name: str) -> Expression | None:
        """The expression `name`, None where there is none."""
        return next((each for each in self.expressions if each.name == name), None)

    def __getitem__(self, name: str) -> Expression:
        if (expression := self.get(name)) is not None:
            return expression
        names = ", ".join(self.names) or "none"
        raise VocabularyError(f"expression '{name}' is not in this set; it has: {names}. Generate it first.")

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def beside(self, made: Expression) -> Expression:
        """`made`, called after its seed too where this set has its prompt from another seed: both stay."""
        older = self.get(made.name)
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
