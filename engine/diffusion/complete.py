"""The neutral's own maps, where a head came with a colour texture alone: the model's reading of it.

Specular, roughness and the lines in the normal come from the model at 512. Finer than that they keep what colour detail
suggests (`engine.face.skin.complete_maps`). The diffuse map stays the user's own, as does every map that was given.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.channels import MODEL_MAPS
from engine.diffusion.generate import model_for, read_neutral
from engine.expression import ExpressionSet
from engine.face.space import TEXTURE_SIZE
from engine.face.transfer import maps_to_own, resize_area
from engine.identity import Identity, Provenance
from engine.image import resize_bilinear
from engine.project import Project

LOG = logging.getLogger(__name__)

COMPLETED = tuple(each.name for each in MODEL_MAPS[1:])


def complete_project(project: Project, model: Path | None = None, device: str = "auto") -> Project:
    """`project` of a completed identity (`complete_identity`); it keeps its expressions."""
    identity = complete_identity(project.identity, model=model, device=device)
    if identity is project.identity:
        return project
    LOG.info("%s", identity.provenance.note)
    expressions = ExpressionSet(identity.hash, project.expressions.expressions)  # changes are relative: they stay true
    return replace(project, identity=identity, expressions=expressions)


def complete_identity(identity: Identity, *, model: Path | None = None, device: str = "auto") -> Identity:
    """`identity` with the maps it came without as the model reads them from its texture; itself where none is missing.

    `model` is a folder of weights, the program's own by default.

    WeightsError for weights that are missing, damaged or foreign, TopologyError where the head is not registered.
    """
    missing = [name for name in COMPLETED if name not in identity.known_maps]
    if not missing:
        return identity
    loaded = model_for(model, device)
    found = read_neutral(loaded, identity).maps[0].permute(1, 2, 0).cpu().numpy()
    own = maps_to_own(identity.topology, found)
    maps, size = identity.maps, identity.maps.size
    changed: dict[str, np.ndarray] = {}
    for row in (each for each in MODEL_MAPS if each.name in missing):
        before = getattr(maps, row.field)
        detail = row.decoded(before).reshape(*size, -1).astype(np.float32)
        changed[row.field] = row.encoded(_with_detail(own[..., row.channels], detail)).reshape(before.shape)
    note = f"{', '.join(missing)} read from the texture by {loaded.model_id}"
    source = identity.provenance
    provenance = Provenance(source.source, source.licence, "; ".join(filter(None, (source.note, note))))
    return replace(identity, maps=replace(maps, **changed), provenance=provenance)


def _with_detail(coarse: np.ndarray, detail: np.ndarray) -> np.ndarray:
    """(512, 512, C) at the size of `detail` (H, W, C), with what `detail` has finer than 512."""
    size = detail.shape[:2]
    if max(size) <= TEXTURE_SIZE:
        return resize_bilinear(coarse, size)
    held = resize_bilinear(resize_area(detail, TEXTURE_SIZE), size)
    return resize_bilinear(coarse, size) + detail - held
