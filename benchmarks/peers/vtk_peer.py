"""render_speed.py's frames in VTK (physically based, image-based light): arguments are the job's folder, the picture to
write there, and "shadow" for the key light's."""

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
for actor in renderer.GetActors():
    actor.GetProperty().SetBaseIOR(job["ior"])  # it does not read the specular map
renderer.RemoveAllLights()
light = vtk.vtkLight()
light.SetLightTypeToSceneLight()
light.SetPosition(*job["key_towards"])
light.SetFocalPoint(0, 0, 0)
light.SetColor(*job["key_irradiance"])  # its BRDF is albedo / pi, so light is irradiance
renderer.AddLight(light)
camera = renderer.GetActiveCamera()


def cast_shadow() -> None:
    """As vtkRenderer.UseShadowsOn, whose map of a directional light is drawn in the window's aspect ratio and read in
    that of a square: the light's camera is made square as soon as it is seen."""
    shadows = vtk.vtkShadowMapPass()
    shadows.GetShadowMapBakerPass().SetExponentialConstant(30.0)  # at 11 light leaks, at 50 the head shadows itself
    passes = vtk.vtkRenderPassCollection()
    passes.AddItem(shadows.GetShadowMapBakerPass())
    passes.AddItem(shadows)
    sequence = vtk.vtkSequencePass()
    sequence.SetPasses(passes)
    whole = vtk.vtkCameraPass()
    whole.SetDelegatePass(sequence)
    renderer.SetPass(whole)
    camera.SetExplicitAspectRatio(job["width"] / job["height"])
    camera.UseExplicitAspectRatioOn()

    def make_square(*_: object) -> None:
        other = renderer.GetActiveCamera()
        if not other.GetUseExplicitAspectRatio():
            other.SetExplicitAspectRatio(1.0)
            other.UseExplicitAspectRatioOn()

    renderer.AddObserver("ModifiedEvent", make_square)


def look(yaw: float) -> None:
    """The camera of a frame."""
    x, y, z = job["target"]
    camera.SetFocalPoint(x, y, z)
    camera.SetPosition(x + math.sin(yaw) * job["distance"], y, z + math.cos(yaw) * job["distance"])
    camera.SetViewUp(0, 1, 0)
    camera.SetViewAngle(job["fov_deg"])
    renderer.ResetCameraClippingRange()


if "shadow" in sys.argv[3:]:
    cast_shadow()
frames, first = [], 0.0
for number in range(job["frames"] + 2):
    look(number * job["step_rad"])
    begin = time.perf_counter()
    window.Render()
    window.WaitForCompletion()
    frames.append((time.perf_counter() - begin) * 1000)
    if number == 0:
        first = time.perf_counter() - start
look(0.0)
grab = vtk.vtkWindowToImageFilter()
grab.SetInput(window)
grab.ReadFrontBufferOff()
writer = vtk.vtkPNGWriter()
writer.SetInputConnection(grab.GetOutputPort())
writer.SetFileName(str(folder / sys.argv[2]))
writer.Write()
driver = next((line for line in window.ReportCapabilities().splitlines() if "renderer string" in line), "").split(": ")[
    -1
]
print("RESULT " + json.dumps({"first_s": first, "frames_ms": frames[2:], "driver": driver.strip()}))
