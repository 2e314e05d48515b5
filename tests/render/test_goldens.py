"""Small pictures of the built-in head, compared with those that were kept when somebody last looked at them.

They say that nothing changed, not that it is right: for that are the other tests and benchmarks/render_truth.py. After
a change that is meant, draw them anew and look at each:

    python -m tests.render.test_goldens

On the driver they were drawn with, pictures have to be the same but for rounding; on any other, alike. What a renderer
would do otherwise on a software driver than on a GPU, each picture settles for itself.
"""

from __future__ import annotations

import json
import math
import platform
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from unittest import mock

import flip_evaluator
import moderngl
import numpy as np
import pytest
from PIL import Image

from engine.color import bytes_from_unit, scale_colors
from engine.expression import Expression, ExpressionSet, ReflectanceChange
from engine.face.builtin import builtin_identity
from engine.identity import Identity
from engine.io.images import read_rgb, write_png
from engine.project import Project, new_project
from engine.render import renderer as renderer_module
from engine.render.color_scale import color_scale
from engine.render.context import standalone_context
from engine.render.offscreen import render_image
from engine.render.presets import with_preset
from engine.render.renderer import Renderer
from engine.render.scatter import Quality
from engine.scene import Environment, Lamp, LightStage, StageMode, ToneCurve, Vector3, ViewChannel

from .test_pictures import scened

FOLDER = Path(__file__).parent / "goldens"
DRAWN_WITH = FOLDER / "drawn_with.json"
WIDTH, HEIGHT, BAR = 80, 92, 5
REDRAW = "python -m tests.render.test_goldens"


# --- what is drawn


@lru_cache(maxsize=1)
def head() -> Identity:
    return builtin_identity(7, texture_size=512)


@lru_cache(maxsize=1)
def expression() -> ExpressionSet:
    """A flush of surprise, made here so that no model has a part in it: brows up, jaw down, red and shining cheeks that
    bulge, lines across the forehead."""
    identity = head()
    x, y, z = (
        identity.positions_m - identity.positions_m[identity.positions_m[:, 2].argmax()]
    ).T  # from the nose's tip
    front = np.clip((z + 0.09) / 0.05, 0, 1)

    def near(across: float, up: float, reach: float) -> np.ndarray:
        return np.exp(-((np.abs(x) - across) ** 2 + (y - up) ** 2) / (2 * reach**2)) * front

    jaw = np.clip((-0.03 - y) / 0.02, 0, 1) * np.clip((y + 0.11) / 0.03, 0, 1) * front
    offsets = np.stack(
        [0 * x, 0.007 * near(0.025, 0.065, 0.015) - 0.010 * jaw, 0.004 * near(0.035, 0.0, 0.014) - 0.003 * jaw], 1
    )
    v, u = (np.mgrid[:128, :128] + 0.5) / 128
    cheeks = np.exp(-((np.abs(u - 0.5) - 0.11) ** 2 + (v - 0.54) ** 2) / (2 * 0.04**2))[..., None]
    forehead = np.exp(-((u - 0.5) ** 2) / (2 * 0.12**2) - (v - 0.3) ** 2 / (2 * 0.03**2))
    lines = np.stack([0 * v, 0.4 * forehead * np.sin(v * 2 * np.pi * 30)], -1)
    change = ReflectanceChange(
        np.dstack([cheeks * (0.25, -0.35, -0.3), cheeks * (0.4, 0.4, 0.4), -0.15 * cheeks[..., 0], lines])
    )
    return ExpressionSet(identity.hash, (Expression("Flush", offsets, change),))


def portrait(nearer: float = 0.55, yaw_deg: float = 0.0, at_m: Vector3 | None = None, **scene: object) -> Project:
    """The head filling the picture, or what is `at_m`."""
    project = new_project(head())
    camera = project.scene.view.camera
    at = camera.target_m if at_m is None else at_m
    camera = replace(camera, distance_m=camera.distance_m * nearer, yaw_rad=math.radians(yaw_deg), target_m=at)
    return scened(project, camera=camera, **scene)


def flushed(project: Project) -> Project:
    return replace(project, expressions=expression(), weights={"Flush": 1.0})


def ear() -> Project:
    """The left one from the side, a lamp behind it and nothing else."""
    above_shoulders = head().positions_m[head().positions_m[:, 1] > -0.05]
    middle = above_shoulders[above_shoulders[:, 0].argmax()]
    behind = Lamp(yaw_rad=math.radians(200), pitch_rad=0.1, color_linear=(1.0, 1.0, 1.0), irradiance=4.0)
    at = float(middle[0]) - 0.012, float(middle[1]) - 0.012, float(middle[2])
    return portrait(0.24, 50, at, key_light=behind, environment=Environment("Even", exposure_ev=-5.0))


GRADIENT = LightStage(enabled=True, mode=StageMode.GRADIENT_X)
SUNSET, WINDOW = Environment("Sunset", rotation_rad=0.6, visible=True), Environment("Window")


@dataclass(frozen=True, slots=True)
class Picture:
    """How a golden is drawn."""

    project: Callable[[], Project]
    quality: Quality = Quality.FULL
    samples: int = 0
    """Frames of a picture that converges; their places follow from their number alone."""
    penumbra: bool = False
    """Shadows as on hardware, softer with distance; else as on a software driver."""


PICTURES: dict[str, Picture] = {
    "studio": Picture(portrait, Quality.STILL),
    "three-point": Picture(lambda: lit("Three-Point", portrait(yaw_deg=25)), Quality.MOVING),
    "softbox": Picture(
        lambda: lit("Rembrandt", portrait(yaw_deg=-10, dual_specular=True, tone_curve=ToneCurve.ACES)), penumbra=True
    ),
    "stage-gradient": Picture(lambda: portrait(yaw_deg=-30, stage=GRADIENT, tone_curve=ToneCurve.AGX)),
    "light-through-ear": Picture(ear),
    "expression-sunset": Picture(lambda: flushed(portrait(yaw_deg=10, environment=SUNSET))),
    "converging-window": Picture(lambda: portrait(yaw_deg=15, environment=WINDOW), samples=4),
    "uv-light": Picture(lambda: portrait(uv_view=True)),
    "albedo-change": Picture(lambda: flushed(portrait(channel=ViewChannel.DIFFUSE_CHANGE))),
}


def lit(preset: str, project: Project) -> Project:
    return replace(project, scene=with_preset(project.scene, preset))


class Renderers:
    """Of both kinds on one context, each made on first use."""

    def __init__(self, context: moderngl.Context) -> None:
        self.context = context
        self._made: dict[bool, Renderer] = {}

    def of(self, picture: Picture) -> Renderer:
        if picture.penumbra not in self._made:
            with mock.patch.object(renderer_module, "is_software", return_value=not picture.penumbra):
                self._made[picture.penumbra] = Renderer(self.context)
        return self._made[picture.penumbra]

    def release(self) -> None:
        self.context.extra.use()  # what the renderers had bound goes with them
        for renderer in self._made.values():
            renderer.release()


@pytest.fixture(scope="module")
def kept_renderers(shared_context: moderngl.Context) -> Iterator[Renderers]:
    made = Renderers(shared_context)
    yield made
    with shared_context:
        made.release()


@pytest.fixture
def renderers(context: moderngl.Context, kept_renderers: Renderers) -> Renderers:
    return kept_renderers


def drawn(picture: Picture, renderers: Renderers, change: Callable[[Project], Project] | None = None) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8, at the right the colours of its scale where it has one; of a project that `change`
    alters."""
    project = picture.project()
    if change is not None:
        project = change(project)
    scale = color_scale(project)
    width = WIDTH if scale is None else WIDTH - BAR
    image = render_image(
        project, width, HEIGHT, quality=picture.quality, samples=picture.samples, renderer=renderers.of(picture)
    )
    if scale is None:
        return image
    bar = bytes_from_unit(scale_colors(np.linspace(1, 0, HEIGHT), scale.stops_srgb))
    return np.concatenate([image, np.repeat(bar[:, None], BAR, 1)], 1)


# --- how it is compared


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What two pictures may differ by."""

    flip: float
    """Mean over the picture (Andersson et al. 2020), at 67 pixels a degree."""
    levels: int = 255
    """Of 255, in each channel ..."""
    beyond: float = 1e-3
    """... but for this share of the pixels."""


SAME, ROUNDED, ALIKE = Tolerance(flip=0.002, levels=3), Tolerance(flip=0.02, levels=3), Tolerance(flip=0.02)
"""On driver and processor of the goldens; with its approximate reciprocals on another make of processor; on any other
driver."""


def difference(found: np.ndarray, golden: np.ndarray, tolerance: Tolerance) -> str:
    """What is wrong with `found` (H, W, 3) uint8; nothing where it is within `tolerance` of `golden`."""
    if found.shape != golden.shape:
        return f"expected a picture of {golden.shape}, found {found.shape}"
    apart = np.abs(found.astype(int) - golden).max(-1)
    beyond = float((apart > tolerance.levels).mean())
    flip = float(flip_evaluator.evaluate(golden.astype(np.float32) / 255, found.astype(np.float32) / 255, "LDR")[1])
    if beyond <= tolerance.beyond and flip <= tolerance.flip:
        return ""
    return (
        f"expected FLIP up to {tolerance.flip} and up to {tolerance.beyond:.1%} of pixels more than "
        f"{tolerance.levels}/255 off, found {flip:.4f} and {beyond:.2%}, the largest {apart.max()}/255 off"
    )


def driver(context: moderngl.Context) -> dict[str, str]:
    """What draws: the version strings that pictures depend on, and the make of the processor."""
    return {name: context.info[name] for name in ("GL_RENDERER", "GL_VERSION")} | {"processor": processor()}


def processor() -> str:
    """Vendor, family and model on Linux; else what Python knows."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text("utf-8").splitlines() if about.is_file() else []
    known = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in lines if ":" in line)
    names = [known[name] for name in ("vendor_id", "cpu family", "model") if name in known]
    return " ".join(names) or platform.processor()


def tolerance(here: dict[str, str], there: dict[str, str]) -> Tolerance:
    """What may differ where `here` draws and `there` drew."""
    if here == there:
        return SAME
    return ROUNDED if {**here, "processor": ""} == {**there, "processor": ""} else ALIKE


def kept() -> dict[str, dict[str, str]]:
    return json.loads(DRAWN_WITH.read_text("utf-8"))


def verdict(name: str, found: np.ndarray, here: dict[str, str], folder: Path) -> str:
    """What is wrong with `found`, drawn by the driver `here`, beside the golden `name`, and what to do about it; ''
    where it may pass. Where it may not, the picture and its difference go into `folder`."""
    known, golden = kept(), read_rgb(FOLDER / f"{name}.png")
    problem = difference(found, golden, tolerance(here, known["driver"]))
    if not problem:
        return ""
    write_png(folder / "found.png", found)
    apart = np.abs(found.astype(int) - golden) if found.shape == golden.shape else found
    write_png(folder / "difference_8_times.png", np.minimum(8 * apart, 255).astype(np.uint8))
    same_head = "the" if known["head"]["hash"] == head().hash else "not the"
    return (
        f"golden '{name}': {problem}. {folder} has found.png and difference_8_times.png; the golden is "
        f"{FOLDER / name}.png, drawn by {known['driver']}, here draws {here}; this is {same_head} head that it shows. "
        f"Where the change is meant, run `{REDRAW}` and look at each picture."
    )


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_changed_what_pictures_show(renderers: Renderers, name: str, tmp_path: Path) -> None:
    problem = verdict(name, drawn(PICTURES[name], renderers), driver(renderers.context), tmp_path)
    if problem:
        pytest.fail(problem, pytrace=False)


def test_every_golden_is_drawn() -> None:
    assert {path.stem for path in FOLDER.glob("*.png")} == set(PICTURES)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 96_000


# --- whether it would notice


def rougher(project: Project) -> Project:
    maps = project.identity.maps
    data = np.minimum(maps.roughness_data.astype(int) + 13, 255).astype(np.uint8)  # 0.05
    return new_project(replace(project.identity, maps=replace(maps, roughness_data=data)), project.scene)


def slopes_upside_down(project: Project) -> Project:
    maps = project.identity.maps
    return new_project(replace(project.identity, maps=replace(maps, slope=maps.slope * (1, -1))), project.scene)


def turned_by_10_degrees(project: Project) -> Project:
    environment = project.scene.environment
    return scened(project, environment=replace(environment, rotation_rad=environment.rotation_rad + math.radians(10)))


def without_scattering(project: Project) -> Project:
    return scened(project, scattering=False)


def brighter(project: Project) -> Project:
    return scened(project, exposure_ev=project.scene.exposure_ev + 0.1)


def test_a_wrong_picture_is_not_the_same(renderers: Renderers) -> None:
    """Drawn here, not read from the golden, so that it holds on any driver."""
    picture = PICTURES["studio"]
    right = drawn(picture, renderers)
    for wrong in (rougher, slopes_upside_down, turned_by_10_degrees, without_scattering, brighter):
        assert difference(drawn(picture, renderers, wrong), right, SAME), wrong.__name__
    assert difference(drawn(picture, renderers), right, SAME) == ""


def test_who_finds_a_difference_is_told_where_it_is_and_what_to_do(tmp_path: Path) -> None:
    known, golden = kept()["driver"], read_rgb(FOLDER / "studio.png")
    speck = golden.copy()
    speck[40:44, 40:44] += 12
    assert verdict("studio", golden, known, tmp_path) == ""
    assert verdict("studio", speck, {**known, "GL_VERSION": "another"}, tmp_path) == ""
    assert not list(tmp_path.iterdir())
    assert verdict("studio", speck, {**known, "processor": "another"}, tmp_path)
    told = verdict("studio", speck, known, tmp_path)
    assert REDRAW in told
    assert str(tmp_path) in told
    np.testing.assert_array_equal(read_rgb(tmp_path / "found.png"), speck)
    assert read_rgb(tmp_path / "difference_8_times.png")[40:44, 40:44].min() == 96


def test_a_picture_is_alike_only_so_far() -> None:
    golden = np.full((40, 50, 3), 120, np.uint8)
    few = golden.copy()
    few[0, :2] += 4
    assert difference(few, golden, SAME) == ""  # 2 of 2000 pixels
    few[0, 2] += 4
    assert "0.15%, the largest 4/255 off" in difference(few, golden, SAME)
    few[0, :3] -= 1
    assert difference(few, golden, SAME) == ""
    for levels in (1, 2):  # everywhere: a tint can be seen that no pixel shows
        assert difference(golden + np.uint8(levels), golden, SAME)
    assert difference(golden + np.uint8(20), golden, ALIKE)
    assert "expected a picture of (40, 50, 3)" in difference(golden[:9], golden, ALIKE)


# --- drawing them anew


def main() -> None:
    """Draw all goldens anew, into the folder given or over those that are there, and say how far each is."""
    context = standalone_context()
    renderers = Renderers(context)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(exist_ok=True)
    for name, picture in PICTURES.items():
        path = folder / f"{name}.png"
        image = drawn(picture, renderers)
        before = difference(image, read_rgb(path), SAME) or "the same" if path.is_file() else "new"
        Image.fromarray(image).save(path, optimize=True)  # smaller than the program's own, which are written in a hurry
        print(f"{path}: {before}")
    for path in folder.glob("*.png"):
        if path.stem not in PICTURES:
            path.unlink()
            print(f"{path}: not drawn any more")
    about = {"driver": driver(context), "head": {"name": head().name, "hash": head().hash}}
    (folder / DRAWN_WITH.name).write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    renderers.release()
    context.release()


if __name__ == "__main__":
    main()
