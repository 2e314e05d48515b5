"""Mitsuba 3 as the judge: the same meshes, maps, camera and light, with the same BRDF written once more, in Python.

The BRDF is the one of docs/shading.md: GGX with height-correlated Smith and Schlick's Fresnel term, and Lambert with
what that leaves (Kelemen and Szirmay-Kalos 2001), from tables of its own. Multiple scattering between
facets, below 0.1 % of skin's highlight, is left out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import binary_erosion, maximum_filter, minimum_filter

from engine.face.lips import posed_m
from engine.identity import Identity
from engine.mesh import Part
from engine.project import Project
from engine.render.camera import direction, eye_position
from engine.render.sources import LightSource
from engine.render.upload import split_mesh

_LLVM = "/usr/lib/*/libLLVM*19*.so*"
_TABLE = 40
"""Side of the tables of what is reflected."""
_FINER = 8
"""Texels of an environment for each of ours."""
_OUTLINE_M = 0.004
"""A larger step in depth within a pixel is an outline."""
_AT_ONCE = 16_000_000
"""Samples in one pass, and 64 a pixel at most: memory."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What is deliberately wrong, to show that a comparison notices."""

    slope_y_flipped: bool = False
    v_flipped: bool = False
    specular_and_roughness_swapped: bool = False


@dataclass(frozen=True, slots=True)
class Light:
    """What lights the truth."""

    directional: Sequence[LightSource] = ()
    radiance: np.ndarray | None = None
    """(H, W, 3) float32 linear, as `engine.render.environment.equirect_radiance` has it."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What the path tracer found."""

    light: np.ndarray
    """(H, W, 3) float32 linear."""
    skin: np.ndarray
    """(H, W) float32 share of a pixel that skin fills; 0 where one part of it stands before another."""
    lit: np.ndarray
    """(H, W) float32 share of a pixel that all directional lights reach."""

    @property
    def inside(self) -> np.ndarray:
        """(H, W) bool, pixels that count: skin fills them, and all around them up to two away."""
        return binary_erosion(self.skin == 1, iterations=2)


def mitsuba() -> Any:
    """The module, with a variant chosen; ImportError where it is not installed."""
    import glob

    if "DRJIT_LIBLLVM_PATH" not in os.environ and (found := sorted(glob.glob(_LLVM))):
        os.environ["DRJIT_LIBLLVM_PATH"] = found[0]
    import mitsuba as mi  # pyright: ignore[reportMissingImports]

    if mi.variant() is None:
        mi.set_variant("llvm_ad_rgb")
        _register(mi)
    return mi


def _register(mi: Any) -> None:
    import drjit as dr  # pyright: ignore[reportMissingImports]

    class Skin(mi.BSDF):
        def __init__(self, props: Any) -> None:
            mi.BSDF.__init__(self, props)
            self.maps = {name: props[name] for name in ("diffuse", "specular", "roughness", "slope")}
            self.f0_scale = float(props["f0_scale"])
            table = reflected_shares()
            mean = np.repeat((table * _cosine_weights()).sum(axis=1, keepdims=True), _TABLE, axis=1)
            self.table, self.mean = (
                mi.load_dict(
                    {
                        "type": "bitmap",
                        "bitmap": mi.Bitmap(np.ascontiguousarray(image)),
                        "raw": True,
                        "wrap_mode": "clamp",
                    }
                )
                for image in (table, mean.astype(np.float32))
            )
            flags = mi.BSDFFlags.DiffuseReflection | mi.BSDFFlags.FrontSide
            self.m_components = [flags]
            self.m_flags = flags

        def sample(self, context: Any, si: Any, one: Any, two: Any, active: Any = True) -> Any:
            bs = mi.BSDFSample3f()
            bs.wo = mi.warp.square_to_cosine_hemisphere(two)
            bs.pdf = mi.warp.square_to_cosine_hemisphere_pdf(bs.wo)
            bs.eta = 1.0
            bs.sampled_type = mi.UInt32(+mi.BSDFFlags.DiffuseReflection)
            bs.sampled_component = 0
            good = active & (bs.pdf > 0) & (mi.Frame3f.cos_theta(si.wi) > 0)
            return bs, dr.select(good, self.eval(context, si, bs.wo, active) / bs.pdf, 0.0)

        def pdf(self, context: Any, si: Any, wo: Any, active: Any = True) -> Any:
            return mi.warp.square_to_cosine_hemisphere_pdf(wo)

        def albedo(self, f0: Any, cosine: Any, roughness: Any) -> Any:
            """Specular albedo at a cosine, None for all directions."""
            at = dr.zeros(mi.SurfaceInteraction3f)
            at.uv = mi.Point2f(0.5, roughness) if cosine is None else mi.Point2f(cosine, roughness)
            at.uv = (at.uv * (_TABLE - 1) + 0.5) / _TABLE
            found = (self.mean if cosine is None else self.table).eval_3(at)
            return f0 * found.x + found.y

        def eval(self, context: Any, si: Any, wo: Any, active: Any = True) -> Any:
            n, v, light = si.sh_frame.n, si.to_world(si.wi), si.to_world(wo)
            encoded = self.maps["diffuse"].eval_3(si, active)
            albedo = dr.select(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
            f0 = dr.minimum(self.maps["specular"].eval_3(si, active) * self.f0_scale, 1.0)
            alpha = dr.square(dr.maximum(self.maps["roughness"].eval_1(si, active), 0.045))
            slope = self.maps["slope"].eval_3(si, active)
            across, along = dr.cross(si.dp_dv, n), dr.cross(n, si.dp_du)
            across *= dr.sign(dr.dot(across, si.dp_du))
            along *= dr.sign(dr.dot(along, si.dp_dv))
            m = dr.normalize(n + slope.x * dr.normalize(across) - slope.y * dr.normalize(along))
            h = dr.normalize(v + light)
            n_v = dr.maximum(dr.abs(dr.dot(m, v)), 1e-3)
            n_l, n_h = dr.maximum(dr.dot(m, light), 0.0), dr.clip(dr.dot(m, h), 0.0, 1.0)
            l_h = dr.clip(dr.dot(light, h), 0.0, 1.0)
            fresnel = f0 + (1.0 - f0) * (1.0 - l_h) ** 5
            a2 = alpha * alpha
            spread = a2 / (math.pi * dr.square((n_h * a2 - n_h) * n_h + 1.0))
            smith = n_l * dr.sqrt(n_v * n_v * (1 - a2) + a2) + n_v * dr.sqrt(n_l * n_l * (1 - a2) + a2)
            rough = dr.sqrt(alpha)
            into, out, mean = (self.albedo(f0, cosine, rough) for cosine in (n_l, n_v, None))
            enters = (1.0 - into) * (1.0 - out) / (1.0 - mean)
            value = albedo / math.pi * enters + fresnel * spread * 0.5 / dr.maximum(smith, 1e-6)
            above = (mi.Frame3f.cos_theta(si.wi) > 0) & active
            return dr.select(above, value * n_l, 0.0)

    mi.register_bsdf("expdiff_skin", Skin)


@lru_cache(maxsize=1)
def reflected_shares() -> np.ndarray:
    """(_TABLE, _TABLE, 3) float32: specular albedo = F0 r + g over roughness (rows) and NoV, 0 .. 1, by the rectangle
    rule over half vectors."""
    left = 1 - (np.arange(400) + 0.5) / 400
    u, width = 1 - left**4, (4 * left**3)[:, None]  # steps shrink along the tail of the distribution
    phi = (np.arange(90) + 0.5) / 90 * np.pi
    table = np.zeros((_TABLE, _TABLE, 3), np.float32)
    for row, column in np.ndindex(_TABLE, _TABLE):
        alpha, n_v = max(row / (_TABLE - 1), 0.045) ** 2, max(column / (_TABLE - 1), 1e-3)
        n_h = np.sqrt((1 - u) / (1 + (alpha**2 - 1) * u))[:, None]
        v_h = math.sqrt(1 - n_v**2) * np.sqrt(1 - n_h**2) * np.cos(phi) + n_v * n_h
        n_l = 2 * v_h * n_h - n_v
        lambdas = [np.sqrt(1 + alpha**2 * (1 / np.maximum(c, 1e-9) ** 2 - 1)) / 2 for c in (np.array(n_v), n_l)]
        share = np.where((n_l > 0) & (v_h > 0), v_h / (n_h * n_v * (lambdas[0] + lambdas[1])), 0) * width
        f = np.clip(1 - v_h, 0, 1) ** 5
        table[row, column, :2] = (share * (1 - f)).mean(), (share * f).mean()
    return table


def _cosine_weights() -> np.ndarray:
    """(_TABLE, 1): weights of the values of a row, linear in between, in 2 int f(x) x dx."""
    x = np.linspace(0, 1, 20 * (_TABLE - 1) + 1)
    hats = np.maximum(1 - np.abs(x[:, None] * (_TABLE - 1) - np.arange(_TABLE)), 0)
    return 2 * np.asarray(np.trapezoid(hats * x[:, None], x, axis=0))[:, None]


def trace(
    project: Project,
    size: tuple[int, int],
    light: Light,
    samples: int,
    faults: Faults | None = None,
    bounces: int = 1,
) -> Truth:
    """`bounces` of `light` off the head of `project` (its own lights are not used), `size` (width, height) pixels."""
    mi = mitsuba()
    identity = project.identity
    positions = posed_m(identity, project.expressions, project.active())
    shapes = _shapes(mi, identity, positions, faults or Faults())
    camera = project.scene.view.camera
    at_once = min(samples, 64)
    while at_once > 1 and at_once * size[0] * size[1] > _AT_ONCE:
        at_once //= 4  # a square and a power of two: what the sampler takes
    origin = eye_position(camera)
    target = origin - direction(camera.yaw_rad, camera.pitch_rad)
    sensor = {
        "type": "perspective",
        "fov": math.degrees(camera.vertical_fov_rad),
        "fov_axis": "y",
        "to_world": mi.ScalarTransform4f().look_at(origin.tolist(), target.tolist(), [0.0, 1.0, 0.0]),
        "near_clip": 0.01,
        "film": {
            "type": "hdrfilm",
            "width": size[0],
            "height": size[1],
            "pixel_format": "rgb",
            "rfilter": {"type": "box"},
        },
        "sampler": {"type": "ldsampler", "sample_count": at_once},
    }
    scene = mi.load_dict({"type": "scene", "sensor": sensor, **shapes, **_emitters(mi, light)})
    once = {"type": "direct", "emitter_samples": 1, "bsdf_samples": 0}
    often = {"type": "path", "max_depth": bounces + 1}
    integrator = mi.load_dict({**(once if bounces == 1 else often), "hide_emitters": True})
    total = np.zeros((size[1], size[0], 3), np.float64)
    passes = max(samples // at_once, 1)
    seeds = np.random.default_rng(0).integers(2**31, size=passes)  # with 0, 1, 2 .. pixels in a row share their noise
    for seed in seeds.tolist():
        total += np.array(mi.render(scene, integrator=integrator, spp=at_once, seed=seed))
    skin, lit = _coverage(mi, scene, size, light)
    return Truth((total / passes).astype(np.float32), skin, lit)


def _shapes(mi: Any, identity: Identity, positions_m: np.ndarray, faults: Faults) -> dict[str, Any]:
    split = split_mesh(identity.topology)
    normals = identity.topology.vertex_normals(positions_m)
    uvs = identity.topology.uvs[split.uv].astype(np.float32)
    if faults.v_flipped:
        uvs = uvs * (1.0, -1.0) + (0.0, 1.0)
    found = {}
    for part, (first, count) in split.ranges.items():
        corners = split.elements.ravel()[first : first + count].reshape(-1, 3)
        used, faces = np.unique(corners, return_inverse=True)
        props = mi.Properties()
        props["mesh_bsdf"] = mi.load_dict(_material(mi, identity, part, faults))
        mesh = mi.Mesh(part.name.lower(), len(used), len(corners), props, True, True)
        params = mi.traverse(mesh)
        vertex = split.vertex[used]
        params["vertex_positions"] = positions_m[vertex].astype(np.float32).ravel()
        params["vertex_normals"] = normals[vertex].astype(np.float32).ravel()
        params["vertex_texcoords"] = uvs[used].astype(np.float32).ravel()
        params["faces"] = faces.astype(np.uint32).ravel()
        params.update()
        found[part.name.lower()] = mesh
    return found


def _material(mi: Any, identity: Identity, part: Part, faults: Faults) -> dict[str, Any]:
    """Skin's own maps; other parts only cast shadows."""
    if part is not Part.SKIN:
        return {"type": "diffuse"}
    maps = identity.maps
    specular = maps.specular_data.astype(np.float32) / 255
    roughness = maps.roughness_data.astype(np.float32)[..., None] / 255
    if faults.specular_and_roughness_swapped:
        specular, roughness = np.repeat(roughness, 3, axis=2), specular.mean(axis=2, keepdims=True)
    slope = np.zeros((*maps.size, 3), np.float32)
    slope[..., :2] = maps.slope * np.array([1, -1 if faults.slope_y_flipped else 1], np.float32)
    images = {"diffuse": maps.diffuse_srgb.astype(np.float32) / 255, "specular": specular}
    images |= {"roughness": roughness, "slope": slope}
    textures = {name: _bitmap(mi, image) for name, image in images.items()}
    return {"type": "expdiff_skin", "f0_scale": identity.specular_f0_scale, **textures}


def _bitmap(mi: Any, image: np.ndarray) -> dict[str, Any]:
    return {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(image)), "raw": True}


def _emitters(mi: Any, light: Light) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, one in enumerate(light.directional):
        found[f"light{number}"] = {
            "type": "directional",
            "direction": [-value for value in one.towards],
            "irradiance": {"type": "rgb", "value": list(one.irradiance_linear)},
        }
    if light.radiance is not None:
        # There the picture begins where the middle of ours is, and its texels stand at the edges of ours: finer ones
        # make that a small matter.
        fine = np.repeat(np.repeat(light.radiance.astype(np.float32), _FINER, axis=0), _FINER, axis=1)
        turned = np.roll(fine, fine.shape[1] // 2, axis=1)
        found["environment"] = {"type": "envmap", "bitmap": mi.Bitmap(np.ascontiguousarray(turned))}
    return found


def _coverage(mi: Any, scene: Any, size: tuple[int, int], light: Light, side: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Shares of each pixel that show skin, and that every directional light reaches: of side x side points."""
    import drjit as dr  # pyright: ignore[reportMissingImports]

    width, height = size[0] * side, size[1] * side
    index = dr.arange(mi.UInt32, width * height)
    at = mi.Point2f((index % width + 0.5) / width, (index // width + 0.5) / height)
    ray, _ = scene.sensors()[0].sample_ray(0.0, 0.5, at, mi.Point2f(0.5))
    hit = scene.ray_intersect(ray)
    shapes = list(scene.shapes())
    number = [shape.id() for shape in shapes].index("skin")
    skin = hit.is_valid() & (hit.shape == mi.ShapePtr(shapes[number])) & (mi.Frame3f.cos_theta(hit.wi) > 0)
    lit = skin
    for one in light.directional:
        towards = mi.Vector3f(*one.towards)
        lit = (
            lit
            & (dr.dot(hit.sh_frame.n, towards) > 0)
            & (dr.dot(hit.n, towards) > 0)
            & ~scene.ray_test(hit.spawn_ray(towards))
        )

    def share(mask: Any) -> np.ndarray:
        found = np.array(dr.select(mask, mi.Float(1.0), 0.0)).reshape(size[1], side, size[0], side)
        return found.mean(axis=(1, 3)).astype(np.float32)

    skin_share = share(skin)
    depth = np.minimum(np.array(hit.t).reshape(height, width), 1e3)
    jump = maximum_filter(depth, side) - minimum_filter(depth, side)
    skin_share[jump.reshape(size[1], side, size[0], side).max(axis=(1, 3)) > _OUTLINE_M] = 0.0
    return skin_share, share(lit)


def version() -> str:
    """For the head of a table."""
    return f"Mitsuba {mitsuba().__version__}, LLVM {Path(os.environ.get('DRJIT_LIBLLVM_PATH', 'of the system')).name}"
