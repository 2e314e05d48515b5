"""Every command that a document or a docstring shows is run, with the real model and generator, at small sizes.

`RUNS` has what is typed here for what is shown there; `ELSEWHERE` names the test that runs the rest. A command that is
shown and stands in neither fails.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from engine.cli import main
from engine.diffusion.config import read_config
from engine.diffusion.weights_folder import SHIPPED
from engine.io import cache
from engine.io.files import alone_in
from scripts import build_faces, nonrigid
from tests.data import DATA, ICT, needs_data
from tests.documents import ROOT, documented

FEW = '--people 1 --fit-people 3 --expressions "Jaw Open" --pictures none'
RUNS: dict[str, tuple[str, ...]] = {
    'expdiff generate builtin:7 --out out/p7 --expressions "Lip Corner Puller,Brows Up,Jaw Open,Eye Blink"': (
        "expdiff generate builtin:7 --out out/p7",
        "expdiff generate",
    ),
    'expdiff generate builtin:7 --out out/p7 --prompt "a crooked smile with the left eye half closed"': (
        'expdiff generate builtin:7 --out out/p7 --prompt "a crooked smile with the left eye half closed"',
    ),
    'expdiff generate builtin:7 --out out/old --age 65 --folds 1.3 --expressions "Brows Up"': (
        "expdiff generate builtin:7 --out out/old --age 65 --folds 1.3",
    ),
    "expdiff generate out/mine --keep shape --out out/new": ("expdiff generate out/mine --keep shape --out out/new",),
    "expdiff generate builtin:7 --out out/p7 --model path/to/weights --expressions Jaw\\ Open": (
        "expdiff generate builtin:7 --out out/p7 --model path/to/weights",
    ),
    'expdiff render out/p7 --out smile.png --weights "Lip Corner Puller=0.8,Brows Up=0.3" --light Sunset --size 9x9': (
        "expdiff render",
        'expdiff render out/p7 --out smile.png --weights "Lip Corner Puller=0.8,Brows Up=0.3" --light Sunset',
    ),
    "expdiff render out/p7 --out portrait.png --preset Rembrandt --samples 4 --size 48x48": (
        "expdiff render out/p7 --out portrait.png --preset Rembrandt --samples 256",
        "expdiff render --samples 256",
    ),
    'expdiff render out/p7 --out wink.png --weights "Eye Blink:L=1" --size 48x48': (
        'expdiff render out/p7 --out wink.png --weights "Eye Blink:L=1"',
    ),
    "expdiff render builtin:7 --out lamp.png --stage 33 --size 48x48": (
        "expdiff render builtin:7 --out lamp.png --stage 33",
    ),
    "expdiff render out/p7 --out layers.exr --size 48x48": (
        "expdiff render out/p7 --out layers.exr",
        "expdiff render --out NAME.exr",
    ),
    "expdiff render out/p7 --out depth.png --channel depth --size 48x48": ("expdiff render --channel NAME",),
    "expdiff olat builtin:7 --out out/olat --rig rig.csv --size 16x16": (
        "expdiff olat builtin:7 --out out/olat",
        "expdiff olat",
    ),
    "expdiff olat builtin:7 --out out/linear --rig rig.csv --size 16x16 --linear --samples 2": (
        "expdiff olat PATH --out DIR [--linear] [--samples N]",
    ),
    'expdiff video out/p7 --out turn.mp4 --turntable --expressions "Jaw Open,Brows Up" --size 32x32 --seconds 0.3': (
        'expdiff video out/p7 --out turn.mp4 --turntable --expressions "Jaw Open,Brows Up"',
        "expdiff video PATH --out NAME.mp4",
        "expdiff video",
    ),
    "expdiff export out/p7 --format glb --out p7.glb": (
        "expdiff export out/p7 --format glb --out p7.glb",
        "expdiff export",
        "python -m engine.cli",
    ),
    "expdiff info out/p7": ("expdiff info out/p7", "expdiff info"),
    "expdiff train all --data ICT_FACEKIT --config smoke --images 24 --out runs/gpu": (
        "expdiff train all --data ICT_FACEKIT --config gpu --minutes 8.3 --out runs/gpu",
        "expdiff train all --data ICT_FACEKIT --config small --minutes 60 --out runs/small",
        "expdiff train",
    ),
    "expdiff train autoencoder --data ICT_FACEKIT --config smoke --images 8 --out RUN": (
        "expdiff train autoencoder --data HEADS --config small --minutes 15 --out RUN",
    ),
    "expdiff train denoiser --data ICT_FACEKIT --config smoke --images 8 --out RUN": (
        "expdiff train denoiser --data HEADS --config small --minutes 30 --out RUN",
    ),
    "expdiff train refine --data ICT_FACEKIT --config smoke --images 8 --out RUN": (
        "expdiff train refine --data HEADS --config small --minutes 10 --out RUN",
    ),
    "expdiff train all --data ICT_FACEKIT --config tiles.toml --images 16 --out runs/tiles": (
        "expdiff train autoencoder|denoiser --config tiles",
    ),
    "torchrun --nproc_per_node 2 -m engine.cli train all --data ICT_FACEKIT --config smoke --images 16 --out two": (
        "torchrun --nproc_per_node N -m engine.cli train ...",
        "accelerate launch",  # the same processes and environment, started by accelerate
    ),
    "expdiff train release --run runs/gpu --out weights": (
        "expdiff train release --run runs/gpu --out engine/diffusion/weights",
        "expdiff train release --out engine/diffusion/weights --run RUN",
    ),
    "expdiff train denoiser --data ICT_FACEKIT --config smoke --from weights --images 8 --out runs/fine": (
        "expdiff train denoiser --data ICT_FACEKIT --config finetune --from engine/diffusion/weights --minutes 30 "
        "--out runs/fine",
        "expdiff train denoiser --data HEADS --config finetune --from engine/diffusion/weights --minutes 30 --out RUN",
    ),
    f"expdiff evaluate --data ICT_FACEKIT --card MODEL_CARD.md --model weights@1 {FEW}": (
        "expdiff evaluate --data ICT_FACEKIT --card MODEL_CARD.md",
        "expdiff evaluate --card",
    ),
    f"expdiff evaluate --data ICT_FACEKIT --card CARD.md {FEW}": (
        "expdiff evaluate --data ICT_FACEKIT --card engine/diffusion/weights/MODEL_CARD.md",
        "expdiff evaluate",
    ),
    "expdiff evaluate --data ICT_FACEKIT --model ours=path/to/weights@1 --model direct=path/to/weights@2 "
    f"--json all.json --heads builtin:7 {FEW}": (
        "expdiff evaluate --data ICT_FACEKIT --model ours=RUN@1,4,8 --model direct=OTHER@1 --json all.json "
        "--heads HEAD",
        'expdiff evaluate --data ICT_FACEKIT --model "ours=OURS@1,4" --model "r=R@4,8" --people 6 --fit-people 100 '
        "--pictures none",
        'expdiff evaluate --data ICT_FACEKIT --model "before=BEFORE@1" --model "after=AFTER@1" --people 6 '
        "--fit-people 24 --pictures none",
    ),
    "python scripts/picture_of_set.py ICT_FACEKIT set.jpg --person 5": (
        "python scripts/picture_of_set.py ICT_FACEKIT docs/pictures/set.jpg --person 5",
        "python scripts/picture_of_set.py ICT_FACEKIT docs/pictures/set.jpg --person 11",
    ),
    "python scripts/picture_of_stage.py builtin:7 stage.jpg": (
        "python scripts/picture_of_stage.py builtin:7 docs/pictures/olat.jpg",
    ),
    "python scripts/picture_of_channels.py builtin:7 channels.png": (
        "python scripts/picture_of_channels.py builtin:7 channels.png",
    ),
    "python scripts/picture_of_scattering.py builtin:7 scattering.jpg": (
        "python scripts/picture_of_scattering.py builtin:7 docs/pictures/scattering.jpg",
    ),
    'python scripts/make_pictures.py builtin:7 builtin.jpg --expressions "Jaw Open"': (
        "python scripts/make_pictures.py builtin:7 docs/pictures/builtin-7.jpg --samples 32",
    ),
    'python scripts/make_pictures.py "ICT_FACEKIT?seed=3" ict-3.jpg --expressions ""': (
        'python scripts/make_pictures.py "ICT_FOLDER?seed=3" ict-3.jpg',
    ),
    'python scripts/make_pictures.py builtin:7 lights.jpg --samples 2 --expressions "" --light "Rembrandt,Sunset"': (
        'python scripts/make_pictures.py builtin:7 docs/pictures/lights.jpg --samples 64 --expressions "" --light '
        '"Three-Point,Rembrandt,Butterfly,Split,Rim,Sunset"',
    ),
    "python -m tests.render.test_goldens goldens": (
        "python -m tests.render.test_goldens [FOLDER]",
        "python -m tests.render.test_goldens",
    ),
    "python -m scripts.ltc_fit --out ltc.npy --size 4": ("python -m scripts.ltc_fit [--out FILE]",),
    "python -m benchmarks.render_speed builtin --truth --pictures pictures --size 64x48 --frames 2 --rounds 1": (
        "python -m benchmarks.render_speed builtin --truth",
        "python -m benchmarks.render_speed [HEAD] --truth --pictures FOLDER --peers-python PYTHON --three FOLDER",
        "python -m benchmarks.render_speed [HEAD] [--size 1280x720] [--frames 20] [--rounds 2] [--truth] "
        "[--pictures FOLDER]",
    ),
    "python -m benchmarks.drag_steps builtin --maps 512 --size 64x48 --rounds 1": (
        "python -m benchmarks.drag_steps",
        "python -m benchmarks.drag_steps [HEAD]",
        "python -m benchmarks.drag_steps [HEAD] [--maps 512,1024,2048,4096] [--size 1280x720] [--rounds 9]",
    ),
    "python -m benchmarks.geometry_faults builtin:7 --sums 2": (
        "python -m benchmarks.geometry_faults HEAD ...",
        "python -m benchmarks.geometry_faults HEAD ... [--sums 200]",
    ),
    "python -m benchmarks.fold_strength builtin:7 --people 2 --ages 25,60": (
        "python -m benchmarks.fold_strength [HEAD ...]",
        "python -m benchmarks.fold_strength [HEAD ...] [--people 10] [--ages 25,60] [--pictures FOLDER]",
    ),
    "python -m benchmarks.generate_speed builtin:7 --rounds 1 --no-peer": (
        "python -m benchmarks.generate_speed builtin:7",
        "python -m benchmarks.generate_speed [PATH] --device auto",
        "python -m benchmarks.generate_speed [PATH] [--device auto] [--model FOLDER] [--rounds 3] [--no-peer]",
    ),
    "python -m benchmarks.compose_4k --size 256 --expressions 2 --rounds 1": (
        "python -m benchmarks.compose_4k",
        "python -m benchmarks.compose_4k [--size 4096] [--expressions 4] [--rounds 3]",
    ),
    "python -m benchmarks.render_truth builtin:7 --size 16": ("python -m benchmarks.render_truth",),
    'xvfb-run -a -s "-screen 0 1600x1000x24" python -m benchmarks.first_picture --rounds 1': (
        'xvfb-run -s "-screen 0 1600x1000x24" python -m benchmarks.first_picture',
        "python -m benchmarks.first_picture [--rounds 5]",
    ),
    'xvfb-run -a -s "-screen 0 1600x1000x24" python -m benchmarks.paint_times': (
        'xvfb-run -s "-screen 0 1600x1000x24" python -m benchmarks.paint_times',
        "python -m benchmarks.paint_times [HEAD] [--size 1280x800]",
    ),
    'xvfb-run -a -s "-screen 0 1600x1100x24" python scripts/picture_of_window.py builtin:7 window.jpg': (
        'xvfb-run -s "-screen 0 1600x1100x24" python scripts/picture_of_window.py builtin:7 docs/pictures/window.jpg',
    ),
    "python scripts/check_glb_blender.py p7.glb": ("python scripts/check_glb_blender.py FILE.glb ...",),
}
"""What is run -> what is shown and stands for it. In this order: what comes later reads what was written before."""
_EXTRAS = "tests/test_dependencies.py::test_extras_that_documents_and_messages_name_are_there"
_WINDOW = "tests/viewer/test_window_commands.py::test_commands_open_a_window"
_FUZZ = "tests/io/test_fuzz.py::test_damage_is_read_or_refused"
_KILLS = "tests/test_kills.py::test_what_is_killed_looks_unfinished_and_comes_to_the_same_end"
ELSEWHERE = {
    "make run": "tests/test_documents.py::test_make_does_what_the_readme_says",
    "make test": "tests/test_documents.py::test_make_does_what_the_readme_says",
    "make lock": "tests/test_documents.py::test_make_does_what_the_readme_says",
    "make lock UPGRADE=1": "tests/test_documents.py::test_make_does_what_the_readme_says",
    "python -m scripts.fuzz_readers --count 5000": _FUZZ,
    'python -m scripts.fuzz_readers --count 5000 [--seed 0] [--only "person folder"] [--keep DIR]': _FUZZ,
    "python -m scripts.kill_writers --kills 50 --seed N": _KILLS,
    "python -m scripts.kill_writers --kills 200 --seed 0": _KILLS,
    'xvfb-run -s "-screen 0 1600x1000x24" python -m tests.viewer.random_actions 10000 --seed 0': (
        "tests/viewer/test_random_actions.py::test_random_actions_break_nothing_lose_nothing_and_are_undone"
    ),
    'xvfb-run -a -s "-screen 0 1600x1000x24" python -m tests.viewer.kill_window 100 --seed 0': (
        "tests/viewer/test_autosave.py::test_a_window_that_is_killed_loses_little_and_its_work_is_there"
    ),
    "expdiff demo": _WINDOW,
    "expdiff view": _WINDOW,
    "expdiff view path/to/head": _WINDOW,
    "expdiff view path/to/head --hair grow": _WINDOW,
    "expdiff view FOLDER --maps specular=f0,normal=directx": _WINDOW,
    "expdiff view head.obj --map diffuse=face_01.png": _WINDOW,
    "expdiff dataset synth": "tests/synth/test_dataset.py::test_the_command_writes_people_that_read_back",
    "expdiff dataset synth --data ICT_FACEKIT --identities N --seed S --out DIR": (
        "tests/synth/test_dataset.py::test_the_command_writes_people_that_read_back"
    ),
    "expdiff dataset synth --data ICT_FACEKIT --identities 100 --seed 0 --out DIR": (
        "tests/synth/test_dataset.py::test_the_command_writes_people_that_read_back"
    ),
    "python -m scripts.build_faces --data DIR": "tests/test_documents.py::test_the_shipped_files_of_faces_can_be_built",
    "python -m scripts.build_faces --data DIR [--out FOLDER]": (
        "tests/test_documents.py::test_the_shipped_files_of_faces_can_be_built"
    ),
    "pytest tests/diffusion/test_phrasings.py": "tests/diffusion/test_phrasings.py::test_prompts_are_understood",
    "scripts/install '.[evaluate]'": _EXTRAS,
    "scripts/install '.[faces]'": _EXTRAS,
    "scripts/install '.[video]'": _EXTRAS,
    "scripts/install '.[truth]'": _EXTRAS,
    "npm install --prefix peers three@0.187.0": "tests/test_dependencies.py::test_node_packages_have_exact_versions",
}
"""What is shown -> the test that runs it, or holds what it installs to what is there."""
PEERS = {
    "apt install libllvm19": "for Mitsuba",
    "python3 -m venv peers && peers/bin/pip install f3d vtk numpy": "f3d and VTK",
    "pip install bpy": "Blender",
}
"""Programs to compare with; they stay out of the program's environment, and without them the others say so."""


def test_every_command_that_is_shown_is_run():
    shown = documented()
    run = [command for commands in RUNS.values() for command in commands]
    assert len(run) == len(set(run))
    known = {*run, *ELSEWHERE, *PEERS}
    assert {command: path for command, path in shown.items() if command not in known} == {}
    assert known - set(shown) == set()  # what is not shown any more
    for reference in ELSEWHERE.values():
        path, _, name = reference.partition("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, reference


def test_options_that_are_shown_exist(capsys):
    """In the help of their command: also those that the cheap way of running it leaves out."""
    helps: dict[str, str] = {}
    for command in documented():
        words = command.split()
        if words[0] == "expdiff":
            source = words[1]
            if source not in helps:
                with pytest.raises(SystemExit) as end:
                    main([source, "--help"])
                assert end.value.code == 0
                helps[source] = capsys.readouterr().out
        elif "benchmarks" in command or "scripts/picture" in command:
            source = words[words.index("-m") + 1].replace(".", "/") + ".py" if "-m" in words else words[1]
            source = next((word for word in words if word.startswith("scripts/")), source)
            helps[source] = (ROOT / source).read_text("utf-8")
        else:
            continue
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", command):
            assert option in helps[source], command


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder as of someone who reads the documents: weights of their own, an expression they have, a rig, a tile
    configuration at the smallest sizes."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.VARIABLE, str(folder / "cache"))
        patch.chdir(folder)
        assert main(["generate", "builtin:3", "--out", "out/mine", "--expressions", "Jaw Open"]) == 0
    shutil.copytree(SHIPPED, folder / "path" / "to" / "weights")
    manifest = folder / "path" / "to" / "weights" / "weights.json"
    manifest.write_text(manifest.read_text() + "\n")  # the same weights under another name
    np.savetxt(folder / "rig.csv", [[0, 0, 1], [1, 0, 0], [0, 1, 0.2]], delimiter=",")
    sizes = [
        f"{name} = {value!r}".replace("True", "true")
        for name, value in asdict(read_config(Path("smoke")).tiles).items()
    ]
    stage = "minutes_share = 0.5\nbatch = 4\npool = 8\nfit = 8\n"
    text = ['identities = 6\nlayout = "tiles"\nthreads = 1\nprecision = "float32"\n[tiles]', *sizes]
    text += [f"[autoencoder]\n{stage}[denoiser]\n{stage}"]
    (folder / "tiles.toml").write_text("\n".join(text))
    assert tomllib.loads((folder / "tiles.toml").read_text())["tiles"]["grid"] == 8
    return folder


@pytest.mark.parametrize(
    "command", [pytest.param(each, marks=needs_data if "ICT_FACEKIT" in each else ()) for each in RUNS]
)
def test_commands_do_what_they_say(command, desk, monkeypatch, capfd):
    monkeypatch.setenv(cache.VARIABLE, str(desk / "cache"))
    monkeypatch.chdir(desk)
    words = [word.replace("ICT_FACEKIT", str(ICT)) for word in shlex.split(command)]
    before = {path for path in desk.rglob("*") if path.is_file()}
    code = main(words[1:]) if words[0] == "expdiff" else _run(words, desk)
    out, err = capfd.readouterr()
    needed = next((name for part, name in _NEEDS.items() if part in command), None)
    if needed and importlib.util.find_spec(needed) is None:
        assert code != 0
        assert needed in err
        assert err.count("\n") == 1
        return
    assert code == 0, err
    assert "Traceback" not in err
    written = {path for path in desk.rglob("*") if path.is_file()} - before
    assert out.strip() or written


_NEEDS = {"render_truth": "mitsuba", "check_glb_blender": "bpy"}


def _run(words: list[str], folder: Path) -> int:
    """In a process of its own, from `folder`, with the code of this checkout."""
    python = [sys.executable, *(str(ROOT / word) if word.startswith("scripts/") else word for word in words[1:])]
    if words[0] == "torchrun":
        python = [sys.executable, "-m", "torch.distributed.run", "--standalone", *words[1:]]
    elif words[0] == "xvfb-run":
        at = words.index("python")
        rest = [str(ROOT / word) if word.startswith("scripts/") else word for word in words[at + 1 :]]
        python = [*words[:at], sys.executable, *rest]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(python, cwd=folder, env=environment, timeout=250, check=False).returncode


def test_a_model_of_ones_own_makes_the_expressions(desk, monkeypatch, capfd):
    """Under its own name, and not what the cache has of the program's."""
    monkeypatch.setenv(cache.VARIABLE, str(desk / "other cache"))
    monkeypatch.chdir(desk)
    sources = []
    for model in ([], ["--model", "path/to/weights"]):
        folder = f"out/{len(model)}"
        assert main(["export", "builtin:3", "--format", "jreflectance", "--out", folder, "--expressions", "Jaw Open",
                     *model]) == 0  # fmt: skip
        sources.append(re.findall(r"ExpDiff [a-z]+-[0-9a-f]{8}", (desk / folder / "identity.json").read_text()))
    assert sources[0]
    assert sources[1]
    assert set(sources[0]).isdisjoint(sources[1])
    assert main(["render", "builtin:3", "--out", "a.png", "--weights", "Jaw Open=1", "--model", "nowhere"]) == 1
    assert "nowhere: expected a folder of weights" in capfd.readouterr().err


def test_two_do_not_train_in_one_folder(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("engine.diffusion.train.pair_source", lambda *_: None)
    with alone_in(tmp_path):
        arguments = ["train", "denoiser", "--data", "nowhere", "--config", "smoke", "--images", "8"]
        assert main([*arguments, "--out", str(tmp_path)]) == 1
    assert "expected nobody else who writes there" in capfd.readouterr().err


@pytest.mark.parametrize("ending", [".jsonl", ".safetensors", "-state.safetensors", ".png"])
def test_training_does_not_write_over_a_training(ending, tmp_path, capfd):
    there = tmp_path / f"denoiser{ending}"
    there.write_text("mine")
    for stage in ("all", "denoiser"):
        assert main(["train", stage, "--data", "nowhere", "--config", "smoke", "--images", "8", "--out",
                     str(tmp_path)]) == 1  # fmt: skip
        assert f"found {there.name}; add --resume" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == [there]
    assert there.read_text() == "mine"


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared third-party heads are not here")
def test_the_shipped_files_of_faces_can_be_built(tmp_path, monkeypatch):
    """With a registration that is cut short: the files have the names, arrays and sizes of those that ship."""
    monkeypatch.setattr(nonrigid, "_LANDMARK_STEPS", ((0.02, 10, 0.5, 1),))
    monkeypatch.setattr(nonrigid, "_PULL_STEPS", (((0.02, 4, 0.2, 1),),))
    assert build_faces.main(["--data", str(DATA), "--out", str(tmp_path)]) == 0
    shapes = [
        {str(path.relative_to(folder)): _shapes(path) for path in folder.rglob("*.npz")}
        for folder in (tmp_path, build_faces.FACE)
    ]
    assert shapes[0] == {name: shape for name, shape in shapes[1].items() if name in shapes[0]}
    assert {"canonical.npz", "head_model.npz"} < set(shapes[0])


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name].shape for name in arrays.files}


def test_make_does_what_the_readme_says():
    for target, wanted in (
        ("run", "expdiff demo"),
        ("test", "python -m pytest tests/viewer"),
        ("lock", "scripts/lock"),
    ):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        assert wanted in done.stdout
