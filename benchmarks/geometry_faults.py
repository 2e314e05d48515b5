"""What breaks on moved heads: eyeballs through closed lids, gums through lips, lips that gape, shapes that are lost.

    python -m benchmarks.geometry_faults HEAD ... [--sums 200]      such as builtin:0, or "ICT_FOLDER?seed=3"

A row for each HEAD, moved by the shipped model: pixels of eyeballs in close pictures of a blink (parts channel, eight
views), the widest opening between the lips at rest and in a closed smile, and how far the upper gums go as the jaw
opens. Of an ICT-FaceKit head also the share of its skin that comes out more than 5 mm from where its own shape is, when
that shape goes through the program's maps. With --sums, how much of the skin passes through itself in the worst of so
many sums of three expressions at full strength, drawn at random. Exit code 1 where a goal does not hold. A table in
Markdown.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.expression import Expression, ExpressionSet
from engine.face import layout
from engine.face.contact import column_gap_m, sides, skin_m
from engine.face.ict_shapes import ict_mix, shapes
from engine.face.lips import posed_m
from engine.face.quality import measure
from engine.face.registration import registered
from engine.face.transfer import decode_offsets, encode_offsets, lower_parts
from engine.identity import Identity
from engine.io.ict import GUMS, TEETH, VERTEX_COUNT
from engine.mesh import Part
from engine.open import open_project
from engine.project import Project
from engine.render.offscreen import render_image
from engine.render.passes import PART_SRGB
from engine.render.renderer import Renderer
from engine.scene import ViewChannel, scene_with, with_channel
from engine.vocabulary import NAMES, find

BLINK, SMILE, JAW, SUCK = "Eye Blink", "Lip Corner Puller", "Jaw Open", "Lip Suck"
FAR_M = 0.005
_VIEWS = ((0.0, 0.0), (0.4, 0.0), (-0.4, 0.0), (0.0, -0.3))
_SIDE = 320
_ENDS = 2
"""Stations at each corner of the mouth that are left out: there one lip goes over into the other."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Of one head; None where it does not apply."""

    eyeball_pixels: int
    lips_rest_mm: float
    lips_smile_mm: float
    upper_gums_mm: float | None = None
    lost_jaw: float | None = None
    """Share of the skin more than `FAR_M` off ICT-FaceKit's own Jaw Open."""
    lost_suck: float | None = None
    crossing_sum: float = 0.0
    """Share of the skin that crosses in the worst sum."""

    def faults(self) -> tuple[str, ...]:
        """Goals that do not hold. A head whose file has parted lips may keep them so."""
        limits = (
            ("eyeball seen", self.eyeball_pixels, 0),
            ("lips gape in a smile", self.lips_smile_mm - max(self.lips_rest_mm - 0.2, 0), 0.3),
            ("upper gums move", self.upper_gums_mm or 0.0, 1.0),
            ("Jaw Open lost", self.lost_jaw or 0.0, 0.01),
            ("Lip Suck lost", self.lost_suck or 0.0, 0.01),
            ("skin crosses in sums", self.crossing_sum, 0.001),
        )
        return tuple(name for name, value, limit in limits if value > limit)


def eyeball_pixels(project: Project, blink: Expression, renderer: Renderer) -> int:
    """Pixels of eyeballs in pictures of both eyes of `project` in `blink`, close and from four sides."""
    identity = project.identity
    scene = with_channel(project.scene, ViewChannel.PARTS)
    shown = replace(project, expressions=ExpressionSet(identity.hash, (blink,)), weights={blink.name: 1.0})
    count = 0
    for part in (Part.EYE_LEFT, Part.EYE_RIGHT):
        ball = identity.positions_m[identity.topology.vertices_of(part)]
        target = tuple(float(value) for value in (ball.min(axis=0) + ball.max(axis=0)) / 2)
        colour = np.rint(np.array(PART_SRGB[part]) * 255)
        for yaw, pitch in _VIEWS:
            camera = replace(scene.view.camera, target_m=target, distance_m=0.16, yaw_rad=yaw, pitch_rad=pitch)
            seen = replace(shown, scene=scene_with(scene, camera=camera))
            image = render_image(seen, _SIDE, _SIDE, renderer=renderer)[..., :3].astype(float)
            count += int((np.abs(image - colour).max(axis=2) < 12).sum())
    return count


def lips_mm(identity: Identity, offsets_m: np.ndarray) -> float:
    """The widest opening between the lips, its corners left out; `offsets_m` is (V, 3)."""
    skin = registered(identity.topology).vertices
    gap = column_gap_m(sides(identity.topology, layout.SLITS[0]), skin_m(identity) + offsets_m[skin])
    return 1000 * float(gap[_ENDS:-_ENDS].max())


def own_shape_m(identity: Identity, name: str) -> np.ndarray:
    """(V, 3) metres: ICT-FaceKit's own shapes for the row `name` of the vocabulary."""
    count = identity.topology.vertex_count
    parts = [weight * shapes().dense_m(shape, count) for shape, weight in ict_mix(find(name).arkit).items()]
    return np.sum(parts, axis=0)


def lost_share(identity: Identity, name: str) -> float:
    """Share of the skin more than `FAR_M` off the head's own shape, after that went through the maps."""
    own = own_shape_m(identity, name)
    carried = decode_offsets(identity, encode_offsets(identity, own), find(name).arkit)
    skin = registered(identity.topology).vertices
    return float((np.linalg.norm(carried - own, axis=1)[skin] > FAR_M).mean())


def upper_gums_mm(identity: Identity, offsets_m: np.ndarray) -> float:
    """How far the upper gums of a head on ICT-FaceKit's vertices move."""
    gums = np.setdiff1d(np.arange(GUMS, TEETH), lower_parts(identity))
    return 1000 * float(np.linalg.norm(offsets_m[gums], axis=1).max())


def crossing_sum(identity: Identity, made: ExpressionSet, count: int) -> float:
    """Largest `Quality.crossing_share` of `count` sums of three of `made` at full strength, the same for all heads."""
    rng = np.random.default_rng(1)
    sums = [dict.fromkeys(map(str, rng.choice(made.names, 3, replace=False)), 1.0) for _ in range(count)]
    moved = (posed_m(identity, made, weights) - identity.positions_m for weights in sums)
    return max((measure(identity, each, {}).crossing_share for each in moved), default=0.0)


def measured(path: str, renderer: Renderer, sums: int) -> Faults:
    """`Faults` of the head at `path`, moved by the shipped model."""
    from engine.diffusion.generate import generate
    from engine.diffusion.request import GenerateRequest

    project = open_project(path)
    identity = project.identity
    *_, last = generate(GenerateRequest(identity, NAMES[1:] if sums else (BLINK, SMILE, JAW)))
    assert last.result is not None
    moved = {expression.name: expression for expression in last.result.expressions}
    rest = lips_mm(identity, np.zeros_like(identity.positions_m))
    seen = eyeball_pixels(project, moved[BLINK], renderer)
    worst = crossing_sum(identity, last.result, sums)
    faults = Faults(seen, rest, lips_mm(identity, moved[SMILE].offsets_m), crossing_sum=worst)
    if identity.topology.head_vertex_count != VERTEX_COUNT:
        return faults
    gums = upper_gums_mm(identity, moved[JAW].offsets_m)
    return replace(faults, upper_gums_mm=gums, lost_jaw=lost_share(identity, JAW), lost_suck=lost_share(identity, SUCK))


def main() -> int:
    """The table of the heads on the command line."""
    from engine.render.context import standalone_context

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("heads", nargs="+", metavar="HEAD")
    parser.add_argument("--sums", type=int, default=0)
    options = parser.parse_args()
    renderer = Renderer(standalone_context())
    print("| head | eyeball px | lips at rest mm | in a smile | upper gums | jaw lost | suck lost | sums cross | |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|---|")
    failed = False
    for path in options.heads:
        row = measured(path, renderer, options.sums)
        failed |= bool(row.faults())
        cells = [f"{value:.2f}" for value in (row.lips_rest_mm, row.lips_smile_mm)]
        cells += ["-" if row.upper_gums_mm is None else f"{row.upper_gums_mm:.2f}"]
        cells += ["-" if share is None else f"{100 * share:.2f} %" for share in (row.lost_jaw, row.lost_suck)]
        cells += [f"{100 * row.crossing_sum:.3f} %" if options.sums else "-"]
        cells += ["; ".join(row.faults())]
        print(f"| {Path(path).name} | {row.eyeball_pixels} | {' | '.join(cells)} |", flush=True)
    renderer.release()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
