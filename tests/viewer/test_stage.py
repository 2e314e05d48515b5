"""The light-stage panel and its map of lamps."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint

from engine.errors import FileFormatError
from engine.render.stage import geodesic_rig
from engine.scene import LightStage, StageMode
from tests.viewer import hand
from viewer.document import Document
from viewer.panels.stage import StagePanel


@pytest.fixture
def panel(dark, qtbot, document: Document) -> StagePanel:
    made = StagePanel(document)
    qtbot.addWidget(made)
    made.resize(300, made.sizeHint().height())
    with qtbot.waitExposed(made):
        made.show()
    return made


def stage(document: Document) -> LightStage:
    return document.project.scene.stage


def pick(panel: StagePanel, mode: StageMode) -> None:
    hand.pick(panel.mode, mode.value)


def place(panel: StagePanel, lamp: int) -> QPoint:
    return panel.map.place_of(lamp).toPoint()


def test_every_lamp_of_the_map_is_the_one_that_is_clicked(panel: StagePanel) -> None:
    rig = geodesic_rig()
    places = np.array([(panel.map.place_of(lamp).x(), panel.map.place_of(lamp).y()) for lamp in range(156)])
    assert [panel.map.lamp_at(panel.map.place_of(lamp)) for lamp in range(156)] == list(range(156))
    assert places.min() >= 0
    assert (places.max(0) <= (panel.map.width(), panel.map.height())).all()
    middle = panel.map.width() / 2, panel.map.height() / 2
    assert tuple(places[(rig[:, 2]).argmax()]) == pytest.approx(middle)  # in front of the face
    aside, upright = np.abs(rig[:, 0]) > 1e-6, np.abs(rig[:, 1]) > 1e-6
    assert ((places[:, 0] > middle[0]) == (rig[:, 0] > 0))[aside].all()  # the subject's left is on the right
    assert ((places[:, 1] < middle[1]) == (rig[:, 1] > 0))[upright].all()


def test_a_click_lights_one_lamp_and_a_drag_is_one_step(qtbot, document: Document, panel: StagePanel) -> None:
    before = document.project.scene
    hand.press(panel.map, place(panel, 33))
    assert stage(document) == LightStage(True, lamp=33)
    for lamp in (34, 35, 36):
        hand.move(panel.map, place(panel, lamp))
        assert stage(document).lamp == lamp
    hand.release(panel.map, place(panel, 36))
    assert stage(document).lamp == 36
    assert panel.lamp.number.value() == 36
    hand.click(panel.map, place(panel, 90))
    assert stage(document).lamp == 90
    document.undo()
    assert stage(document).lamp == 36
    document.undo()
    assert document.project.scene == before
    assert not panel.on.isChecked()


def test_a_mixture_starts_from_what_is_lit_and_lamps_are_switched(qtbot, document: Document, panel: StagePanel) -> None:
    hand.click(panel.on)
    pick(panel, StageMode.GRADIENT_X)
    assert not panel.lamp.isEnabled()
    pick(panel, StageMode.MIXTURE)
    mixture = np.array(stage(document).mixture_linear)
    np.testing.assert_allclose(mixture[:, 0] * 39, (1 + geodesic_rig()[:, 0]) / 2, atol=1e-9)
    hand.click(panel.map, place(panel, 40))
    assert stage(document).mixture_linear[40] == (0.0, 0.0, 0.0)
    hand.click(panel.map, place(panel, 40))
    assert stage(document).mixture_linear[40] == (1.0, 1.0, 1.0)
    np.testing.assert_allclose(np.delete(stage(document).mixture_linear, 40, 0), np.delete(mixture, 40, 0))


def test_play_goes_round_the_rig_in_one_step_and_ends_with_the_mode(
    qtbot, document: Document, panel: StagePanel
) -> None:
    hand.click(panel.map, place(panel, 154))
    panel._timer.setInterval(1)
    seen: list[int] = []
    document.changed.connect(lambda old, new: seen.append(new.scene.stage.lamp))
    hand.click(panel.play)
    qtbot.waitUntil(lambda: len(seen) >= 4, timeout=5000)
    hand.click(panel.play)
    assert not panel._timer.isActive()
    walked = [lamp for lamp, before in zip(seen, [154, *seen], strict=False) if lamp != before]
    assert walked[:4] == [155, 0, 1, 2]
    document.undo()
    assert stage(document).lamp == 154
    hand.click(panel.play)
    pick(panel, StageMode.FULL)
    assert not panel._timer.isActive()
    assert not panel.play.isChecked()


def test_a_rig_from_a_file_sets_the_range_and_a_broken_one_changes_nothing(
    document: Document, panel: StagePanel, tmp_path
) -> None:
    (tmp_path / "rig.csv").write_text("1,0,0\n0,1,0\n0,0,1\n")
    panel.use_file(str(tmp_path / "rig.csv"))
    assert stage(document).rig == str(tmp_path / "rig.csv")
    assert panel.rig.currentText() == "rig.csv"
    assert panel.lamp.groove.maximum() == panel.lamp.number.maximum() == 2
    before = document.project
    (tmp_path / "bad.csv").write_text("1,0\n")
    (tmp_path / "a\x1b[31m.csv").write_text("1,0,0\n")
    for name, said in (("bad.csv", "three numbers"), ("a\x1b[31m.csv", "can be printed")):
        with pytest.raises(FileFormatError, match=said):
            panel.use_file(str(tmp_path / name))
    assert document.project is before
    (tmp_path / "rig.csv").unlink()  # gone while it is in use: the panel lives on, the viewport says it
    document.edit("Exposure", scene=replace(before.scene, stage=replace(before.scene.stage, enabled=True)))
    assert panel.map.lamp_at(panel.map.rect().center().toPointF()) == -1
    document.undo()
    document.undo()
    assert panel.lamp.groove.maximum() == 155


def test_exposure_and_rotation_are_in_the_scene_and_nothing_is_cut_off(document: Document, panel: StagePanel) -> None:
    hand.click(panel.on)
    hand.fill(panel.exposure.number, "1.5")
    hand.fill(panel.rotation.number, "30")
    assert (stage(document).exposure_ev, stage(document).rotation_rad) == pytest.approx((1.5, math.radians(30)))
    assert panel.minimumSizeHint().width() <= panel.minimumWidth()
