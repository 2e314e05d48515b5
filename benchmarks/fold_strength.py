"""How strongly skin folds: change of the normal map at 512, by the place on the face, for people of two ages.

    python -m benchmarks.fold_strength [HEAD ...] [--people 10] [--ages 25,60] [--pictures FOLDER]

Each HEAD (default: two built-in ones) is moved by the shipped model; on its motion the folds of `--people` persons of
both ages are drawn by `engine.synth.folds`, as `expdiff generate` does. Degrees are the 95th percentile over a place of
the angle between the normal and the flat one; "written" is what `expdiff generate` writes for HEAD itself at that age.
With --pictures, also how much of close pictures goes when the maps are switched off, and the pictures themselves.
Exit code 1 where a goal does not hold. People of the second age have to reach the goals; a table in Markdown.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter

from engine.diffusion.folding import lines_of
from engine.diffusion.generate import generate
from engine.diffusion.request import GenerateRequest
from engine.errors import EngineError
from engine.expression import ExpressionSet, ReflectanceChange
from engine.face import regions
from engine.face.skin import TEXEL_MM
from engine.face.space import TEXTURE_SIZE
from engine.face.transfer import encode_change, encode_neutral, encode_offsets
from engine.identity import Identity
from engine.io.images import write_png
from engine.mesh import Part, sphere
from engine.open import open_project
from engine.project import Project
from engine.render.offscreen import render_image
from engine.render.passes import PART_SRGB
from engine.render.presets import with_preset
from engine.render.renderer import Renderer
from engine.scene import Environment, Lamp, Scene, ViewChannel, scene_with, with_channel
from engine.synth.fold_atlas import atlas, places
from engine.synth.folds import deepened, drive, fold_change, unit_strengths
from engine.vocabulary import NAMES


@dataclass(frozen=True, slots=True)
class Goal:
    """An expression has to fold a place by so much."""

    expression: str
    place: str
    least_deg: float


GOALS: tuple[Goal, ...] = (
    Goal("Brows Up", "forehead", 6.0),
    Goal("Brows Down", "glabella", 5.0),
    Goal("Nose Wrinkler", "nose root", 5.0),
    Goal("Nose Wrinkler", "nose sides", 6.0),
    Goal("Lip Corner Puller", "nasolabial fold", 6.0),
    Goal("Lip Corner Puller", "crow_feet", 4.0),
    Goal("Chin Raiser", "chin", 5.0),
)
_NAMES = tuple(dict.fromkeys(goal.expression for goal in GOALS))


@dataclass(frozen=True, slots=True)
class CloseUp:
    """A picture of skin in an expression; without the expression's maps so much of it has to go."""

    expression: str
    name: str
    target_m: tuple[float, float, float]
    """From the middle between the eyes, where these are `_APART_M` apart."""
    height_m: float
    grazing: bool
    """Lit steeply from above, or as Rembrandt does."""
    least: tuple[float, float]
    """Of 255, at either age."""


CLOSE_UPS: tuple[CloseUp, ...] = (
    CloseUp("Brows Up", "brow", (0.0, 0.036, 0.02), 0.105, True, (10.0, 15.0)),
    CloseUp("Nose Wrinkler", "nose", (0.0, -0.015, 0.03), 0.095, False, (0.0, 6.0)),
    CloseUp("Lip Corner Puller", "lower face", (0.0, -0.05, 0.02), 0.13, True, (0.0, 6.0)),
)
_APART_M, _SIZE, _COARSE_PX = 0.062, (440, 400), 6.0
_GRAZING = Lamp(True, 0.0, math.radians(62.0), (1.0, 0.96, 0.9), 4.4, 0.004)
"""A surface that faces the camera gets as much light from it as from the preset Rembrandt."""
MOST_DEG, MOST_ALIKE, LEAST_OLDER, MOST_LOPSIDED = 30.0, 0.5, 1.3, 3.0
"""Steepest texel; correlation of two people's foreheads; old over young; left over right, or right over left."""
SEEDS = range(3)
"""Whose pictures' median counts: a forehead of one seed may have no line where the light grazes."""
_BANDS = {"nose root": ("procerus", (-4, 0, 4), 3.0), "nose sides": ("bunny", (-2, 0, 2), 3.0)} | {
    "nasolabial fold": ("nasolabial", (4.3,), 4.0)
}
"""Family, levels and half width (mm) of places that are bands around lines of the atlas."""

Slopes = Mapping[str, np.ndarray]
"""Expression -> (2, 512, 512) change of the normal map's slopes."""


@lru_cache(maxsize=16)
def place_mask(name: str) -> np.ndarray:
    """(512, 512) bool of a region, or of a band around a family's lines."""
    if name not in _BANDS:
        return regions.distance(name, TEXTURE_SIZE) < 0
    family, levels, half_mm = _BANDS[name]
    along_mm = atlas()[family]["lattice"]["s_mm"]
    s = np.linspace(along_mm[1], along_mm[-3], 200)
    free = np.ones((TEXTURE_SIZE, TEXTURE_SIZE), bool)
    for level in levels:
        uv = places(family, np.full_like(s, level), s)
        for u in (uv[:, 0], 1 - uv[:, 0]) if atlas()[family]["paired"] else (uv[:, 0],):
            column, row = ((each * TEXTURE_SIZE).astype(int).clip(0, TEXTURE_SIZE - 1) for each in (u, uv[:, 1]))
            free[row, column] = False
    return np.asarray(distance_transform_edt(free)) * TEXEL_MM <= half_mm


def written(identity: Identity, age_years: float, seed: int = 0) -> ExpressionSet:
    """What the shipped model makes of `identity` in the expressions of `GOALS`, with folds of `seed` at that age."""
    return _generated(GenerateRequest(identity, _NAMES, seed=seed, age_years=age_years, device="cpu"))


def _generated(request: GenerateRequest) -> ExpressionSet:
    *_, last = generate(request)
    assert last.result is not None
    return last.result


def written_slopes(identity: Identity, made: ExpressionSet) -> Slopes:
    """Of the normal maps that `made` writes."""
    return {each.name: encode_change(identity, each.change)[..., 7:9].transpose(2, 0, 1) for each in made.expressions}


def pictures(
    project: Project, made: ExpressionSet, close_up: CloseUp, renderer: Renderer
) -> tuple[np.ndarray, np.ndarray, float]:
    """(H, W, 3) uint8 of `project` in an expression of `made`, with its maps and without, and what is lost of the fine
    part of the picture (less its blur): 99th percentile over skin, of 255."""
    one = made[close_up.expression]
    flat = replace(one, change=ReflectanceChange(np.zeros_like(one.change.channels)))
    scene = _seen(project, close_up)
    shown = [
        replace(project, expressions=ExpressionSet(made.identity_hash, (each,)), weights={one.name: 1.0}, scene=scene)
        for each in (one, flat)
    ]
    parts = replace(shown[0], scene=with_channel(scene, ViewChannel.PARTS))
    images = [render_image(each, *_SIZE, renderer=renderer)[..., :3] for each in (*shown, parts)]
    fine = [image - gaussian_filter(image, _COARSE_PX) for image in (each.mean(axis=2) for each in images[:2])]
    skin = np.abs(images[2] - np.array(PART_SRGB[Part.SKIN]) * 255).max(axis=2) < 12
    return images[0], images[1], float(np.quantile(np.abs(fine[0] - fine[1])[skin], 0.99))


def _seen(project: Project, close_up: CloseUp) -> Scene:
    """The scene of a close-up."""
    identity = project.identity
    eyes_m = [
        sphere(identity.positions_m[identity.topology.vertices_of(part)].astype(np.float64))[0]
        for part in (Part.EYE_LEFT, Part.EYE_RIGHT)
    ]
    size = float(np.linalg.norm(eyes_m[0] - eyes_m[1])) / _APART_M
    target = np.mean(eyes_m, axis=0) + size * np.array(close_up.target_m)
    scene = with_preset(project.scene, "Rembrandt")
    if close_up.grazing:
        scene = replace(scene, environment=Environment("Even", exposure_ev=-3.0), key_light=_GRAZING)
    camera = scene.view.camera
    away = 0.5 * size * close_up.height_m / math.tan(camera.vertical_fov_rad / 2)
    x, y, z = (float(value) for value in target)
    return scene_with(scene, camera=replace(camera, target_m=(x, y, z), distance_m=away, yaw_rad=0.0, pitch_rad=0.0))


def motions(identity: Identity) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The neutral (1, 3, 128, 128) and how the shipped model moves it in each expression of `GOALS`, metres."""
    made = _generated(GenerateRequest(identity, _NAMES, folds=0, device="cpu"))
    moved = {each.name: _map(encode_offsets(identity, each.offsets_m)) for each in made.expressions}
    return _map(encode_neutral(identity).position_m), moved


def folds_of(person: str, age_years: float, position_m: torch.Tensor, moved: Mapping[str, torch.Tensor]) -> Slopes:
    """What the folds of `person` do to the normal map in each of the motions."""
    lines = lines_of(person, age_years, torch.device("cpu"))
    result = {}
    for name, offset_m in moved.items():
        strengths = torch.zeros(1, 2, len(NAMES))
        strengths[:, :, NAMES.index(name)] = 1
        driven, pull = drive(lines, position_m, offset_m, unit_strengths(strengths))
        depth_mm = deepened(lines, driven, pull, torch.ones(1)).maximum(lines.rest_mm)
        result[name] = fold_change(lines, depth_mm)[0, 7:].numpy()
    return result


def degrees(slope: np.ndarray) -> np.ndarray:
    """(2, H, W) slopes -> (H, W) angle in degrees from the flat normal."""
    return np.degrees(np.arctan(np.hypot(*slope)))


def strength(slopes: Slopes, goal: Goal) -> float:
    """95th percentile in degrees over the goal's place."""
    return float(np.quantile(degrees(slopes[goal.expression])[place_mask(goal.place)], 0.95))


def forehead(slopes: Slopes) -> np.ndarray:
    """Slopes of the forehead in Brows Up, flat."""
    return slopes["Brows Up"][:, place_mask("forehead")].ravel()


def most_alike(people: list[Slopes]) -> float:
    """Largest correlation between two people's foreheads."""
    return max(float(np.corrcoef(forehead(a), forehead(b))[0, 1]) for a, b in combinations(people, 2))


def lopsided(slopes: Slopes) -> float:
    """Energy of the crow's feet of a smile, the subject's left over the right."""
    energy = np.square(slopes["Lip Corner Puller"]).sum(0) * place_mask("crow_feet")
    half = TEXTURE_SIZE // 2
    return float(energy[:, half:].sum() / max(energy[:, :half].sum(), 1e-12))


def _map(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32))


def _report(head: str, people: int, ages: tuple[float, float], folder: Path | None, renderer: Renderer | None) -> bool:
    """Print the table of one head; whether all goals hold."""
    project = open_project(head)
    position_m, moved = motions(project.identity)
    young, old = ([folds_of(f"person {k}", age, position_m, moved) for k in range(people)] for age in ages)
    made = [[written(project.identity, age, seed) for seed in SEEDS] for age in ages]
    own = [written_slopes(project.identity, each[0]) for each in made]
    print(f"\n{head}, {people} people\n\n| | at {ages[0]:g} | at {ages[1]:g} (least, median, most) | goal | |")
    print("|---|--:|--:|--:|---|")
    held = []

    def row(name: str, before: str, value: str, goal: str, holds: bool) -> None:
        held.append(holds)
        print(f"| {name} | {before} | {value} | {goal} | {'' if holds else 'missed'} |")

    for goal in GOALS:
        first, then = ([strength(slopes, goal) for slopes in group] for group in (young, old))
        text = f"{min(then):.1f}, {np.median(then):.1f}, {max(then):.1f}"
        name = f"{goal.expression}, {goal.place}: degrees"
        row(name, f"{np.median(first):.1f}", text, f">= {goal.least_deg:g}", min(then) >= goal.least_deg)
        before, now = (strength(slopes, goal) for slopes in own)
        row(f"{name}, written", f"{before:.1f}", f"{now:.1f}", f">= {goal.least_deg:g}", now >= goal.least_deg)
    steepest = max(float(degrees(slope).max()) for slopes in (*young, *old, *own) for slope in slopes.values())
    row("steepest texel: degrees", "", f"{steepest:.1f}", f"<= {MOST_DEG:g}", steepest <= MOST_DEG)
    alike = most_alike(old)
    row("foreheads of two: largest correlation", "", f"{alike:.2f}", f"< {MOST_ALIKE:g}", alike < MOST_ALIKE)
    rms = [[float(np.sqrt(np.square(forehead(each)).mean())) for each in group] for group in (young, old)]
    older = [b / a for a, b in zip(*rms, strict=True)]
    worst = min(float(np.mean(older[at : at + 4])) for at in range(max(1, people - 3)))
    row("old over young: least mean of four", "", f"{worst:.2f}", f">= {LEAST_OLDER:g}", worst >= LEAST_OLDER)
    side = float(np.median([lopsided(each) for each in old]))
    fair = 1 / MOST_LOPSIDED <= side <= MOST_LOPSIDED
    row("left over right: median", "", f"{side:.2f}", f"1/{MOST_LOPSIDED:g} to {MOST_LOPSIDED:g}", fair)
    if folder and renderer:
        for close_up in CLOSE_UPS:
            lost = []
            for age, at_age in zip(ages, made, strict=True):
                seen = [pictures(project, each, close_up, renderer) for each in at_age]
                lost.append(float(np.median([fine for *_, fine in seen])))
                on, off, _ = seen[0]
                name = re.sub(r"\W+", "-", f"{Path(head).name} {age:g} {close_up.expression}")
                write_png(folder / f"{name}.png", np.concatenate([on, off], axis=1))
            least = " and ".join(f"{least:g}" for least in close_up.least)
            enough = all(each >= goal for each, goal in zip(lost, close_up.least, strict=True))
            row(f"{close_up.expression}, {close_up.name}: of 255", f"{lost[0]:.1f}", f"{lost[1]:.1f}", least, enough)
    return all(held)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fold_strength", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("heads", nargs="*", default=["builtin:7", "builtin:3"], metavar="HEAD")
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--ages", default="25,60", metavar="YOUNG,OLD")
    parser.add_argument("--pictures", type=Path, default=None, metavar="FOLDER")
    options = parser.parse_args(arguments)
    young, old = (float(age) for age in options.ages.split(","))
    renderer = None
    if options.pictures:
        from engine.render.context import standalone_context

        options.pictures.mkdir(parents=True, exist_ok=True)
        renderer = Renderer(standalone_context())
    try:
        held = [_report(head, options.people, (young, old), options.pictures, renderer) for head in options.heads]
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
