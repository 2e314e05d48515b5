"""OLAT (one light at a time) sets: a picture for each lamp of a rig, whose weighted sums are pictures in any light.

Debevec et al. 2000, "Acquiring the Reflectance Field of a Human Face".
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from engine.project import Project
from engine.render.camera import direction, eye_position, look_along
from engine.render.stage import LAMP_IRRADIANCE, lamp_directions
from engine.scene import StageMode, ToneCurve, ViewChannel, scene_with

FORMAT, VERSION = "expdiff olat", 1


def olat_project(project: Project, lamp: int) -> Project:
    """`project` under lamp number `lamp` of its light stage alone, over black, without a tone curve."""
    scene = project.scene
    stage = replace(scene.stage, enabled=True, mode=StageMode.ONE, lamp=lamp)
    plain = scene_with(
        scene,
        stage=stage,
        tone_curve=ToneCurve.LINEAR,
        channel=ViewChannel.SHADED,
        background_srgb=(0.0, 0.0, 0.0),
        wireframe=False,
        uv_view=False,
    )
    return replace(project, scene=plain)


def olat_description(project: Project, size: tuple[int, int], suffix: str) -> dict[str, Any]:
    """What `lights.json` says about a set of `project` in pictures of (width, height) `size`, `suffix` .png or .exr."""
    scene = olat_project(project, 0).scene
    turn = scene.stage.rotation_rad
    cosine, sine = math.cos(turn), math.sin(turn)
    own = lamp_directions(scene.stage)
    world = np.stack([cosine * own[:, 0] + sine * own[:, 2], own[:, 1], cosine * own[:, 2] - sine * own[:, 0]], axis=1)
    irradiance = LAMP_IRRADIANCE * 2.0**scene.stage.exposure_ev
    digits = max(len(str(len(own) - 1)), 3)
    return {
        "format": FORMAT,
        "version": VERSION,
        "subject": project.identity.name,
        "weights": project.active(),
        "space": "right-handed, metres; +Y up, the face looks along +Z, the subject's left is +X",
        "color_space": _COLOR_SPACES[suffix],
        "exposure_ev": scene.exposure_ev,
        "surface": "surface.exr",
        "camera": _camera(project, size),
        "lights": [
            {
                "file": f"{number:0{digits}d}{suffix}",
                "direction": [round(float(value), 9) for value in towards],
                "irradiance_linear": [irradiance] * 3,
            }
            for number, towards in enumerate(world)
        ],
    }


_COLOR_SPACES = {
    ".png": "sRGB (IEC 61966-2-1) of linear light with Rec. 709 primaries, clipped at 1, over black; no tone curve",
    ".exr": "linear light with Rec. 709 primaries, float32, alpha associated; no tone curve",
}


def _camera(project: Project, size: tuple[int, int]) -> dict[str, Any]:
    """A pinhole: `pixels_from_camera` takes (x, y, z) in metres to (u w, v w, w); the middle of a pixel is at 0.5."""
    camera = project.scene.view.camera
    eye = eye_position(camera)
    view = look_along(eye, direction(camera.yaw_rad, camera.pitch_rad))
    focal = size[1] / 2 / math.tan(camera.vertical_fov_rad / 2)
    return {
        "size": list(size),
        "eye_m": eye.tolist(),
        "target_m": list(camera.target_m),
        "vertical_fov_rad": camera.vertical_fov_rad,
        "camera_from_world": view.tolist(),
        "convention": "column vectors; the camera looks along -Z, +Y up; pixels count right and down from the corner",
        "pixels_from_camera": [[focal, 0.0, -size[0] / 2], [0.0, -focal, -size[1] / 2], [0.0, 0.0, -1.0]],
    }
