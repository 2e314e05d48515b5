"""Views in the real window: line of comparison, colour bar, UV view; and what a window has to survive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QPoint, QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QMainWindow

from engine.errors import FileFormatError
from engine.io.images import write_png
from engine.io.jreflectance_writer import write
from engine.jobs import State
from engine.project import Project, new_project
from engine.render.renderer import Renderer
from engine.scene import ViewChannel, with_channel
from tests.heads import make_expressions, make_head
from tests.render.test_environment import write_hdr
from tests.viewer import hand
from tests.viewer.work import file_work_over
from viewer import orbit
from viewer.compare import Against, Comparison
from viewer.dialogs import PictureSettings
from viewer.overlays import with_color_bar
from viewer.panels.look import LookPanel
from viewer.window import MainWindow

from .test_window import _difference, _seen


def _show(window: MainWindow, channel: ViewChannel) -> None:
    window.document.edit("Channel", scene=with_channel(window.document.project.scene, channel))


# --- comparison -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("against", [Against.NEUTRAL, Against.CHANNEL, Against.STORED])
def test_left_of_the_line_is_one_picture_and_right_of_it_the_other(qtbot, open_window, expressive, against) -> None:
    window = open_window(replace(expressive, weights={"Jaw Open": 1.0}))
    window.comparison.store(window.document.project)
    window.comparison.compare(Against.NOTHING)
    window.document.edit("Brows", weights={"Brows Up": 1.0})
    right = _seen(qtbot, window)
    left_alone = {
        Against.NEUTRAL: lambda: window.document.edit("x", weights={}),
        Against.CHANNEL: lambda: _show(window, ViewChannel.GEOMETRY),
        Against.STORED: lambda: window.document.edit("x", weights={"Jaw Open": 1.0}),
    }
    left_alone[against]()
    left = _seen(qtbot, window)
    window.document.undo() if against is not Against.CHANNEL else _show(window, ViewChannel.SHADED)
    assert _difference(left, right) > 0.2
    hand.pick(window.look.against, against.value)
    for position in (0.5, 0.3, 0.0, 1.0):
        window.comparison.move(position)
        seen, edge = _seen(qtbot, window), round(position * left.shape[1])
        np.testing.assert_array_equal(seen[:, :edge], left[:, :edge])
        np.testing.assert_array_equal(seen[:, edge:], right[:, edge:])
    hand.pick(window.look.against, Against.NOTHING.value)
    assert _difference(_seen(qtbot, window), right) == 0.0


def _saved(qtbot, window: MainWindow, path: Path, size: tuple[int, int], transparent: bool = False) -> np.ndarray:
    """(H, W, 4) uint8 of the screenshot that the window writes."""
    with qtbot.waitSignal(window.jobs.changed, timeout=10000, check_params_cb=file_work_over()):
        window.save_picture(str(path), PictureSettings(*size, transparent))
    shot = QImage(str(path)).convertToFormat(QImage.Format.Format_RGBA8888)
    return np.frombuffer(shot.constBits(), np.uint8).reshape(size[1], size[0], 4).copy()


@pytest.mark.parametrize("transparent", [False, True])
def test_a_screenshot_has_both_sides_and_no_line(qtbot, open_window, expressive, tmp_path: Path, transparent) -> None:
    window, size = open_window(replace(expressive, weights={"Jaw Open": 1.0})), (430, 310)

    def shot() -> np.ndarray:
        return _saved(qtbot, window, tmp_path / "shot.png", size, transparent)

    right = shot()
    window.document.edit("x", weights={})
    left = shot()
    assert (left != right).any()
    window.document.undo()
    window.comparison.compare(Against.NEUTRAL)
    for position in (0.4, 0.0, 1.0):
        window.comparison.move(position)
        found, edge = shot(), round(position * size[0])
        np.testing.assert_array_equal(found[:, :edge], left[:, :edge])
        np.testing.assert_array_equal(found[:, edge:], right[:, edge:])
    window.comparison.move(0.4)
    seen = _seen(qtbot, window)
    window.comparison.compare(Against.NOTHING)
    np.testing.assert_array_equal(shot(), right)
    window.comparison.compare(Against.NEUTRAL)
    assert _difference(_seen(qtbot, window), seen) == 0.0  # the viewport draws on as before


def test_layers_have_both_sides(qtbot, open_window, expressive) -> None:
    window = open_window(replace(expressive, weights={"Jaw Open": 1.0}))
    right = window.viewport.layers(64, 48)
    window.document.edit("x", weights={})
    left = window.viewport.layers(64, 48)
    window.document.undo()
    window.comparison.compare(Against.NEUTRAL)
    found = window.viewport.layers(64, 48)
    assert found.keys() == right.keys()
    for name, layer in found.items():
        np.testing.assert_array_equal(layer[:, 32:], right[name][:, 32:])
        np.testing.assert_array_equal(layer[:, :32], left[name][:, :32])
    assert (found["position"] != right["position"]).any()


def test_the_line_is_dragged_and_the_camera_stays(qtbot, open_window, expressive) -> None:
    window = open_window(expressive)
    assert not window.wipe.isVisible()
    window.comparison.compare(Against.NEUTRAL)
    assert window.wipe.isVisible()
    assert (window.wipe.left.text(), window.wipe.right.text()) == ("Neutral face", "Now")
    camera, line = window.document.project.scene.view.camera, window.wipe
    hand.drag(line, QPoint(6, 50), QPoint(6 - window.viewport.width() // 4, 60))
    assert window.comparison.position == pytest.approx(0.25, abs=0.01)
    assert line.geometry().center().x() == pytest.approx(window.viewport.width() / 4, abs=2)
    assert window.document.project.scene.view.camera is camera
    assert not window.document.modified
    window.document.look(camera=orbit.orbit(camera, 40.0, 0.0))  # both sides turn
    moving = _seen(qtbot, window)
    window.comparison.compare(Against.NOTHING)
    assert _difference(_seen(qtbot, window), moving) == 0.0  # no expression is on: both sides are alike


def test_the_panel_compares_stores_and_sets_the_scale(dark, qtbot, document) -> None:
    comparison = Comparison()
    panel = LookPanel(document, comparison)
    qtbot.addWidget(panel)
    panel.show()
    assert not panel.scale.isVisible()
    assert not panel.other.isVisible()
    hand.pick(panel.against, Against.STORED.value)
    assert comparison.stored is document.project
    hand.pick(panel.against, Against.CHANNEL.value)
    assert panel.other.isVisible()
    hand.pick(panel.other, ViewChannel.ROUGHNESS.value)
    left = comparison.left_of(document.project)
    assert left is not None
    assert left.scene.view.channel is ViewChannel.ROUGHNESS
    document.edit("weights", weights={"Jaw Open": 1.0})
    hand.click(panel.store)
    assert (comparison.against, panel.against.value()) == (Against.STORED, Against.STORED)
    assert comparison.stored is document.project
    hand.pick(panel.channel, ViewChannel.OFFSET.value)
    assert panel.scale.isVisible()
    assert (panel.scale.text(), panel.scale.suffix()) == ("Fits", " mm")
    hand.fill(panel.scale, "2.5")
    assert document.project.scene.view.scale_end == 2.5
    hand.pick(panel.channel, ViewChannel.CURVATURE.value)
    assert (document.project.scene.view.scale_end, panel.scale.text()) == (0.0, "Fits")
    hand.click(panel.flat)
    assert document.project.scene.view.uv_view


# --- colour bar -------------------------------------------------------------------------------------------------------


def test_the_colour_bar_comes_with_channels_that_show_numbers(qtbot, open_window, expressive) -> None:
    window = open_window(replace(expressive, weights={"Jaw Open": 1.0}))
    assert not window.color_bar.isVisible()
    _show(window, ViewChannel.OFFSET)
    bar = window.color_bar
    assert bar.isVisible()
    assert bar.scale is not None
    assert window.viewport.rect().contains(bar.geometry())
    window.document.look(scale_end=7.0)
    assert bar.scale.high == 7.0
    pixels = bar.grab().toImage()
    top, bottom = (pixels.pixelColor(16, y) for y in (34, bar.height() - 15))
    assert top.red() > 200 > top.blue()  # yellow
    assert bottom.blue() > bottom.green()  # dark violet
    _show(window, ViewChannel.SHADED)
    assert not bar.isVisible()
    window.comparison.compare_channel(ViewChannel.CURVATURE)
    assert window.left_color_bar.isVisible()
    assert window.left_color_bar.geometry().left() < 20


def test_each_side_has_its_colour_bar_in_the_screenshot(qtbot, open_window, expressive, tmp_path: Path) -> None:
    window, size = open_window(expressive), (640, 480)
    _show(window, ViewChannel.CURVATURE)
    window.comparison.compare_channel(ViewChannel.DEPTH)
    plain = window.viewport.picture(*size)
    differs = (_saved(qtbot, window, tmp_path / "shot.png", size)[..., :3] != plain).any(axis=2)
    assert differs[:, :100].mean() > 0.2
    assert differs[:, 540:].mean() > 0.2
    assert not differs[:, 100:540].any()


def test_the_colour_bar_is_in_the_screenshot(qtbot, open_window, expressive, tmp_path: Path) -> None:
    window = open_window(replace(expressive, weights={"Jaw Open": 1.0}))
    _show(window, ViewChannel.OFFSET_NORMAL)
    path = tmp_path / "shot.png"
    with qtbot.waitSignal(window.jobs.changed, timeout=10000, check_params_cb=file_work_over()):
        window.save_picture(str(path), PictureSettings(640, 480, False))
    plain, shot = window.viewport.picture(640, 480), QImage(str(path)).convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(shot.constBits(), np.uint8).reshape(480, shot.bytesPerLine())[:, : 640 * 3]
    differs = (rows.reshape(480, 640, 3) != plain).any(axis=2)
    assert differs[:, 540:].mean() > 0.2
    assert not differs[:, :540].any()
    clear = np.zeros((480, 640, 4), np.uint8)
    assert with_color_bar(clear, window.color_bar.scale)[..., 3].max() > 150
    assert with_color_bar(clear, None) is clear
    assert with_color_bar(clear[:, :20], window.color_bar.scale).max() == 0  # no room


# --- UV view ----------------------------------------------------------------------------------------------------------


def test_the_uv_view_pans_zooms_and_leaves_the_head_where_it_was(qtbot, open_window, expressive) -> None:
    window = open_window(expressive)
    before, view = _seen(qtbot, window), window.viewport
    hand.choose(window, window.menus.flat)
    flat = _seen(qtbot, window)
    assert _difference(before, flat) > 5

    def camera():
        return window.document.project.scene.view.camera

    start = camera()
    hand.drag(view, QPoint(100, 100), QPoint(100 + min(view.width(), view.height()) // 4, 100))
    assert camera().uv_center == pytest.approx((0.25, 0.5), abs=0.01)
    assert camera().yaw_rad == start.yaw_rad
    hand.double_click(view, QPoint(10, 10))
    assert (camera().uv_center, camera().uv_span) == ((0.5, 0.5), 1.0)
    at = QPointF(view.width() // 2 + 90, view.height() // 2 - 60)  # a hand points at whole pixels
    hand.wheel(view, 3, at)
    short = min(view.width(), view.height())
    assert camera().uv_span == pytest.approx(0.9**3)
    middle = view.width() / 2, view.height() / 2  # what lay under the pointer still does
    for axis, from_middle in enumerate((at.x() - middle[0], at.y() - middle[1])):
        now = camera().uv_center[axis] + from_middle * camera().uv_span / short
        assert now == pytest.approx(0.5 + from_middle / short, abs=1e-6)
    hand.keys("U")
    assert _difference(_seen(qtbot, window), before) == 0.0


# --- a window's life --------------------------------------------------------------------------------------------------


def test_panels_leave_and_return_and_the_picture_with_them(qtbot, open_window, expressive) -> None:
    window = open_window(expressive)
    before = _seen(qtbot, window)
    for dock in window.docks():
        dock.setFloating(True)
    qtbot.waitUntil(lambda: window.viewport.width() > before.shape[1])
    wide = _seen(qtbot, window)
    assert wide.shape[1] > before.shape[1]
    assert wide[wide.shape[0] // 2, wide.shape[1] // 2].max() > 60
    for dock in window.docks():
        dock.setFloating(False)
    qtbot.waitUntil(lambda: window.viewport.width() == before.shape[1])
    assert _difference(_seen(qtbot, window), before) == 0.0
    for dock in window.docks():
        dock.close()
    qtbot.waitUntil(lambda: window.viewport.width() > before.shape[1])
    assert _seen(qtbot, window).shape[1] > before.shape[1]
    for dock in window.docks():
        dock.show()
    qtbot.waitUntil(lambda: window.viewport.width() == before.shape[1])
    assert _difference(_seen(qtbot, window), before) == 0.0


def test_resized_minimised_and_hidden_the_picture_returns(qtbot, open_window, expressive) -> None:
    window = open_window(expressive)
    window.resize(1280, 800)
    qtbot.wait(50)
    before = _seen(qtbot, window)
    for size in ((1, 1), (3000, 1900), (1280, 800)):
        window.resize(*size)
        qtbot.wait(50)
        seen = _seen(qtbot, window)
        assert seen.shape[:2] == window.viewport.pixel_size()[::-1]
        assert seen[seen.shape[0] // 2, seen.shape[1] // 2].max() > 60
    window.reset_layout()  # docks that made room keep the width they gave way to
    window.resize(1280, 800)
    qtbot.wait(50)
    assert _difference(_seen(qtbot, window), before) == 0.0
    for away in (window.showMinimized, window.hide):
        away()
        qtbot.wait(50)
        window.document.edit("meanwhile", weights={"Jaw Open": 1.0})
        window.document.undo()
        with qtbot.waitSignal(window.viewport.painted, timeout=10000):
            window.showNormal()
            window.viewport.update()
        qtbot.wait(50)
        assert _difference(_seen(qtbot, window), before) == 0.0


def test_two_windows_go_their_own_ways(qtbot, open_window, expressive) -> None:
    window = open_window(expressive)
    before = _seen(qtbot, window)
    hand.choose(window, hand.item(window.menus.file, "New Window"))
    other = window.windows[1]
    qtbot.waitUntil(lambda: other.viewport.moving is False, timeout=20000)
    assert other.document.project is window.document.project
    other.resize(window.size())
    qtbot.waitUntil(lambda: other.viewport.size() == window.viewport.size())
    assert _difference(_seen(qtbot, other), before) == 0.0
    other.document.edit("Jaw", weights={"Jaw Open": 1.0})
    assert _difference(_seen(qtbot, other), before) > 0.2
    assert _difference(_seen(qtbot, window), before) == 0.0
    assert not window.document.modified
    other.close()
    qtbot.waitUntil(lambda: window.windows == [window], timeout=10000)
    window.document.edit("Brows", weights={"Brows Up": 1.0})
    assert _difference(_seen(qtbot, window), before) > 0.2
    window.document.undo()
    assert _difference(_seen(qtbot, window), before) == 0.0


@pytest.fixture
def contexts_of_their_own() -> Iterator[None]:
    """Windows do not share OpenGL contexts: a viewport that gets another window gets another context."""
    shared = Qt.ApplicationAttribute.AA_ShareOpenGLContexts
    QCoreApplication.setAttribute(shared, False)
    yield
    QCoreApplication.setAttribute(shared, True)


def test_a_lost_context_is_made_again(qtbot, open_window, expressive, on_hardware, contexts_of_their_own) -> None:
    window = open_window(replace(expressive, weights={"Jaw Open": 1.0}))
    window.comparison.compare(Against.NEUTRAL)
    before, first = _seen(qtbot, window), window.viewport.surface.context()
    size, whole, made = window.viewport.size(), window.size(), []
    first.aboutToBeDestroyed.connect(lambda: made.append("gone"))
    host = QMainWindow()
    qtbot.addWidget(host)
    host.resize(size)
    with qtbot.waitSignal(window.viewport.painted, timeout=20000):
        host.setCentralWidget(window.viewport)
        host.show()
    assert made == ["gone"]
    qtbot.wait(50)
    qtbot.waitUntil(lambda: window.viewport.size() == window.viewport.surface.size() == size, timeout=5000)
    assert _difference(_seen(qtbot, window), before) == 0.0
    with qtbot.waitSignal(window.viewport.painted, timeout=20000):
        window.setCentralWidget(window.viewport)
    qtbot.wait(50)
    window.reset_layout()  # the docks had all the room meanwhile
    window.resize(whole)
    qtbot.wait(50)
    qtbot.waitUntil(lambda: window.viewport.size() == window.viewport.surface.size() == size, timeout=5000)
    assert _difference(_seen(qtbot, window), before) == 0.0
    assert window.notifier.message == ""


# --- bad input --------------------------------------------------------------------------------------------------------


def _constant(value: float, size: tuple[int, int] = (16, 32)) -> Callable[[Path], None]:
    return lambda path: write_hdr(path, np.full((*size, 3), value, np.float32)) and None


def _truncated(path: Path) -> None:
    write_hdr(path, np.random.default_rng(0).random((64, 128, 3)).astype(np.float32))
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_truncated, "whole image"),
        (_constant(1e30), "up to 1e\\+10"),
        (_constant(np.nan), "NaN"),
        (_constant(-1), "clip"),
    ],
    ids=["truncated", "1e30", "NaN", "negative"],
)
def test_a_broken_environment_is_told_and_changes_nothing(
    qtbot, open_window, expressive, tmp_path: Path, make: Callable[[Path], None], says: str
) -> None:
    window, path = open_window(expressive), tmp_path / "bad.exr"
    before, project = _seen(qtbot, window), window.document.project
    make(path)
    with pytest.raises(FileFormatError, match=says):
        window.light.use_file(str(path))
    assert window.document.project is project
    missing = replace(project.scene.environment, name=str(path))  # as a project saved before the file broke
    with qtbot.waitSignal(window.viewport.failed, timeout=10000):
        window.document.edit("Environment", scene=replace(window.document.project.scene, environment=missing))
    assert "bad.exr" in window.notifier.message
    hand.keys("Ctrl+Z")
    assert _difference(_seen(qtbot, window), before) == 0.0


@pytest.mark.parametrize(
    "make", [_constant(1.0, (1, 1)), _constant(0.0), _constant(1e9)], ids=["1x1", "black", "very bright"]
)
def test_an_odd_environment_lights(qtbot, open_window, expressive, tmp_path: Path, make) -> None:
    window, path = open_window(expressive), tmp_path / "odd.exr"
    before = _seen(qtbot, window)
    make(path)
    window.light.use_file(str(path))
    seen = _seen(qtbot, window)
    assert _difference(seen, before) > 1
    assert seen[seen.shape[0] // 2, seen.shape[1] // 2].max() > 30  # the key light at least
    assert window.notifier.message == ""


def test_maps_too_large_for_the_card_are_shown_smaller(qtbot, open_window, expressive, monkeypatch) -> None:
    large = new_project(make_head(size=256))
    monkeypatch.setattr(Renderer.__init__, "__defaults__", (64 * 64 * 43,))  # bytes for maps
    window = open_window(large)
    seen = _seen(qtbot, window)
    assert window.notifier.message == "maps of 256 x 256 are shown at 64 x 64; exports keep their size"
    assert seen[seen.shape[0] // 2, seen.shape[1] // 2].max() > 60
    assert window.document.project.identity.maps.size == (256, 256)


def _damaged(folder: Path, project: Project, how: str) -> None:
    """A person folder of `project` with something wrong in it."""
    for _ in write(project.identity, project.expressions, folder):
        pass
    if how == "NaN":
        shape = np.load(folder / "exp1" / "shape.npy")
        shape[3] = np.nan
        np.save(folder / "exp1" / "shape.npy", shape)
    elif how == "no UVs":
        template = folder / "template.obj"
        lines = template.read_text().splitlines()
        kept = [" ".join(part.split("/")[0] for part in line.split()) for line in lines if not line.startswith("vt")]
        template.write_text("\n".join(kept))
    else:
        for path in sorted((folder / "exp1").glob("*.png")):
            write_png(path, np.full((1, 1, 3), 90, np.uint8))


@pytest.mark.parametrize(("how", "says"), [("NaN", "NaN"), ("no UVs", "texture coordinates"), ("1x1 maps", "")])
def test_a_damaged_head_is_told_or_shown_and_the_window_lives(
    qtbot, open_window, expressive, tmp_path: Path, how: str, says: str
) -> None:
    window = open_window(expressive)
    before = _seen(qtbot, window)
    _damaged(tmp_path / "person", new_project(make_head(seed=3)), how)
    over = file_work_over(State.FAILED if says else State.DONE)
    with qtbot.waitSignal(window.jobs.changed, timeout=20000, check_params_cb=over):
        window.session.open_path(str(tmp_path / "person"))
    seen = _seen(qtbot, window)
    if says:
        assert says in window.notifier.message
        assert _difference(seen, before) == 0.0
    else:
        assert window.document.project.identity.maps.size == (1, 1)
        assert seen[seen.shape[0] // 2, seen.shape[1] // 2].max() > 30
        window.document.edit("x", expressions=make_expressions(window.document.project.identity))
        window.document.edit("x", weights={"Jaw Open": 1.0})
        assert _difference(_seen(qtbot, window), seen) > 0.05
