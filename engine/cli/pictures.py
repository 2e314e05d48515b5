"""`expdiff render`, `expdiff olat` and `expdiff video`: what is seen, and in which light."""

from __future__ import annotations

import argparse
import logging
import math
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.shared import bar, iterate, opened, say, with_expressions, with_weights
from engine.errors import EngineError, ExportError, VocabularyError
from engine.io.border import border
from engine.open import open_project

if TYPE_CHECKING:
    import numpy as np

    from engine.scene import Camera, LightStage, Scene

LOG = logging.getLogger(__name__)
SUPERSAMPLE = 3
"""Squared, samples a pixel of a still: brows and lashes are finer than a pixel, and look like scratches with four."""


def render(options: argparse.Namespace) -> int:
    from engine.export import named, save_layers, save_screenshot
    from engine.render.color_scale import color_scale
    from engine.render.offscreen import render_image, render_layers

    layered = Path(options.out).suffix.lower() == ".exr" and options.reference is None
    named(options.out, ".exr" if layered else ".png")
    project = opened(options)
    with _options():
        scene = _scene(project.scene, options)
    project = replace(with_weights(project, options), scene=scene)
    _note_memory(options.size, 112 if layered else 9)
    if layered:
        save_layers(render_layers(project, *options.size), options.out)
        return 0
    _note_samples(project.scene, options.samples)
    with bar("render", "part") as tell:
        image = render_image(
            project,
            *options.size,
            transparent=options.transparent,
            supersample=SUPERSAMPLE,
            samples=options.samples,
            tell=tell,
        )
    save_screenshot(image, options.out)
    if scale := color_scale(project):
        say(scale)
    if options.reference is None:
        return 0
    return _compare(image, options.reference, options.tolerance)


def _compare(image: np.ndarray, path: str, tolerance: float) -> int:
    """0 where `image` is within `tolerance` of the picture at `path` in every channel, else 1; says the difference."""
    from engine.io.images import read_rgb

    reference = read_rgb(Path(path))
    if reference.shape[:2] != image.shape[:2]:
        raise ExportError(
            f"{path}: expected {image.shape[1]} x {image.shape[0]}, found {reference.shape[1]} x {reference.shape[0]}"
        )
    gap = abs(image[..., :3].astype("int16") - reference)
    line = f"largest difference {gap.max()}/255, mean {gap.mean():.3f}, tolerance {tolerance:g}"
    if gap.max() > tolerance:
        raise ExportError(f"{path}: expected the same picture, found another: {line}")
    say(f"{path}: same picture: {line}")
    return 0


def olat(options: argparse.Namespace) -> int:
    from engine.export import olat_steps
    from engine.io.files import check_fillable
    from engine.scene import scene_with

    check_fillable(Path(options.out).expanduser())
    project = with_weights(open_project(options.path), options)
    with _options():
        stage, camera = _stage(project.scene, options, "0"), _camera(project.scene.view.camera, options)
    project = replace(project, scene=scene_with(project.scene, stage=stage, camera=camera))
    steps = olat_steps(project, options.out, options.size, linear=options.linear, samples=options.samples)
    done = iterate(steps, "picture")
    say(f"{options.out}: {done} lamps")
    return 0


def video(options: argparse.Namespace) -> int:
    from engine.export import video_steps
    from engine.io.video import check_video
    from engine.render.motion import Motion
    from engine.vocabulary import parse_names

    check_video(Path(options.out).expanduser(), options.size, options.fps)
    project = open_project(options.path)
    project = with_weights(project, options)
    with _options():
        project = replace(project, scene=_scene(project.scene, options))
    _note_samples(project.scene, options.samples)
    names = tuple(name for name in parse_names(options.expressions or "") if name != "Neutral")
    project = with_expressions(project, names, options)
    still = not (options.light_turn or options.olat or names)
    motion = Motion(options.turntable or still, options.light_turn, options.olat, names, options.seconds, options.fps)
    done = iterate(video_steps(project, motion, options.out, options.size, samples=options.samples), "frame")
    say(f"{options.out}: {done} frames")
    return 0


def _options() -> AbstractContextManager[None]:
    """What a value of the scene refuses is told as the fault of an option."""
    return border("options", "values that a scene takes", EngineError)


def _scene(scene: Scene, options: argparse.Namespace) -> Scene:
    from engine.scene import ViewChannel, scene_with, with_channel

    if options.preset is not None:
        from engine.render.presets import PRESETS, with_preset

        scene = with_preset(scene, _named(options.preset, PRESETS) or options.preset)
    environment = scene.environment
    if options.light is not None:
        environment = replace(environment, name=_light(options.light))
    if options.light_rotation is not None:
        environment = replace(environment, rotation_rad=math.radians(options.light_rotation))
    if options.channel is not None:
        labels = {name: item for item in ViewChannel for name in (_plain(item.value), _plain(item.name))}
        if _plain(options.channel) not in labels:
            known = ", ".join(item.name.lower() for item in ViewChannel)
            raise VocabularyError(f"unknown channel '{options.channel}'; known: {known}")
        scene = with_channel(scene, labels[_plain(options.channel)])
    if options.scale_end is not None:
        scene = scene_with(scene, scale_end=options.scale_end)
    camera = _camera(scene.view.camera, options)
    if options.uv:
        scene, camera = scene_with(scene, uv_view=True), replace(camera, uv_center=(0.5, 0.5), uv_span=1.0)
    scene = scene_with(scene, environment=environment, camera=camera)
    return replace(scene, stage=_stage(scene, options, options.stage))


def _note_samples(scene: Scene, samples: int) -> None:
    """Say so where --samples changes nothing."""
    from engine.render.accumulate import converges

    if samples and not converges(scene):
        LOG.info("samples: drawn at once, because channels without light, the UV view and wires do not converge")


def _note_memory(size: tuple[int, int], bytes_a_pixel: int) -> None:
    """Say so where a picture, its copies on the way to the file included, takes a gigabyte and more."""
    taken = math.prod(size) * bytes_a_pixel
    if taken > 10**9:
        LOG.info("size: %d x %d pixels take about %.1f GB of memory, and a while to draw", *size, taken / 1e9)


def _camera(camera: Camera, options: argparse.Namespace) -> Camera:
    if options.camera is None:
        return camera
    yaw, pitch = options.camera
    return replace(camera, yaw_rad=math.radians(yaw), pitch_rad=math.radians(pitch))


def _stage(scene: Scene, options: argparse.Namespace, wanted: str | None) -> LightStage:
    """The scene's light stage with --rig, and as `wanted` lights it: a mode, a lamp's number or a file of a mixture."""
    from engine.io.rig import read_mixture
    from engine.render.stage import lamp_directions
    from engine.scene import StageMode

    stage = scene.stage
    if options.rig is not None:
        stage = replace(stage, rig=options.rig)
    count = len(lamp_directions(stage))
    if wanted is None:
        return stage
    stage = replace(stage, enabled=True)
    if wanted.isdecimal():
        if int(wanted) >= count:
            raise EngineError(f"stage: expected a lamp from 0 to {count - 1}, found {wanted}")
        return replace(stage, mode=StageMode.ONE, lamp=int(wanted))
    if name := _named(wanted, [mode.value for mode in StageMode]):
        return replace(stage, mode=StageMode(name))
    if not Path(wanted).is_file():
        known = ", ".join(mode.value for mode in StageMode)
        raise EngineError(f"stage: expected one of {known}, a lamp's number, or a file that exists, found '{wanted}'")
    given = read_mixture(wanted)
    if len(given) != count:
        raise EngineError(f"{wanted}: expected intensities of {count} lamps, found {len(given)}; is it another rig's?")
    return replace(stage, mode=StageMode.MIXTURE, mixture_linear=tuple(tuple(map(float, row)) for row in given))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())


def _named(text: str, names: Sequence[str]) -> str:
    """The one of `names` that `text` spells, whatever its capitals and hyphens; '' for none."""
    return next((name for name in names if _plain(name) == _plain(text)), "")


def _light(text: str) -> str:
    from engine.render.environment import BUILT_IN

    if name := _named(text, BUILT_IN):
        return name
    if Path(text).is_file():
        return text
    raise EngineError(f"unknown light '{text}'; expected {', '.join(BUILT_IN)}, or a .hdr or .exr file that exists")
