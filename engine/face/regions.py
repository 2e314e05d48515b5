"""Where things are in the canonical UV square: outlines of the face's regions and soft masks of them.

Outlines are drawn on the layout itself (pixels of a 1024 square, right half of the image = subject's left; the other
half is its mirror). They are the same for every head because the layout is.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from engine.image import resize_bilinear

Outline = tuple[tuple[float, float], ...]

# On the image's right half (subject's left); mirrored by 1024 - x. Central ones are given whole.
PAIRED: dict[str, Outline] = {
    "brow": (
        (548, 310),
        (562, 298),
        (600, 290),
        (650, 293),
        (690, 304),
        (712, 318),
        (690, 316),
        (650, 310),
        (600, 316),
        (560, 322),
    ),
    "upper_lid": (
        (574, 386),
        (584, 366),
        (604, 350),
        (632, 346),
        (662, 358),
        (680, 382),
        (660, 383),
        (630, 383),
        (600, 382),
    ),
    "lower_lid": ((570, 382), (600, 381), (640, 382), (680, 383), (668, 402), (640, 412), (606, 410), (582, 398)),
    "under_eye": ((566, 392), (590, 408), (630, 416), (676, 400), (668, 430), (630, 448), (590, 436), (566, 412)),
    "cheek": (
        (596, 450),
        (660, 420),
        (720, 430),
        (752, 480),
        (736, 560),
        (690, 610),
        (650, 590),
        (618, 540),
        (600, 500),
    ),
    "ear": ((812, 372), (850, 358), (890, 362), (912, 390), (916, 560), (890, 580), (850, 574), (834, 500), (820, 430)),
    "nostril": ((530, 494), (540, 487), (556, 489), (562, 498), (552, 507), (536, 507)),
    "nasolabial": ((598, 508), (612, 520), (636, 570), (650, 620), (640, 622), (622, 580), (600, 536)),
    "crow_feet": ((690, 360), (740, 340), (750, 400), (730, 430), (692, 400)),
    "temple": ((730, 250), (790, 300), (800, 420), (750, 430), (720, 330)),
}
CENTRAL: dict[str, Outline] = {
    "forehead": (
        (512, 150),
        (640, 150),
        (720, 200),
        (730, 280),
        (640, 282),
        (512, 290),
        (384, 282),
        (294, 280),
        (304, 200),
        (384, 150),
    ),
    "glabella": ((486, 300), (538, 300), (546, 340), (530, 380), (494, 380), (478, 340)),
    "nose": (
        (490, 380),
        (534, 380),
        (548, 440),
        (590, 470),
        (600, 500),
        (572, 516),
        (512, 524),
        (452, 516),
        (424, 500),
        (434, 470),
        (476, 440),
    ),
    "nose_tip": ((480, 455), (512, 446), (544, 455), (552, 480), (512, 500), (472, 480)),
    "upper_lip": (
        (424, 593),
        (452, 574),
        (484, 560),
        (500, 555),
        (512, 559),
        (524, 555),
        (540, 560),
        (572, 574),
        (600, 593),
        (512, 593.9),
    ),
    "lower_lip": ((424, 594), (512, 594.2), (600, 594), (580, 612), (548, 627), (512, 631), (476, 627), (444, 612)),
    "mouth_area": ((420, 530), (512, 524), (604, 530), (634, 590), (604, 644), (512, 660), (420, 644), (390, 590)),
    "chin": ((450, 644), (512, 652), (574, 644), (590, 690), (560, 720), (512, 726), (464, 720), (434, 690)),
    "jaw": (
        (330, 600),
        (400, 640),
        (512, 660),
        (624, 640),
        (694, 600),
        (720, 660),
        (640, 730),
        (512, 750),
        (384, 730),
        (304, 660),
    ),
    "neck": ((250, 740), (512, 780), (774, 740), (860, 860), (512, 900), (164, 860)),
    "beard": (
        (318, 560),
        (400, 620),
        (410, 560),
        (440, 532),
        (512, 528),
        (584, 532),
        (614, 560),
        (624, 620),
        (706, 560),
        (716, 640),
        (640, 720),
        (512, 752),
        (384, 720),
        (308, 640),
    ),
    "hairless": (
        (512, 146),
        (610, 140),
        (680, 156),
        (728, 220),
        (770, 330),
        (796, 420),
        (830, 352),
        (880, 345),
        (935, 380),
        (930, 640),
        (1024, 690),
        (1024, 1024),
        (0, 1024),
        (0, 690),
        (94, 640),
        (89, 380),
        (144, 345),
        (194, 352),
        (228, 420),
        (254, 330),
        (296, 220),
        (344, 156),
        (414, 140),
    ),
}
LABELS: tuple[str, ...] = (
    "none", "forehead", "brow", "upper_lid", "lower_lid", "nose", "cheek", "upper_lip", "lower_lip",
    "chin", "ear", "neck",
)  # fmt: skip
"""Names of the label map's values; a texel has the last label whose outline holds it."""


@lru_cache(maxsize=96)
def distance(name: str, size: int) -> np.ndarray:
    """(size, size) float32 signed distance to the region's outline in UV units, negative inside; both sides of a
    pair."""
    result = resize_bilinear(_small_distance(name, min(size, 256)), (size, size))
    result.flags.writeable = False
    return result


@lru_cache(maxsize=96)
def _small_distance(name: str, size: int) -> np.ndarray:
    centres = (np.arange(size) + 0.5) / size * 1024
    x, y = np.meshgrid(centres, centres)
    if name in CENTRAL:
        field = _polygon_distance(CENTRAL[name], x, y)
    else:
        field = np.minimum(_polygon_distance(PAIRED[name], x, y), _polygon_distance(PAIRED[name], 1024 - x, y))
    return (field / 1024).astype(np.float32)


def forget() -> None:
    """Let go of the maps in full size that painting a head left: hundreds of megabytes at 4096."""
    distance.cache_clear()
    mask.cache_clear()


@lru_cache(maxsize=64)
def mask(name: str, size: int, soft: float = 0.01) -> np.ndarray:
    """(size, size) float32 0..1: 1 inside the region, falling to 0 over `soft` (UV units) on both sides of its outline.

    Read-only and kept. Made at a size at which the soft edge is eight texels wide, then enlarged.
    """
    small = 1 << max(6, int(np.ceil(np.log2(4 / soft))))
    if small < size:
        result = resize_bilinear(mask(name, small, soft), (size, size))
    else:
        share = np.clip(0.5 - distance(name, size) / (2 * soft), 0, 1)
        result = share * share * (3 - 2 * share)
    result.flags.writeable = False
    return result


def labels(size: int) -> np.ndarray:
    """(size, size) uint8 indices into `LABELS`."""
    result = np.zeros((size, size), np.uint8)
    for number, name in enumerate(LABELS[1:], start=1):
        result[distance(name, size) < 0] = number
    return result


def left_share(size: int, soft: float = 0.03) -> np.ndarray:
    """(size, size) float32: 1 on the subject's left (image right), 0 on the right, smooth over `soft` at the mid-
    line."""
    share = np.clip(((np.arange(size) + 0.5) / size - 0.5) / (2 * soft) + 0.5, 0, 1)
    return np.broadcast_to((share * share * (3 - 2 * share)).astype(np.float32), (size, size))


def _polygon_distance(outline: Outline, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance of points to a closed polygon, negative inside (even-odd rule; Quilez, 2D distance functions)."""
    points = np.array(outline)
    nearest = np.full(x.shape, np.inf)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
        ex, ey, wx, wy = bx - ax, by - ay, x - ax, y - ay
        along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1)
        nearest = np.minimum(nearest, (wx - along * ex) ** 2 + (wy - along * ey) ** 2)
        crosses = (ay <= y) != (by <= y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (x < ax + (y - ay) / (by - ay) * ex)
    return np.where(inside, -1, 1) * np.sqrt(nearest)
