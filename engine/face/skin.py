"""Painting skin in the canonical layout: whole procedural maps, and the maps that a colour texture leaves out.

Colour is two chromophores over a base (melanin and haemoglobin, after Donner and Jensen 2006, simplified to RGB). The
rest is plausible rather than measured. Specular follows what is read off ExpDiff's sample maps, (28, 37, 46)/255 over
the face; their roughness, near 87/255, states no convention and looks oily as perceptual roughness: 0.46 is used
(d'Eon and Luebke 2007 use 0.3 for oily and 0.5 for dry skin).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engine.color import bytes_from_unit, linear_from_srgb, luminance, srgb_from_linear
from engine.face import regions
from engine.face.layout import SLITS, beyond_seam, texel_uv
from engine.face.noise import gaussian_blur, skin_noise
from engine.face.relief import TEXEL_MM, lines_mm, micro_relief
from engine.identity import ReflectanceMaps
from engine.image import resize_bilinear, strips

MELANIN_RGB = np.array([0.85, 1.00, 1.09], np.float32)
"""Between what photographs of skins (MakeHuman's, CC0: 0.77, 1, 1.17) and charts of skin types (0.88, 1, 1.04) say,
nearer to those."""
HAEMOGLOBIN_RGB = np.array([0.10, 0.64, 0.58], np.float32)
LIP_RGB = np.array([0.08, 0.66, 0.42], np.float32)
"""Absorption of the lips' blood, seen through thinner skin than elsewhere: pinker than `HAEMOGLOBIN_RGB`."""
BASE_RGB = np.array([0.80, 0.66, 0.50], np.float32)
INNER_RGB = np.array([0.32, 0.10, 0.09], np.float32)
"""Wet flesh of mouth bag and eye sockets."""
INNER_UV = (0.03, 0.03)
"""A place in the layout's corners where it is painted."""
NOSTRIL_RGB = np.array([0.32, 0.16, 0.13], np.float32)
"""What nostrils leave of the albedo around them: light hardly gets in, and comes back red."""
ROUGHNESS_MEAN, SPECULAR_MEAN = 0.46, np.array([28.0, 37.0, 46.0], np.float32) / 255.0
SOFT_SIDE = 1024
"""Regions and mottle are made at no more texels a side: they hold nothing finer, and larger ones would be kept."""


@dataclass(frozen=True, slots=True)
class SkinTraits:
    """What makes one person's skin. Sampled by `sample_traits`."""

    melanin: float
    """0.1 (very light) to 2.3 (very dark)."""
    haemoglobin: float
    """0.3 (pale) to 1.0 (ruddy)."""
    age_years: float
    hair: float
    """0 black to 1 fair."""
    stubble: float
    """0 none to 1 dense."""
    cropped_hair: bool
    freckles: float
    brow_density: float
    lip_redness: float
    seed: int


def sample_traits(seed: int) -> SkinTraits:
    """Draw a person's skin; deterministic in `seed`."""
    rng = np.random.default_rng([seed, 0x51C1])
    melanin = float(0.12 + 2.1 * rng.beta(1.1, 1.9))
    return SkinTraits(
        melanin=melanin,
        haemoglobin=float(rng.uniform(0.50, 0.80)),
        age_years=float(rng.uniform(18, 80)),
        hair=float(rng.beta(1, 3)) * float(melanin < 0.7),
        stubble=float(rng.random() < 0.4) * float(rng.uniform(0.2, 0.9)),
        cropped_hair=bool(rng.random() < 0.7),
        freckles=float(rng.random() < 0.3) * float(rng.uniform(0.2, 1.0)),
        brow_density=float(rng.uniform(0.55, 1.0)),
        lip_redness=float(rng.uniform(0.3, 0.8)),
        seed=seed,
    )


def paint(traits: SkinTraits, size: int = 1024, hair: bool = True) -> ReflectanceMaps:
    """The four neutral maps of a person, (size, size), canonical layout; with painted brows, lashes and scalp, or
    without `hair` for a head on which it grows."""
    colour, relief, finish, strokes = np.random.default_rng([traits.seed, 0x9A17]).spawn(4)
    with ThreadPoolExecutor(2) as pool:  # numpy lets go of the interpreter: two cores paint one face
        chromophores = pool.submit(_chromophores, traits, size, colour)
        pores, furrows = micro_relief(size, traits.seed)
        brows = pool.submit(_brow_strokes, size, traits, strokes) if hair else None
        height_mm = (
            lines_mm(traits.age_years, size, relief)
            - 0.13 * pores
            - (0.075 + 0.0012 * max(traits.age_years - 25, 0)) * furrows
        )
        level, roughness = _gloss(size, finish, pores, furrows)
        if traits.stubble:  # stiff ends of hairs scatter the highlight
            beard = traits.stubble * regions.mask("beard", size, 0.05)
            level, roughness = level * (1 - 0.5 * beard), roughness * (1 + 0.3 * beard)
        melanin, haemoglobin, lips = chromophores.result()
        slope = pool.submit(slope_from_height, height_mm)
        log_albedo = -melanin[..., None] * MELANIN_RGB - haemoglobin[..., None] * HAEMOGLOBIN_RGB
        log_albedo -= lips[..., None] * LIP_RGB
        creased = np.clip(-0.9 * (height_mm + 0.1), 0, 0.35)  # light is lost in deep lines
        albedo = BASE_RGB * np.exp(log_albedo - (0.08 * pores + creased)[..., None])
        albedo = _stubble(albedo, traits, size, strokes)
        if brows is not None:
            albedo = _hair(albedo, brows.result(), traits, size, strokes)
        albedo = _openings(albedo, size)
        return ReflectanceMaps(
            bytes_from_unit(srgb_from_linear(albedo)),
            bytes_from_unit(level[..., None] * luminance(SPECULAR_MEAN).repeat(3)),
            bytes_from_unit(roughness),
            slope.result().astype(np.float16),
        )


def complete_maps(diffuse_srgb: np.ndarray) -> ReflectanceMaps:
    """Maps for a (H, W, 3) uint8 colour texture in the canonical layout that came alone.

    Specular and roughness are the region means; slopes come from the texture's own fine detail, dark taken as deep,
    down to little more than a texel of it whatever its size. That detail is inferred from colour, not measured.
    """
    height, width = diffuse_srgb.shape[:2]
    size = max(height, width)
    tone = np.empty((height, width), np.float32)
    for first, end in strips((height, width)):
        tone[first:end] = np.log(luminance(linear_from_srgb(diffuse_srgb[first:end])) + 0.02)
    texel = size / 512
    # noise of sensor and compression lies below: as wide as in a 1024 texture, so that a larger one keeps finer pores
    finest = 0.6 * min(texel, SOFT_SIDE / 512)
    detail = gaussian_blur(tone, finest) - gaussian_blur(tone, 3.0 * texel)
    bare = 1 - _hair_share(min(size, SOFT_SIDE))
    detail = np.clip(detail, -0.12, 0.12) * resize_bilinear(bare, detail.shape[:2])
    pores = np.clip(-detail * 6, 0, 1)
    rng = np.random.default_rng(0)
    level, roughness = _gloss(size, rng, resize_bilinear(pores, (size, size)))
    shape = diffuse_srgb.shape[:2]
    specular = bytes_from_unit(
        resize_bilinear(level, shape)[..., None] * SPECULAR_MEAN
    )  # each as soon as it can be: floats are large
    roughness = bytes_from_unit(resize_bilinear(roughness, shape))
    slope = slope_from_height(resize_bilinear(0.25 * detail, (size, size)))
    return ReflectanceMaps(diffuse_srgb, specular, roughness, resize_bilinear(slope, shape).astype(np.float16))


def slope_from_height(height_mm: np.ndarray) -> np.ndarray:
    """(S, S) heights in mm -> (S, S, 2) float32 slopes of the normal (OpenGL, +Y up the image)."""
    texel_mm = TEXEL_MM * 512 / height_mm.shape[0]
    down, right = np.gradient(height_mm)
    slope = np.stack([-right, down], -1).astype(np.float32, copy=False)
    slope /= texel_mm
    return slope


def _chromophores(traits: SkinTraits, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(size, size) melanin, haemoglobin, and blood of the lips.

    Regions differ from the cheek, and bands of detail vary, as they do in mean in FFHQ-UV's textures and in Lee
    Perry-Smith's scan, light that is painted into those left out: docs/shading.md.
    """
    soft = {
        name: regions.mask(name, size, 0.03)
        for name in ("cheek", "nose_tip", "chin", "ear", "under_eye", "neck", "forehead", "temple", "mouth_area")
    }
    years = float(np.clip((traits.age_years - 25) / 45, 0, 1.2))
    slow, patches, mottle, grain = (skin_noise(rng, size, cycles) for cycles in (6, 20, 64, 240))
    ruddy = soft["cheek"] + soft["nose_tip"]
    threads = np.exp(-((skin_noise(rng, size, 26) / 0.07) ** 2)) * np.clip(skin_noise(rng, size, 12) - 0.2, 0, 1)
    beside_nose = np.exp(-((regions.distance("nasolabial", size) / 0.016) ** 2))
    blood = (
        0.24 * soft["cheek"] * np.clip(1 + 0.4 * patches, 0, 2)
        + 0.36 * soft["nose_tip"]
        + 0.14 * soft["chin"]
        + 0.50 * soft["ear"]
        + 0.20 * beside_nose
        - 0.14 * soft["forehead"]
        - 0.08 * soft["mouth_area"]
        - 0.08 * soft["temple"]
        - 0.20 * soft["neck"]
        + 0.16 * soft["under_eye"]
        + 0.08 * slow
        + 0.07 * patches
        + 0.06 * mottle
        + 0.05 * grain
        + (0.08 + 0.20 * years) * threads * ruddy
    )
    under = 1 / (1 + 0.35 * traits.melanin)  # melanin lies above the blood
    haemoglobin = traits.haemoglobin * under * (1 + blood)
    wide, blotch, fine, speck = (skin_noise(rng, size, cycles) for cycles in (5, 28, 110, 260))
    spread = 0.045 * wide + 0.045 * blotch + 0.026 * fine + 0.024 * speck
    spread = spread * (0.7 + 0.5 * years)
    lids = np.maximum(regions.mask("upper_lid", size, 0.012), 0.5 * regions.mask("lower_lid", size, 0.012))
    region = (
        -0.04 * soft["cheek"]
        + 0.03 * soft["forehead"]
        + 0.05 * soft["nose_tip"]
        + 0.07 * soft["neck"]
        + 0.07 * soft["ear"]
        + 0.04 * soft["temple"]
        + 0.08 * soft["under_eye"]
        + 0.05 * soft["mouth_area"]
        + 0.17 * lids
    )
    melanin = traits.melanin + (0.6 + 0.4 * traits.melanin) * (spread + region)
    haemoglobin = haemoglobin * (1 + 0.3 * lids)
    lips = _lips(size, rng)
    tone = 1 + 0.12 * _streaks(size, rng) + 0.08 * skin_noise(rng, size, 60)
    red = lips * (0.70 + 0.45 * traits.lip_redness) * tone * under
    upper = regions.mask("upper_lip", size, 0.006)  # which looks down, and is the darker one
    melanin = melanin * (1 - 0.3 * lips) + (0.15 + 0.16 * traits.melanin + 0.14 * upper) * lips * tone
    u, v = (np.indices((size, size), np.float32)[::-1] + 0.5) / size
    corner = np.exp(-(((abs(u - 0.5) - SLITS[0].u_right + 0.5) / 0.014) ** 2 + ((v - SLITS[0].v_at(u)) / 0.010) ** 2))
    melanin, haemoglobin = melanin + 0.12 * corner, haemoglobin + 0.16 * under * corner
    seal = np.exp(-((regions.distance("lower_lip", size) / 0.004) ** 2)) * regions.mask("upper_lip", size, 0.004)
    melanin = melanin + 0.25 * seal
    if traits.freckles:
        spots = np.clip(skin_noise(rng, size, 110) - 1.3, 0, 1) + np.clip(skin_noise(rng, size, 70) - 1.7, 0, 1)
        melanin = melanin + 0.8 * traits.freckles * under**3 * spots * np.clip(ruddy + 0.3 * soft["forehead"], 0, 1)
    if years > 0.4:  # lentigines
        aged = np.clip(skin_noise(rng, size, 42) - 1.9, 0, 0.6) * (soft["temple"] + soft["forehead"] + soft["cheek"])
        melanin = melanin + (years - 0.4) * 0.5 * aged
    melanin, haemoglobin = meeting(melanin), meeting(haemoglobin)
    for _ in range(int(rng.poisson(5))):
        x, y = rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.85)
        mole = _spot(size, x, y, rng.uniform(0.0012, 0.0026)) * rng.uniform(0.6, 1.4)
        melanin = melanin + mole * (1 - lids) * (1 - lips)  # there it would be stretched, and looks like a fault
    return np.maximum(melanin, 0.02), np.maximum(haemoglobin, 0.02), red


def _lips(size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size) 0..1 the lips' red, whose border wanders and is softer below."""
    wander = 0.0016 * skin_noise(rng, size, 40) + 0.0012 * skin_noise(rng, size, 90)
    upper = np.clip(0.8 - (regions.distance("upper_lip", size) + wander) / 0.010, 0, 1)
    lower = np.clip(0.7 - (regions.distance("lower_lip", size) + wander) / 0.012, 0, 1)
    share = np.maximum(upper, lower)
    return share * share * (3 - 2 * share)


def _streaks(size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size) noise of unit variance drawn out across the lips."""
    small = rng.standard_normal((size // 24 + 2, size // 3)).astype(np.float32)
    field = resize_bilinear(small, (size, size))
    return field / max(float(field.std()), 1e-6)


def meeting(values: np.ndarray) -> np.ndarray:
    """(size, size) `values` equal on both sides of the seam at the back: near it they go over into their mirror image
    by half."""
    return values + _seam_share(len(values)) * (values[:, ::-1] - values)


@lru_cache(maxsize=4)
def _seam_share(size: int) -> np.ndarray:
    """(size, size) float32 0.5 on the seam at the back of the head and beyond it, falling to 0 over 0.06 inside."""
    return resize_bilinear(0.5 * np.exp(-((np.minimum(_beyond_seam(), 0) / 0.03) ** 2)), (size, size))


@lru_cache(maxsize=1)
def _beyond_seam() -> np.ndarray:
    """(128, 128) how far outside of the seam each texel lies, UV units, negative inside."""
    return beyond_seam(texel_uv(128))[0].reshape(128, 128)


def _hair_colour(traits: SkinTraits) -> np.ndarray:
    """(3,) linear."""
    return np.array([0.020, 0.014, 0.011]) * (1 - traits.hair) + np.array([0.26, 0.16, 0.075]) * traits.hair


def _stubble(albedo: np.ndarray, traits: SkinTraits, size: int, rng: np.random.Generator) -> np.ndarray:
    """`albedo` with the beard's hairs under and on the skin, fading out over the cheeks and down the neck."""
    if not traits.stubble:
        return albedo
    dark = _hair_colour(traits)
    grain = np.clip(0.55 + 0.45 * skin_noise(rng, size, 170, 0.3), 0, 1.3)
    lips = np.maximum(regions.mask("upper_lip", size, 0.008), regions.mask("lower_lip", size, 0.008))
    y = (np.arange(size, dtype=np.float32)[:, None] + 0.5) / size
    below = np.clip((0.80 - y) / 0.10, 0, 1) * np.clip((y - 0.60) / 0.08, 0, 1) * regions.mask("jaw", size, 0.09)
    beard = np.maximum(regions.mask("beard", size, 0.05), below)
    patchy = np.clip(0.9 + 0.12 * skin_noise(rng, size, 14), 0.5, 1.2)
    share = np.clip(beard * patchy * (1 - lips), 0, 1)[..., None] * traits.stubble
    shadow = np.exp(-share * np.array([0.46, 0.40, 0.33]))  # roots seen through the skin: cool
    cover = 0.36 * share * grain[..., None]
    return albedo * shadow * (1 - cover) + (dark + 0.25 * albedo) / 1.25 * cover


def _hair(albedo: np.ndarray, brows: np.ndarray, traits: SkinTraits, size: int, rng: np.random.Generator) -> np.ndarray:
    """`albedo` with brows, lash lines and cropped scalp hair."""
    dark = _hair_colour(traits)
    brow = np.clip(brows, 0, 0.82)[..., None]
    albedo = albedo * (1 - brow) + dark * brow
    lash = lash_line(size)[..., None] * 0.85
    albedo = albedo * (1 - lash) + dark * 0.8 * lash
    grain = np.clip(0.72 + 0.22 * skin_noise(rng, size, 170, 0.3), 0, 1)
    if traits.cropped_hair:
        edge = (
            regions.distance("hairless", size) + 0.006 * skin_noise(rng, size, 60) + 0.004 * skin_noise(rng, size, 200)
        )
        share = (np.clip(edge / 0.03, 0, 1) * (0.62 + 0.3 * grain))[..., None]
        albedo = albedo * (1 - share) + dark * 1.6 * share
    return albedo


def _hair_share(size: int) -> np.ndarray:
    """(size, size) 0..1 where hair grows: scalp and brows."""
    return np.maximum(np.clip(regions.distance("hairless", size) / 0.02, 0, 1), regions.mask("brow", size, 0.006))


def _brow_strokes(size: int, traits: SkinTraits, rng: np.random.Generator) -> np.ndarray:
    """(size, size) coverage of brow hairs: short curved strokes, upwards near the nose and outwards beyond."""
    count = int(760 * traits.brow_density)
    coverage = np.zeros((size, size), np.float32)
    xs, middle, half = brow_axis()
    inner, outer = xs[0], xs[-1]
    for mirrored in (False, True):
        x = inner + (outer - inner) * rng.beta(1.25, 1.35, count)
        y = np.interp(x, xs, middle) + np.interp(x, xs, half) * rng.uniform(-0.9, 0.9, count)
        along = (x - inner) / (outer - inner)
        heading = np.radians(78 - 95 * along**0.7) + rng.normal(0, 0.16, count)
        length = rng.uniform(0.008, 0.015, count) * (1 - 0.35 * along)
        step = np.linspace(0, 1, 28)[None]
        bend = heading[:, None] - 0.5 * step
        px = x[:, None] + np.cumsum(np.cos(bend), 1) * length[:, None] / 28
        py = y[:, None] - np.cumsum(np.sin(bend), 1) * length[:, None] / 28
        px = 1 - px if mirrored else px
        weight = np.broadcast_to((1 - step**2) * 0.30 * (size / 1024), px.shape) * rng.uniform(0.5, 1, (count, 1))
        at = (np.clip(py * size, 0, size - 1).astype(int), np.clip(px * size, 0, size - 1).astype(int))
        np.add.at(coverage, at, weight.astype(np.float32))
    blurred = gaussian_blur(coverage, 0.55 * size / 1024)
    under = gaussian_blur(coverage, 4.0 * size / 1024)
    return np.clip(blurred * 1.1, 0, 1) + 0.32 * np.clip(under, 0, 0.8)


def brow_axis() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, v of the middle and half the thickness (each (64,), UV units) of the brow on the image's right, from the nose
    outwards."""
    outline = np.array(regions.PAIRED["brow"]) / 1024
    xs = np.linspace(outline[:, 0].min(), outline[:, 0].max(), 64)
    inside = regions.distance("brow", 512)
    column = np.clip((xs * 512).astype(int), 0, 511)
    rows = [np.flatnonzero(inside[:, c] < 0) for c in column]
    middle = np.array([row.mean() if len(row) else np.nan for row in rows]) / 512
    half = np.array([len(row) / 2 if len(row) else 0.0 for row in rows]) / 512
    return xs, np.interp(xs, xs[np.isfinite(middle)], middle[np.isfinite(middle)]), half


def lash_line(size: int) -> np.ndarray:
    """(size, size) 0..1 dark rim along the upper (strong) and lower (faint) lid margins."""
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size
    line = np.zeros((size, size), np.float32)
    for slit in SLITS[1:]:
        above = slit.v_at(x) - y
        along = np.clip(np.minimum(x - slit.u_left, slit.u_right - x) / 0.008 + 0.5, 0, 1)
        line += along * (
            np.exp(-np.abs(above - 0.001) / 0.0022) * (above > -0.0005) + 0.35 * np.exp(-np.abs(above) / 0.0012)
        )
    return np.clip(line, 0, 1)


def _openings(albedo: np.ndarray, size: int) -> np.ndarray:
    """Nostrils and the lips' meeting line darkened; the corner charts (mouth bag, sockets) painted as wet flesh."""
    nostril = regions.mask("nostril", size, 0.006)[..., None]
    albedo = albedo * (1 - 0.8 * nostril * (1 - NOSTRIL_RGB))
    return np.where(inner_charts(size)[..., None], INNER_RGB, albedo).astype(np.float32)


def inner_charts(size: int) -> np.ndarray:
    """(size, size) bool: the corners of the layout that hold the mouth bag and the eye sockets."""
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size
    corner = ((y < 0.13) & (np.abs(x - 0.5) > 0.325)) & (regions.distance("hairless", size) > 0.05)
    corner &= (np.abs(x - 0.5) > 0.385) | (y < 0.06)
    # the skin ends at the seam; faces over the seam reach beyond it
    return corner & (resize_bilinear(_beyond_seam(), (size, size)) > 0.03)


def _gloss(
    size: int, rng: np.random.Generator, pores: np.ndarray, furrows: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """(size, size) specular intensity over its mean and perceptual roughness: oil on forehead, nose and chin, least
    on the plateaus between `furrows`."""
    soft = min(size, SOFT_SIDE)
    oily = np.maximum.reduce([regions.mask(name, soft, 0.04) for name in ("forehead", "nose", "chin")])
    lips = np.maximum(regions.mask("upper_lip", soft, 0.006), regions.mask("lower_lip", soft, 0.006))
    cheeks, ears = regions.mask("cheek", soft, 0.05), regions.mask("ear", soft, 0.02)
    mottle = 0.08 * skin_noise(rng, soft, 30) + 0.09 * skin_noise(rng, soft, 110)
    rough = 1.10 - 0.24 * oily + 0.04 * cheeks - 0.22 * lips + 0.10 * ears + 0.35 * mottle
    level = 0.95 + 0.22 * oily + 0.25 * lips - 0.45 * ears + mottle
    hair = _hair_share(soft)
    shade = (1 - 0.35 * hair) * (1 - 0.8 * regions.mask("nostril", soft, 0.008))
    rough, level, hair, shade = (resize_bilinear(each, (size, size)) for each in (rough, level, hair, shade))
    roughness = ROUGHNESS_MEAN * (rough + 0.2 * pores + 0.15 * furrows) * (1 + 0.45 * hair)
    level = (level - 0.6 * pores - 0.35 * furrows) * shade
    return np.maximum(level, 0.05), np.clip(roughness, 0.15, 0.9)


def _spot(size: int, u: float, v: float, radius: float) -> np.ndarray:
    """(size, size) a round soft spot of 1."""
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size
    return np.clip(1.5 - np.hypot(x - u, y - v) / radius, 0, 1)
