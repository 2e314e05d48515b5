"""render_speed.py's frames in f3d: arguments are the job's folder and the picture to write there."""

# pyright: reportMissingImports=false
import json
import math
import sys
import time
from pathlib import Path

start = time.perf_counter()
import f3d  # noqa: E402

folder = Path(sys.argv[1])
job = json.loads((folder / "job.json").read_text())
engine = f3d.Engine.create_egl()
engine.autoload_plugins()
engine.options.update(
    {
        "render.hdri.file": str(folder / "light.hdr"),
        "render.hdri.ambient": True,
        "model.material.base_ior": job["ior"],  # it does not read the specular map
        "ui.axis": False,
        "render.grid.enable": False,
        "render.effect.tone_mapping": True,
    }
)
window = engine.window
window.size = job["width"], job["height"]
engine.scene.add(str(folder / "head.glb"))
engine.scene.remove_all_lights()  # five of its own
peak = max(job["key_irradiance"])
key = f3d.LightState(
    type=f3d.LightType.SCENE_LIGHT,
    direction=tuple(-value for value in job["key_towards"]),
    color=f3d.Color(*(value / peak for value in job["key_irradiance"])),
    intensity=peak,
)
engine.scene.add_light(key)
camera = window.camera


def look(yaw: float) -> None:
    """The camera of a frame."""
    x, y, z = job["target"]
    camera.focal_point = job["target"]
    camera.position = (x + math.sin(yaw) * job["distance"], y, z + math.cos(yaw) * job["distance"])
    camera.view_up = (0.0, 1.0, 0.0)
    camera.view_angle = job["fov_deg"]


frames, first = [], 0.0
for number in range(job["frames"] + 2):
    look(number * job["step_rad"])
    begin = time.perf_counter()
    window.render()  # render_to_image draws the frame more than once
    frames.append((time.perf_counter() - begin) * 1000)
    if number == 0:
        first = time.perf_counter() - start
engine.options.update({"render.effect.tone_mapping": False, "render.background.color": [0.0, 0.0, 0.0]})
look(0.0)
window.render_to_image().save(str(folder / sys.argv[2]))
print("RESULT " + json.dumps({"first_s": first, "frames_ms": frames[2:], "driver": "EGL (f3d does not name it)"}))
