"""Between a head and the canonical space: neutral in, expressions out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.spatial import KDTree

from engine.channels import MODEL_CHANNELS
from engine.derived import derived
from engine.expression import ReflectanceChange
from engine.face import eyes, layout
from engine.face.contact import sides, skin_faces, skin_m, surround
from engine.face.harmonic import Harmonic, inverse_lengths, row_sums
from engine.face.ict_shapes import has_shapes, ict_mix, on_jaw, shapes
from engine.face.lids import rim_gap_m, settle_lids, to_shut_m
from engine.face.lips import settle_lips
from engine.face.registration import canonical_uv, mean_position_m, registered
from engine.face.space import GEOMETRY_SIZE, TEXTURE_SIZE
from engine.face.strands import HairRig
from engine.face.untangle import untangle
from engine.identity import Identity, ReflectanceMaps
from engine.image import resize_bilinear
from engine.mesh import Part, Registration, Topology, sphere, vertex_normals
from engine.raster import fill_nearest, rasterize

ArkitWeights = Mapping[str, float]
NO_WEIGHTS: ArkitWeights = {}
_STEP_M = 2.0**-24
"""Offsets are told in steps of this: of 60 nm nothing is seen, and a file is a fifth smaller for it."""
_UNDER_SKIN_M = 0.0015
"""How deep the walls of an open mouth lie under the skin around the lips."""
_HOLD = 0.02
"""How strongly a shape's share of a map is drawn to what was asked for."""
_MIXED = (0.035, 0.014, 0.014)
"""How near to each slit, in UV, only a head's own shapes know lips and lids apart."""
_EYES = ((Part.EYE_LEFT, "Left"), (Part.EYE_RIGHT, "Right"))


@dataclass(frozen=True, eq=False, slots=True)
class CanonicalNeutral:
    """What the model sees of a person."""

    position_m: np.ndarray
    """(128, 128, 3) float32 metres, opened layout, in the canonical head frame; texels off the skin repeat the
    nearest."""
    diffuse_srgb: np.ndarray
    """(512, 512, 3) float32 0..1, canonical layout, display-encoded."""


@derived
def encode_neutral(identity: Identity) -> CanonicalNeutral:
    """Bring a person's neutral into the canonical space; TopologyError where it is not registered."""
    rotation, origin = head_frame(identity)
    position = _map_of(identity.topology, skin_m(identity) - origin, rotation)
    encoded = identity.maps.diffuse_srgb.astype(np.float32) / 255
    return CanonicalNeutral(position, maps_to_canonical(identity.topology, encoded))


def encode_offsets(identity: Identity, offsets_m: np.ndarray) -> np.ndarray:
    """Offsets (V, 3) metres of an expression -> (128, 128, 3) float32 map in the canonical frame; see
    `decode_offsets`."""
    rotation, _ = head_frame(identity)
    return _map_of(identity.topology, offsets_m[registered(identity.topology).vertices], rotation)


def encode_change(identity: Identity, change: ReflectanceChange) -> np.ndarray:
    """What models know of a change on the head's own UV layout -> (512, 512, `MODEL_CHANNELS`) float32 in the canonical
    one; see `decode_change`."""
    return maps_to_canonical(identity.topology, change.channels[..., :MODEL_CHANNELS].astype(np.float32))


def decode_offsets(identity: Identity, offset_m: np.ndarray, arkit: ArkitWeights = NO_WEIGHTS) -> np.ndarray:
    """Carry a (128, 128, 3) offset map (canonical frame, metres) to all (V, 3) vertices of `identity`, float32 metres.

    Skin samples the map; where the head has shapes of its own (`ict_shapes`), they say what a map cannot hold, skin and
    mouth alike. `arkit` says how far the eyes turn and whether the jaw moves: eyeballs rotate about their
    centres, lids are settled on them and meet at full blinks, upper teeth stay, lower teeth and gums follow the jaw
    rigidly, mouth bag and sockets follow their rims smoothly (harmonic), lash cards and wet rims follow the nearest
    skin, hairs turn with the skin around their roots.
    """
    place = registered(identity.topology)
    rotation, _ = head_frame(identity)
    own, own_map = _own_motion(identity, offset_m, arkit)
    offsets = own.copy()
    if own_map is None:
        offsets[place.vertices] = layout.sample_smooth(offset_m, place.opened_uv) @ rotation
    else:
        rest_of_map = layout.sample_smooth(offset_m - own_map, place.opened_uv)
        offsets[place.vertices] += _evened(identity.topology, rest_of_map) @ rotation
    rig = _rig(identity)
    rest = identity.positions_m.astype(np.float64)
    for _, side in _EYES:
        if has_shapes(identity.topology) and _shut(arkit, side):
            more = to_shut_m(identity.topology, rest + offsets, side)
            own, offsets = own + more, offsets + more
    uses_jaw = any(name.startswith("jaw") and weight for name, weight in arkit.items())
    jaw = _jaw_motion(place, rest + own, rest + offsets) if uses_jaw else None
    for part, side in _EYES:
        ball = identity.topology.vertices_of(part)
        yaw, pitch = eyes.gaze(arkit, side)
        if len(ball) and (yaw or pitch):
            centre, _ = sphere(rest[ball])
            offsets[ball] = (rest[ball] - centre) @ (eyes.rotation(yaw, pitch).T - np.eye(3))
    offsets[place.vertices] = _settled(identity, rest + offsets, rest + own, arkit) - rest[place.vertices]
    if jaw is not None:
        turn, shift = jaw
        offsets[rig.lower] = (rest + own)[rig.lower] @ turn.T + shift - rest[rig.lower]
    offsets[rig.soft.free] = own[rig.soft.free] + rig.soft(offsets - own)
    lips = sides(identity.topology, layout.SLITS[0])
    opening = [rim_gap_m(lips, pose[place.vertices]).max() for pose in (rest, rest + offsets)]
    share = np.clip((opening[1] - opening[0]) / 0.006, 0, 1)
    offsets += share * _room_for_teeth(identity, rest + offsets, place)
    if share > 0 and not has_shapes(identity.topology):
        offsets[rig.bag] += share * _behind_cheeks(identity, rest + offsets, rig.bag)
    if len(rig.overlay):
        offsets[rig.overlay] = (offsets[rig.overlay_near] * rig.overlay_share[..., None]).sum(axis=1)
    offsets[rig.hair.vertices] = rig.hair(rest + offsets)
    result = (np.rint(offsets / _STEP_M) * _STEP_M).astype(np.float32)
    result.flags.writeable = False
    return result


def _own_motion(identity: Identity, offset_m: np.ndarray, arkit: ArkitWeights) -> tuple[np.ndarray, np.ndarray | None]:
    """(V, 3) metres: those of the head's own shapes (`ict_shapes`) that `arkit` names, each as strongly as the map
    shows it, and their `encode_offsets`; zero and None where it has none. Eyeballs and upper teeth are not moved.

    Strengths are least squares on the map, drawn towards `arkit` where shapes look alike.
    """
    topology = identity.topology
    total = np.zeros((topology.vertex_count, 3))
    mix = ict_mix(arkit) if has_shapes(topology) and offset_m.any() else {}
    if not mix:
        return total, None
    named = np.zeros(len(total), bool)
    for name in mix:
        named[shapes().vertices.get(name, [])] = True
    moving = np.flatnonzero(named & _rig(identity).can_move)
    moves, maps = [], []
    for name, weight in mix.items():
        total[moving] = weight * shapes().dense_m(name, len(total))[moving]
        moves.append(total[moving])
        maps.append(encode_offsets(identity, total).ravel().astype(np.float64))
    columns = np.stack(maps)
    alike = columns @ columns.T
    hold = _HOLD * np.trace(alike) / len(mix)
    share = np.linalg.solve(alike + hold * np.eye(len(mix)), columns @ offset_m.ravel() + hold)
    total[moving] = np.tensordot(share.clip(0, 1.5), np.stack(moves), axes=1)
    return total, encode_offsets(identity, total) if total.any() else None


def _evened(topology: Topology, values: np.ndarray) -> np.ndarray:
    """(N, 3) `values` of `Registration.vertices` as a map has them, at lips and lids as the skin around these has
    them: there texels see both sides of a slit, and training turns what a jaw moves far by how lips stand."""
    result = values.astype(np.float64)
    for slit, width in zip(layout.SLITS, _MIXED, strict=True):
        rows, follow = _mixed(topology, slit, width)
        result[rows[follow.free]] = follow(result[rows])
    return result


@derived
def _mixed(topology: Topology, slit: layout.Slit, width: float) -> tuple[np.ndarray, Harmonic]:
    """Rows around a slit, and what gives those of them that lie within `width` of it the mean of their neighbours."""
    around = surround(topology, slit)
    u, v = registered(topology).opened_uv[around.rows].astype(np.float64).T
    away = np.maximum(np.abs(v - slit.v_at(u)) - slit.gap_at(u), 0)
    beyond = np.maximum(np.maximum(slit.u_left - u, u - slit.u_right), 0)
    mixed = np.hypot(beyond, away) < width
    return around.rows, Harmonic(around.mean, np.flatnonzero(mixed), np.flatnonzero(~mixed), 1.0)


def _settled(identity: Identity, posed_m: np.ndarray, own_m: np.ndarray, arkit: ArkitWeights) -> np.ndarray:
    """(N, 3) positions of `Registration.vertices`: those of (V, 3) `posed_m` with lids on the posed eyeballs, lips on
    each other and no new crossings. `own_m` (V, 3) is the pose by the head's own shapes."""
    balls = [identity.topology.vertices_of(part) for part, _ in _EYES]

    def lids(skin_m: np.ndarray) -> np.ndarray:
        for (_, side), ball in zip(_EYES, balls, strict=True):
            skin_m = settle_lids(identity, skin_m, posed_m[ball] - identity.positions_m[ball], side, _shut(arkit, side))
        return skin_m

    skin = registered(identity.topology).vertices
    own = own_m[skin] if has_shapes(identity.topology) else None
    wide = arkit.get("jawOpen", 0.0) > 0  # what one lip does the other must not
    untangled = untangle(identity, lids(posed_m[skin]), own if wide else None)
    return settle_lips(identity, lids(untangled), arkit, own)


def decode_change(identity: Identity, change: np.ndarray) -> ReflectanceChange:
    """Carry a (512, 512, `MODEL_CHANNELS`) change (canonical layout) to the head's own UV layout, at 512 (or the maps'
    size if smaller)."""
    expected = (TEXTURE_SIZE, TEXTURE_SIZE, MODEL_CHANNELS)
    if change.shape != expected:
        raise ValueError(f"decode_change: expected shape {expected}, found {change.shape}")
    return ReflectanceChange(maps_to_own(identity.topology, change))


def maps_to_canonical(topology: Topology, own: np.ndarray) -> np.ndarray:
    """(H, W, C) image on `topology`'s own UV layout -> (512, 512, C) on the canonical one, float32."""
    if registered(topology).same_layout:
        return resize_area(own, TEXTURE_SIZE)
    own_uvs, canonical = _charts(topology)
    uv = fill_nearest(*_carried(canonical, own_uvs, TEXTURE_SIZE))
    return layout.sample_bilinear(own, uv.reshape(-1, 2)).reshape(TEXTURE_SIZE, TEXTURE_SIZE, -1)


def maps_to_own(topology: Topology, canonical: np.ndarray) -> np.ndarray:
    """(512, 512, C) canonical-layout image -> the same image on `topology`'s own UV layout, float32; slopes are carried
    without turning them."""
    if registered(topology).same_layout:
        return canonical
    size = canonical.shape[0]
    uv, covered = _canonical_uv_at(topology, size)
    return fill_nearest(layout.sample_bilinear(canonical, uv).reshape(size, size, -1), covered)


def own_maps(topology: Topology, canonical: ReflectanceMaps) -> ReflectanceMaps:
    """`canonical` maps on `topology`'s own UV layout."""

    def own(layer: np.ndarray) -> np.ndarray:  # one after the other: all at once take a gigabyte
        return maps_to_own(topology, layer.astype(np.float32))

    def in_bytes(layer: np.ndarray) -> np.ndarray:
        return np.rint(own(layer)).clip(0, 255).astype(np.uint8)

    return ReflectanceMaps(
        in_bytes(canonical.diffuse_srgb),
        in_bytes(canonical.specular_data),
        in_bytes(canonical.roughness_data[..., None])[..., 0],
        own(canonical.slope),
    )


@derived
def head_frame(identity: Identity) -> tuple[np.ndarray, np.ndarray]:
    """(3, 3) rotation R and (3,) origin o so that R (p - o) lies on the canonical mean head (rigid, no scale).

    Kabsch 1976 on the inner face, which moves little between people.
    """
    place = registered(identity.topology)
    mean = layout.sample_bilinear(mean_position_m(), place.opened_uv).astype(np.float64)
    own = identity.positions_m[place.vertices].astype(np.float64)
    weight = np.exp(-(((place.opened_uv - (0.5, 0.42)) / (0.16, 0.14)) ** 2).sum(axis=1))[:, None]
    turn, shift = rigid_fit(own, mean, weight)
    return turn, -turn.T @ shift


def rigid_fit(source: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation R (3, 3) and shift t (3,) minimising sum w |R s + t - t'|^2 (Kabsch 1976); `weight` is (N, 1)."""
    total = weight.sum()
    from_centre, to_centre = (weight * source).sum(0) / total, (weight * target).sum(0) / total
    u, _, vt = np.linalg.svd(((source - from_centre) * weight).T @ (target - to_centre))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(vt.T @ u.T))])
    turn = vt.T @ flip @ u.T
    return turn, to_centre - turn @ from_centre


def resize_area(image: np.ndarray, size: int) -> np.ndarray:
    """(H, W, C) -> (size, size, C) float32: whole-number reductions average, anything else is bilinear."""
    height, width = image.shape[:2]
    if height == width and height % size == 0 and height > size:
        step = height // size
        return image.reshape(size, step, size, step, -1).mean(axis=(1, 3)).astype(np.float32)
    return resize_bilinear(image, (size, size))


@derived
def geometry_operator(topology: Topology) -> csr_matrix:
    """(128 * 128, N) float64 weights: values at `Registration.vertices` -> the opened layout, gaps from the nearest
    texel. Triangles over the seam at the back of the head are left out."""
    place = registered(topology)
    faces = skin_faces(topology)
    corners = place.opened_uv[faces]
    faces = faces[np.ptp(corners[..., 0], axis=1) < 0.2]
    index, weights = rasterize(place.opened_uv[faces].astype(np.float64), GEOMETRY_SIZE)
    covered = index >= 0
    columns, data = faces[index[covered]].ravel(), weights[covered].ravel().astype(np.float64)
    rows, texels = np.repeat(np.flatnonzero(covered), 3), GEOMETRY_SIZE * GEOMETRY_SIZE
    operator = coo_matrix((data, (rows, columns)), shape=(texels, len(place.vertices))).tocsr()
    numbers = np.arange(texels).reshape(GEOMETRY_SIZE, GEOMETRY_SIZE, 1)
    return operator[fill_nearest(numbers, covered).ravel()]


def _map_of(topology: Topology, values: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """(128, 128, 3) float32 of (N, 3) values at `Registration.vertices`, turned."""
    seen = geometry_operator(topology) @ values.astype(np.float64)
    return (seen @ rotation.T).reshape(GEOMETRY_SIZE, GEOMETRY_SIZE, 3).astype(np.float32)


def _charts(topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """(F, 3, 2) own and canonical UVs of the skin's triangles that do not lie over the seam."""
    uv_faces = topology.uv_faces[topology.faces_of(Part.SKIN)]
    canonical = canonical_uv(topology)[uv_faces]
    usable = np.isfinite(canonical).all(axis=(1, 2)) & (np.ptp(canonical[..., 0], axis=1) < 0.2)
    return topology.uvs[uv_faces[usable]], canonical[usable]


def _carried(at: np.ndarray, values: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size, size, 2) (F, 3, 2) `values` of triangles at the texels of their UVs `at`, and which texels have one."""
    index, weights = rasterize(at, size)
    return (values[index] * weights[..., None]).sum(axis=2), index >= 0


@derived
def _canonical_uv_at(topology: Topology, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size * size, 2) canonical UV of each texel of the head's own layout, and (size, size) where there is one."""
    uv, covered = _carried(*_charts(topology), size)
    return uv.reshape(-1, 2), covered


def _room_for_teeth(identity: Identity, posed_m: np.ndarray, place: Registration) -> np.ndarray:
    """(V, 3) metres that move the walls of the head's own mouth bag out of the posed teeth.

    The bag of a scanned head is flat: opened, its walls would stand between lips and teeth. Behind the lips each wall
    point inside the oval around both rows goes to it, across the face only; what lies in the middle goes back behind
    the rows.
    """
    topology = identity.topology
    result = np.zeros_like(posed_m)
    added = topology.vertices_of(Part.TEETH)
    bag = np.setdiff1d(topology.vertices_of(Part.MOUTH), place.vertices)
    bag = bag[bag < topology.head_vertex_count]
    if not len(added) or not len(bag) or added[0] < topology.head_vertex_count:
        return result  # a head with teeth of its own has room for them
    teeth = posed_m[added]
    low, high = teeth.min(axis=0), teeth.max(axis=0)
    centre, reach = (low + high) / 2, (high - low) / 2 + (0.003, 0.003, 0.0)
    points = posed_m[bag]
    behind_lips = np.clip((high[2] + 0.004 - points[:, 2]) / 0.006, 0, 1)
    away = np.maximum(np.linalg.norm((points[:, :2] - centre[:2]) / reach[:2], axis=1), 1e-3)
    outward = (points[:, :2] - centre[:2]) * (1 / np.clip(away, 0.5, 1.0) - 1)[:, None]
    result[bag, :2] = outward * behind_lips[:, None]
    back = np.maximum(points[:, 2] - (low[2] - 0.002), 0) * np.clip((0.75 - away) / 0.3, 0, 1)
    result[bag, 2] = -back * behind_lips
    return result


def _behind_cheeks(identity: Identity, posed_m: np.ndarray, bag: np.ndarray) -> np.ndarray:
    """(N, 3) metres that bring the walls `bag` of the mouth back under the skin around the lips, by `_UNDER_SKIN_M`.

    An open mouth draws the cheeks in, over walls that hang between lips and throat.
    """
    place, mouth = registered(identity.topology), layout.SLITS[0]
    along, away = mouth.along(place.opened_uv[:, 0]), np.abs(place.opened_uv[:, 1] - mouth.v_at(place.opened_uv[:, 0]))
    outer = place.vertices[(along > -0.6) & (along < 1.6) & (away > 0.045) & (away < 0.15)]
    skin = identity.topology.faces[identity.topology.faces_of(Part.SKIN)]
    normals = vertex_normals(posed_m, skin)[outer].astype(np.float64)
    result = np.zeros((len(bag), 3))
    tree = KDTree(posed_m[outer])
    for _ in range(3):
        points = posed_m[bag] + result
        near = np.asarray(tree.query(points)[1])
        over = ((points - posed_m[outer[near]]) * normals[near]).sum(axis=1) + _UNDER_SKIN_M
        result -= np.maximum(over, 0)[:, None] * normals[near]
    return result


def _shut(arkit: ArkitWeights, side: str) -> bool:
    return arkit.get(f"eyeBlink{side}", 0.0) >= 0.99


def _jaw_motion(place: Registration, from_m: np.ndarray, to_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rigid motion of the jaw between two poses (V, 3), as seen at chin and jaw line: rotation (3, 3), shift (3,)."""
    uv = place.opened_uv
    weight = np.exp(-(((uv - (0.5, 0.675)) / (0.07, 0.035)) ** 2).sum(axis=1))
    chosen = weight > 0.05
    vertices = place.vertices[chosen]
    return rigid_fit(from_m[vertices], to_m[vertices], weight[chosen, None])


@dataclass(frozen=True, eq=False, slots=True)
class _Rig:
    """How what is not skin follows."""

    lower: np.ndarray
    """Vertices that move rigidly with the jaw."""
    soft: Harmonic
    """Vertices that follow smoothly, and those whose offsets bound them."""
    can_move: np.ndarray
    """(V,) bool: those and all above."""
    bag: np.ndarray
    """Of them the walls of the mouth."""
    overlay: np.ndarray
    overlay_near: np.ndarray
    overlay_share: np.ndarray
    hair: HairRig


def lower_parts(identity: Identity) -> np.ndarray:
    """Vertices that go rigidly with the jaw: lower teeth and gums, where they are pieces of their own."""
    return _rig(identity).lower


@derived
def _rig(identity: Identity) -> _Rig:
    topology, positions_m, place = identity.topology, identity.positions_m, registered(identity.topology)
    count = topology.vertex_count
    placed = np.zeros(count, bool)
    placed[place.vertices] = True
    soft_faces = topology.faces_of(Part.SKIN, Part.MOUTH, Part.SOCKET)
    component = layout.charts(topology.faces, count)
    mouth_y = _mouth_height(positions_m, place)
    anchored = np.zeros(component.max() + 1, bool)
    np.logical_or.at(anchored, component[place.vertices], True)
    rigid_parts = topology.vertices_of(Part.TEETH, Part.MOUTH)
    loose = rigid_parts[~anchored[component[rigid_parts]]]
    sums = np.bincount(component[loose], positions_m[loose, 1], component.max() + 1)
    means = sums / np.maximum(np.bincount(component[loose], minlength=component.max() + 1), 1)
    lower = (
        np.intersect1d(loose, on_jaw(topology)) if has_shapes(topology) else loose[means[component[loose]] < mouth_y]
    )
    inner = np.setdiff1d(topology.vertices_of(Part.SKIN, Part.MOUTH, Part.SOCKET), loose)
    soft = inner[~placed[inner] & anchored[component[inner]]]
    return _soft_rig(topology.faces[soft_faces], positions_m, soft, np.flatnonzero(placed), lower, place, topology)


def _soft_rig(
    faces: np.ndarray,
    positions_m: np.ndarray,
    soft: np.ndarray,
    pinned: np.ndarray,
    lower: np.ndarray,
    place: Registration,
    topology: Topology,
) -> _Rig:
    """Laplace with inverse edge length weights on `soft`, held at `pinned`, and weakly at rest far from the rims."""
    weights = inverse_lengths(faces, positions_m, 1e-5)
    degree = row_sums(weights)[soft]
    depth = KDTree(positions_m[pinned]).query(positions_m[soft])[0]
    hold = degree * np.clip((depth - 0.006) / 0.03, 0, 1) * 0.02 + 1e-6
    # lash cards, the wet rim of the lids: pieces of their own that lie on the skin
    overlay = np.setdiff1d(topology.vertices_of(Part.OVERLAY, Part.SOCKET), np.concatenate([pinned, soft]))
    near, share = np.zeros((0, 4), np.int64), np.zeros((0, 4))
    if len(overlay):
        distance, index = KDTree(positions_m[place.vertices]).query(positions_m[overlay], k=4)
        near, inverse = place.vertices[index], 1 / np.maximum(distance, 1e-6)
        share = inverse / inverse.sum(axis=1, keepdims=True)
    hair = HairRig(topology, positions_m, place.vertices)
    bag = np.intersect1d(soft, topology.vertices_of(Part.MOUTH))
    can_move = np.zeros(len(positions_m), bool)
    can_move[np.concatenate([lower, soft, pinned])] = True
    follow = Harmonic(weights, soft, pinned, degree + hold)
    return _Rig(lower, follow, can_move, bag, overlay, near, share, hair)


def _mouth_height(positions_m: np.ndarray, place: Registration) -> float:
    """Height in metres of the line where the lips meet."""
    mouth = layout.SLITS[0]
    uv = place.opened_uv
    near = (np.abs(uv[:, 0] - 0.5) < 0.04) & (np.abs(uv[:, 1] - mouth.v_at(uv[:, 0])) < 0.03)
    return float(np.median(positions_m[place.vertices[near], 1]))
