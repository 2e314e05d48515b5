"""A project as one binary glTF 2.0 file: a mesh with a primitive per part, morph targets with names, and materials.

A morph target has one weight: an expression whose sides differ becomes two targets, `NAME:L` and `NAME:R`.
Textures cannot follow morph weights in glTF (Khronos glTF issue 1625): the maps are the neutral's or the current mix.
Metres, +Y up, the face looks along +Z: glTF's own frame. Its UV origin is top-left, as ours.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from engine.color import bytes_from_unit, srgb_from_linear
from engine.composer import compose_maps, left_texels
from engine.expression import Expression
from engine.identity import Identity, ReflectanceMaps
from engine.image import normal_bytes_from_slope
from engine.io.glb import GlbBuilder
from engine.io.images import png_bytes
from engine.io.plain import about
from engine.mesh import PARTS, Part
from engine.project import Project
from engine.sides import Sides, Weight, both, weight_at

STILL_M = 1e-5
"""Offsets shorter than this are left out: 10 micrometres, under what any scanner resolves."""
STILL_NORMAL = 1e-3
"""Changes of the unit normal shorter than this are left out: 0.06 degrees."""
DIELECTRIC_F0 = 0.04
"""What KHR_materials_specular's colour factor multiplies (at the default index of refraction of 1.5)."""

# The renderer's constants for parts that have no maps (shaders/head.frag): linear colour, roughness, F0.
_PLAIN = {
    "Mouth": ((0.42, 0.115, 0.095), 0.28, 0.028),
    "Teeth": ((0.62, 0.55, 0.44), 0.22, 0.045),
    "Socket": ((0.42, 0.20, 0.16), 0.22, 0.025),
}
_MATERIAL_OF = {
    Part.SKIN: "Skin",
    Part.MOUTH: "Mouth",
    Part.TEETH: "Teeth",
    Part.EYE_LEFT: "Eye",
    Part.EYE_RIGHT: "Eye",
    Part.SOCKET: "Socket",
    Part.OVERLAY: "Overlay",
    Part.HAIR: "Hair",
}


def glb_bytes(project: Project, *, current_textures: bool = False) -> bytes:
    """The content of a .glb file of `project`: neutral mesh, every expression as a morph target, weights as they are.

    `current_textures` bakes the maps as the project's weights blend them; else they are the neutral's.
    """
    builder = GlbBuilder()
    identity = project.identity
    active = project.active() if current_textures else {}
    maps = compose_maps(identity.maps, project.expressions, active, left_texels(identity, active))
    if any(isinstance(weight, Sides) for weight in project.weights.values()):
        project = _with_sides_apart(project)
    materials = _Materials(builder, identity, maps)
    mesh = _mesh(builder, project, materials)
    name = identity.name or "Head"
    document: dict[str, Any] = {
        "asset": _asset(identity, "the current mix" if current_textures else "neutral"),
        "scene": 0,
        "scenes": [{"name": name, "nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0}],
        "meshes": [mesh],
        "materials": materials.rows,
        "extensionsUsed": ["KHR_materials_specular"],
        "textures": [{"source": index, "sampler": 0} for index in range(len(builder.images))],
        # linear with mipmaps; the layout's edges are real edges, so no repeat
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}],
    }
    if not builder.images:
        del document["textures"], document["samplers"]
    return builder.finish(document)


def _asset(identity: Identity, textures: str) -> dict[str, Any]:
    try:
        number = version("expdiff-studio")
    except PackageNotFoundError:  # run from the source folder
        number = "from source"
    return {
        "version": "2.0",
        "generator": f"ExpDiff Studio {number}",
        "copyright": identity.provenance.licence,
        "extras": {
            "unit": "metre",
            "provenance": asdict(identity.provenance),
            "known_maps": sorted(identity.known_maps),
            "textures": textures,
        },
    }


# --- geometry --------------------------------------------------------------------------------------------------------


def split_seams(identity: Identity) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """glTF has one UV per vertex: (vertex of each split vertex (N,), its UV index (N,), faces (F, 3) into them).

    Sorted by vertex, so the order stays that of the head.
    """
    topology = identity.topology
    keys = topology.faces.astype(np.int64) * len(topology.uvs) + topology.uv_faces
    unique, inverse = np.unique(keys, return_inverse=True)
    return unique // len(topology.uvs), unique % len(topology.uvs), inverse.reshape(keys.shape)


def _mesh(builder: GlbBuilder, project: Project, materials: _Materials) -> dict[str, Any]:
    identity, expressions = project.identity, project.expressions
    vertex, uv, faces = split_seams(identity)
    normals = identity.topology.vertex_normals(identity.positions_m)  # before the split: seams stay smooth
    attributes = {
        "POSITION": builder.vertices(identity.positions_m[vertex], bounds=True),
        "NORMAL": builder.vertices(normals[vertex]),
        "TEXCOORD_0": builder.vertices(identity.topology.uvs[uv]),
    }
    if (identity.occlusion < 1.0).any():  # glTF multiplies base colour by it: the mouth's depth stays dark
        shade = np.repeat(bytes_from_unit(identity.occlusion[vertex])[:, None], 4, axis=1)
        shade[:, 3] = 255
        attributes["COLOR_0"] = builder.vertices(shade, normalized=True)
    frame = _tangents(identity.positions_m, normals, identity, vertex, uv, faces)
    skin = {"TANGENT": builder.vertices(frame)}  # only the skin has a normal map
    targets, skin_targets = [], []
    for expression in expressions.expressions:
        positions = identity.positions_m + expression.offsets_m
        moved = identity.topology.vertex_normals(positions)
        target = {
            "POSITION": builder.deltas(_without_small(expression.offsets_m, STILL_M)[vertex], bounds=True),
            "NORMAL": builder.deltas(_without_small(moved - normals, STILL_NORMAL)[vertex], bounds=False),
        }
        turn = (_tangents(positions, moved, identity, vertex, uv, faces) - frame)[:, :3]
        targets.append(target)
        skin_targets.append(target | {"TANGENT": builder.deltas(_without_small(turn, STILL_NORMAL), bounds=False)})
    primitives = []
    for index, part in enumerate(PARTS):
        chosen = faces[identity.topology.face_parts == index]
        if len(chosen) == 0:
            continue
        is_skin = part is Part.SKIN
        primitive: dict[str, Any] = {
            "attributes": attributes | (skin if is_skin else {}),
            "indices": builder.indices(chosen.ravel(), len(vertex)),
            "material": materials.index(_MATERIAL_OF[part]),
            "extras": {"part": part.value},
        }
        primitives.append(primitive | ({"targets": skin_targets if is_skin else targets} if targets else {}))
    extras = {"targetNames": list(expressions.names), "expressions": [about(one) for one in expressions.expressions]}
    mesh: dict[str, Any] = {"name": identity.name or "Head", "primitives": primitives, "extras": extras}
    if targets:
        mesh["weights"] = [both(project.weights.get(name, 0.0)).left for name in expressions.names]
    return mesh


def _with_sides_apart(project: Project) -> Project:
    """`project` with each expression whose sides differ in two, each with the offsets of its side."""
    left = project.identity.left_share.vertices[:, None]
    targets: list[Expression] = []
    weights: dict[str, Weight] = dict(project.weights)
    for expression in project.expressions.expressions:
        weight = project.weights.get(expression.name, 0.0)
        if not isinstance(weight, Sides):
            targets.append(expression)
            continue
        del weights[expression.name]
        for side, only, strength in (("L", Sides(1, 0), weight.left), ("R", Sides(0, 1), weight.right)):
            name = f"{expression.name}:{side}"
            targets.append(replace(expression, name=name, offsets_m=expression.offsets_m * weight_at(only, left)))
            weights[name] = strength
    return replace(project, expressions=replace(project.expressions, expressions=tuple(targets)), weights=weights)


def _tangents(
    positions_m: np.ndarray,
    normals: np.ndarray,
    identity: Identity,
    vertex: np.ndarray,
    uv: np.ndarray,
    faces: np.ndarray,
) -> np.ndarray:
    """(N, 4) float32 tangents of the skin's split vertices: unit direction of growing U, and the sign of the bitangent.

    Per face after Lengyel 2001, "Computing Tangent Space Basis Vectors for an Arbitrary Mesh", weighted by area; the
    bitangent, cross(normal, tangent) * w, points up the image, as glTF's normal maps do.
    """
    skin = faces[identity.topology.faces_of(Part.SKIN)]
    corners = positions_m[vertex[skin]].astype(np.float64)
    texture = identity.topology.uvs[uv[skin]].astype(np.float64)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    du1, dv1 = (texture[:, 1] - texture[:, 0]).T[..., None]
    du2, dv2 = (texture[:, 2] - texture[:, 0]).T[..., None]
    facing = np.sign(du1 * dv2 - du2 * dv1)
    area = np.linalg.norm(np.cross(first, second), axis=1, keepdims=True)
    along = _unit((first * dv2 - second * dv1) * facing) * area
    up = _unit((first * du2 - second * du1) * facing) * area
    along, up = (_sum_at(skin, value, len(vertex)) for value in (along, up))
    normal = normals[vertex].astype(np.float64)
    along -= normal * np.sum(normal * along, axis=1, keepdims=True)
    lost = np.linalg.norm(along, axis=1) < 1e-12  # no texture area here: any direction in the surface will do
    axis = np.eye(3)[np.argmin(np.abs(normal[lost]), axis=1)]
    along[lost] = np.cross(normal[lost], axis)
    along = _unit(along)
    sign = np.where(np.sum(np.cross(normal, along) * up, axis=1) < 0, -1.0, 1.0)
    return np.concatenate([along, sign[:, None]], axis=1).astype(np.float32)


def _sum_at(faces: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """(count, 3) float64: each face's value (F, 3) added at its three corners."""
    return np.stack([np.bincount(faces.ravel(), np.repeat(values[:, axis], 3), count) for axis in range(3)], axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """(N, 3) vectors of length 1, or 0 where they were shorter than 1e-20."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length < 1e-20, np.inf, length)


def _without_small(values: np.ndarray, least: float) -> np.ndarray:
    """(V, 3) `values` with vectors shorter than `least` set to zero."""
    keep = np.linalg.norm(values, axis=1, keepdims=True) >= least
    return np.where(keep, values, np.float32(0.0)).astype(np.float32)


# --- materials -------------------------------------------------------------------------------------------------------


class _Materials:
    """Rows of the file's material list, made when first asked for, so that a head without teeth has no such row."""

    def __init__(self, builder: GlbBuilder, identity: Identity, maps: ReflectanceMaps) -> None:
        self.rows: list[dict[str, Any]] = []
        self._builder, self._identity, self._maps = builder, identity, maps
        self._known: dict[str, int] = {}

    def index(self, name: str) -> int:
        """Number of the material called `name`."""
        if name not in self._known:
            self._known[name] = len(self.rows)
            makers = {"Skin": self._skin, "Eye": self._eye, "Hair": self._hair, "Overlay": _overlay}
            row = makers[name]() if name in makers else _plain(*_PLAIN[name])
            self.rows.append({"name": name} | row)
        return self._known[name]

    @cached_property
    def _diffuse(self) -> dict[str, int]:
        """The picture that skin and hair share."""
        return self._texture(self._maps.diffuse_srgb, "Diffuse")

    def _texture(self, pixels: np.ndarray, name: str) -> dict[str, int]:
        return {"index": self._builder.image(png_bytes(pixels), name)}

    def _skin(self) -> dict[str, Any]:
        maps = self._maps
        packed = np.zeros((*maps.size, 3), np.uint8)  # R occlusion (unused: all light), G roughness, B metallic
        packed[..., 0] = 255
        packed[..., 1] = maps.roughness_data
        color, factor = specular_color(maps.specular_data, self._identity.specular_f0_scale)
        return {
            "doubleSided": True,  # the neck is open
            "pbrMetallicRoughness": {
                "baseColorTexture": self._diffuse,
                "metallicFactor": 0.0,
                "roughnessFactor": 1.0,
                "metallicRoughnessTexture": self._texture(packed, "Occlusion Roughness Metallic"),
            },
            "normalTexture": self._texture(normal_bytes_from_slope(maps.slope), "Normal"),
            "extensions": {
                "KHR_materials_specular": {
                    "specularColorFactor": [factor] * 3,
                    "specularColorTexture": self._texture(color, "Specular Color"),
                }
            },
        }

    def _hair(self) -> dict[str, Any]:
        row = _plain((1.0, 1.0, 1.0), 0.5, 0.03)
        row["pbrMetallicRoughness"]["baseColorTexture"] = self._diffuse
        return row | {"doubleSided": True}

    def _eye(self) -> dict[str, Any]:
        row = _plain((1.0, 1.0, 1.0), 0.06, 0.025)
        row["pbrMetallicRoughness"]["baseColorTexture"] = self._texture(self._identity.eye_srgb, "Eye")
        return row


def specular_color(specular_data: np.ndarray, f0_scale: float) -> tuple[np.ndarray, float]:
    """((H, W, 3) uint8 sRGB picture, factor) whose product over the dielectric 0.04 is the map's F0.

    KHR_materials_specular: F0 = min(0.04 * specularColorFactor * specularColorTexture, 1), the texture sRGB-encoded.
    The factor is the map's largest value, so that the picture uses all its levels.
    """
    relative = np.arange(256, dtype=np.float32) * np.float32(f0_scale / 255.0 / DIELECTRIC_F0)
    factor = float(relative[specular_data.max()]) or 1.0
    return bytes_from_unit(srgb_from_linear(relative / np.float32(factor)))[specular_data], factor


def _plain(color: tuple[float, float, float], roughness: float, f0: float) -> dict[str, Any]:
    return {
        "pbrMetallicRoughness": {"baseColorFactor": [*color, 1.0], "metallicFactor": 0.0, "roughnessFactor": roughness},
        "extensions": {"KHR_materials_specular": {"specularColorFactor": [f0 / DIELECTRIC_F0] * 3}},
    }


def _overlay() -> dict[str, Any]:
    """Lashes and tear line need a texture we do not have: there, named, and invisible until one is given."""
    invisible = {"baseColorFactor": [0.0, 0.0, 0.0, 0.0], "metallicFactor": 0.0, "roughnessFactor": 1.0}
    return {"alphaMode": "BLEND", "pbrMetallicRoughness": invisible}
