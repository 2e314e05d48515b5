"""Small real heads for tests: an ellipsoid with eyes and the four maps. No file, no network, milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.expression import Expression, ExpressionSet, ReflectanceChange
from engine.identity import Identity, Provenance, ReflectanceMaps
from engine.io.obj import write_obj
from engine.io.source import SourceMesh
from engine.mesh import PARTS, Part, Topology


def _sphere(rings: int, segments: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit sphere as a grid with a seam at the back: positions (V, 3), uvs (V, 2), faces (F, 3); +Z at u = v = 0.5."""
    v, u = np.meshgrid(np.linspace(0, 1, rings + 1), np.linspace(0, 1, segments + 1), indexing="ij")
    polar, azimuth = v * np.pi, (u - 0.5) * 2 * np.pi
    xyz = np.stack([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], -1)
    at = np.arange(v.size).reshape(v.shape)
    a, b, c, d = at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return xyz.reshape(-1, 3), np.stack([u, v], -1).reshape(-1, 2), faces


def make_head(size: int = 64, seed: int = 0, rings: int = 24, segments: int = 32) -> Identity:
    """An egg of 0.24 m with two eyeballs, maps of `size` texels; deterministic per seed."""
    rng = np.random.default_rng(seed)
    pieces = [(Part.SKIN, (0.0, 0.0, 0.0), (0.08, 0.12, 0.10), rings, segments)]
    pieces += [(Part.EYE_LEFT, (0.032, 0.02, 0.088), (0.012,) * 3, 12, 16)]
    pieces += [(Part.EYE_RIGHT, (-0.032, 0.02, 0.088), (0.012,) * 3, 12, 16)]
    positions, uvs, faces, parts, count = [], [], [], [], 0
    for part, centre, radii, ring_count, segment_count in pieces:
        unit, uv, face = _sphere(ring_count, segment_count)
        if part is not Part.SKIN:  # eyes carry UVs of a frontal picture of the eyeball
            uv = np.stack([unit[:, 0], -unit[:, 1]], -1) / 2 + 0.5
        positions.append(unit * radii + centre)
        uvs.append(uv)
        faces.append(face + count)
        parts.append(np.full(len(face), PARTS.index(part)))
        count += len(unit)
    head_count = len(positions[0])
    joined = np.concatenate(faces)
    topology = Topology(joined, np.concatenate(uvs), joined, np.concatenate(parts), count, head_count)
    grain = rng.normal(0, 6, (size, size, 1))
    skin = np.clip(np.array([198, 150, 128]) + grain, 0, 255).astype(np.uint8)
    maps = ReflectanceMaps(
        skin,
        np.broadcast_to(np.array([28, 37, 46], np.uint8), (size, size, 3)),
        np.clip(87 + grain[..., 0], 0, 255).astype(np.uint8),
        rng.normal(0, 0.05, (size, size, 2)).astype(np.float16),
    )
    y, x = np.mgrid[0:64, 0:64] / 63 - 0.5
    radius = np.hypot(x, y)[..., None]
    eye = np.where(radius < 0.08, 10, np.where(radius < 0.18, (70, 110, 150), (235, 230, 225))).astype(np.uint8)
    return Identity(
        f"test head {seed}",
        topology,
        np.concatenate(positions),
        maps,
        eye,
        np.ones(count, np.float32),
        frozenset({"diffuse", "specular", "roughness", "normal"}),
        Provenance("tests.heads.make_head", "Apache-2.0"),
    )


def make_expressions(
    identity: Identity, names: tuple[str, ...] = ("Jaw Open", "Brows Up"), seed: int = 0
) -> ExpressionSet:
    """Smooth offsets of up to 10 mm and smooth changes of all four maps, at half the maps' size."""
    rng = np.random.default_rng(seed)
    height, width = (max(side // 2, 1) for side in identity.maps.size)
    made = []
    for name in names:
        direction = rng.normal(0, 0.003, 3)
        offsets = np.sin(identity.positions_m * rng.uniform(10, 30)) * direction
        wave = np.sin(np.linspace(0, 6, height))[:, None] * np.cos(np.linspace(0, 5, width))[None]
        amount = rng.uniform(-0.3, 0.3, 9)
        change = ReflectanceChange(
            np.dstack(
                [
                    wave[..., None] * amount[:3],
                    wave[..., None] * amount[3:6],
                    wave * amount[6] * 0.5,
                    wave[..., None] * amount[7:],
                ]
            )
        )
        made.append(Expression(name, offsets, change, provenance=Provenance("tests.heads", "Apache-2.0")))
    return ExpressionSet(identity.hash, tuple(made))


def write_mesh(path: Path, head: Identity | None = None) -> None:
    """The head file's own part of `head`, an egg unless given, as an OBJ in centimetres."""
    head = head or make_head(8)
    topology, count = head.topology, head.topology.head_vertex_count
    own = (topology.faces < count).all(axis=1)
    faces, uv_faces = topology.faces[own], topology.uv_faces[own]
    materials = np.zeros(len(faces), np.int32)
    write_obj(
        path, SourceMesh.of_triangles(head.positions_m[:count] * 100, topology.uvs, faces, uv_faces, materials, ("",))
    )
