"""`expdiff info`, `expdiff generate` and `expdiff export`: what is in a head, and its expressions made and written."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.shared import iterate, made_by_model, opened, request_of, say, with_expressions, with_weights
from engine.vocabulary import NEUTRAL

if TYPE_CHECKING:
    from engine.project import Project


def info(options: argparse.Namespace) -> int:
    from engine.io.jreflectance import missing_expressions
    from engine.mesh import PARTS

    project = opened(options)
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
    if missing := missing_expressions(Path(options.path).expanduser()):
        rows.append(("missing", ", ".join(missing)))
    for label, value in rows:
        say(f"{label:<12}{value}")
    for expression in project.expressions.expressions:
        reach = 1000 * float((expression.offsets_m**2).sum(axis=1).max() ** 0.5)
        say(f"  {expression.name:<22} up to {reach:5.1f} mm  {' '.join(expression.facs)}".rstrip())
    return 0


def generate(options: argparse.Namespace) -> int:
    from engine.diffusion.prompts import understand
    from engine.export import jreflectance_steps
    from engine.face.quality import report
    from engine.io.jreflectance import check_split, list_person
    from engine.io.jreflectance_writer import prepare
    from engine.io.project import SUFFIX, save_project
    from engine.vocabulary import NAMES, parse_names

    project = opened(options)
    everything = ", ".join(name for name in project.expressions.names if name in NAMES) if options.keep else "all"
    names = parse_names(options.expressions if options.expressions else "" if options.prompt.strip() else everything)
    if options.complete_maps:
        from engine.diffusion.complete import complete_project

        project = complete_project(project, options.model, options.device)
    out = Path(options.out).expanduser()
    request = request_of(options, project, names, options.prompt)
    if options.keep:
        request = replace(request, lock=options.keep, made=project.expressions)
    if options.prompt.strip():
        say(f"prompt read as: {understand(options.prompt)}")
    if out.suffix != SUFFIX:
        prepare(project.identity, out, (*project.expressions.names, *names, *filter(None, [options.prompt.strip()])))
        if options.split is not None:
            check_split(out.resolve().parent)
    generated = made_by_model(request, fresh=True)
    project = replace(project, expressions=project.expressions.merged(generated))
    if out.suffix == SUFFIX:
        save_project(project, out)
    else:
        iterate(jreflectance_steps(project, out), "expression")
        if options.split is not None:
            list_person(out, options.split)
    for line in report(project.identity, generated.expressions):
        say(line)
    _say_written(out, project)
    return 0


def export(options: argparse.Namespace) -> int:
    from engine.export import export_glb, jreflectance_steps, named, only
    from engine.io.jreflectance_writer import prepare
    from engine.vocabulary import parse_names

    if options.format == "glb":
        named(options.out, ".glb")
    project = opened(options)
    has = project.expressions.names
    names = parse_names(options.expressions or "all") if options.expressions or not has else has
    names = tuple(name for name in names if name != NEUTRAL)  # every format has the head as it is
    if options.format == "jreflectance":
        prepare(project.identity, Path(options.out).expanduser(), names)
    project = with_expressions(project, names, options)
    project = only(with_weights(project, options), names)
    if options.format == "glb":
        export_glb(project, options.out, current_textures=options.textures == "current")
    else:
        iterate(jreflectance_steps(project, Path(options.out).expanduser()), "expression")
    _say_written(options.out, project)
    return 0


def _say_written(place: object, project: Project) -> None:
    """The last line: `place` has so many expressions; Neutral, which is the head itself, is none."""
    count = sum(name != NEUTRAL for name in project.expressions.names)
    say(f"{place}: {count} expression{'' if count == 1 else 's'} of {project.identity.name}")
