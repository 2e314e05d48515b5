"""The `expdiff` command. Exit codes: 0 done, 1 cannot be done (one line says why), 2 wrong usage."""

from __future__ import annotations

import argparse
import logging
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
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
    from engine.scene import Scene

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
    return _window(f"builtin:{options.seed}", "")


def _view(options: argparse.Namespace) -> int:
    return _window(options.path, options.maps)


def _window(path: str | None, maps: str) -> int:
    from viewer.app import run

    return run(path, parse_conventions(maps))


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
        _write_folder(jreflectance_steps(project, out))
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
        _write_folder(jreflectance_steps(project, options.out))
    print(f"{options.out}: {len(names)} expressions of {project.identity.name}")
    return 0


# --- shared by commands ----------------------------------------------------------------------------------------------


def _open(options: argparse.Namespace) -> Project:
    return open_project(options.path, parse_conventions(options.maps))


def _scene(scene: Scene, options: argparse.Namespace) -> Scene:
    from engine.scene import ViewChannel, with_channel

    if options.preset is not None:
        from engine.render.presets import PRESETS, with_preset

        scene = with_preset(scene, _named(options.preset, PRESETS) or options.preset)
    environment, camera = scene.environment, scene.camera
    if options.light is not None:
        environment = replace(environment, name=_light(options.light))
    if options.light_rotation is not None:
        environment = replace(environment, rotation_rad=math.radians(options.light_rotation))
    if options.camera is not None:
        yaw, pitch = options.camera
        camera = replace(camera, yaw_rad=math.radians(yaw), pitch_rad=math.radians(pitch))
    if options.channel is not None:
        labels = {name: item for item in ViewChannel for name in (_plain(item.value), _plain(item.name))}
        if _plain(options.channel) not in labels:
            known = ", ".join(item.name.lower() for item in ViewChannel)
            raise VocabularyError(f"unknown channel '{options.channel}'; known: {known}")
        scene = with_channel(scene, labels[_plain(options.channel)])
    if options.scale_end is not None:
        scene = replace(scene, scale_end=options.scale_end)
    if options.uv:
        scene, camera = replace(scene, uv_view=True), replace(camera, uv_center=(0.5, 0.5), uv_span=1.0)
    return replace(scene, environment=environment, camera=camera)


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


def _weights(text: str, names: tuple[str, ...]) -> dict[str, float]:
    """NAME=NUMBER pairs; names are the project's own or the table's."""
    from engine.vocabulary import parse_weights

    own = {name.casefold(): name for name in names}
    weights: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, value = part.rpartition("=")
        mine = own.get((name or value).strip().casefold())
        weights |= parse_weights(part) if mine is None else {mine: _weight(part, value if name else "1")}
    for name, weight in weights.items():
        if not math.isfinite(weight):
            raise VocabularyError(f"weights: expected a finite number for '{name}', found {weight}")
    return {name: weight for name, weight in weights.items() if name != "Neutral"}


def _weight(part: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise VocabularyError(f"weights: expected NAME=NUMBER, found '{part}'") from None


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
        project.identity, names, prompt, steps=options.steps, seed=options.seed, device=options.device
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


def _write_folder(steps: Iterator) -> None:
    from tqdm import tqdm

    with tqdm(desc="write", unit="expression", disable=None, file=sys.stderr) as bar:
        for step in steps:
            bar.total = step.total
            bar.set_postfix_str(step.label, refresh=False)
            bar.update(step.index - bar.n)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": _demo,
    "view": _view,
    "info": _info,
    "generate": _generate,
    "render": _render,
    "export": _export,
}

if __name__ == "__main__":
    sys.exit(main())
