"""A folder of a user's own files, named like ours, comes through every command with the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine import expression_cache
from engine.cli import main
from engine.io import cache
from engine.io.project import save_project
from engine.jobs import Step
from engine.project import Project, new_project
from engine.synth import dataset, generator
from scripts.kill_writers import People, files_of, person_of
from tests.heads import make_expressions, make_head

COMMANDS = {
    "generate into it": ["generate", "{saved}", "--out", "{user}", "--expressions", "Jaw Open"],
    "generate a prompt into it": ["generate", "{saved}", "--out", "{user}", "--prompt", "a sly grin"],
    "generate into exp33": ["generate", "{saved}", "--out", "{user}/exp33", "--expressions", "Jaw Open"],
    "generate beside its lists": [
        "generate",
        "{saved}",
        "--out",
        "{user}/new",
        "--prompt",
        "a grin",
        "--split",
        "train",
    ],
    "generate where a file is": ["generate", "{saved}", "--out", "{user}/train.txt", "--expressions", "Jaw Open"],
    "export a person": ["export", "{saved}", "--format", "jreflectance", "--out", "{user}"],
    "export into exp1": ["export", "{saved}", "--format", "jreflectance", "--out", "{user}/exp1"],
    "export a folder as GLB": ["export", "{saved}", "--format", "glb", "--out", "{user}/folder.glb"],
    "olat": ["olat", "{saved}", "--out", "{user}", "--size", "8x8"],
    "video frames": ["video", "{saved}", "--out", "{user}", "--size", "8x8"],
    "video frames into exp1": ["video", "{saved}", "--out", "{user}/exp1", "--size", "8x8"],
    "dataset": ["dataset", "synth", "--data", "{user}", "--identities", "2", "--out", "{user}"],
    "dataset into exp1": ["dataset", "synth", "--data", "{user}", "--identities", "2", "--out", "{user}/exp1"],
}
BESIDE = {
    "a GLB beside": ["export", "{saved}", "--format", "glb", "--out", "{user}/new.glb"],
    "a picture beside": ["render", "{saved}", "--out", "{user}/new.png", "--size", "8x8"],
    "a project beside": ["generate", "{saved}", "--out", "{user}/new.expdiff", "--expressions", "Jaw Open"],
    "a person beside": ["export", "{saved}", "--format", "jreflectance", "--out", "{user}/new"],
    "a data set beside": ["dataset", "synth", "--data", "{user}", "--identities", "2", "--out", "{user}/new"],
}


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A project that can be written, and a user's folder: the published layout by another program, lists, models."""
    head = make_head(16)
    save_project(Project(head, make_expressions(head), {}, new_project(head).scene), tmp_path / "saved.expdiff")
    user = tmp_path / "user"
    for name in ("exp1", "exp11", "exp33", "folder.glb", "p000/exp1"):
        (user / name).mkdir(parents=True)
        for file in ("diffuse.png", "texture.png", "notes.txt", "frame_0001.png"):
            (user / name / file).write_text(f"the user's own {name} {file}")
        np.save(user / name / "shape.npy", head.positions_m)
    texts = {
        "train.json": '["img_1.jpg"]',
        "identity.json": '{"format": "another program"}',
        "person.json": "{}",
        "dataset.json": '{"format": "another program"}',
        "train.txt": "1 2 3",
        "template.obj": "o mine",
        "lights.json": "[]",
        "000.png": "mine",
        "old.glb": "mine",
        ".expdiff-notes.tmp": "mine",
        "occlusion.npy": "mine",
        "eye.png": "mine",
        ("0" * 39 + ".expression"): "mine",
        "mine.expression": "mine",
    }
    for name, text in texts.items():
        (user / name).write_text(text)

    def quick_model(request):
        made = make_expressions(request.identity, (*request.names, *filter(None, [request.prompt])), request.seed)
        yield Step(1, 1, "done", result=made)

    monkeypatch.setenv(cache.VARIABLE, str(user))  # the cache, too, is put into it
    monkeypatch.setattr(cache, "LARGEST_BYTES", 1)  # and has to make room at once
    monkeypatch.setattr(expression_cache, "generate", quick_model)
    monkeypatch.setattr("engine.face.quality.report", lambda *_: [])
    monkeypatch.setattr(generator, "Population", People)
    monkeypatch.setattr(dataset, "synthetic_identity", person_of)
    return {"saved": str(tmp_path / "saved.expdiff"), "user": str(user)}


@pytest.mark.parametrize("command", [*COMMANDS, *BESIDE])
def test_nothing_of_the_user_changes(command: str, places: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    user = Path(places["user"])
    before = files_of(user)
    wanted = 1 if command in COMMANDS else 0
    arguments = [argument.format(**places) for argument in (COMMANDS | BESIDE)[command]]
    assert main(arguments) == wanted, capsys.readouterr().err
    after = files_of(user)
    assert {name: after.get(name) for name in before} == before
    new = {Path(name).parts[0] for name in after.keys() - before.keys()}
    assert new <= ({"new", "new.glb", "new.png", "new.expdiff"} if command in BESIDE else set())
    if wanted:
        assert "expdiff: error: " in capsys.readouterr().err


def test_a_prompt_goes_beside_an_expression_that_the_user_added(places: dict[str, str], tmp_path: Path) -> None:
    person = tmp_path / "p"
    assert main(["generate", places["saved"], "--out", str(person), "--expressions", "Jaw Open"]) == 0
    (person / "exp33").mkdir()
    (person / "exp33" / "shape.npy").write_text("mine")
    before = files_of(person)
    assert main(["generate", places["saved"], "--out", str(person), "--prompt", "a sly grin"]) == 0
    after = files_of(person)
    assert after["exp33/shape.npy"] == before["exp33/shape.npy"]
    assert json.loads((person / "identity.json").read_text())["expressions"]["exp34"]["name"] == "a sly grin"
