"""How true the pictures are: the renderer beside Mitsuba 3, term by term, and what happens when something is wrong.

    DRJIT_LIBLLVM_PATH=... python -m benchmarks.render_truth [HEAD] [--size 384] [--pictures FOLDER]

Prints one table in Markdown, a line for each comparison with its figure and its threshold, and ends with exit code 1
where one does not hold. HEAD is anything the program opens (default builtin:7). Needs `scripts/install '.[truth]'`
and a libLLVM of 15 or newer: see README.md here.

PSNR, bias and FLIP are those of `benchmarks.difference`, over the pixels that count.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_erosion

from benchmarks.difference import compare
from benchmarks.peers.path_tracer import Faults, Light, mitsuba, trace, version
from engine.color import bytes_from_unit, srgb_from_linear
from engine.errors import EngineError
from engine.export import save_screenshot
from engine.expression import ExpressionSet
from engine.identity import SKIN_F0, UNKNOWN, Identity, ReflectanceMaps
from engine.mesh import PARTS, Part, Topology
from engine.open import open_project
from engine.project import Project
from engine.render.context import standalone_context
from engine.render.environment import equirect_radiance
from engine.render.occlusion import sphere_directions
from engine.render.offscreen import render_layers, render_light
from engine.render.renderer import Renderer
from engine.render.sampling import FrameSample
from engine.render.sources import LightSource, lights_of
from engine.scene import Camera, Environment, Lamp, Scene, ToneCurve, View, scene_with

DARK = -60.0
"""Stops that put an environment out."""
FLIP_DRAWN_AT_ONCE = {"Studio and key light": 0.087, "Studio": 0.084, "Sunset": 0.072}
"""Ratchets: what the picture that is drawn at once may differ from light that bounces to and fro. May only fall."""
BOUNCES = 5
_OFF = Lamp(enabled=False)


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison."""

    name: str
    figure: str
    wanted: str
    holds: bool


class Judge:
    """Draws here, has the path tracer draw, and keeps the lines."""

    def __init__(self, renderer: Renderer, head: Project, side: int, pictures: Path | None) -> None:
        scene = replace(head.scene, scattering=False, tone_curve=ToneCurve.LINEAR)
        self.renderer, self.head, self.size, self.pictures = (
            renderer,
            replace(head, scene=scene),
            (side, side),
            pictures,
        )

    def lines(self) -> Iterator[Line]:
        """All comparisons, as they are done."""
        yield from self.brdf()
        yield from self.furnace()
        yield from self.environments()
        yield from self.converging()
        yield from self.at_once()

    # one light

    def brdf(self) -> Iterator[Line]:
        """The face under one lamp where nothing shadows it, at 4 x 4 samples a pixel; then with faults."""
        camera = replace(self.head.scene.view.camera, distance_m=0.5 * self.head.scene.view.camera.distance_m)
        face = replace(self.head, scene=scene_with(self.head.scene, camera=camera))
        lamp = lights_of(replace(self.head.scene, key_light=Lamp(irradiance=3.0)), ())
        found = self.sampled(face, tuple(replace(one, shadow=False) for one in lamp), 4)
        for name, faults in (
            ("BRDF, one lamp", None),
            ("... normal map upside down", Faults(slope_y_flipped=True)),
            ("... texture upside down", Faults(v_flipped=True)),
            ("... specular and roughness swapped", Faults(specular_and_roughness_swapped=True)),
        ):
            truth = trace(face, self.size, Light(lamp), 256, faults)
            inside = binary_erosion((truth.skin == 1) & (truth.lit == 1), iterations=3)
            result = compare(found, truth.light, inside)
            good = result.psnr_db >= 60 and abs(result.bias) <= 0.001 and result.flip <= 0.005
            if faults is None:
                self.keep("brdf", found, truth.light)
                yield Line(name, str(result), "60 dB, 0.1 %, 0.005", good)
            else:
                yield Line(name, str(result), "to fail", not good)
        mirrored = [replace(one, towards=(-one.towards[0], *one.towards[1:])) for one in lamp]
        truth = trace(face, self.size, Light(mirrored), 256)
        inside = binary_erosion((truth.skin == 1) & (truth.lit == 1), iterations=3)
        result = compare(found, truth.light, inside)
        yield Line("... lamp mirrored", str(result), "to fail", result.psnr_db < 60)

    def sampled(self, project: Project, lights: tuple[LightSource, ...], side: int) -> np.ndarray:
        """(H, W, 3) linear light of `lights` alone with `side` x `side` samples a pixel."""
        context, (width, height) = self.renderer.context, self.size
        fine = width * side, height * side
        color, depth = context.texture(fine, 4, dtype="f4"), context.depth_renderbuffer(fine)
        target = context.framebuffer([color], depth)
        self.renderer.draw(project, target, fine, sample=FrameSample((0.0, 0.0), lights))
        read = np.frombuffer(target.read(components=4, dtype="f4"), np.float32)
        self.renderer.idle.use()
        for made in (target, color, depth):
            made.release()
        return read.reshape(height, side, width, side, 4)[::-1].mean((1, 3))[..., :3]

    # energy

    def furnace(self) -> Iterator[Line]:
        """A ball in even light of radiance 1 sends out 1, whatever its roughness: by environment and by many lamps."""
        for name, f0, albedo in (("metal, F0 = 1", 1.0, 0), ("dielectric, F0 = 0.028, albedo 1", SKIN_F0, 255)):
            by_sky, by_lamps = [], []
            for roughness in (0.25, 0.4, 0.5, 0.75, 1.0):
                ball = _ball(roughness, f0, albedo, _even())
                by_sky.append(self.inside_of_ball(self.drawn(ball), ball))
                if roughness >= 0.4:  # sharper lobes see the single lamps
                    by_lamps.append(self.inside_of_ball(self.under_lamps(ball), ball))
            for light, values in (("environment", by_sky), ("2400 lamps", by_lamps)):
                low, high = min(v.min() for v in values), max(v.max() for v in values)
                good = low >= 0.99 and high <= 1.01
                yield Line(f"White furnace, {name}, {light}", f"{low:.4f} to {high:.4f}", "0.99 to 1.01", good)

    def inside_of_ball(self, light: np.ndarray, ball: Project) -> np.ndarray:
        """(18,) mean radiance of the rings where the ball is seen at cosines of 0.1 to 0.15, 0.15 to 0.2 .. 1."""
        layers = render_layers(ball, *self.size, supersample=1, renderer=self.renderer)
        eye = np.array([0.0, 0.0, ball.scene.view.camera.distance_m])
        towards = eye - layers["position"]
        cosine = (layers["normal"] * towards).sum(-1) / np.maximum(np.linalg.norm(towards, axis=-1), 1e-6)
        whole = layers["RGBA"][..., 3] == 1
        edges = np.linspace(0.1, 1.0, 19)
        return np.array(
            [light[whole & (cosine >= low) & (cosine < high)].mean() for low, high in itertools.pairwise(edges)]
        )

    def under_lamps(self, ball: Project, count: int = 2400) -> np.ndarray:
        """The ball under evenly spread lamps that make radiance 1 together."""
        share = 4 * math.pi / count
        total = np.zeros((*self.size[::-1], 3))
        directions = sphere_directions(count)
        for first in range(0, count, 6):
            lamps = tuple(
                LightSource((x, y, z), (share, share, share), shadow=False) for x, y, z in directions[first : first + 6]
            )
            total += self.sampled(ball, lamps, 1)
        return total

    # image-based light

    def environments(self) -> Iterator[Line]:
        """The picture that is drawn at once: a ball of skin under soft light, and under suns, which are taken out."""
        for name, kind in (("Studio", "soft"), ("Overcast", "soft"), ("Sunset", "sunny")):
            ball = _ball(0.45, SKIN_F0, 150, Environment(name, rotation_rad=0.7))
            found = self.drawn(ball, 4)
            truth = trace(ball, self.size, Light((), _turned(equirect_radiance(name), 0.7)), 1024)
            inside = truth.inside
            result = compare(found, truth.light, inside)
            self.keep(f"ball_{name}", found, truth.light)
            yield Line(f"Environment {name} ({kind}), ball", str(result), "40 dB", result.psnr_db >= 40)
            if name == "Studio":
                wrong = trace(ball, self.size, Light((), _turned(equirect_radiance(name), -0.7)), 256)
                result = compare(found, wrong.light, inside)
                yield Line("... turned the other way", str(result), "to fail", result.psnr_db < 40)

    def drawn(self, project: Project, side: int = 1) -> np.ndarray:
        """(H, W, 3) linear light of the picture that is drawn at once."""
        return render_layers(project, *self.size, supersample=side, renderer=self.renderer)["RGBA"][..., :3]

    # the picture that converges

    def converging(self) -> Iterator[Line]:
        """The whole head with its own shadows after 16, 64 and 256 frames."""
        key = replace(self.head.scene.key_light, shadow_softness_m=0.0)
        scene = replace(self.head.scene, key_light=key)
        head = replace(self.head, scene=scene)
        light = Light(lights_of(scene, ()), equirect_radiance(scene.environment.name))
        truth = trace(head, self.size, light, 4096)
        inside = truth.inside
        errors = {}
        for count in (16, 64, 256):
            found = render_light(head, *self.size, samples=count, renderer=self.renderer)[..., :3]
            errors[count] = float(
                np.sqrt(np.square(found - truth.light).mean(where=np.asarray(inside, bool)[..., None]))
            )
            result = compare(found, truth.light, inside)
            wanted, good = ("40 dB", result.psnr_db >= 40) if count == 256 else ("-", True)
            yield Line(f"Converging, head with its shadows, {count} frames", str(result), wanted, good)
        self.keep("converged", found, truth.light)
        rate = math.log(errors[16] / errors[256]) / math.log(16)
        yield Line("... error falls as N to the power", f"-{rate:.2f}", "-0.4 or better", rate >= 0.4)

    # the picture that is drawn at once

    def at_once(self) -> Iterator[Line]:
        """The whole head beside all that light does, which it estimates: what others hide, and what bounces."""
        key = replace(self.head.scene.key_light, shadow_softness_m=0.0)
        lights = {
            "Studio and key light": (Environment("Studio"), key),
            "Studio": (Environment("Studio"), _OFF),
            "Sunset": (Environment("Sunset"), _OFF),
        }
        for name, (environment, lamp) in lights.items():
            head = replace(self.head, scene=replace(self.head.scene, environment=environment, key_light=lamp))
            light = Light(lights_of(head.scene, ()), equirect_radiance(environment.name))
            truth = trace(head, self.size, light, 4096, bounces=BOUNCES)
            found = self.drawn(head, 4)
            self.keep(f"at_once_{name}", found, truth.light)
            result, limit = compare(found, truth.light, truth.inside), FLIP_DRAWN_AT_ONCE[name]
            yield Line(f"Drawn at once, head, {name} (ratchet)", str(result), f"FLIP {limit}", result.flip <= limit)

    def keep(self, name: str, found: np.ndarray, truth: np.ndarray) -> None:
        """Both pictures and ten times their difference, side by side."""
        if self.pictures is None:
            return
        self.pictures.mkdir(parents=True, exist_ok=True)
        shown = [srgb_from_linear(np.clip(image, 0, 1)) for image in (found, truth)]
        gap = np.clip(0.5 + 10 * (shown[0] - shown[1]), 0, 1)
        image = np.ascontiguousarray(bytes_from_unit(np.concatenate([*shown, gap], axis=1)))
        save_screenshot(image, str(self.pictures / f"{name}.png"))


def _even() -> Environment:
    """Radiance 1 from everywhere."""
    radiance = float(equirect_radiance("Even").mean())
    return Environment("Even", exposure_ev=-math.log2(radiance))


def _turned(radiance: np.ndarray, rotation_rad: float) -> np.ndarray:
    """An environment turned as `Environment.rotation_rad` turns it, to the nearest texel."""
    return np.roll(radiance, -round(rotation_rad / (2 * math.pi) * radiance.shape[1]), axis=1)


def _ball(roughness: float, f0: float, albedo: int, environment: Environment) -> Project:
    """A ball of 0.1 m with even maps, alone in `environment`; `albedo` is an sRGB byte."""
    rings, segments = 96, 192
    v, u = np.meshgrid(np.linspace(0, 1, rings + 1), np.linspace(0, 1, segments + 1), indexing="ij")
    polar, azimuth = v * np.pi, (u - 0.5) * 2 * np.pi
    unit = np.stack([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], -1)
    at = np.arange(v.size).reshape(v.shape)
    a, b, c, d = at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    parts = np.full(len(faces), PARTS.index(Part.SKIN))
    uvs = np.stack([u, v], -1).reshape(-1, 2)
    topology = Topology(faces, uvs, faces, parts, v.size, v.size)
    maps = ReflectanceMaps(
        np.full((4, 4, 3), albedo, np.uint8),
        np.full((4, 4, 3), 255, np.uint8),
        np.full((4, 4), round(255 * roughness), np.uint8),
        np.zeros((4, 4, 2), np.float16),
    )
    identity = Identity(
        "ball",
        topology,
        (0.1 * unit.reshape(-1, 3)).astype(np.float32),
        maps,
        np.full((4, 4, 3), 128, np.uint8),
        np.ones(v.size, np.float32),
        frozenset({"diffuse"}),
        UNKNOWN,
        f0,
    )
    camera = Camera(distance_m=0.8)
    scene = Scene(View(camera), environment, _OFF, tone_curve=ToneCurve.LINEAR, scattering=False)
    return Project(identity, ExpressionSet(identity.hash, ()), {}, scene)


def main() -> int:
    """Run all comparisons; 1 where one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("head", metavar="HEAD", nargs="?", default="builtin:7")
    parser.add_argument("--size", type=int, default=384, metavar="N", help="pixels on a side (default 384)")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="keep the pictures that are compared here")
    options = parser.parse_args()
    try:
        mitsuba()
        head = open_project(options.head)
    except EngineError as error:
        parser.exit(2, f"{error}\n")
    except ImportError as error:
        parser.exit(2, f"render_truth: expected Mitsuba 3, found: {error}; run scripts/install '.[truth]'\n")
    context = standalone_context()
    renderer = Renderer(context)
    print(
        f"{head.identity.name}, {options.size} x {options.size}; {context.info['GL_RENDERER']}; {version()}; ", end=""
    )
    print(f"{platform.machine()}, {os.cpu_count()} threads\n\n| Comparison | Found | Wanted | |\n|---|--:|--:|---|")
    good = True
    for line in Judge(renderer, head, options.size, options.pictures).lines():
        print(f"| {line.name} | {line.figure} | {line.wanted} | {'yes' if line.holds else 'NO'} |", flush=True)
        good &= line.holds
    renderer.release()
    context.release()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
