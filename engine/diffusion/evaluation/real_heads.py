"""Heads of real people: no true expression is known, so what can be measured is what an answer must leave alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from engine.channels import DIFFUSE
from engine.diffusion.evaluation.baselines import BATCH
from engine.diffusion.evaluation.entrants import Entrant, pure_strengths
from engine.diffusion.evaluation.measures import coherence, detail_kept, mean, wrinkle_band
from engine.diffusion.evaluation.probes import ExpressionProbe, identity_measures, thinned
from engine.diffusion.evaluation.report import Scores, finished_table
from engine.diffusion.evaluation.run import Evaluation
from engine.diffusion.inference import Maps
from engine.diffusion.unified import log_albedo
from engine.face.layout import open_uv, sample_bilinear
from engine.face.registration import canonical_uv
from engine.face.transfer import encode_neutral
from engine.identity import Identity
from engine.mesh import Part
from engine.vocabulary import EXPRESSIONS

STILL_M = 0.0001
"""Skin that the training people's mean moves less than this should stay."""
_APART = 0.05
"""Two places of a vertex further apart than this (UV units) are on two sides of a seam."""
_COLUMNS = (
    ("still skin mm", "still mm", 3),
    ("seam mm", "seam mm", 4),
    ("seam change", "seam change", 4),
    ("detail kept", "detail kept", 3),
    ("identity cosine", "identity cosine", 3),
    ("asked", "asked", 2),
    ("off target", "off target", 2),
    ("top-1", "top-1", 2),
    ("strain-roughness r", "strain-roughness r", 2),
    ("strain-wrinkle r", "strain-wrinkle r", 2),
)


@torch.no_grad()
def measure_heads(entrants: Sequence[Entrant], heads: Sequence[Identity], fitted: Evaluation) -> dict[str, Scores]:
    """Head name -> scores of each entrant at its most steps, over the expressions of `fitted`.

    `still mm`: motion of skin that the training mean leaves still; `seam`: what the two sides of the UV seam at the
    back of the head disagree by, in mm and in the change of albedo, specular and roughness (slopes have another tangent
    on each side); the rest as on synthetic people. NaN where a head has no seam in its canonical layout.
    """
    return {head.name: _measure_head(entrants, head, fitted) for head in heads}


def heads_table(measured: dict[str, Scores]) -> str:
    """A table a head, as Markdown."""
    return "\n\n".join(f"*{name}*\n\n{finished_table(scores, _COLUMNS)}" for name, scores in measured.items())


def _measure_head(entrants: Sequence[Entrant], head: Identity, fitted: Evaluation) -> Scores:
    scores = Scores([0], [EXPRESSIONS[row].name for row in fitted.plan.rows])
    neutral, seam = encode_neutral(head), seam_uv(head)
    probe = ExpressionProbe(thinned(fitted.mean_offset_m))
    for entrant in entrants:
        device = entrant.model.device
        position_m, texture = (
            torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)).to(device)
            for image in (neutral.position_m, neutral.diffuse_srgb)
        )
        noise = entrant.model.noise(f"evaluate {head.hash}")
        name = entrant.row(max(entrant.steps))
        for place, maps in enumerate(_answers(entrant, position_m, texture, noise, fitted.plan.rows)):
            measured = _measure(maps, position_m, texture, fitted, place) | seam_errors(maps, seam)
            measured |= probe.measure(thinned(maps.offset_m), place)
            scores.put(name, slice(0, 1), place, measured)
    return scores


def _answers(
    entrant: Entrant, position_m: Tensor, texture: Tensor, noise: Tensor, rows: Sequence[int]
) -> Iterator[Maps]:
    """What the entrant makes of one head, expression by expression."""
    for at in range(0, len(rows), BATCH):
        part = list(rows[at : at + BATCH])
        face = entrant.model.read(*(image.expand(len(part), -1, -1, -1) for image in (position_m, texture)))
        prompts, strengths = [EXPRESSIONS[row].prompt for row in part], pure_strengths(part, position_m.device)
        *_, (latent, _) = entrant.model.sample(face, strengths, prompts, noise, max(entrant.steps))
        made = entrant.model.decode(latent, face)
        for offset_m, change in zip(made.offset_m.split(1), made.change.split(1), strict=True):
            yield Maps(offset_m, change)


def _measure(
    maps: Maps, position_m: Tensor, texture_srgb: Tensor, fitted: Evaluation, place: int
) -> dict[str, np.ndarray]:
    average, mask = fitted.mean_offset_m[[place]], fitted.masks.texture
    still = (average.norm(dim=1) < STILL_M) * fitted.masks.skin
    own = fitted.neutrals.identity(position_m)
    log_diffuse = maps.change[:, DIFFUSE.channels]
    measured = {
        "still mm": mean(maps.offset_m.norm(dim=1) * 1000.0, still),
        "detail kept": detail_kept(log_albedo(texture_srgb), log_diffuse, position_m, maps.offset_m, mask),
    }
    measured |= coherence(position_m, maps.offset_m, maps.change, wrinkle_band(maps.change), mask)
    kept = identity_measures(
        fitted.neutrals, position_m, maps.offset_m, average, own, torch.zeros(1, dtype=torch.int64, device=own.device)
    )
    measured["identity cosine"] = kept["identity cosine"]
    return {key: values.double().cpu().numpy() for key, values in measured.items()}


def seam_uv(head: Identity) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) twice: canonical places of the skin's vertices that lie on both sides of a seam; N may be 0."""
    topology, skin = head.topology, head.topology.faces_of(Part.SKIN)
    return both_sides(topology.faces[skin], topology.uv_faces[skin], canonical_uv(topology))


def both_sides(faces: np.ndarray, uv_faces: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) twice: places of vertices that have two far apart; faces and uv_faces (F, 3), uv (U, 2), NaN for none."""
    both = np.stack([faces.ravel(), uv_faces.ravel()], 1)
    both = np.unique(both[np.isfinite(uv[both[:, 1], 0])], axis=0)
    same = both[1:, 0] == both[:-1, 0]
    first, second = uv[both[:-1, 1][same]], uv[both[1:, 1][same]]
    apart = np.linalg.norm(first - second, axis=1) > _APART
    return first[apart], second[apart]


def seam_errors(maps: Maps, seam: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    """(1,) mean difference across the seam of one answer's offsets, mm, and of its change but the slopes."""
    if not len(seam[0]):
        return {"seam mm": np.full(1, np.nan), "seam change": np.full(1, np.nan)}
    offset_m, change = (image[0].movedim(0, -1).cpu().numpy() for image in (maps.offset_m, maps.change[:, :7]))
    a, b = (sample_bilinear(offset_m, open_uv(side)) for side in seam)
    c, d = (sample_bilinear(change, side) for side in seam)
    return {
        "seam mm": np.linalg.norm(a - b, axis=1).mean(keepdims=True) * 1000,
        "seam change": np.abs(c - d).mean().reshape(1),
    }
