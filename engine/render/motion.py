"""What moves in a film: a project for every frame, as a pure function of the frame's number."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from engine.project import Project
from engine.render.stage import lamp_directions
from engine.scene import Scene, StageMode, scene_with

DEFAULT_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Motion:
    """What moves; several at once are allowed, and each is back at its start after the last frame."""

    turntable: bool = False
    """The camera goes once round the head, to the subject's left first."""
    light_turn: bool = False
    """Environment, lamps and rig go once round the head, to the subject's left first."""
    olat: bool = False
    """One lamp of the light stage at a time, in the rig's order."""
    expressions: tuple[str, ...] = ()
    """These one after the other, each from 0 to 1 and back, over the project's own weights."""
    seconds: float | None = None
    """None for one frame a lamp with `olat`, else for `DEFAULT_SECONDS`."""
    fps: int = 30


def frame_count(project: Project, motion: Motion) -> int:
    """Frames of the film, at least 1; FileFormatError where `olat` wants a broken rig."""
    if motion.seconds is not None:
        return max(round(motion.seconds * motion.fps), 1)
    if motion.olat:
        return len(lamp_directions(project.scene.stage))
    return round(DEFAULT_SECONDS * motion.fps)


def moved(project: Project, motion: Motion, frame: int, count: int) -> Project:
    """`project` as frame number `frame` of `count` shows it."""
    share = frame / count
    scene, weights = project.scene, dict(project.weights)
    if motion.olat:
        lamps = len(lamp_directions(scene.stage))
        stage = replace(scene.stage, enabled=True, mode=StageMode.ONE, lamp=int(share * lamps + 1e-9))
        scene = replace(scene, stage=stage)
    if motion.light_turn:
        scene = _light_turned(scene, share * math.tau)
    if motion.turntable:
        camera = replace(scene.view.camera, yaw_rad=scene.view.camera.yaw_rad + share * math.tau)
        scene = scene_with(scene, camera=camera)
    if motion.expressions:
        turn, within = divmod(share * len(motion.expressions), 1.0)
        name = motion.expressions[int(turn)]
        weights |= dict.fromkeys(motion.expressions, 0.0)
        weights[name] = 0.5 - 0.5 * math.cos(within * math.tau)  # starts and ends at rest
    return replace(project, scene=scene, weights=weights)


def _light_turned(scene: Scene, angle_rad: float) -> Scene:
    def turned(value, name: str):
        return replace(value, **{name: getattr(value, name) + angle_rad})

    return replace(
        scene,
        environment=turned(scene.environment, "rotation_rad"),
        stage=turned(scene.stage, "rotation_rad"),
        key_light=turned(scene.key_light, "yaw_rad"),
        fill_lights=tuple(turned(lamp, "yaw_rad") for lamp in scene.fill_lights),
    )
