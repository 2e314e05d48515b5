"""The neutral's own maps, where a head came with a colour texture alone: the model's reading of it.

Specular, roughness and the lines in the normal come from the model at 512. Finer than that they keep what colour detail
suggests (`engine.face.skin.complete_maps`). The diffuse map stays the user's own, as does every map that was given.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.color import bytes_from_unit
from engine.diffusion.generate import model_for, read_neutral
from engine.face.space import TEXTURE_SIZE
from engine.face.transfer import maps_to_own, resize_area
from engine.identity import Identity, Provenance
from engine.image import resize_bilinear

COMPLETED = ("specular", "roughness", "normal")


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
    answers = {
        "specular": ("specular_data", own[..., 3:6], 255.0),
        "roughness": ("roughness_data", own[..., 6:7], 255.0),
        "normal": ("slope", own[..., 7:], 1.0),
    }
    changed: dict[str, np.ndarray] = {}
    for name in missing:
        field, coarse, unit = answers[name]
        before = getattr(maps, field)
        detail = before.reshape(*size, -1).astype(np.float32) / unit
        merged = _with_detail(coarse, detail)
        changed[field] = bytes_from_unit(merged).reshape(before.shape) if unit != 1.0 else merged.astype(before.dtype)
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
