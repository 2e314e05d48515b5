"""The real window with its viewport, under a virtual X server and software OpenGL."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QImage
from PySide6.QtWidgets import QLabel, QPushButton, QToolButton

from engine.errors import GraphicsError
from engine.export import export_jreflectance, jreflectance_steps
from engine.io.images import write_png
from engine.io.map_conventions import PUBLISHED, Finish
from engine.io.project import save_project
from engine.jobs import State
from engine.open import Opening
from engine.project import new_project
from engine.render.offscreen import render_image
from engine.scene import ToneCurve, ViewChannel, scene_with
from tests.heads import make_expressions, make_head, write_mesh
from tests.viewer import hand
from tests.viewer.work import USUAL_STEPS, Gate, file_work_over, make_step_by_step
from tests.wall import wall
from viewer import orbit
from viewer.dialogs import Answer, MapsDialog, PictureSettings, ScreenshotDialog, ShortcutSheet
from viewer.document import with_weight
from viewer.panels.expressions import ExpressionsPanel
from viewer.panels.generate import GeneratePanel
from viewer.window import FILL, MainWindow


def _seen(qtbot, window: MainWindow) -> np.ndarray:
    """(H, W, 3) int16: what the viewport shows once it is at rest."""
    view = window.viewport
    qtbot.waitUntil(lambda: not view.moving, timeout=30000)
    return hand.seen(view.surface)


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())


@pytest.mark.parametrize("on", ["software", "hardware"])
def test_what_is_shown_is_what_is_rendered_without_a_window(qtbot, open_window, expressive, request, on) -> None:
    if on == "hardware":
        request.getfixturevalue("on_hardware")
    window = open_window(expressive)
    seen = _seen(qtbot, window)
    width, height = window.viewport.pixel_size()
    assert seen.shape == (height, width, 3)
    alone = render_image(expressive, width, height)
    assert _difference(seen, alone.astype(np.int16)) < 1.0
    assert np.abs(seen - wall(expressive.scene, width, height))[:4].max() <= 1
    assert seen[height // 2, width // 2].max() > 60


def test_a_slider_changes_the_picture_and_undo_brings_it_back_exactly(qtbot, open_window, expressive) -> None:
    window = open_window(expressive)
    neutral = _seen(qtbot, window)
    panel = window.findChild(ExpressionsPanel)
    assert panel is not None
    hand.fill(panel.rows["Jaw Open"].slider.number, "1")
    open_ = _seen(qtbot, window)
    assert _difference(open_, neutral) > 0.2
    assert window.isWindowModified()
    hand.choose(window, window.menus.undo)
    assert _difference(_seen(qtbot, window), neutral) == 0.0
    assert not window.isWindowModified()
    hand.choose(window, window.menus.redo)
    assert _difference(_seen(qtbot, window), open_) == 0.0


def test_light_tone_and_channel_change_the_picture(qtbot, open_window, expressive) -> None:
    window = open_window(expressive)
    pictures = [_seen(qtbot, window)]
    key = replace(expressive.scene.key_light, yaw_rad=-1.2, irradiance=4.0)
    for changes in (
        {"key_light": key},
        {"environment": replace(expressive.scene.environment, rotation_rad=2.0)},
        {"tone_curve": ToneCurve.LINEAR, "exposure_ev": 1.0},
        {"channel": ViewChannel.NORMAL},
    ):
        window.document.edit("light", scene=scene_with(window.document.project.scene, **changes))
        pictures.append(_seen(qtbot, window))
    assert all(_difference(a, b) > 0.3 for a, b in pairwise(pictures))
    left, right = pictures[0], pictures[1]
    middle = left.shape[1] // 2
    # at first the key light stands at the subject's left, which is right in the picture
    assert left[:, middle:].sum() > left[:, :middle].sum()
    assert right[:, middle:].sum() < right[:, :middle].sum()


def test_frames_keep_coming_while_expressions_are_made(qtbot, open_window, project) -> None:
    gate = Gate()
    window = open_window(project, generator=gate)
    frames: list[bool] = []
    window.viewport.painted.connect(lambda: frames.append(window.generation.busy))
    window.generation.start(("Jaw Open", "Brows Up"))
    for turn in range(8):
        gate.let()
        window.document.look(camera=orbit.orbit(window.document.project.scene.view.camera, 3.0 * (turn + 1), 0.0))
        with qtbot.waitSignal(window.viewport.painted, timeout=10000):
            pass
    assert sum(frames) >= 8
    gate.let(10)
    qtbot.waitUntil(lambda: not window.generation.busy, timeout=10000)
    before = _seen(qtbot, window)
    window.document.edit("both", weights={"Jaw Open": 1.0, "Brows Up": 1.0})
    assert _difference(_seen(qtbot, window), before) > 0.2


def test_a_cancelled_job_leaves_picture_and_project(qtbot, open_window, expressive) -> None:
    gate = Gate()
    window = open_window(expressive, generator=gate)
    before, project = _seen(qtbot, window), window.document.project
    window.generation.start(("Lip Suck",))
    gate.let(2)
    qtbot.waitUntil(lambda: window.generation.fraction > 0, timeout=5000)
    window.generation.cancel()
    gate.let()
    qtbot.waitUntil(lambda: not window.generation.busy, timeout=5000)
    assert window.document.project is project
    assert _difference(_seen(qtbot, window), before) == 0.0


def test_a_preview_is_shown_and_goes_without_a_trace(qtbot, open_window, project) -> None:
    window = open_window(project)
    window.document.edit("wait", weights={"Jaw Open": 1.0})
    before = _seen(qtbot, window)
    window.viewport.set_preview(make_expressions(project.identity, ("Jaw Open",)))
    assert _difference(_seen(qtbot, window), before) > 0.2
    assert window.document.project.expressions.names == ()
    window.viewport.set_preview(make_expressions(make_head(seed=9), ("Jaw Open",)))  # another person's
    assert _difference(_seen(qtbot, window), before) == 0.0
    window.viewport.set_preview(None)
    assert _difference(_seen(qtbot, window), before) == 0.0


def test_mouse_orbits_pans_zooms_and_recentres(qtbot, open_window, expressive) -> None:
    window = open_window(expressive)
    view, camera = window.viewport, lambda: window.document.project.scene.view.camera
    middle, start = QPoint(view.width() // 2, view.height() // 2), camera()
    buttons = Qt.MouseButton

    def drag(button: Qt.MouseButton, keys=Qt.KeyboardModifier.NoModifier) -> None:
        hand.drag(view, middle, middle + QPoint(40, 10), button=button, keys=keys)

    drag(buttons.LeftButton)
    assert camera().yaw_rad < start.yaw_rad
    assert camera().pitch_rad > start.pitch_rad
    assert camera().target_m == start.target_m
    orbited = camera()
    drag(buttons.MiddleButton)
    assert camera().target_m != orbited.target_m
    assert camera().yaw_rad == orbited.yaw_rad
    hand.choose(window, window.menus.view.actions()[0])
    assert camera() == orbit.view(expressive, "Front")
    drag(buttons.LeftButton, Qt.KeyboardModifier.ShiftModifier)
    assert camera().yaw_rad == 0.0
    hand.choose(window, window.menus.view.actions()[0])
    hand.double_click(view, middle + QPoint(60, 0))
    x, y, z = camera().target_m
    assert ((x / 0.08) ** 2 + (y / 0.12) ** 2 + (z / 0.10) ** 2) == pytest.approx(1.0, abs=0.06)
    assert x > 0.01
    assert window.document.undo_label is None


def test_screenshots_have_their_size_and_transparency(qtbot, open_window, expressive, tmp_path: Path) -> None:
    window = open_window(expressive)
    path = tmp_path / "shot.png"
    with qtbot.waitSignal(window.jobs.changed, timeout=10000, check_params_cb=file_work_over()):
        window.save_picture(str(path), PictureSettings(300, 200, True))
    image = QImage(str(path))
    assert (image.width(), image.height(), image.hasAlphaChannel()) == (300, 200, True)
    assert image.pixelColor(0, 0).alpha() == 0
    assert image.pixelColor(150, 100).alpha() == 255
    assert str(path) in window.notifier.message
    layers = path.with_suffix(".exr")
    with qtbot.waitSignal(window.jobs.changed, timeout=10000, check_params_cb=file_work_over()):
        window.save_picture(str(layers), PictureSettings(40, 30, True))
    assert layers.stat().st_size > 1000
    opaque = window.viewport.picture(64, 96)
    assert opaque.shape == (96, 64, 3)
    with pytest.raises(GraphicsError, match="smaller"):
        window.viewport.picture(200000, 8)
    before = _seen(qtbot, window)
    window.viewport.picture(64, 96)
    window.viewport.update()
    assert _difference(_seen(qtbot, window), before) == 0.0


def test_save_open_and_recent(qtbot, open_window, expressive, tmp_path: Path) -> None:
    window = open_window(expressive)
    window.document.edit("Jaw Open", weights=with_weight(expressive, "Jaw Open", 0.6))
    path = tmp_path / "one.expdiff"
    with qtbot.waitSignal(window.jobs.changed, timeout=10000, check_params_cb=file_work_over()):
        window.session.save_to(str(path.with_suffix("")))
    assert path.is_file()
    assert not window.isWindowModified()
    assert window.document.path == str(path)
    other = tmp_path / "two.expdiff"
    save_project(new_project(make_head(seed=2)), other)
    for each, name in ((other, "test head 2"), (path, "test head 0")):
        with qtbot.waitSignal(window.jobs.changed, timeout=10000, check_params_cb=file_work_over()):
            window.session.open_path(str(each))
        assert window.document.project.identity.name == name
        assert window.windowTitle().startswith(name)
    assert dict(window.document.project.weights) == {"Jaw Open": 0.6}
    assert window.session.recent()[:2] == [str(path), str(other)]
    hand.click(window.menuBar(), window.menuBar().actionGeometry(window.menus.file.menuAction()).center())
    hand.click(window.menus.file, window.menus.file.actionGeometry(window.menus.recent.menuAction()).center())
    qtbot.waitUntil(window.menus.recent.isVisible, timeout=5000)
    assert [action.text() for action in window.menus.recent.actions()][:2] == [str(path), str(other)]
    hand.click(window.menus.recent, window.menus.recent.actionGeometry(window.menus.recent.actions()[1]).center())
    qtbot.waitUntil(lambda: window.document.project.identity.name == "test head 2", timeout=10000)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off"])
def test_bad_files_are_told_in_one_line_and_lose_nothing(qtbot, open_window, expressive, tmp_path, content) -> None:
    window = open_window(expressive)
    window.document.edit("Jaw Open", weights={"Jaw Open": 0.5})
    project, path = window.document.project, tmp_path / "bad.expdiff"
    if content is not None:
        path.write_bytes(content)
    with qtbot.waitSignal(window.jobs.changed, timeout=10000, check_params_cb=file_work_over(State.FAILED)):
        window.session.open_path(str(path))
    assert window.document.project is project
    assert window.document.undo_label == "Jaw Open"
    assert "expected" in window.notifier.message
    assert "\n" not in window.notifier.text.text()
    assert window.notifier.isVisible()
    assert window.session.recent() == []


def test_a_person_that_was_not_written_to_the_end_says_so(qtbot, open_window, expressive, tmp_path: Path) -> None:
    writing = jreflectance_steps(expressive, tmp_path / "p")
    next(writing)
    next(writing)
    writing.close()
    window = open_window(new_project(make_head(seed=2)))
    window.session.open_path(str(tmp_path / "p"))
    qtbot.waitUntil(lambda: "missing: Brows Up" in window.notifier.message, timeout=10000)
    assert "not written to the end" in window.notifier.message
    assert window.document.project.expressions.names == ("Jaw Open",)


def test_exports_are_written_beside_the_window(qtbot, open_window, expressive, tmp_path: Path) -> None:
    window = open_window(expressive)
    with qtbot.waitSignal(window.jobs.changed, timeout=20000, check_params_cb=file_work_over()):
        window.export_glb_to(str(tmp_path / "head.glb"))
    assert (tmp_path / "head.glb").read_bytes()[:4] == b"glTF"
    with qtbot.waitSignal(window.jobs.changed, timeout=20000, check_params_cb=file_work_over()):
        window.export_folder_to(str(tmp_path / "person"))
    assert (tmp_path / "person" / "exp1" / "shape.npy").is_file()
    with qtbot.waitSignal(window.jobs.changed, timeout=20000, check_params_cb=file_work_over(State.FAILED)):
        window.export_glb_to(str(tmp_path / "head.txt"))
    assert "expected" in window.notifier.message


def _drop(window: MainWindow, path: Path) -> bool:
    data, middle = QMimeData(), QPoint(20, 20)
    data.setUrls([QUrl.fromLocalFile(str(path))])
    action, button, keys = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(middle, action, data, button, keys)
    enter.ignore()
    window.dragEnterEvent(enter)
    if enter.isAccepted():
        window.dropEvent(QDropEvent(QPointF(middle), action, data, button, keys))
    return enter.isAccepted()


def test_dropping_opens(qtbot, open_window, expressive, tmp_path: Path) -> None:
    window = open_window(expressive)
    other = tmp_path / "two.expdiff"
    save_project(new_project(make_head(seed=2)), other)
    with qtbot.waitSignal(window.jobs.changed, timeout=10000, check_params_cb=file_work_over()):
        assert _drop(window, other)
    assert window.document.project.identity.name == "test head 2"


def test_unsaved_changes_are_asked_about(qtbot, open_window, expressive, tmp_path: Path) -> None:
    window = open_window(expressive, Answer.CANCEL)
    window.document.edit("Jaw Open", weights={"Jaw Open": 0.5})
    assert not window.close()
    assert window.isVisible()
    window.session.open_path(str(tmp_path / "any.expdiff"))
    assert not window.jobs.busy
    window.document.path = str(tmp_path / "kept.expdiff")
    window.session.ask = lambda parent, name: Answer.SAVE
    assert not window.close()  # once it is saved
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=10000)
    assert (tmp_path / "kept.expdiff").is_file()


def test_closing_while_generating_stops_the_job_and_keeps_the_layout(qtbot, open_window, project, settings) -> None:
    gate = Gate()
    window = open_window(project, generator=gate)
    window.generation.start(("Jaw Open",))
    gate.let(2)
    qtbot.waitUntil(lambda: window.generation.fraction > 0, timeout=5000)
    gate.let(100)
    assert window.close()
    assert gate.closed.is_set()
    assert settings.value("geometry") is not None
    assert window.viewport.moving in (True, False)
    with pytest.raises(GraphicsError):
        window.viewport.picture(8, 8)


def test_what_the_disk_has_comes_after_the_first_picture_and_costs_no_frame(qtbot, dark, settings, expressive) -> None:
    gate = Gate()
    window = MainWindow(expressive, settings, make_step_by_step, finder=gate)
    assert gate.requests == []
    with qtbot.waitSignal(window.viewport.painted, timeout=20000):
        window.show()
    panel = window.findChild(ExpressionsPanel)
    assert panel is not None
    assert "Lip Suck" in gate.requests[0].names
    _seen(qtbot, window)
    gate.let(len(gate.requests[0].names) * USUAL_STEPS + 1)
    qtbot.waitUntil(lambda: panel.rows["Lip Suck"].state == "ready", timeout=20000)
    assert not window.viewport.moving
    moved: list[bool] = []
    assert not window.isWindowModified()
    assert len(window.document.project.expressions.names) == 31
    window.viewport.painted.connect(lambda: moved.append(window.viewport.moving))
    hand.fill(panel.rows["Lip Suck"].slider.number, "1")
    qtbot.waitUntil(lambda: any(moved), timeout=10000)
    window.finish()
    window.close()
    window.deleteLater()


def test_making_the_others_is_on_at_first_and_remembered(qtbot, dark, settings, open_window, project) -> None:
    settings.remove(FILL)
    windows = []
    for remembered in (True, False):
        windows.append(open_window(project))
        panel = windows[-1].findChild(GeneratePanel)
        assert panel is not None
        assert (panel.fill.isChecked(), windows[-1].generation.fills) == (remembered, remembered)
        hand.click(panel.fill)
    assert settings.value(FILL, type=bool) is True


def test_a_frame_that_fails_is_told_and_the_window_lives_on(qtbot, open_window, expressive, caplog) -> None:
    window = open_window(expressive)
    before = _seen(qtbot, window)
    missing = replace(expressive.scene.environment, name="nowhere.hdr")
    with qtbot.waitSignal(window.viewport.failed, timeout=10000):
        window.document.edit("Environment", scene=replace(window.document.project.scene, environment=missing))
    assert "nowhere.hdr" in window.notifier.message
    qtbot.waitUntil(lambda: not window.viewport.moving, timeout=5000)
    hand.choose(window, window.menus.undo)
    assert _difference(_seen(qtbot, window), before) == 0.0
    assert "nowhere.hdr" in caplog.text


def test_nothing_is_cut_off_at_1280_by_800(qtbot, open_window, expressive) -> None:
    window = open_window(expressive)
    window.resize(1280, 800)
    qtbot.wait(50)
    cut = [
        widget.text()
        for kind in (QLabel, QPushButton, QToolButton)
        for widget in window.findChildren(kind)
        if widget.isVisible() and widget.width() < widget.fontMetrics().horizontalAdvance(widget.text())
    ]
    assert cut == []
    bottom = max(dock.geometry().bottom() for dock in window.docks())
    assert bottom <= 800
    assert window.viewport.width() >= 600


def test_the_sheet_lists_every_shortcut_once(qtbot, open_window, expressive) -> None:
    window = open_window(expressive)
    groups = window.menus.shortcuts()
    keys = [key.strip() for _, rows in groups for row in rows for key in row[0].split(", ")]
    assert len(keys) == len(set(keys))
    assert {"F1", "?", "Ctrl+Z", "Ctrl+O", "W", "Ctrl+P"} <= set(keys)
    sheet = ShortcutSheet(groups, window)
    qtbot.addWidget(sheet)
    text = " ".join(label.text() for label in sheet.findChildren(QLabel))
    assert "Orbit" in text
    assert "Export J-Reflectance Folder" in text


def test_screenshot_dialog_presets_and_own_sizes(dark, qtbot) -> None:
    dialog = ScreenshotDialog((640, 360))
    qtbot.addWidget(dialog)
    assert dialog.settings == PictureSettings(640, 360, False)
    dialog.show()
    qtbot.waitExposed(dialog)
    hand.pick(dialog.preset, 5)
    assert dialog.settings == PictureSettings(4096, 4096, False)
    hand.fill(dialog.width_box, "333", "Tab")
    hand.click(dialog.transparent)
    assert dialog.settings == PictureSettings(333, 4096, True)
    assert dialog.preset.currentText() == "Custom"


def test_which_map_is_which_is_chosen_in_a_dialog(dark, qtbot, open_window, expressive, tmp_path: Path) -> None:
    write_mesh(tmp_path / "egg.obj")
    colors = {"a_COL.png": 60, "b_COL.png": 160, "shiny.png": 200}
    for name, value in colors.items():
        write_png(tmp_path / name, np.full((8, 8), value, np.uint8))
    window = open_window(expressive)
    window.session.open_path(str(tmp_path))
    qtbot.waitUntil(lambda: "a_COL.png, b_COL.png" in window.notifier.message, timeout=10000)
    assert "Open Folder with Other Maps" in window.notifier.message

    def choose(dialog: MapsDialog) -> None:
        assert {kind: choice.itemText(0) for kind, choice in dialog.files.items()} == {
            "diffuse": "By name: a_COL.png or b_COL.png?",
            "specular": "By name: none",
            "roughness": "By name: none",
            "normal": "By name: none",
        }
        assert dialog.settings.maps == {}
        for kind, name in (("diffuse", "b_COL.png"), ("roughness", "shiny.png")):
            hand.pick(dialog.files[kind], name)
        hand.pick(dialog.files["normal"], "None")
        hand.pick(dialog.choices["roughness"], "Gloss")
        hand.click(hand.button_of(dialog, "Open"))

    with hand.answering(choose):
        window.session.ask_maps(str(tmp_path))
    qtbot.waitUntil(lambda: window.document.project.identity.name == "egg", timeout=10000)
    identity = window.document.project.identity
    assert (identity.maps.diffuse_srgb == 160).all()
    assert (identity.maps.roughness_data == 55).all()
    assert identity.known_maps == {"diffuse", "roughness"}
    assert not window.notifier.isVisible()


def test_maps_that_mean_something_else_are_chosen_in_a_dialog(qtbot, open_window, expressive, tmp_path) -> None:
    dialog = MapsDialog()
    qtbot.addWidget(dialog)
    assert dialog.settings == Opening(PUBLISHED, {})
    dialog.show()
    qtbot.waitExposed(dialog)
    hand.pick(dialog.choices["roughness"], "Gloss")
    hand.pick(dialog.choices["specular"], "F0")
    assert str(dialog.settings.conventions) == "specular=f0,roughness=gloss"
    assert dialog.settings.conventions.roughness is Finish.GLOSS
    export_jreflectance(expressive, tmp_path / "p")
    window = open_window(expressive)
    window.session.open_path(str(tmp_path / "p"), dialog.settings)
    qtbot.waitUntil(lambda: window.document.project.identity.specular_f0_scale == 1.0, timeout=10000)
    found = window.document.project.identity.maps.roughness_data
    np.testing.assert_array_equal(found, 255 - expressive.identity.maps.roughness_data)


def test_a_name_with_qts_mark_for_changes_is_shown_as_it_is(open_window) -> None:
    head = make_head()
    window = open_window(new_project(replace(head, name="x[*]")))
    assert window.windowTitle().startswith("x[*][*][*] ")  # Qt shows two as one, the third for changes
