"""render_speed.py's frames in VTK (physically based, image-based light): argument is the job's folder."""

# pyright: reportMissingImports=false
import json
import math
import sys
import time
from pathlib import Path

start = time.perf_counter()
import vtk  # noqa: E402

folder = Path(sys.argv[1])
job = json.loads((folder / "job.json").read_text())
window = vtk.vtkRenderWindow()
window.SetOffScreenRendering(1)
window.SetMultiSamples(0)
window.SetSize(job["width"], job["height"])
renderer = vtk.vtkRenderer()
window.AddRenderer(renderer)
importer = vtk.vtkGLTFImporter()
importer.SetFileName(str(folder / "head.glb"))
importer.SetRenderWindow(window)
importer.Update()
reader = vtk.vtkHDRReader()
reader.SetFileName(str(folder / "light.hdr"))
texture = vtk.vtkTexture()
texture.SetColorModeToDirectScalars()
texture.MipmapOn()
texture.InterpolateOn()
texture.SetInputConnection(reader.GetOutputPort())
renderer = window.GetRenderers().GetFirstRenderer()
renderer.UseImageBasedLightingOn()
renderer.SetEnvironmentTexture(texture)
renderer.RemoveAllLights()
light = vtk.vtkLight()
light.SetLightTypeToSceneLight()
pitch = math.cos(job["key_pitch"])
light.SetPosition(math.sin(job["key_yaw"]) * pitch, math.sin(job["key_pitch"]), math.cos(job["key_yaw"]) * pitch)
light.SetFocalPoint(0, 0, 0)
light.SetIntensity(job["key_irradiance"])
renderer.AddLight(light)
camera = renderer.GetActiveCamera()
frames, first = [], 0.0
for number in range(job["frames"] + 2):
    yaw = number * job["step_rad"]
    x, y, z = job["target"]
    camera.SetFocalPoint(x, y, z)
    camera.SetPosition(x + math.sin(yaw) * job["distance"], y, z + math.cos(yaw) * job["distance"])
    camera.SetViewUp(0, 1, 0)
    camera.SetViewAngle(job["fov_deg"])
    renderer.ResetCameraClippingRange()
    begin = time.perf_counter()
    window.Render()
    window.WaitForCompletion()
    frames.append((time.perf_counter() - begin) * 1000)
    if number == 0:
        first = time.perf_counter() - start
if len(sys.argv) > 2:
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    writer = vtk.vtkPNGWriter()
    writer.SetInputConnection(grab.GetOutputPort())
    writer.SetFileName(sys.argv[2])
    writer.Write()
driver = next((line for line in window.ReportCapabilities().splitlines() if "renderer string" in line), "").split(": ")[
    -1
]
print("RESULT " + json.dumps({"first_s": first, "frames_ms": frames[2:], "driver": driver.strip()}))
