"""The whole path in the real window, with the shipped model and a head from a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog

import engine.diffusion
from engine.diffusion.generate import generate
from engine.mesh import Part
from engine.project import new_project
from tests.data import DATA
from tests.heads import make_head
from tests.viewer import hand
from tests.viewer.work import file_work_over
from viewer import orbit
from viewer.dialogs import PictureSettings
from viewer.document import with_weight

HEAD = DATA / "ffhq-uv" / "teaser_1"
WEIGHTS = Path(engine.diffusion.__path__[0]) / "weights" / "weights.json"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not HEAD.is_dir(), reason="the FFHQ-UV head is not there"),
    pytest.mark.skipif(not WEIGHTS.is_file(), reason="no weights are shipped"),
]


def test_a_folder_is_opened_with_grown_hair(qtbot, open_window, monkeypatch: pytest.MonkeyPatch) -> None:
    window = open_window(new_project(make_head()))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(HEAD))
    (action,) = (each for each in window.menus.file.actions() if "Hair" in each.text().replace("&", ""))
    with qtbot.waitSignal(window.jobs.changed, timeout=60000, check_params_cb=file_work_over()):
        hand.choose(window, action)
    topology = window.document.project.identity.topology
    assert len(topology.faces_of(Part.HAIR)) > 5000


def test_open_generate_drag_cancel_relight_screenshot_export(qtbot, open_window, tmp_path: Path) -> None:
    window = open_window(new_project(make_head()), generator=generate)
    with qtbot.waitSignal(window.jobs.changed, timeout=60000, check_params_cb=file_work_over()):
        window.session.open_path(str(HEAD))
    document, frames = window.document, []
    window.viewport.painted.connect(lambda: frames.append(window.generation.busy))
    window.generation.start(("Jaw Open", "Brows Up"))
    for turn in range(100000):
        document.edit("drag", merge="drag", weights=with_weight(document.project, "Jaw Open", turn % 10 / 10))
        document.look(camera=orbit.orbit(document.project.scene.view.camera, 0.2, 0.0))
        with qtbot.waitSignal(window.viewport.painted, timeout=20000):
            pass
        if not window.generation.busy:
            break
    assert sum(frames) > 5
    assert document.project.expressions.names == ("Jaw Open", "Brows Up")
    jaw = document.project.expressions["Jaw Open"].offsets_m
    assert 0.005 < np.linalg.norm(jaw, axis=1).max() < 0.06
    window.generation.start(("Lip Suck",))
    window.generation.cancel()
    qtbot.waitUntil(lambda: not window.generation.busy, timeout=60000)
    assert document.project.expressions.names == ("Jaw Open", "Brows Up")
    document.edit("weights", weights={"Jaw Open": 0.7})
    pictures = []
    for yaw in (0.7, -1.0):
        key = replace(document.project.scene.key_light, yaw_rad=yaw, irradiance=3.0)
        document.edit("light", scene=replace(document.project.scene, key_light=key))
        with qtbot.waitSignal(window.jobs.changed, timeout=20000, check_params_cb=file_work_over()):
            window.save_picture(str(tmp_path / f"{yaw}.png"), PictureSettings(480, 480, True))
        pictures.append(QImage(str(tmp_path / f"{yaw}.png")))
    assert pictures[0].hasAlphaChannel()
    assert pictures[0] != pictures[1]
    with qtbot.waitSignal(window.jobs.changed, timeout=60000, check_params_cb=file_work_over()):
        window.export_glb_to(str(tmp_path / "head.glb"))
    assert (tmp_path / "head.glb").stat().st_size > 1_000_000
