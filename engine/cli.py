"""The `expdiff` command. Exit codes: 0 done, 1 cannot be done (one line says why), 2 wrong usage."""

from __future__ import annotations

import argparse
import logging
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli_parser import build_parser
from engine.errors import EngineError, ExportError, VocabularyError
from engine.io.map_conventions import parse_conventions
from engine.io.open import open_project

if TYPE_CHECKING:
    import numpy as np

    from engine.diffusion.request import GenerateRequest, Step
    from engine.expression import ExpressionSet
    from engine.project import Project
    from engine.scene import Camera, LightStage, Scene
    from engine.sides import Weight

LOG = logging.getLogger(__name__)

_LAZY = {
    "dataset": "engine.synth.dataset",
    "train": "engine.diffusion.train",
    "evaluate": "engine.diffusion.evaluate",
}
"""Commands whose arguments their own module declares: it imports torch, so it is loaded only when it is meant."""


def main(argv: list[str] | None = None) -> int:
    """Run `expdiff` with `argv` (the process's own when None) and return its exit code; argparse exits by itself."""
    arguments = sys.argv[1:] if argv is None else argv
    with _notes_on_stderr():
        try:
            if arguments and arguments[0] in _LAZY:
                return _run_lazy(arguments[0], arguments[1:])
            options = build_parser().parse_args(arguments)
            return COMMANDS[options.command](options)
        except EngineError as error:
            print(f"expdiff: error: {' '.join(str(error).split())}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("expdiff: stopped", file=sys.stderr)
            return 130


@contextmanager
def _notes_on_stderr() -> Iterator[None]:
    """What the engine has to say beside its results (units recognised, maps converted), a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("expdiff: note: %(message)s"))
    logger = logging.getLogger("engine")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


# --- commands --------------------------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    return _window(f"builtin:{options.seed}")


def _view(options: argparse.Namespace) -> int:
    return _window(options.path, options.maps, dict(options.map))


def _window(path: str | None, conventions: str = "", maps: Mapping[str, str] | None = None) -> int:
    from viewer.app import run

    return run(path, parse_conventions(conventions), maps)


def _run_lazy(name: str, arguments: list[str]) -> int:
    module = import_module(_LAZY[name])
    parser = argparse.ArgumentParser(prog=f"expdiff {name}", description=(module.__doc__ or "").splitlines()[0])
    module.add_arguments(parser)
    return module.run(parser.parse_args(arguments)) or 0


def _info(options: argparse.Namespace) -> int:
    from engine.mesh import PARTS

    project = _open(options)
    identity, topology = project.identity, project.identity.topology
    height, width = identity.maps.size
    tall = 1000 * float(identity.positions_m[:, 1].max() - identity.positions_m[:, 1].min())
    counts = [(part, len(topology.faces_of(part))) for part in PARTS]
    rows = [
        ("name", identity.name),
        ("source", " ".join(filter(None, (identity.provenance.source, identity.provenance.note)))),
        ("licence", identity.provenance.licence),
        ("vertices", f"{topology.vertex_count} ({topology.head_vertex_count} of the head file)"),
        ("triangles", ", ".join(f"{part.value} {count}" for part, count in counts if count)),
        ("height", f"{tall:.1f} mm"),
        ("maps", f"{width} x {height}; given: {', '.join(sorted(identity.known_maps)) or 'none'}"),
        ("topology", topology.hash),
        ("head", identity.hash),
        ("expressions", str(len(project.expressions.expressions))),
    ]
    for label, value in rows:
        print(f"{label:<12}{value}")
    for expression in project.expressions.expressions:
        reach = 1000 * float((expression.offsets_m**2).sum(axis=1).max() ** 0.5)
        print(f"  {expression.name:<22} up to {reach:5.1f} mm  {' '.join(expression.facs)}".rstrip())
    return 0


def _generate(options: argparse.Namespace) -> int:
    from engine.diffusion.prompts import understand
    from engine.export import jreflectance_steps
    from engine.face.quality import report
    from engine.io.jreflectance_writer import prepare
    from engine.io.project import SUFFIX, save_project
    from engine.vocabulary import NAMES, parse_names

    project = _open(options)
    everything = ", ".join(name for name in project.expressions.names if name in NAMES) if options.keep else "all"
    names = parse_names(options.expressions if options.expressions else "" if options.prompt.strip() else everything)
    if options.complete_maps:
        project = _completed(project, options.device)
    out = Path(options.out)
    request = _request(options, project, names, options.prompt)
    if options.keep:
        request = replace(request, lock=options.keep, made=project.expressions)
    if options.prompt.strip():
        print(f"prompt read as: {understand(options.prompt)}")
    if out.suffix != SUFFIX:
        prepare(project.identity, out)
    made = _made(request, fresh=True)
    project = replace(project, expressions=project.expressions.merged(made))
    if out.suffix == SUFFIX:
        save_project(project, out)
    else:
        _write_steps(jreflectance_steps(project, out), "expression")
        _list_person(out, options.split)
    for line in report(project.identity, made.expressions):
        print(line)
    print(f"{out}: {len(project.expressions.names)} expressions of {project.identity.name}")
    return 0


def _completed(project: Project, device: str) -> Project:
    """`project` with the maps that its head came without as the model reads them from the texture."""
    from engine.diffusion.complete import complete_identity
    from engine.expression import ExpressionSet

    identity = complete_identity(project.identity, device=device)
    if identity is project.identity:
        return project
    LOG.info("%s", identity.provenance.note)
    kept = ExpressionSet(identity.hash, project.expressions.expressions)  # changes are relative: they stay true
    return replace(project, identity=identity, expressions=kept)


def _list_person(folder: Path, split: str | None) -> None:
    """Put a person folder on its data set's train or test list, off the other."""
    if split is None:
        return
    from engine.io.jreflectance import read_split, write_split

    person = folder.resolve()
    train, test = ([name for name in names if name != person.name] for names in read_split(person.parent))
    (train if split == "train" else test).append(person.name)
    write_split(person.parent, tuple(train), tuple(test))


def _render(options: argparse.Namespace) -> int:
    from engine.export import named, save_layers, save_screenshot
    from engine.render.color_scale import color_scale
    from engine.render.offscreen import render_image, render_layers

    layered = Path(options.out).suffix.lower() == ".exr" and options.reference is None
    named(options.out, ".exr" if layered else ".png")
    project = _open(options)
    scene = _scene(project.scene, options)
    project = replace(_with_weights(project, options), scene=scene)
    if layered:
        save_layers(render_layers(project, *options.size), options.out)
        return 0
    _note_samples(project.scene, options.samples)
    image = render_image(project, *options.size, transparent=options.transparent, samples=options.samples)
    save_screenshot(image, options.out)
    if scale := color_scale(project):
        print(scale)
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
    print(f"{path}: same picture: {line}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from engine.export import export_glb, jreflectance_steps, named, only
    from engine.io.jreflectance_writer import prepare
    from engine.vocabulary import parse_names

    if options.format == "glb":
        named(options.out, ".glb")
    project = _open(options)
    if options.format == "jreflectance":
        prepare(project.identity, Path(options.out))
    has = project.expressions.names
    names = parse_names(options.expressions or "all") if options.expressions or not has else has
    project = _with_expressions(project, names, options)
    project = only(_with_weights(project, options), names)
    if options.format == "glb":
        export_glb(project, options.out, current_textures=options.textures == "current")
    else:
        _write_steps(jreflectance_steps(project, options.out), "expression")
    print(f"{options.out}: {len(names)} expressions of {project.identity.name}")
    return 0


def _olat(options: argparse.Namespace) -> int:
    from engine.export import olat_steps
    from engine.io.files import check_fillable

    check_fillable(Path(options.out).expanduser())
    project = _with_weights(open_project(options.path), options)
    stage, camera = _stage(project.scene, options, "0"), _camera(project.scene.camera, options)
    project = replace(project, scene=replace(project.scene, stage=stage, camera=camera))
    steps = olat_steps(project, options.out, options.size, linear=options.linear, samples=options.samples)
    done = _write_steps(steps, "picture")
    print(f"{options.out}: {done} lamps")
    return 0


def _video(options: argparse.Namespace) -> int:
    from engine.export import video_steps
    from engine.io.video import check_video
    from engine.render.motion import Motion
    from engine.vocabulary import parse_names

    check_video(Path(options.out).expanduser(), options.size, options.fps)
    project = open_project(options.path)
    project = replace(_with_weights(project, options), scene=_scene(project.scene, options))
    _note_samples(project.scene, options.samples)
    names = tuple(name for name in parse_names(options.expressions or "") if name != "Neutral")
    project = _with_expressions(project, names, options)
    still = not (options.light_turn or options.olat or names)
    motion = Motion(options.turntable or still, options.light_turn, options.olat, names, options.seconds, options.fps)
    done = _write_steps(video_steps(project, motion, options.out, options.size, samples=options.samples), "frame")
    print(f"{options.out}: {done} frames")
    return 0


# --- shared by commands ----------------------------------------------------------------------------------------------


def _open(options: argparse.Namespace) -> Project:
    return open_project(options.path, parse_conventions(options.maps), dict(options.map))


def _scene(scene: Scene, options: argparse.Namespace) -> Scene:
    from engine.scene import ViewChannel, with_channel

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
        scene = replace(scene, scale_end=options.scale_end)
    camera = _camera(scene.camera, options)
    if options.uv:
        scene, camera = replace(scene, uv_view=True), replace(camera, uv_center=(0.5, 0.5), uv_span=1.0)
    scene = replace(scene, environment=environment, camera=camera)
    return replace(scene, stage=_stage(scene, options, options.stage))


def _note_samples(scene: Scene, samples: int) -> None:
    """Say so where --samples changes nothing."""
    from engine.render.accumulate import converges

    if samples and not converges(scene):
        LOG.info("samples: drawn at once, because channels without light, the UV view and wires do not converge")


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


def _with_weights(project: Project, options: argparse.Namespace) -> Project:
    """`project` with --weights, its missing expressions made first; without --weights the saved ones stay."""
    weights = _weights(options.weights, project.expressions.names)
    if not weights:
        return project
    project = _with_expressions(project, tuple(weights), options)
    return replace(project, weights=weights)


def _weights(text: str, names: tuple[str, ...]) -> dict[str, Weight]:
    """NAME=NUMBER pairs, NAME:L=NUMBER for the subject's left alone, NAME:R for the right.

    Names are the project's own or the table's; a side that is not given is as the whole is, or 0.
    """
    from engine.sides import Sides, both, plain

    own = {name.casefold(): name for name in names}
    weights: dict[str, Weight] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        label, equals, value = part.rpartition("=")
        label, value = (label.strip(), value) if equals else (value.strip(), "1")
        whole, _, side = label.rpartition(":")
        if side.strip().upper() not in ("L", "R") or label.casefold() in own:
            whole, side = label, ""
        name, weight = _weight(part, whole.strip(), value, own)
        left, right = both(weights.get(name, 0.0))
        side = side.strip().upper()
        weights[name] = plain(Sides(left if side == "R" else weight, right if side == "L" else weight))
    return {name: weight for name, weight in weights.items() if name != "Neutral"}


def _weight(part: str, label: str, value: str, own: dict[str, str]) -> tuple[str, float]:
    """The name that `label` stands for and the number in `value`; VocabularyError quotes `part`."""
    from engine.vocabulary import find

    name = own.get(label.casefold()) or find(label).name
    try:
        weight = float(value)
    except ValueError:
        raise VocabularyError(f"weights: expected NAME=NUMBER, found '{part}'") from None
    if not math.isfinite(weight):
        raise VocabularyError(f"weights: expected a finite number for '{name}', found {weight}")
    return name, weight


def _with_expressions(project: Project, names: tuple[str, ...], options: argparse.Namespace) -> Project:
    """`project` with those of `names` that it has not yet, made by the model or taken from the cache."""
    missing = tuple(name for name in names if name not in project.expressions)
    if not missing:
        return project
    made = _made(_request(options, project, missing, ""), fresh=False)
    return replace(project, expressions=project.expressions.merged(made))


def _request(options: argparse.Namespace, project: Project, names: tuple[str, ...], prompt: str) -> GenerateRequest:
    from engine.diffusion.request import GenerateRequest

    return GenerateRequest(
        project.identity,
        names,
        prompt,
        steps=options.steps,
        seed=options.seed,
        folds=options.folds,
        age_years=options.age,
        device=options.device,
    )


def _made(request: GenerateRequest, *, fresh: bool) -> ExpressionSet:
    from tqdm import tqdm

    from engine.expression_cache import generate_cached

    result: ExpressionSet | None = None
    with tqdm(desc="generate", unit="step", disable=None, file=sys.stderr) as bar:
        for step in generate_cached(request, fresh=fresh):
            _show(bar, step)
            result = step.result or result
    if result is None:
        raise EngineError("generate: expected a result at the end, found none; this is a mistake in the program")
    return result


def _show(bar, step: Step) -> None:
    bar.total = step.total
    bar.n = step.index
    bar.set_postfix_str(step.label)


def _write_steps(steps: Iterator, unit: str) -> int:
    """Iterate `steps` to the end under a bar of `unit`s; how many steps it says there are."""
    from tqdm import tqdm

    done = 0
    with tqdm(desc="write", unit=unit, disable=None, file=sys.stderr) as bar:
        for step in steps:
            done = step.total
            bar.total = step.total
            bar.set_postfix_str(step.label, refresh=False)
            bar.update(step.index - bar.n)
    return done


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": _demo,
    "view": _view,
    "info": _info,
    "generate": _generate,
    "render": _render,
    "export": _export,
    "olat": _olat,
    "video": _video,
}

if __name__ == "__main__":
    sys.exit(main())
