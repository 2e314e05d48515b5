"""What belongs to a head goes with it: the next head starts without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.project import Project, new_project
from engine.render.renderer import Renderer
from tests.heads import make_expressions, make_head
from tests.render.test_environment import write_hdr
from tests.viewer import hand
from viewer.compare import Against
from viewer.panels.expressions import ExpressionsPanel
from viewer.panels.generate import GeneratePanel
from viewer.window import MainWindow


def _another(**changes: object) -> Project:
    head = make_head(seed=5)
    return replace(new_project(head), expressions=make_expressions(head), **changes)  # type: ignore[arg-type]


def _panel(window: MainWindow, kind: type):
    panel = window.findChild(kind)
    assert panel is not None
    return panel


def test_a_chosen_side(open_window, expressive) -> None:
    window = open_window(replace(expressive, weights={"Jaw Open": 0.6}))
    row = _panel(window, ExpressionsPanel).rows["Jaw Open"]
    hand.click(row.sides)
    assert row.sides.text() == "L"
    window.document.open(_another(weights={"Jaw Open": 0.4}))
    assert (row.sides.text(), row.slider.number.value()) == ("LR", 0.4)
    hand.fill(row.slider.number, "1")
    assert dict(window.document.project.weights) == {"Jaw Open": 1.0}


def test_what_the_generate_panel_said(open_window, expressive) -> None:
    window = open_window(expressive)
    panel = _panel(window, GeneratePanel)
    window.generation.failed.emit("there is no model")
    assert panel.status._full == "Failed: there is no model"
    hand.replace_text(panel.prompt, "left brow up")
    window.document.open(_another())
    assert panel.status._full == "Reads: Brows Up 1 left"
    hand.replace_text(panel.prompt, "")
    window.generation.failed.emit("there is no model")
    window.document.open(_another())
    assert panel.status._full == ""


def test_a_stored_look(open_window, expressive) -> None:
    window = open_window(expressive)
    hand.click(window.look.store)
    assert window.wipe.isVisible()
    window.document.open(_another())
    assert not window.wipe.isVisible()
    assert (window.comparison.stored, window.look.against.value()) == (None, Against.NOTHING)
    hand.pick(window.look.against, Against.STORED.value)  # now of this head
    assert window.comparison.stored is window.document.project


def test_the_chosen_lamp_and_a_stage_that_plays(open_window, expressive) -> None:
    window = open_window(expressive)
    hand.click(window.light.lamps.add)
    assert window.light.lamps.choice.value() == 1
    hand.click(window.stage.on)
    hand.click(window.stage.play)
    other = _another(scene=window.document.project.scene)  # has two lamps and a stage too
    window.document.open(other)
    assert (window.light.lamps.choice.value(), window.light.lamps.choice.currentText()) == (0, "Key light")
    assert not window.stage.play.isChecked()
    assert window.document.project is other


def test_files_in_lists(open_window, expressive, tmp_path) -> None:
    window = open_window(expressive)
    write_hdr(tmp_path / "sky.hdr", np.full((16, 32, 3), 0.5, np.float32))
    (tmp_path / "rig.csv").write_text("1,0,0\n0,1,0\n0,0,1\n")
    with hand.answering(hand.naming(tmp_path / "sky.hdr")):
        hand.click(window.light.load)
    hand.click(window.stage.on)
    with hand.answering(hand.naming(tmp_path / "rig.csv")):
        hand.click(window.stage.load)
    assert ("sky.hdr" in hand.entries(window.light.environment), hand.entries(window.stage.rig)) == (
        True,
        ["156 lamps", "rig.csv"],
    )
    scene = window.document.project.scene
    window.document.open(_another())
    assert "sky.hdr" not in hand.entries(window.light.environment)
    assert hand.entries(window.stage.rig) == ["156 lamps"]
    window.document.open(_another(scene=scene))  # where it is in use it is there
    assert (window.light.environment.currentText(), window.stage.rig.currentText()) == ("sky.hdr", "rig.csv")


def test_the_tool_tip_of_a_prompted_expression(open_window, expressive) -> None:
    def with_smile(project: Project, facs: dict[str, float]) -> Project:
        made = make_expressions(project.identity, ("sly smile",)).expressions[0]
        smile = replace(make_expressions(project.identity, ()), expressions=(replace(made, facs=facs),))
        return replace(project, expressions=project.expressions.merged(smile))

    window = open_window(with_smile(expressive, {"AU12": 1.0}))
    rows = _panel(window, ExpressionsPanel).rows
    assert "AU12" in rows["sly smile"].toolTip()
    window.document.open(with_smile(_another(), {"AU14": 1.0}))
    assert "AU14" in rows["sly smile"].toolTip()
    assert "AU12" not in rows["sly smile"].toolTip()


def test_the_next_head_is_told_the_same(qtbot, open_window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Renderer.__init__, "__defaults__", (64 * 64 * 43,))  # bytes for maps
    window = open_window(new_project(make_head(size=256)))
    qtbot.waitUntil(lambda: "are shown at" in window.notifier.message, timeout=10000)
    window.notifier.message = ""
    window.document.open(new_project(make_head(size=256, seed=4)))
    qtbot.waitUntil(lambda: "are shown at" in window.notifier.message, timeout=10000)
