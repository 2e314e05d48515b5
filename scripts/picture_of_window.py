"""The window with one head in an expression, as it stands on a screen.

xvfb-run -s "-screen 0 1600x1100x24" python scripts/picture_of_window.py builtin:7 docs/pictures/window.jpg
"""

from __future__ import annotations

import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QSettings, Qt, QTimer

from engine.diffusion.request import GenerateRequest
from engine.expression_cache import generate_all
from engine.open import open_project
from engine.render.presets import with_preset
from engine.scene import scene_with
from engine.vocabulary import NAMES
from viewer.app import make_application, make_window

WEIGHTS = {"Brows Up": 0.55, "Lip Corner Puller": 0.8, "Jaw Open": 0.12}
SIZE = (1500, 980)
LOOK_MS = 500


def main() -> int:
    """Grab the window of PATH into PNG once it stands still."""
    path, out = sys.argv[1], Path(sys.argv[2])
    project = open_project(path)
    made = generate_all(GenerateRequest(project.identity, tuple(NAMES[1:])))
    scene = with_preset(project.scene, "Three-Point")
    camera = replace(scene.view.camera, yaw_rad=math.radians(22))
    project = replace(project, expressions=made, weights=WEIGHTS, scene=scene_with(scene, camera=camera))
    application = make_application()
    with tempfile.TemporaryDirectory() as folder:
        window = make_window(project, QSettings(str(Path(folder) / "settings.ini"), QSettings.Format.IniFormat))
        window.resize(*SIZE)
        window.show()

        def look() -> None:
            if not window.viewport.moving:
                window.grab().save(str(out))
                application.quit()

        timer = QTimer(interval=LOOK_MS)
        timer.timeout.connect(look)
        window.viewport.painted.connect(timer.start, Qt.ConnectionType.SingleShotConnection)
        application.exec()
        window.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
