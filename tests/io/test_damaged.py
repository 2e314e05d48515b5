"""Damaged and hostile inputs end with one line and exit code 1, in seconds, within a gigabyte, and write nothing.

Each runs through the command or the reader that it is meant for, here or, where it may take memory or wait for ever, in
a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.checks import printable
from engine.cli import main
from engine.errors import EngineError
from tests.data import CASES, ICT, needs_cases, needs_data

DAMAGED = CASES / "damaged"
SECONDS, BYTES = 10, 10**9
GOOD = str(CASES / "00-good")
RENDER = ("render", "--out", "{out}/a.png", "--size", "64x64")
FOLDERS = sorted(path for path in DAMAGED.iterdir() if path.is_dir()) if DAMAGED.is_dir() else []
PERSONS = [path.name for path in FOLDERS if (path / "identity.json").is_file()]
SAVED = [path.name for path in FOLDERS if (path / "p.expdiff").is_file()]
MESHES = ["obj-bigindex", "obj-uvhuge", "obj-uvnan"]
RIGS = [("bigint-rig", "r.json"), ("io_files.py-95-ValueError", "r.json")]
RIGS += [("npy-v0", f"r{number}.npy") for number in ("", 2, 3, 4)]
LIGHTS = [("bomb", name) for name in ("b.hdr", "c.hdr", "z.exr")]
LIGHTS += [(f"render_environment.py-{line}-UnicodeDecodeError", "env.exr") for line in (74, 78)]
PICTURES = [
    ("bomb", f"{name}.png") for name in ("big", "cut", "grey1-16384", "rgb16-8192", "rgb8-16384", "rgba16-16384")
]
PICTURES += [("io_images.py-134-UnicodeDecodeError", "a.exr")]
FACEKITS = {"deep-ict": "{ict}/c.json"} | {
    f"io_ict.py-{rest}": "{ict}?seed=3" for rest in ("100-BadZipFile", "100-OSError", "100-error", "99-BadZipFile")
}
COMMANDS: dict[str, tuple[str, ...]] = {name: ("info", f"{DAMAGED}/{name}") for name in (*PERSONS, *MESHES)}
COMMANDS |= {name: ("info", f"{DAMAGED}/{name}/p.expdiff") for name in SAVED}
COMMANDS |= {
    f"{name}/{file}": (*RENDER, GOOD, "--stage", "0", "--rig", f"{DAMAGED}/{name}/{file}") for name, file in RIGS
}
COMMANDS |= {f"{name}/{file}": (*RENDER, GOOD, "--light", f"{DAMAGED}/{name}/{file}") for name, file in LIGHTS}
COMMANDS |= {
    f"{name}/{file}": ("info", "{head}", "--map", f"diffuse={DAMAGED}/{name}/{file}") for name, file in PICTURES
}
HEAVY = {"zipbomb", "exp-mixture_1e6", "exp-rig__dev_zero", *(f"{name}/{file}" for name, file in (*LIGHTS, *PICTURES))}


def line_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that `expdiff` says on stderr where it cannot."""
    assert main(list(arguments)) == 1
    out, err = capsys.readouterr()
    return checked(out, err)


def checked(out: str, err: str) -> str:
    lines = [line for line in err.splitlines() if not line.startswith("expdiff: note: ")]
    assert len(lines) == 1, err
    assert lines[0].startswith("expdiff: error: ")
    assert "expected" in lines[0]
    assert all(printable(line) == line for line in err.splitlines())
    assert out == ""
    return lines[0]


def alone(folder: Path, *arguments: str) -> tuple[str, int]:
    """The line of `expdiff` in a process of its own in `folder`, and the most memory that it had, in bytes."""
    code = (  # ru_maxrss would count the parent's memory too
        "import re, sys\nfrom engine.cli import main\ncode = main(sys.argv[1:])\n"
        "peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]\n"
        "print(peak, file=open('peak', 'w'))\nsys.exit(code)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=6 * SECONDS,
    )
    assert run.returncode == 1, run.stderr
    return checked(run.stdout, run.stderr), 1024 * int((folder / "peak").read_text())


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """A folder with a good mesh and no map."""
    shutil.copytree(CASES / "00-good", tmp_path / "head", ignore=shutil.ignore_patterns("*.png"))
    return tmp_path / "head"


@needs_cases
def test_every_damaged_case_is_tried() -> None:
    tried = {name.split("/")[0] for name in COMMANDS} | set(FACEKITS)
    assert len(FOLDERS) >= 50
    assert {path.name for path in FOLDERS} - tried == {
        "bigint-train",
        "diffusion_checkpoint.py-132-TypeError",
        "obj-mtl",
    }  # tested below


@needs_cases
@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - HEAVY))
def test_a_damaged_file_is_one_line(
    name: str, tmp_path: Path, head: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line_of(capsys, *(part.format(out=tmp_path, head=head) for part in COMMANDS[name]))
    assert [path.name for path in tmp_path.iterdir()] == ["head"]


@needs_cases
@pytest.mark.parametrize("name", sorted(HEAVY))
def test_a_bomb_is_refused_before_it_unpacks(name: str, tmp_path: Path, head: Path) -> None:
    line, peak = alone(tmp_path, *(part.format(out=tmp_path, head=head) for part in COMMANDS[name]))
    assert peak < BYTES, line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head", "peak"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
@pytest.mark.parametrize("kind", ["a pipe", "a device"])
@needs_cases
def test_what_never_ends_is_no_map(kind: str, tmp_path: Path, head: Path) -> None:
    picture = head / "head_diffuse.png"
    if kind == "a pipe":
        os.mkfifo(picture)
    else:
        picture.symlink_to("/dev/zero")
    line, peak = alone(tmp_path, "info", str(head))
    assert "a pipe, socket or device" in line
    assert peak < BYTES


@needs_cases
@pytest.mark.parametrize("name", FACEKITS)
@needs_data[0]
@needs_data[1]
def test_a_damaged_facekit_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "ict" / "FaceXModel"
    model.mkdir(parents=True)
    shutil.copy(ICT / "FaceXModel" / "generic_neutral_mesh.obj", model)
    shutil.copytree(DAMAGED / name, tmp_path / "ict", dirs_exist_ok=True)
    line_of(capsys, "info", FACEKITS[name].format(ict=tmp_path / "ict"))


@needs_cases
def test_a_list_of_no_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from engine.io.jreflectance import read_split

    shutil.copy(DAMAGED / "bigint-train" / "train.json", tmp_path)
    with pytest.raises(EngineError, match=r"train\.json: expected") as caught:
        read_split(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


@needs_cases
def test_weights_that_are_none() -> None:
    from engine.diffusion.checkpoint import load_model

    with pytest.raises(EngineError, match="expected") as caught:
        load_model(DAMAGED / "diffusion_checkpoint.py-132-TypeError")
    assert len(str(caught.value).splitlines()) == 1


@needs_cases
def test_a_material_leads_to_no_file_outside(capsys: pytest.CaptureFixture[str]) -> None:
    """Its .mtl names /etc/passwd; the head opens with the picture that lies beside it, and nothing else is read."""
    assert main(["info", str(DAMAGED / "obj-mtl")]) == 0
    out, err = capsys.readouterr()
    assert "given: diffuse" in out
    assert "passwd" not in out + err


@needs_cases
@pytest.mark.parametrize("case", ["06-nan-vt", "06b-inf-vt"])
def test_texture_coordinates_that_are_no_numbers(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "texture coordinates" in line_of(capsys, "info", str(CASES / case))


@needs_cases
@pytest.mark.parametrize("name", ["rig.csv", "lights.json"])
def test_a_byte_order_mark_is_no_part_of_a_number(name: str) -> None:
    from engine.io.rig import read_rig

    assert read_rig(CASES / "24-bom-in-lists" / name).shape[1] == 3


def test_json_has_no_nan_and_ends_somewhere(tmp_path: Path) -> None:
    from engine.io.files import read_json

    path = tmp_path / "a.json"
    for text, says in (("[NaN]", "NaN"), ("[" * 10**5, "nested"), ("1" * 5000, "4300 digits"), ("{", "expected JSON")):
        path.write_text(text)
        with pytest.raises(EngineError, match=says):
            read_json(path)
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(["ä"]).encode())
    assert read_json(path) == ["ä"]


def test_polygons_become_fans_and_one_of_thousands_of_corners_is_refused(tmp_path: Path) -> None:
    from engine.io.obj import MOST_CORNERS, read_obj

    path = tmp_path / "a.obj"
    vertices = "".join(f"v {x} {x * x} 0\nvt 0.{x} 0.5\n" for x in range(6))
    path.write_text(f"{vertices}f 1/1 2/2\nusemtl teeth\nf 1/1 2/2 3/3 -2/-1 -1/5\nusemtl skin\nf 4/1/9 5/2/9 6/3/9\n")
    mesh = read_obj(path)
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 4], [0, 4, 5], [3, 4, 5]]
    assert mesh.uv_faces.tolist() == [[0, 1, 2], [0, 2, 5], [0, 5, 4], [0, 1, 2]]
    assert [mesh.materials[index] for index in mesh.polygon_materials] == ["teeth", "skin"]
    for corners, triangles in ((MOST_CORNERS, MOST_CORNERS - 2), (MOST_CORNERS + 1, None)):
        path.write_text(f"{vertices}f {'1/1 ' * corners}\n")
        if triangles is None:
            with pytest.raises(EngineError, match=f"a polygon of {corners} corners"):
                read_obj(path)
        else:
            assert len(read_obj(path).faces) == triangles
