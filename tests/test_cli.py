"""The command: what it prints, writes and returns, on small heads saved in each way."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import expression_cache
from engine.cli import main
from engine.diffusion.request import GenerateRequest
from engine.errors import VocabularyError
from engine.export import export_jreflectance
from engine.identity import Identity
from engine.io import jreflectance
from engine.io.cache import VARIABLE
from engine.io.images import png_bytes, read_rgb, write_png
from engine.io.jreflectance import list_person
from engine.io.project import load_project, save_project
from engine.project import Project, new_project
from engine.render.color_scale import color_scale
from engine.scene import Environment, Scene, ViewChannel, scene_with
from engine.sides import Sides, Weight, parse_weights
from tests.heads import make_expressions, make_head, write_mesh

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def head() -> Identity:
    return make_head(32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Never the user's own cache."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def saved(head: Identity, tmp_path: Path) -> str:
    """A project with two expressions."""
    project = Project(head, make_expressions(head), {}, new_project(head).scene)
    save_project(project, tmp_path / "head.expdiff")
    return str(tmp_path / "head.expdiff")


@pytest.fixture
def bare(head: Identity, tmp_path: Path) -> str:
    """A project without expressions."""
    save_project(new_project(head), tmp_path / "bare.expdiff")
    return str(tmp_path / "bare.expdiff")


@pytest.fixture
def person(head: Identity, tmp_path: Path) -> Path:
    project = Project(head, make_expressions(head), {}, new_project(head).scene)
    export_jreflectance(project, tmp_path / "p001")
    return tmp_path / "p001"


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that `expdiff` says on stderr when it cannot."""
    assert main(list(arguments)) == 1
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith("expdiff: note: ")]
    assert len(lines) == 1, err
    assert lines[0].startswith("expdiff: error: ")
    assert out == ""
    return lines[0]


# --- what works ------------------------------------------------------------------------------------------------------


def test_info_says_what_is_there(saved: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", saved]) == 0
    out = capsys.readouterr().out
    for text in ("test head 0", "Apache-2.0", "240.0 mm", "32 x 32", "Jaw Open", "Brows Up", "eye_left"):
        assert text in out


def test_a_person_folder_and_a_project_open_alike(person: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(person)]) == 0
    out = capsys.readouterr().out
    assert "Jaw Open" in out
    assert "240.0 mm" in out


def test_export_glb_with_chosen_expressions_and_weights(saved: str, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "a.glb"
    arguments = ["--expressions", "brows up", "--weights", "Brows Up=0.5"]
    assert main(["export", saved, "--format", "glb", "--out", str(out), *arguments]) == 0
    data = out.read_bytes()
    assert data[:4] == b"glTF"
    assert b'"targetNames":["Brows Up"]' in data
    assert b'"weights":[0.5]' in data


@pytest.mark.parametrize(
    ("names", "says"), [("Neutral", "0 expressions"), ("Neutral,Jaw Open", "1 expression of"), ("all", "2 expressions")]
)
def test_neutral_is_no_expression(
    saved: str, tmp_path: Path, names: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [] if names == "all" else ["--expressions", names]
    assert main(["export", saved, "--format", "glb", "--out", str(tmp_path / "a.glb"), *asked]) == 0
    assert f"a.glb: {says}" in capsys.readouterr().out
    assert b'"Neutral"' not in (tmp_path / "a.glb").read_bytes()


def test_a_picture_of_gigabytes_is_said_before_it_is_drawn(
    saved: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, int]] = []

    def drawn(project: Project, width: int, height: int, **how: Any) -> np.ndarray:
        asked.append((width, height))
        how["tell"](1, 1)
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr("engine.render.offscreen.render_image", drawn)
    for size in ("16384x16384", "1024x1024"):
        assert main(["render", saved, "--out", str(tmp_path / "a.png"), "--size", size]) == 0
    assert asked == [(16384, 16384), (1024, 1024)]
    err = capsys.readouterr().err
    assert "16384 x 16384 pixels take about 2.4 GB of memory" in err
    assert "1024 x 1024" not in err


def test_export_folder_reads_back(saved: str, head: Identity, tmp_path: Path) -> None:
    assert main(["export", saved, "--format", "jreflectance", "--out", str(tmp_path / "out")]) == 0
    identity, expressions = jreflectance.read(tmp_path / "out")
    assert expressions.names == ("Brows Up", "Jaw Open")
    np.testing.assert_array_equal(identity.positions_m, head.positions_m)


def test_angles_may_begin_with_a_minus(saved: str, tmp_path: Path) -> None:
    pytest.importorskip("engine.render.offscreen")
    turned = ["--size", "24x32", "--out", str(tmp_path / "turned.png"), "--camera", "-15,-5"]
    assert main(["render", saved, *turned, "--light-rotation", "-90"]) == 0


def test_render_moves_the_head_and_compares(saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("engine.render.offscreen")
    neutral, smile = str(tmp_path / "neutral.png"), str(tmp_path / "open.png")
    common = ["--size", "96x128", "--camera", "20,5", "--light", "studio", "--light-rotation", "90"]
    assert main(["render", saved, "--out", neutral, *common]) == 0
    assert read_rgb(Path(neutral)).shape == (128, 96, 3)
    assert main(["render", saved, "--out", smile, *common, "--reference", neutral]) == 0
    assert "largest difference 0/255" in capsys.readouterr().out
    message = fails(capsys, "render", saved, "--out", smile, *common, "--weights", "Jaw Open=1", "--reference", neutral)
    assert "expected the same picture" in message
    assert (read_rgb(Path(neutral)) != read_rgb(Path(smile))).any()


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        (" jaw open , Brows Up = 0.5 ,", {"Jaw Open": 1.0, "Brows Up": 0.5}),
        ("Neutral=1, sly smile=-0.25", {"Sly Smile": -0.25}),
        ("Eye Blink:L=0.7", {"Eye Blink": Sides(0.7, 0.0)}),
        ("Eye Blink=0.5, eye blink : r", {"Eye Blink": Sides(0.5, 1.0)}),
        ("Eye Blink:L=0.5,Eye Blink:R=0.5,", {"Eye Blink": 0.5}),
        ("mine:L=2", {"mine:L": 2.0}),
        ("", {}),
    ],
)
def test_weights_are_names_sides_and_numbers(text: str, weights: dict[str, Weight]) -> None:
    assert parse_weights(text, ("Sly Smile", "mine:L")) == weights


@pytest.mark.parametrize(
    "text", ["Jaw Open=", "Jaw Open=much", "Jaw Open=0.5=1", "=1", "Jaw Opem=1", "Jaw Open:X=1", ":L=1"]
)
def test_other_weights_are_refused(text: str) -> None:
    with pytest.raises(VocabularyError):
        parse_weights(text, ())


def test_an_expression_on_one_side_in_pictures_and_exports(saved: str, tmp_path: Path) -> None:
    pictures = {}
    for name, weights in (("none", "Jaw Open=0"), ("left", "Jaw Open:L=1"), ("right", "Jaw Open:R=1")):
        out = str(tmp_path / f"{name}.png")
        assert (
            main(["render", saved, "--out", out, "--size", "96x96", "--channel", "diffuse", "--weights", weights]) == 0
        )
        pictures[name] = read_rgb(Path(out)).astype(int)
    left, right = (np.abs(pictures[name] - pictures["none"]).sum(axis=2) > 12 for name in ("left", "right"))
    assert left[:, 52:].sum() > 20 * left[:, :44].sum()  # the subject's left is on the picture's right
    assert right[:, :44].sum() > 20 * right[:, 52:].sum()
    out = tmp_path / "a.glb"
    assert main(["export", saved, "--format", "glb", "--out", str(out), "--weights", "Jaw Open:L=0.75"]) == 0
    assert b'"targetNames":["Jaw Open:L","Jaw Open:R","Brows Up"]' in out.read_bytes()
    assert b'"weights":[0.75,0.0,0.0]' in out.read_bytes()


def test_render_channel_and_transparency(saved: str, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    for channel in ("diffuse", "Normal map", "offset"):
        assert main(["render", saved, "--out", str(out), "--size", "64x64", "--channel", channel, "--transparent"]) == 0
        assert out.read_bytes()[25] == 6  # colour type: RGB and alpha


@pytest.mark.parametrize("channel", list(ViewChannel))
def test_every_channel_is_found_by_its_name_and_its_label(
    saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], channel: ViewChannel
) -> None:
    pictures = []
    for number, name in enumerate((channel.name.lower().replace("_", "-"), channel.value)):
        out = tmp_path / f"{number}.png"
        arguments = ["render", saved, "--out", str(out), "--size", "32x32", "--channel", name]
        assert main([*arguments, "--weights", "Jaw Open=1", "--scale-end", "3"]) == 0
        pictures.append(read_rgb(out))
    np.testing.assert_array_equal(*pictures)
    scene = scene_with(load_project(saved).scene, channel=channel, scale_end=3.0)
    scale = color_scale(replace(load_project(saved), scene=scene, weights={"Jaw Open": 1.0}))
    assert capsys.readouterr().out == (f"{scale}\n" * 2 if scale else "")
    if channel is ViewChannel.OFFSET_NORMAL:
        assert str(scale) == "Offset along normal: -3 to 3 mm, blue to red"


def test_render_says_that_a_channel_without_light_does_not_converge(
    saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, asked = (tmp_path / name for name in ("a.png", "b.png"))
    common = ["--size", "48x48", "--channel", "roughness"]
    assert main(["render", saved, "--out", str(plain), *common]) == 0
    assert "samples" not in capsys.readouterr().err
    assert main(["render", saved, "--out", str(asked), *common, "--samples", "4"]) == 0
    assert "samples: drawn at once" in capsys.readouterr().err
    assert plain.read_bytes() == asked.read_bytes()


def test_maps_of_a_mesh_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mesh(tmp_path / "egg.obj")
    for name in ("a_COL.png", "b_COL.png", "shiny.png"):
        write_png(tmp_path / name, np.full((8, 8), 90, np.uint8))
    mesh = str(tmp_path / "egg.obj")
    assert "a_COL.png, b_COL.png" in fails(capsys, "info", mesh)
    named = ["--map", "diffuse=b_COL.png", "--map", "Roughness=shiny.png", "--map", "normal=none"]
    assert main(["info", mesh, *named, "--maps", "roughness=gloss"]) == 0
    out, err = capsys.readouterr()
    assert "given: diffuse, roughness" in out
    assert "diffuse b_COL.png, roughness shiny.png; maps read as roughness=gloss" in out
    assert "diffuse b_COL.png" in err
    for wrong in ("gloss=shiny.png", "diffuse", "diffuse="):
        with pytest.raises(SystemExit) as stopped:
            main(["info", mesh, "--map", wrong])
        assert stopped.value.code == 2
        assert "diffuse|specular|roughness|normal=FILE" in capsys.readouterr().err


def test_render_lays_the_maps_out_flat(saved: str, head: Identity, tmp_path: Path) -> None:
    out, (height, width) = str(tmp_path / "a.png"), head.maps.size
    assert main(["render", saved, "--out", out, "--size", f"{width}x{height}", "--channel", "diffuse", "--uv"]) == 0
    assert np.abs(read_rgb(Path(out)).astype(int) - head.maps.diffuse_srgb).mean() < 4


def test_render_under_a_light_stage(saved: str, tmp_path: Path) -> None:
    (tmp_path / "rig.csv").write_text("1,0,0.3\n-1,0,0.3\n")
    (tmp_path / "mixture.csv").write_text("0,0,0\n0,2,0\n")
    rig = ["--rig", str(tmp_path / "rig.csv"), "--size", "48x48"]
    pictures = {}
    for stage in ("0", "1", "full-on", str(tmp_path / "mixture.csv")):
        out = str(tmp_path / "a.png")
        assert main(["render", saved, "--out", out, "--stage", stage, *rig]) == 0
        pictures[stage] = read_rgb(Path(out)).astype(int)
    left, right = (slice(16, 32), slice(28, 34)), (slice(16, 32), slice(14, 20))
    assert pictures["0"][left].mean() > 2 * pictures["0"][right].mean()
    assert pictures["1"][right].mean() > 2 * pictures["1"][left].mean()
    assert pictures["full-on"][left].mean() == pytest.approx(pictures["full-on"][right].mean(), rel=0.15)
    green = pictures[str(tmp_path / "mixture.csv")][right].reshape(-1, 3).mean(0)
    assert green[1] > 4 * max(green[0], green[2])


def test_olat_writes_a_set(saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rig.csv").write_text("1,0,0.3\n-1,0,0.3\n")
    out = tmp_path / "set"
    arguments = ["--rig", str(tmp_path / "rig.csv"), "--size", "24x32", "--weights", "Jaw Open=0.5", "--camera", "20,5"]
    assert main(["olat", saved, "--out", str(out), *arguments]) == 0
    assert "2 lamps" in capsys.readouterr().out
    about = json.loads((out / "lights.json").read_text())
    assert about["weights"] == {"Jaw Open": 0.5}
    assert about["camera"]["eye_m"][0] > 0
    assert [read_rgb(out / light["file"]).shape for light in about["lights"]] == [(32, 24, 3)] * 2


def test_video_moves_what_is_asked_for(saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def frames(name: str, *arguments: str) -> list[np.ndarray]:
        out = tmp_path / name
        length = ["--seconds", "0.5", "--fps", "8", "--size", "32x32"]
        assert main(["video", saved, "--out", str(out), *length, *arguments]) == 0
        assert "4 frames" in capsys.readouterr().out
        assert [file.name for file in sorted(out.iterdir())] == [f"frame_{n:04d}.png" for n in range(1, 5)]
        return [read_rgb(file).astype(int) for file in sorted(out.iterdir())]

    turning = frames("turntable")
    assert np.abs(turning[2] - turning[0]).mean() > 2  # the back of the head
    talking = frames("expressions", "--expressions", "Jaw Open")
    assert (talking[2] != talking[0]).any()
    np.testing.assert_array_equal(talking[1], talking[3])  # up and down the same way
    lamps = frames("lamps", "--olat")
    assert all(np.abs(one - other).mean() > 1 for one, other in itertools.pairwise(lamps[:3]))
    assert main(["video", saved, "--out", str(tmp_path / "a.mp4"), "--seconds", "0.5", "--size", "32x32"]) == 0
    assert (tmp_path / "a.mp4").stat().st_size > 500


def test_what_the_cache_has_is_not_made_again(bare: str, head: Identity, tmp_path: Path, cache: Path) -> None:
    made = make_expressions(head)
    request = GenerateRequest(head, ("Jaw Open",))
    expression_cache.store(request, made["Jaw Open"])
    assert len(list(cache.iterdir())) == 1
    out = tmp_path / "a.glb"
    assert main(["export", bare, "--format", "glb", "--out", str(out), "--expressions", "Jaw Open"]) == 0
    assert b'"targetNames":["Jaw Open"]' in out.read_bytes()


# --- what does not ---------------------------------------------------------------------------------------------------


def _damage(person: Path, how: str) -> None:
    shape = person / "exp11" / "shape.npy"
    match how:
        case "wrong vertex count":
            np.save(shape, np.load(shape)[:-1])
        case "NaN shape":
            np.save(shape, np.load(shape) * np.float32("nan"))
        case "truncated PNG":
            path = person / "exp11" / "normal.png"
            path.write_bytes(path.read_bytes()[:90])
        case "coloured roughness":
            write_png(person / "exp11" / "roughness.png", read_rgb(person / "exp11" / "diffuse.png"))
        case "folder without neutral":
            shutil.rmtree(person / "exp1")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("wrong vertex count", "expected"),
        ("NaN shape", "NaN"),
        ("truncated PNG", "cut after 90 bytes"),
        ("coloured roughness", "expected a grey map"),
        ("folder without neutral", "expected the neutral face in exp1"),
    ],
)
def test_a_damaged_person_is_one_line(person: Path, how: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    _damage(person, how)
    assert says in fails(capsys, "info", str(person))


def test_sixteen_bit_and_grey_maps_are_taken_and_said(person: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diffuse = read_rgb(person / "exp11" / "diffuse.png")
    write_png(person / "exp11" / "diffuse.png", diffuse.astype(np.uint16) * 257)
    write_png(person / "exp11" / "specular.png", diffuse[..., 0])
    assert main(["info", str(person)]) == 0
    err = capsys.readouterr().err
    assert "diffuse.png: 16 bits" in err
    assert "specular.png: grey" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["info", "no/such/place"], "found nothing of that name"),
        (["info", "builtin:x"], "expected a whole number"),
        (["info", "{tmp}"], "expected builtin"),
        (["info", "{tmp}/text.txt"], "another kind"),
        (["info", "{tmp}/text.expdiff"], "not a zip"),
        (["info", "{tmp}?seed=3"], "ICT-FaceKit"),
        (["info", "{person}/exp1"], "open the person folder above"),
        (["info", "{person}/.."], "open one of them: p001"),
        (["generate", "{saved}", "--out", "{tmp}/o", "--expressions", "Jaw Opne"], "did you mean Jaw Open"),
        (["generate", "{saved}", "--out", "{tmp}/o", "--steps", "99"], "expected steps of 1 to 50"),
        (["render", "{saved}", "--out", "{tmp}/a.png", "--weights", "Smurf=1"], "unknown expression 'Smurf'"),
        (["render", "{saved}", "--out", "{tmp}/a.png", "--weights", "Jaw Open=x"], "expected NAME=NUMBER"),
        (["render", "{saved}", "--out", "{tmp}/a.png", "--weights", "Jaw Open=nan"], "finite"),
        (["render", "{saved}", "--out", "{tmp}/a.png", "--light", "moon"], "unknown light 'moon'"),
        (["render", "{saved}", "--out", "{tmp}/a.png", "--channel", "taste"], "unknown channel"),
        (["render", "{saved}", "--out", "{tmp}/a.gif", "--size", "8x8"], "ends in .png"),
        (["render", "{saved}", "--out", "{tmp}/a.png", "--stage", "gradient"], "expected one of One lamp, Full-on"),
        (["render", "{saved}", "--out", "{tmp}/a.png", "--stage", "156"], "a lamp from 0 to 155"),
        (["render", "{saved}", "--out", "{tmp}/a.png", "--rig", "{tmp}/text.txt"], "found words"),
        (["olat", "{saved}", "--out", "{person}"], "empty or a new folder"),
        (["olat", "{saved}", "--out", "{tmp}/o", "--rig", "{tmp}/none.json"], "none.json"),
        (["olat", "{saved}", "--out", "{tmp}/text.txt/o", "--size", "8x8"], "place that can be written"),
        (["video", "{saved}", "--out", "{tmp}/a.mp4", "--size", "33x32"], "even sizes"),
        (["video", "{saved}", "--out", "{tmp}/a.mov"], "ends in .mp4"),
        (["video", "{saved}", "--out", "{person}"], "empty or a new folder"),
        (["video", "{saved}", "--out", "{tmp}/v", "--expressions", "Jaw Opne"], "did you mean Jaw Open"),
        (["export", "{saved}", "--format", "glb", "--out", "{tmp}/a.obj"], "ends in .glb"),
        (["export", "{saved}", "--format", "glb", "--out", "{tmp}/text.txt/a.glb"], "place that can be written"),
        (
            ["export", "{saved}", "--format", "jreflectance", "--out", "{tmp}/text.txt"],
            "expected a folder, found a file",
        ),
        (["export", "{saved}", "--format", "jreflectance", "--out", "{tmp}/text.txt/p"], "place that can be written"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], says: str, saved: str, person: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "text.expdiff").write_text("hello")
    (tmp_path / "empty").mkdir()
    places = {"saved": saved, "person": str(person), "tmp": str(tmp_path)}
    if arguments == ["info", "{tmp}"]:
        places["tmp"] += "/empty"
    assert says in fails(capsys, *(argument.format(**places) for argument in arguments))
    assert load_project(saved).expressions.names == ("Jaw Open", "Brows Up")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["info"],
        ["render", "x"],
        ["render", "x", "--out", "a.png", "--size", "10"],
        ["render", "x", "--out", "a.png", "--size", "0x4"],
        ["render", "x", "--out", "a.png", "--camera", "1"],
        ["render", "x", "--out", "a.png", "--light-rotation", "inf"],
        ["export", "x", "--out", "a.glb"],
        ["export", "x", "--out", "a", "--format", "fbx"],
        ["olat", "x"],
        ["render", "x", "--out", "a.png", "--samples", "9" * 30],
        ["video", "x", "--out", "a", "--samples", "9999999"],
        ["video", "x", "--out", "a", "--seconds", "0"],
        ["generate", "x", "--out", "a", "--seed", "-1"],
        ["generate", "x", "--out", "a", "--device", "tpu"],
    ],
)
def test_wrong_usage_exits_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: expdiff" in capsys.readouterr().err


def test_the_process_itself(tmp_path: Path) -> None:
    """Exit codes and streams as a shell sees them, and no heavy import for a wrong path."""
    run = [sys.executable, "-m", "engine.cli"]
    done = subprocess.run([*run, "info", "nowhere"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    done = subprocess.run([*run, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    for command in ("demo", "view", "info", "generate", "render", "export", "train", "evaluate"):
        assert command in done.stdout


def test_starting_loads_neither_torch_nor_qt_nor_gl() -> None:
    code = "import sys, engine.cli, engine.export; print({'torch', 'PySide6', 'moderngl'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "set()"


def test_without_opengl_it_is_one_line(saved: str, tmp_path: Path) -> None:
    """EGL is told of a driver list that is not there; Mesa, which an X server may still offer, to be an old one."""
    nowhere = {"__EGL_VENDOR_LIBRARY_FILENAMES": str(tmp_path / "none.json"), "MESA_GL_VERSION_OVERRIDE": "3.0"}
    environment = {**os.environ, **nowhere}
    arguments = ["render", saved, "--out", str(tmp_path / "a.png"), "--size", "32x32"]
    run = [sys.executable, "-m", "engine.cli", *arguments]
    done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("expdiff: error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "a.png").exists()


@pytest.mark.skipif(not (ROOT / "engine/diffusion/weights/weights.json").exists(), reason="needs the shipped weights")
def test_from_the_built_in_head_to_a_relit_exported_expression(tmp_path: Path, cache: Path) -> None:
    """The main job, end to end: generate, read back, export from the cache, render."""
    person, glb = tmp_path / "set" / "p", tmp_path / "a.glb"
    names = ["--expressions", "Jaw Open,Brows Up", "--steps", "1", "--device", "cpu"]
    assert main(["generate", "builtin:3", "--out", str(person), *names, "--split", "train"]) == 0
    identity, expressions = jreflectance.read(person)
    assert expressions.names == ("Brows Up", "Jaw Open")
    assert jreflectance.read_split(person.parent) == (("p",), ())
    lowest = float(expressions["Jaw Open"].offsets_m[:, 1].min())
    assert -0.06 < lowest < -0.005  # the chin goes down by centimetres
    assert np.abs(expressions["Brows Up"].change.log_diffuse).max() > 0.0
    assert len(identity.positions_m) == identity.topology.vertex_count
    kept = len(list(cache.glob("*.expression")))
    assert main(["export", "builtin:3", "--format", "glb", "--out", str(glb), *names]) == 0
    assert len(list(cache.glob("*.expression"))) == kept == 2
    assert b'"targetNames":["Jaw Open","Brows Up"]' in glb.read_bytes()
    picture = ["--out", str(tmp_path / "a.png"), "--size", "96x128"]
    assert main(["render", str(person), *picture, "--weights", "Jaw Open=0.7", "--light-rotation", "90"]) == 0


def test_lists_of_the_data_set(person: Path) -> None:
    list_person(person, "train")
    list_person(person, "test")
    assert jreflectance.read_split(person.parent) == ((), ("p001",))


def test_saved_scene_is_used(head: Identity, tmp_path: Path) -> None:
    """A project's own light and weights hold unless the command says otherwise."""
    dark = Scene(new_project(head).scene.view, environment=Environment(exposure_ev=-4.0))
    for name, scene in (("dark", dark), ("plain", new_project(head).scene)):
        save_project(Project(head, make_expressions(head), {}, scene), tmp_path / f"{name}.expdiff")
        assert (
            main(
                ["render", str(tmp_path / f"{name}.expdiff"), "--out", str(tmp_path / f"{name}.png"), "--size", "64x64"]
            )
            == 0
        )
    assert read_rgb(tmp_path / "dark.png").mean() < read_rgb(tmp_path / "plain.png").mean() - 3


def test_a_reference_of_another_size_is_said(saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ref.png").write_bytes(png_bytes(np.zeros((8, 8, 3), np.uint8)))
    arguments = ["--out", str(tmp_path / "a.png"), "--size", "16x16", "--reference", str(tmp_path / "ref.png")]
    assert "expected 16 x 16, found 8 x 8" in fails(capsys, "render", saved, *arguments)


def test_maps_of_others_are_read_as_told(
    person: Path, head: Identity, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(person), "--maps", "normal=directx,roughness=gloss", "--format", "jreflectance"]
    assert main([*arguments, "--out", str(tmp_path / "turned")]) == 0
    found = jreflectance.read(tmp_path / "turned")[0]
    np.testing.assert_array_equal(found.maps.roughness_data, 255 - head.maps.roughness_data)
    capsys.readouterr()
    assert "specular=intensity|mean|f0|unreal" in fails(capsys, "info", str(person), "--maps", "specular=red")
    assert "folder with map files" in fails(capsys, "info", "builtin", "--maps", "normal=directx")


@pytest.mark.parametrize("arguments", [["info", "{saved}"], ["--help"], ["train", "--help"]], ids=" ".join)
def test_a_reader_that_goes_away_ends_it_quietly(saved: str, arguments: list[str]) -> None:
    """`expdiff ... | head`: the pipe is closed before anything is printed."""
    run = [sys.executable, "-m", "engine.cli", *(each.format(saved=saved) for each in arguments)]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            run, cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": ""}, stdout=writer, stderr=subprocess.PIPE, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line(saved: str) -> None:
    with open("/dev/full", "w") as full:
        run = [sys.executable, "-m", "engine.cli", "info", saved]
        done = subprocess.run(run, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("expdiff: error: ")
    assert done.stderr.count("\n") == 1
