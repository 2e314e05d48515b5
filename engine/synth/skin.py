"""Painting the skin of synthetic people in batches, on any device: their neutral's true reflectance maps.

The chromophores and the means are `engine.face.skin`'s. On top of them stand age and tissue: what they do to
expressions must be seen at rest, so both change the maps smoothly and monotonically. Slack tissue has wider pores and a
cross-hatched micro-relief; age brings uneven colour, spots, dark and red lower lids and grey hair. Amounts are
plausible, not measured. Lines of expression are not painted here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from engine.face import skin as skin_model
from engine.face.layout import SLITS
from engine.synth.brows import brow_cover, hair_streaks
from engine.synth.masks import Where
from engine.synth.noise import Noise, splat

MOST_MOLES = 24
_DARK_HAIR, _FAIR_HAIR, _GREY_HAIR = (0.020, 0.014, 0.011), (0.26, 0.16, 0.075), (0.36, 0.32, 0.275)
_MOUTH_RGB = (0.045, 0.014, 0.012)
_LIP_RGB = (0.30, 0.75, 0.45)
"""Absorption of the lips' blood, seen through thinner skin than elsewhere: pinker than `HAEMOGLOBIN_RGB`."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What makes the skin of N people: (N,) float32 on one device unless said otherwise."""

    melanin: Tensor
    """0.08 (very light) to 2.3 (very dark)."""
    haemoglobin: Tensor
    """0.28 (pale) to 0.95 (ruddy)."""
    age_years: Tensor
    """18 to 78."""
    firmness: Tensor
    """0 slack to 1 firm tissue."""
    oiliness: Tensor
    """0 dry to 1 oily."""
    freckles: Tensor
    mole_rate: Tensor
    """Moles on face and neck, at most 24."""
    brow_density: Tensor
    """0 none to 1 full."""
    hair: Tensor
    """0 black to 1 fair."""
    grey: Tensor
    """Share of hairs gone grey."""
    stubble: Tensor
    cropped_hair: Tensor
    """1 hair on the scalp, 0 none."""
    lip_redness: Tensor
    lipstick: Tensor
    """0 none to 1 opaque."""
    lipstick_rgb: Tensor
    """(N, 3) linear."""
    eyeshadow: Tensor
    foundation: Tensor
    """0 none to 1 covering."""
    seed: Tensor
    """(N,) int64."""

    def __len__(self) -> int:
        """Number of people."""
        return len(self.seed)

    def take(self, rows: list[int]) -> Traits:
        """The people at `rows`."""
        index = torch.tensor(rows, dtype=torch.long, device=self.seed.device)
        return Traits(*(getattr(self, field.name)[index] for field in fields(self)))


def sample_traits(count: int, seed: int, device: torch.device | str = "cpu") -> Traits:
    """Draw `count` people; deterministic in `seed`.

    Tones cover the whole range evenly enough to learn from, not as any population does. Firmness falls with age, and
    has a free part of a standard deviation of 0.25.
    """
    rng = np.random.default_rng([seed, 0x51C2])

    def some(chance: float, low: float, high: float) -> np.ndarray:
        return (rng.random(count) < chance) * rng.uniform(low, high, count)

    melanin = 0.08 + 2.2 * rng.beta(1.0, 1.5, count)
    age = rng.uniform(18, 78, count)
    years = (age - 18) / 60
    made_up = rng.random(count) < 0.35
    red = rng.random((count, 1))
    values = {
        "melanin": melanin,
        "haemoglobin": rng.uniform(0.28, 0.95, count),
        "age_years": age,
        "firmness": np.clip(0.85 - 0.65 * years + rng.normal(0, 0.25, count), 0, 1),
        "oiliness": np.clip(rng.beta(2, 2, count) - 0.2 * years, 0, 1),
        "freckles": some(0.3, 0.2, 1.0) * np.clip(1.6 - melanin, 0.1, 1),
        "mole_rate": rng.gamma(1.5, 3.0, count).clip(0, MOST_MOLES),
        "brow_density": rng.uniform(0.35, 1.0, count),
        "hair": rng.beta(1, 2.5, count) * np.clip((1.0 - melanin) / 0.5, 0, 1),
        "grey": 1 / (1 + np.exp(-(age - 54 + rng.normal(0, 6, count)) / 5)),
        "stubble": some(0.4, 0.15, 1.0) * ~made_up,
        "cropped_hair": rng.random(count) < 0.85,
        "lip_redness": rng.uniform(0.2, 0.9, count),
        "lipstick": some(0.7, 0.2, 0.9) * made_up,
        "lipstick_rgb": np.array([0.20, 0.02, 0.03]) * (1 - red) + np.array([0.50, 0.17, 0.16]) * red,
        "eyeshadow": some(0.6, 0.1, 0.7) * made_up,
        "foundation": some(0.7, 0.1, 0.9) * made_up,
    }
    tensors = {name: torch.from_numpy(np.asarray(value, np.float32)).to(device) for name, value in values.items()}
    return Traits(**tensors, seed=torch.from_numpy(rng.integers(0, 2**31, count)).to(device))


def paint(traits: Traits, rows: list[int], size: int = 512) -> Tensor:
    """(len(rows), 9, size, size) float32 true maps of the neutral of the people at `rows`, canonical layout.

    In order: linear diffuse albedo RGB, specular intensity RGB, perceptual roughness, slopes x and y (OpenGL, +Y up the
    image). Make-up is part of them. A person's maps depend on their traits and seed only.
    """
    who = traits.take(rows)
    noise = Noise(who.seed.tolist(), 0x9A17, who.seed.device)
    where = Where(size, noise.device)
    pores, crosshatch = _texture(who, noise, where)
    creases = _lip_creases(noise, where)
    melanin, haemoglobin, lips = _chromophores(who, noise, where)
    log_albedo = -melanin[:, None] * _rgb(skin_model.MELANIN_RGB, noise.device)
    log_albedo = log_albedo - haemoglobin[:, None] * _rgb(skin_model.HAEMOGLOBIN_RGB, noise.device)
    log_albedo = log_albedo - lips[:, None] * _rgb(_LIP_RGB, noise.device) + 0.06 * noise.normal(3)[:, :, None, None]
    # powder fills what is shallow
    log_albedo = (
        log_albedo - ((0.09 * pores + 0.12 * crosshatch) * _wide(1 - 0.35 * who.foundation) + 0.07 * creases)[:, None]
    )
    albedo = 0.004 + _rgb(skin_model.BASE_RGB, noise.device) * log_albedo.exp()
    albedo = _make_up(albedo, who, noise, where)
    albedo, hair = _hair(albedo, who, noise, where)
    albedo = _openings(albedo, noise, where)
    height_mm = -0.08 * pores - 0.07 * crosshatch - 0.04 * creases + 0.010 * noise.band(size, 170)
    specular, roughness = _gloss(who, noise, where, pores, hair)
    return torch.cat([albedo.clamp(0, 1), specular, roughness[:, None], slope_from_height(height_mm)], 1)


def slope_from_height(height_mm: Tensor) -> Tensor:
    """(B, S, S) heights in mm -> (B, 2, S, S) slopes of the normal (OpenGL, +Y up the image)."""
    down, right = torch.gradient(height_mm, dim=(1, 2))
    return torch.stack([-right, down], 1) / (skin_model.TEXEL_MM * 512 / height_mm.shape[-1])


def _texture(who: Traits, noise: Noise, where: Where) -> tuple[Tensor, Tensor]:
    """(B, S, S) pore depth and depth of the cross-hatched micro-relief, 0 to about 1.5, none on lips and lids."""
    size, slack, years = where.size, 1 - who.firmness, _years(who)
    bare = 1 - where("upper_lip", "lower_lip", soft=0.008)
    coarse = _wide((0.10 + 0.35 * slack + 0.20 * years + 0.35 * who.oiliness).clamp(0, 1))
    grain = noise.band(size, 200, 0.35) * (1 - coarse) + noise.band(size, 105, 0.3) * coarse
    grain = grain / (coarse**2 + (1 - coarse) ** 2).sqrt()
    pores = ((grain - 0.4) / 2.5).clamp(0, 1) * (0.6 + 1.2 * coarse)
    pores = pores * (0.35 + 0.65 * torch.maximum(where("nose"), where("cheek", soft=0.05)))
    lines = [1 - (noise.band(size, 56, 0.25, heading).abs() / 0.4).clamp(0, 1) for heading in (0.55, 2.45, 1.5)]
    crosshatch = torch.stack(lines).amax(0) * _wide(0.08 + 1.1 * slack)
    crosshatch = crosshatch * (0.55 + 0.45 * where("cheek", "under_eye", "lower_lid", "neck", "forehead", soft=0.05))
    lids = 1 - 0.6 * where("upper_lid", soft=0.008)
    return pores * bare * lids, crosshatch * bare * lids


def _chromophores(who: Traits, noise: Noise, where: Where) -> tuple[Tensor, Tensor, Tensor]:
    """(B, S, S) melanin, haemoglobin, and blood of the lips."""
    size, years = where.size, _wide(_years(who))
    calm = _wide(1 - 0.75 * who.foundation)
    cheek, under_eye = where("cheek"), where("under_eye")
    lids = where("upper_lid", "lower_lid", soft=0.012)
    own = 1 + 0.35 * noise.normal(5)[:, :, None, None].clamp(-2, 2)
    ruddy = 0.16 * own[:, 0] * cheek + 0.20 * own[:, 1] * where("nose_tip") + 0.08 * where("chin") + 0.16 * where("ear")
    ruddy = ruddy * (1 + 0.5 * years) - 0.10 * where("neck") + (0.06 + 0.16 * years) * own[:, 2] * (under_eye + lids)
    blotch = 0.5 * noise.band(size, 6) + 0.35 * noise.band(size, 16) + 0.3 * noise.band(size, 44)
    haemoglobin = _wide(who.haemoglobin) * (1 + calm * (ruddy + (0.05 + 0.09 * years) * blotch))

    blotch = 0.5 * noise.band(size, 5) + 0.4 * noise.band(size, 28) + 0.3 * noise.band(size, 105)
    base = _wide(who.melanin)
    uneven = (0.025 + 0.045 * years) * (0.6 + 0.8 * base) * blotch - 0.05 * base * cheek
    uneven = uneven + (0.04 + 0.08 * base) * (0.4 + 1.3 * years) * own[:, 3] * under_eye + 0.04 * lids
    lower_face = where("mouth_area", "jaw", "chin", soft=0.06)
    uneven = uneven + 0.05 * (own[:, 4] - 1) * base * (lower_face - where("forehead", soft=0.06))
    sunny = 0.25 + 0.75 * where("cheek", "forehead", "temple", soft=0.06)
    uneven = uneven + 0.32 * (noise.band(size, 32, 0.45) - (3.2 - 1.9 * years)).clamp(0, 1.2) * sunny
    freckled = torch.maximum(where("cheek", soft=0.05), where("nose"))
    uneven = uneven + _wide(who.freckles) * 0.8 * (noise.band(size, 76, 0.4) - 1.25).clamp(0, 0.9) * freckled
    melanin = base + calm * uneven + _moles(who, noise, size)

    lips = where("upper_lip", "lower_lip", soft=0.005)
    full = lips * _wide(0.35 + 1.1 * who.lip_redness) * (0.9 + 0.08 * noise.band(size, 90)) * (1 - 0.3 * years)
    melanin = melanin * (1 - 0.22 * lips) + 0.08 * lips
    return melanin.clamp(min=0.02), haemoglobin.clamp(min=0.02), full


def _moles(who: Traits, noise: Noise, size: int) -> Tensor:
    """(B, S, S) melanin of small round spots."""
    draw = noise.uniform(MOST_MOLES, 4)
    centre = torch.stack([0.22 + 0.56 * draw[..., 0], 0.2 + 0.7 * draw[..., 1]], -1)
    radius = (0.0011 + 0.0018 * draw[..., 2] ** 2) * size
    present = (who.mole_rate[:, None] - torch.arange(MOST_MOLES, device=draw.device)).clamp(0, 1)
    reach = max(2, size // 128)
    step = torch.arange(-reach, reach + 1, device=draw.device, dtype=torch.float32)
    offset = torch.cartesian_prod(step, step)
    depth = (1.5 - offset.norm(dim=-1) / radius[..., None]).clamp(0, 1) * (present * (0.4 + draw[..., 3]))[..., None]
    points = centre[:, :, None] + offset / size
    return splat(points.flatten(1, 2), depth.flatten(1), size)


def _make_up(albedo: Tensor, who: Traits, noise: Noise, where: Where) -> Tensor:
    """`albedo` under foundation, eyeshadow and lipstick."""
    skin_rgb = albedo.mean((2, 3), keepdim=True)
    powder = _wide(who.foundation)[:, None] * where("hairless", soft=0.02) * (1 - where("neck", soft=0.05))
    albedo = albedo + 0.25 * powder * (skin_rgb * 1.05 - albedo)
    tint = noise.uniform(3)[:, :, None, None]
    shadow = torch.cat([0.10 + 0.35 * tint[:, :1], 0.06 + 0.16 * tint[:, 1:2], 0.06 + 0.2 * tint[:, 2:]], 1)
    share = 0.8 * _wide(who.eyeshadow)[:, None] * where("upper_lid", soft=0.014)
    albedo = albedo + share * (shadow * skin_rgb.amax(1, keepdim=True) * 1.6 - albedo)
    lips = where("upper_lip", "lower_lip", soft=0.004)
    shade = (0.75 + 0.5 * albedo.mean(1, keepdim=True) / skin_rgb.mean(1, keepdim=True)).clamp(0.6, 1.3)
    return albedo + 0.85 * _wide(who.lipstick)[:, None] * lips * (who.lipstick_rgb[:, :, None, None] * shade - albedo)


def _hair(albedo: Tensor, who: Traits, noise: Noise, where: Where) -> tuple[Tensor, Tensor]:
    """`albedo` with brows, lash lines, stubble and scalp hair; and (B, S, S) the share that hair covers."""
    fair = _wide(who.hair)[:, None]
    colour = _rgb(_DARK_HAIR, where.device) * (1 - fair) + _rgb(_FAIR_HAIR, where.device) * fair
    grey = _rgb(_GREY_HAIR, where.device)
    brow, brow_grey = brow_cover(who.brow_density, 0.85 * who.grey, noise, where.size)
    # grey hairs let the skin through
    brow, brow_rgb = 0.92 * brow * (1 - 0.35 * brow_grey), colour + brow_grey[:, None] * (grey - colour)
    albedo = albedo + brow[:, None] * (brow_rgb - albedo)
    lash = where.lash_line() * (0.35 + 0.55 * noise.uniform(1)[:, :, None])
    albedo = albedo + lash[:, None] * (0.8 * colour - albedo)

    grain = (0.6 + 0.4 * noise.band(where.size, 140, 0.6)).clamp(0, 1.2)
    stubble = 0.5 * _wide(who.stubble) * where("beard", soft=0.035) * grain
    stubble = stubble * (1 - where("upper_lip", "lower_lip", soft=0.006))
    aged = colour + 0.6 * _wide(who.grey)[:, None] * (grey - colour)
    albedo = albedo + stubble[:, None] * ((aged + 0.35 * albedo) / 1.35 - albedo)

    scalp, strands = _scalp(colour, grey, grain, who, noise, where)
    albedo = albedo + scalp[:, None] * (strands - albedo)
    return albedo, torch.maximum(torch.maximum(brow, scalp), 0.5 * stubble)


def _scalp(
    colour: Tensor, grey: Tensor, grain: Tensor, who: Traits, noise: Noise, where: Where
) -> tuple[Tensor, Tensor]:
    """(B, S, S) cover of the scalp's hair, shaved to long, and its (B, 3, S, S) colour.

    Textures pieced together from photographs often have a dark stock scalp: two in five have one.
    """
    style = noise.uniform(6)[:, :, None, None]
    line = where.beyond("hairless") - 0.04 * _wide(_years(who)) * style[:, 0] + 0.012 * style[:, 1]
    edge = line + 0.0025 * noise.band(where.size, 60) + 0.002 * noise.band(where.size, 130, 0.3)
    long = style[:, 2]
    cover = (edge / (0.008 + 0.035 * style[:, 3] ** 2)).clamp(0, 1) * ((0.685 - where.grid()[0]) / 0.02).clamp(0, 1)
    cover = cover * _wide(who.cropped_hair) * (0.66 + 0.30 * grain * (1 - long) + 0.34 * long).clamp(0, 0.98)
    streaks = hair_streaks(noise, where.size)
    own = 1 - (style[:, 4] < 0.4).float()[:, None]
    dark = _rgb(_DARK_HAIR, where.device)
    strands = dark + own * (colour - dark)
    strands = strands + own * (0.8 * _wide(who.grey) * (1 + 0.12 * streaks).clamp(0, 1.2))[:, None] * (grey - strands)
    return cover, strands * (
        1.25 * ((0.08 + 0.32 * long) * (1 - 0.5 * _wide(who.grey)) * streaks + 0.15 * (grain - 0.6)).exp()
    )[:, None]


def _openings(albedo: Tensor, noise: Noise, where: Where) -> Tensor:
    """Nostrils, the lids over the eyes and the lips' meeting line; the corner charts painted as wet flesh."""
    own = noise.uniform(3)[:, :, None, None]
    dark = _rgb(_MOUTH_RGB, where.device)
    v, u = where.grid()
    for slit in SLITS[1:]:  # skin that lies over the eyeball is thin and bluish
        along = ((u - slit.u_left) / (slit.u_right - slit.u_left) * 2 - 1).clamp(-1, 1)
        above = (where.slit_v(slit.name) - v) / (0.028 * (1 - along**2).sqrt() + 1e-4)
        lid = ((1 - above) * 3).clamp(0, 1) * ((above + 0.15) * 6).clamp(0, 1)
        veil = torch.tensor([0.28, 0.255, 0.31], device=where.device).log()[:, None, None]
        albedo = albedo * (own[:, None, 0] * lid * veil).exp()
    mouth = SLITS[0]
    along = ((u - 0.5) / (0.5 * (mouth.u_right - mouth.u_left))).abs()
    height = (0.0012 + 0.012 * own[:, 1]) * (1 - along**2).clamp(min=0) + 1e-4
    gap = ((1.15 - ((v - mouth.v_line[0] + 0.4 * height) / height).abs()) * 3).clamp(0, 1) * (along < 1)
    albedo = albedo + (0.9 * gap + 0.92 * where("nostril", soft=0.005)).clamp(0, 0.96)[:, None] * (dark - albedo)
    inner = where.inner_charts()
    return albedo + inner * (_rgb(skin_model.INNER_RGB, where.device) * (0.7 + 0.6 * own[:, None, 2]) - albedo)


def _lip_creases(noise: Noise, where: Where) -> Tensor:
    """(B, S, S) -1.5..1.5 depth of the creases across the lips."""
    v, u = where.grid()
    fan = (u - 0.5) * (1 + 2.5 * (v - 0.58).abs()) + 0.002 * noise.band(where.size, 12)
    strength = (0.5 + 0.5 * noise.band(where.size, 24)).clamp(0, 1.5)
    lines = torch.sin(fan * 640 + noise.band(where.size, 30))
    return where("upper_lip", "lower_lip", soft=0.006) * strength * lines


def _gloss(who: Traits, noise: Noise, where: Where, pores: Tensor, hair: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3, S, S) specular intensity and (B, S, S) perceptual roughness."""
    oil, oily = _wide(who.oiliness), where("forehead", "nose", "chin", soft=0.04)
    lips, cheeks, ears = where("upper_lip", "lower_lip", soft=0.006), where("cheek", soft=0.05), where("ear", soft=0.02)
    mottle = 0.04 * noise.band(where.size, 40) + 0.05 * noise.band(where.size, 120)
    rough = 1.16 - 0.20 * oil - (0.04 + 0.20 * oil) * oily + 0.06 * cheeks + 0.10 * ears + 0.35 * mottle + 0.2 * pores
    rough = rough + 0.10 * _wide(who.foundation) - (0.16 + 0.2 * _wide(who.lipstick)) * lips
    level = 0.84 + 0.32 * oil + (0.04 + 0.18 * oil) * oily + 0.25 * lips - 0.45 * ears + mottle - 0.4 * pores
    level = level * (1 - 0.35 * hair) * (1 - 0.8 * where("nostril", soft=0.008))
    roughness = (skin_model.ROUGHNESS_MEAN * rough * (1 + 0.45 * hair)).clamp(0.15, 0.9)
    return (level.clamp(min=0.05)[:, None] * _rgb(skin_model.SPECULAR_MEAN, where.device)).clamp(0, 1), roughness


def _years(who: Traits) -> Tensor:
    """(B,) age as 0 (18) to 1 (78)."""
    return ((who.age_years - 18) / 60).clamp(0, 1)


def _wide(values: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1)."""
    return values[:, None, None]


def _rgb(values: np.ndarray | tuple[float, float, float], device: torch.device) -> Tensor:
    """(3, 1, 1)."""
    return torch.tensor(tuple(float(value) for value in values), device=device)[:, None, None]
