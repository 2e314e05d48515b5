"""The built-in people's skin mesh: a warped rectangular grid over the canonical chart, open at mouth and eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.face import layout

COLUMNS, ROWS = 132, 136
_SIDE = 0.0006
"""How far the two copies of a slit vertex are apart from the line, in v: enough to tell the sides."""


@dataclass(frozen=True, eq=False, slots=True)
class SkinGrid:
    """Connectivity and layout of the skin."""

    vertex_uv: np.ndarray
    """(V, 2) float64 canonical UVs."""
    faces: np.ndarray
    """(F, 3) int64, counter-clockwise from outside."""
    rims: tuple[np.ndarray, ...]
    """Per slit (as in `layout.SLITS`): its vertices around the opening, upper side left to right, lower right to
    left."""


def skin_grid(valid: np.ndarray) -> SkinGrid:
    """The grid over a (512, 512) bool mask of the skin chart; denser on the face, lines on the slits and their ends."""
    ends = [end for slit in layout.SLITS for end in (slit.u_left, slit.u_right)]
    us = _lines(COLUMNS, 0.5, 0.17, ends)
    mouth, eye = layout.SLITS[0], layout.SLITS[1]
    eye_v = float(np.mean(eye.v_line))
    vs = _lines(ROWS, 0.47, 0.17, [float(mouth.v_at(np.array(0.5))), eye_v])
    u, straight = np.meshgrid(us, vs)
    v = straight.copy()
    for slit in layout.SLITS[1:]:
        near = np.exp(-(((u - (slit.u_left + slit.u_right) / 2) / 0.06) ** 4))
        v += (slit.v_at(u) - eye_v) * near * np.exp(-(((straight - eye_v) / 0.05) ** 2))
    number = np.arange(u.size).reshape(u.shape)
    below = number.copy()
    uvs = [np.stack([u, v], -1).reshape(-1, 2)]
    rims = []
    count = u.size
    for slit, level in zip(layout.SLITS, (float(mouth.v_at(np.array(0.5))), eye_v, eye_v), strict=True):
        row = int(np.abs(vs - level).argmin())
        first, last = (int(np.abs(us - end).argmin()) for end in (slit.u_left, slit.u_right))
        inner = np.arange(first + 1, last)
        line = np.stack([us[inner], slit.v_at(us[inner])], -1)
        uvs[0][number[row, inner]] = line - np.array([0, _SIDE])
        uvs.append(line + np.array([0, _SIDE]))
        uvs[0][number[row, [first, last]]] = np.stack([us[[first, last]], slit.v_at(us[[first, last]])], -1)
        below[row, inner] = count + np.arange(len(inner))
        count += len(inner)
        rims.append(np.concatenate([number[row, first : last + 1], below[row, inner][::-1]]))
    all_uv = np.concatenate(uvs)
    quads = np.stack([below[:-1, :-1], number[1:, :-1], number[1:, 1:], below[:-1, 1:]], -1).reshape(-1, 4)
    quads = quads[_inside(all_uv[quads], valid)]
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    used, packed = np.unique(np.concatenate([faces.ravel(), *rims]), return_inverse=True)
    lookup = np.full(len(all_uv), -1)
    lookup[used] = np.arange(len(used))
    return SkinGrid(all_uv[used], packed[: faces.size].reshape(-1, 3), tuple(lookup[rim] for rim in rims))


def _lines(count: int, centre: float, width: float, exact: list[float]) -> np.ndarray:
    """`count` increasing coordinates in 0..1, denser around `centre`, some moved onto the `exact` ones."""
    fine = np.linspace(0.0, 1.0, 4001)
    density = 1 + 2.6 * np.exp(-(((fine - centre) / width) ** 2))
    total = np.cumsum(density)
    lines = np.interp(np.linspace(total[0], total[-1], count), total, fine)
    for value in exact:
        lines[np.abs(lines - value).argmin()] = value
    return lines


def _inside(corners: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(Q,) bool: all four corners of a quad on valid texels (slits count as valid)."""
    size = valid.shape[0]
    at = np.clip((corners * size).astype(int), 0, size - 1)
    on = valid[at[..., 1], at[..., 0]]
    for slit in layout.SLITS:
        u, v = corners[..., 0], corners[..., 1]
        on |= (np.abs(v - slit.v_at(u)) < 0.006) & (u > slit.u_left - 0.01) & (u < slit.u_right + 0.01)
    return np.all(on, axis=1)
