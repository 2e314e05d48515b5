from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QWidget

from engine.errors import FileFormatError
from engine.project import new_project
from engine.scene import Lamp, LampKind, ToneCurve, ViewChannel
from engine.sides import Sides
from engine.vocabulary import NAMES
from tests.heads import make_head
from tests.render.test_environment import write_hdr
from tests.viewer import hand
from tests.viewer.work import Gate
from viewer.compare import Comparison
from viewer.document import Document
from viewer.generation import Generation
from viewer.panels.expressions import ExpressionRow, ExpressionsPanel
from viewer.panels.generate import MISSING, GeneratePanel
from viewer.panels.light import LightPanel
from viewer.panels.look import LookPanel
from viewer.widgets.slider import FloatSlider, Groove


@pytest.fixture
def expressions(dark, qtbot, document, generation) -> ExpressionsPanel:
    panel = ExpressionsPanel(document, generation)
    qtbot.addWidget(panel)
    panel.resize(360, 900)
    panel.show()
    return panel


def _x(groove: Groove, value: float) -> QPoint:
    """Where on the groove `value` lies, in its own scale."""
    share = (value * 100 - groove.minimum()) / (groove.maximum() - groove.minimum())
    return QPoint(round(5 + share * (groove.width() - 10)), groove.height() // 2)


def test_a_slider_drag_is_one_undo_step_and_every_move_is_seen(qtbot, document: Document, expressions) -> None:
    weights: list[float] = []
    document.changed.connect(lambda old, new: weights.append(new.weights.get("Jaw Open", 0.0)))
    groove = expressions.rows["Jaw Open"].slider.groove
    hand.drag(groove, *(_x(groove, value) for value in (0.2, 0.4, 0.6, 0.8)))
    assert weights == sorted(weights)
    assert len(set(weights)) == 4
    assert weights[-1] == pytest.approx(0.8, abs=0.02)
    document.undo()
    assert dict(document.project.weights) == {}
    assert expressions.rows["Jaw Open"].slider.groove.value() == 0
    assert document.undo_label is None


def test_typing_goes_beyond_the_groove_and_reset_brings_back(qtbot, document: Document, expressions) -> None:
    row = expressions.rows["Brows Up"]
    hand.fill(row.slider.number, "1.8")
    assert document.project.weights["Brows Up"] == pytest.approx(1.8)
    assert row.slider.groove.value() == 150
    hand.click(row.reset)
    assert dict(document.project.weights) == {}
    assert not row.reset.isEnabled()
    hand.fill(row.slider.number, "0.5")
    hand.fill(expressions.rows["Jaw Open"].slider.number, "0.5")
    hand.click(expressions.reset_all)
    assert dict(document.project.weights) == {}
    document.undo()
    assert dict(document.project.weights) == {"Brows Up": 0.5, "Jaw Open": 0.5}
    assert row.slider.number.value() == 0.5


def test_every_expression_has_a_row_and_tells_its_action_units(expressions: ExpressionsPanel) -> None:
    assert tuple(expressions.rows) == NAMES[1:]
    assert "FACS AU26, AU25 × 0.5" in expressions.rows["Jaw Open"].toolTip()
    assert expressions.rows["Jaw Open"].state == "ready"
    assert expressions.rows["Lip Suck"].state == "missing"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("jaw", {"Jaw Open", "Jaw Forward", "Jaw Left", "Jaw Right", "Face Stretch", "Mouth Left", "Mouth Right"}),
        ("AU33", {"Cheek Puff"}),
        ("brows up", {"Brows Up", "Face Stretch"}),
        ("zzz", set()),
    ],
)
def test_search_looks_at_names_units_and_words(expressions: ExpressionsPanel, text: str, found: set[str]) -> None:
    hand.replace_text(expressions.search, text)
    assert {name for name, row in expressions.rows.items() if row.isVisible()} == found
    assert expressions.nothing.isVisible() == (not found)
    hand.replace_text(expressions.search, "")
    assert all(row.isVisible() for row in expressions.rows.values())


def _states(panel: ExpressionsPanel, row: ExpressionRow) -> list[str]:
    """What `row` shows from now on."""
    states: list[str] = []
    panel.generation.changed.connect(lambda: states.append(row.state))
    return states


def test_moving_a_slider_without_expression_makes_it_and_keeps_the_weight(qtbot, document, expressions) -> None:
    row = expressions.rows["Cheek Puff"]
    groove = row.slider.groove
    states = _states(expressions, row)
    hand.click(groove, _x(groove, 0.5))
    qtbot.waitUntil(lambda: row.state == "ready", timeout=5000)
    assert states[0] == "making"
    assert "Cheek Puff" in document.project.expressions
    assert document.project.weights["Cheek Puff"] == pytest.approx(0.5, abs=0.02)
    assert document.project.active() == {"Cheek Puff": document.project.weights["Cheek Puff"]}


def test_a_prompted_expression_gets_a_row_and_undo_takes_it_away(qtbot, document, generation, expressions) -> None:
    with qtbot.waitSignal(generation.told, timeout=5000):
        generation.start(prompt="sly smile")
    assert expressions.rows["sly smile"].state == "ready"
    assert list(expressions.rows)[-1] == "sly smile"
    document.undo()
    assert "sly smile" not in expressions.rows


def test_folds_and_age_are_asked_for_and_a_new_head_brings_its_own_age(dark, qtbot, document, jobs) -> None:
    gate = Gate()
    generation = Generation(document, jobs, gate)
    panel = GeneratePanel(document, generation)
    qtbot.addWidget(panel)
    panel.show()
    hand.fill(panel.folds.number, "1.5")
    assert panel.age.value() == 40  # of a head of whom nobody knows
    hand.fill(panel.age, "72")
    asked = generation.settings
    assert (asked.folds, asked.age_years) == (1.5, 72.0)
    hand.pick(panel.which, "Dimpler")
    hand.click(panel.button)
    qtbot.waitUntil(lambda: bool(gate.requests), timeout=5000)
    assert (gate.requests[0].folds, gate.requests[0].folds_age_years) == (1.5, 72.0)
    document.open(new_project(make_head(seed=5)))
    assert generation.settings == replace(asked, age_years=None)  # 72 was of the head before
    assert panel.age.value() == 40
    gate.let(9)


def test_generate_turns_into_cancel_and_back(dark, qtbot, document, jobs) -> None:
    gate = Gate()
    generation = Generation(document, jobs, gate)
    panel = GeneratePanel(document, generation)
    qtbot.addWidget(panel)
    panel.show()
    hand.fill(panel.steps, "3")
    hand.fill(panel.seed, "7")
    assert panel.which.value() == MISSING
    assert len(panel.names) == 29
    hand.pick(panel.which, "Dimpler")
    assert panel.button.text() == "Generate Dimpler"
    hand.click(panel.button)
    assert generation.making == ("Dimpler",)
    assert panel.button.text() == "Cancel"
    gate.let(2)
    qtbot.waitUntil(lambda: panel.progress.value() > 0, timeout=5000)
    assert "step 2 of 3" in panel.status.toolTip() + panel.status._full
    hand.click(panel.button)
    assert panel.button.text() == "Stopping…"
    assert not panel.button.isEnabled()
    gate.let()
    qtbot.waitUntil(lambda: panel.button.text() == "Generate Dimpler", timeout=5000)
    assert panel.progress.value() == 0
    assert panel.status._full == "Generation cancelled"
    gate.let(100)
    hand.replace_text(panel.prompt, "left brow up 40%, purple")
    assert panel.status._full == "Reads: Brows Up 0.4 left; not read: purple"
    hand.replace_text(panel.prompt, "wiggle your ears")
    assert "no expression here moves the ears" in panel.status._full
    hand.replace_text(panel.prompt, "  sly   smile ")
    assert not panel.which.isEnabled()
    hand.click(panel.button)
    qtbot.waitUntil(lambda: "sly smile" in document.project.expressions, timeout=5000)
    assert document.project.expressions["sly smile"] is not None


def test_what_is_locked_is_asked_for_with_the_expressions_that_are_there(dark, qtbot, document, jobs) -> None:
    gate = Gate()
    generation = Generation(document, jobs, gate)
    panel = GeneratePanel(document, generation)
    qtbot.addWidget(panel)
    panel.show()
    there = tuple(name for name in NAMES if name in document.project.expressions and name != "Neutral")
    hand.pick(panel.lock, "their shapes")
    assert panel.names == there
    assert hand.entries(panel.which)[1:] == list(there)
    gate.let(100)
    for names in (there[:1], ("Dimpler",)):
        generation.start(names)
        qtbot.waitUntil(lambda: not generation.busy, timeout=5000)
    locked, whole = gate.requests
    assert locked.lock == "shape"
    assert locked.made is not None
    assert set(locked.names) <= set(locked.made.names)
    assert whole.lock == ""  # nothing of it is there to keep
    hand.pick(panel.lock, "nothing")
    assert panel.which.value() != there[0]
    assert len(panel.names) >= len(there)


def test_a_click_on_generate_puts_one_expression_on_the_face(qtbot, document, expressions) -> None:
    row = expressions.rows["Cheek Puff"]
    states = _states(expressions, row)
    hand.click(row.generate)
    qtbot.waitUntil(lambda: row.state == "ready", timeout=5000)
    assert states[0] == "making"
    assert document.project.active() == {"Cheek Puff": 1.0}
    document.undo()
    assert (document.undo_label, dict(document.project.weights)) == (None, {})


def test_the_others_can_be_seen_coming_and_switched_off(dark, qtbot, document, jobs) -> None:
    gate = Gate()
    generation = Generation(document, jobs, gate)
    panel, rows = GeneratePanel(document, generation), ExpressionsPanel(document, generation)
    for widget in (panel, rows):
        qtbot.addWidget(widget)
        widget.show()
    assert not panel.fill.isChecked()
    hand.click(panel.fill)
    assert generation.fills
    states = {name: row.state for name, row in rows.rows.items()}
    generation.want("Jaw Left")
    gate.let(5)
    qtbot.waitUntil(lambda: generation.filling, timeout=5000)
    assert panel.status._full == "3 of 31 are there, the others follow"
    assert panel.button.text() == "Generate"
    assert panel.progress.value() == 0
    assert {name: row.state for name, row in rows.rows.items()} == states | {"Jaw Left": "ready"}
    hand.click(panel.fill)
    assert not generation.filling
    gate.let(100)
    generation.fill(True)
    assert panel.fill.isChecked()


def test_a_prompt_entered_while_something_is_made_goes_first(dark, qtbot, document, jobs) -> None:
    gate = Gate()
    generation = Generation(document, jobs, gate)
    panel = GeneratePanel(document, generation)
    qtbot.addWidget(panel)
    panel.show()
    hand.click(panel.button)
    hand.replace_text(panel.prompt, "", "Return")  # empty: the list is under way already
    assert generation.waiting == ()
    hand.replace_text(panel.prompt, "sly smile", "Return")
    assert (generation.making, len(generation.waiting)) == (("sly smile",), 29)
    assert panel.button.text() == "Cancel"
    gate.let(100)
    qtbot.waitUntil(lambda: "sly smile" in document.project.expressions, timeout=5000)
    gate.let(100)


def _move(slider: FloatSlider, shown: float) -> None:
    hand.fill(slider.number, f"{shown:g}")


def test_light_controls_edit_the_scene_in_its_own_units_and_follow_undo(dark, qtbot, document) -> None:
    panel = LightPanel(document)
    qtbot.addWidget(panel)
    panel.show()
    start = document.project.scene
    _move(panel.rotation, 90)
    _move(panel.environment_exposure, -1.5)
    _move(panel.lamps.pitch, -20)
    _move(panel.lamps.intensity, 4.2)
    _move(panel.exposure, 0.75)
    with hand.answering(hand.coloring("#ff8000")):
        hand.click(panel.lamps.color)
    hand.click(panel.lamps.enabled)
    hand.click(panel.visible_background)
    hand.click(panel.suns)
    hand.pick(panel.tone, ToneCurve.LINEAR.value)
    scene = document.project.scene
    assert scene.environment.rotation_rad == pytest.approx(math.pi / 2)
    assert scene.environment.exposure_ev == -1.5
    assert scene.environment.visible
    assert not scene.environment.suns
    assert scene.key_light.pitch_rad == pytest.approx(math.radians(-20))
    assert scene.key_light.irradiance == pytest.approx(4.2)
    assert not scene.key_light.enabled
    assert scene.key_light.color_linear == pytest.approx((1.0, 0.2159, 0.0), abs=1e-3)
    assert (scene.exposure_ev, scene.tone_curve) == (0.75, ToneCurve.LINEAR)
    steps = 0
    while document.undo_label:
        document.undo()
        steps += 1
    assert steps == 10
    assert document.project.scene == start
    assert panel.rotation.number.value() == 0
    assert panel.lamps.enabled.isChecked()


def test_a_preset_is_one_step_and_shows_what_is_lit(dark, qtbot, document) -> None:
    panel = LightPanel(document)
    qtbot.addWidget(panel)
    panel.show()
    start = document.project.scene
    assert panel.preset.value() == ""
    hand.pick(panel.preset, "Three-Point", mouse=True)
    assert len(document.project.scene.fill_lights) == 2
    assert panel.environment.value() == "Even"
    _move(panel.lamps.intensity, 1.0)
    assert panel.preset.value() == ""
    document.undo()
    assert panel.preset.value() == "Three-Point"
    document.undo()
    assert document.project.scene == start


def test_a_lamp_shows_the_rows_of_its_kind_and_edits_them(dark, qtbot, document) -> None:
    panel = LightPanel(document)
    qtbot.addWidget(panel)
    panel.show()
    lamps = panel.lamps
    rows = {"distance": lamps.distance, "softness": lamps.softness, "width": lamps.width, "outer": lamps.outer}
    for kind, there in (
        (LampKind.POINT, {"distance", "softness"}),
        (LampKind.SPOT, {"distance", "softness", "outer"}),
        (LampKind.RECTANGLE, {"distance", "width"}),
        (LampKind.DIRECTIONAL, {"softness"}),
    ):
        hand.pick(lamps.kind, kind.value)
        assert document.project.scene.key_light.kind is kind
        assert {name for name, row in rows.items() if row.isVisible()} == there
    hand.pick(lamps.kind, LampKind.RECTANGLE.value)
    _move(lamps.width, 0.35)
    _move(lamps.distance, 0.8)
    _move(lamps.temperature, 3200)
    key = document.project.scene.key_light
    assert (key.width_m, key.distance_m) == (0.35, 0.8)
    assert key.color_linear[0] == 1.0
    assert key.color_linear[1] > key.color_linear[2] > 0.1
    assert lamps.temperature.number.value() == 3200
    document.undo()
    document.undo()
    assert document.project.scene.key_light.distance_m == Lamp().distance_m
    assert lamps.distance.number.value() == Lamp().distance_m


def test_lamps_are_added_chosen_duplicated_and_removed(dark, qtbot, document) -> None:
    panel = LightPanel(document)
    qtbot.addWidget(panel)
    panel.show()
    lamps, start = panel.lamps, document.project.scene
    assert not lamps.remove.isEnabled()
    hand.click(lamps.add)
    assert len(document.project.scene.fill_lights) == 1
    assert lamps.choice.value() == 1
    _move(lamps.yaw, -100)
    assert document.project.scene.key_light == start.key_light
    assert document.project.scene.fill_lights[0].yaw_rad == pytest.approx(math.radians(-100))
    hand.click(lamps.copy)
    assert document.project.scene.fill_lights[0] == document.project.scene.fill_lights[1]
    assert not lamps.add.isEnabled()
    assert not lamps.copy.isEnabled()
    _move(lamps.yaw, 120)
    hand.pick(lamps.choice, 0)
    assert lamps.yaw.number.value() == pytest.approx(math.degrees(start.key_light.yaw_rad))
    hand.pick(lamps.choice, 1)
    hand.click(lamps.remove)
    assert [round(math.degrees(lamp.yaw_rad)) for lamp in document.project.scene.fill_lights] == [120]
    assert lamps.choice.value() == 0
    while document.undo_label:
        document.undo()
    assert document.project.scene == start
    assert lamps.choice.count() == 1


def test_a_broken_light_file_leaves_the_light_as_it_was(dark, qtbot, document, tmp_path) -> None:
    panel = LightPanel(document)
    qtbot.addWidget(panel)
    panel.show()
    broken, steering, before = tmp_path / "broken.hdr", tmp_path / "a\x1b[31m.hdr", document.project
    broken.write_bytes(b"#?RADIANCE\nnot a picture")
    write_hdr(steering, np.ones((2, 4, 3), np.float32))
    for path in (broken, tmp_path / "missing.exr", steering):
        with pytest.raises(FileFormatError, match="expected"):
            panel.use_file(str(path))
    assert document.project is before


def test_view_controls_edit_the_scene(dark, qtbot, document) -> None:
    panel = LookPanel(document, Comparison())
    qtbot.addWidget(panel)
    panel.show()
    for channel in (*list(ViewChannel)[1:], ViewChannel.SHADED, ViewChannel.NORMAL):
        hand.pick(panel.channel, channel.value)
        assert document.project.scene.view.channel is channel
    hand.click(panel.wireframe)
    with hand.answering(hand.coloring("#804000")):
        hand.click(panel.background)
    assert document.project.scene.view.wireframe
    assert document.project.scene.background_srgb == pytest.approx((0.5, 0.25, 0.0), abs=0.01)


def test_no_label_is_cut_off_at_its_least_width(dark, qtbot, document, generation) -> None:
    panels: list[QWidget] = [
        LightPanel(document),
        LookPanel(document, Comparison()),
        GeneratePanel(document, generation),
    ]
    for panel in panels:
        qtbot.addWidget(panel)
        panel.resize(panel.minimumWidth(), panel.sizeHint().height())
        panel.show()
        assert panel.minimumSizeHint().width() <= panel.minimumWidth()


def test_one_side_is_chosen_and_moved_alone(qtbot, document: Document, expressions) -> None:
    row = expressions.rows["Brows Up"]
    hand.fill(row.slider.number, "0.5")
    assert dict(document.project.weights) == {"Brows Up": 0.5}
    hand.click(row.sides)
    assert (row.sides.text(), dict(document.project.weights)) == ("L", {"Brows Up": 0.5})
    hand.fill(row.slider.number, "1.0")
    assert dict(document.project.weights) == {"Brows Up": Sides(1.0, 0.5)}
    hand.click(row.sides)
    assert (row.sides.text(), row.slider.number.value()) == ("R", 0.5)
    assert "left 1.00, right 0.50" in row.sides.toolTip()
    hand.fill(row.slider.number, "0.0")
    assert dict(document.project.weights) == {"Brows Up": Sides(1.0, 0.0)}
    hand.click(row.sides)
    assert (row.sides.text(), dict(document.project.weights)) == ("LR", {"Brows Up": 1.0})
    document.undo()
    assert dict(document.project.weights) == {"Brows Up": Sides(1.0, 0.0)}
    assert (row.sides.text(), row.slider.number.value()) == ("L", 1.0)
    hand.click(row.reset)
    assert (row.sides.text(), dict(document.project.weights)) == ("LR", {})
