"""Which stages a configuration asks for, each standing on the finished one before it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine.diffusion.checkpoint import Start, load_into, load_tensors, save_tensors
from engine.diffusion.config import Config
from engine.diffusion.denoiser_stage import DenoiserStage
from engine.diffusion.processes import launched
from engine.diffusion.refine_stage import RefineStage
from engine.diffusion.stages import AutoencoderStage, Stage
from engine.diffusion.tile_stages import TileAutoencoderStage, TileDenoiserStage
from engine.diffusion.weights_folder import STAGES
from engine.errors import EngineError
from engine.synth.generator import Population


def pair_source(config: Config, data: Path, device: torch.device, keep: int = 0) -> Population:
    """The synthetic people that a configuration asks for, from the ICT-FaceKit at `data`, in maps of its sizes.

    FileFormatError where `data` is none. `keep` as in `Population`.
    """
    sizes = config.sizes.geometry_size, config.sizes.texture_size
    return Population(data, config.identities, config.seed, device, keep, sizes)


def make_stage(
    name: str, config: Config, source: Population, device: torch.device, out: Path, start: Start | None = None
) -> Stage:
    """The stage called `name`; those after the autoencoder's need what came before, finished, in `out`.

    With `start` the stage begins with its weights, and what is not in `out` is taken over from it; `refine` goes on
    with what came before in any case.
    """
    torch.manual_seed(config.seed)
    if config.layout == "tiles":
        return _tile_stage(name, config, source, device, out, start)
    first = AutoencoderStage(config, source, device)
    if name == first.name:
        return _begun(first, start)
    _restore(first, config, out, start)
    second = DenoiserStage(config, first)
    if name == second.name:
        return _begun(second, start)
    _restore(second, config, out, start)
    return RefineStage(config, second)


def _tile_stage(
    name: str, config: Config, source: Population, device: torch.device, out: Path, start: Start | None
) -> Stage:
    if name == STAGES[-1]:
        raise EngineError(f"train {name}: expected layout change, found tiles, which has no such stage")
    pretrained = bool(config.tiles.image_autoencoder) and name != TileAutoencoderStage.name
    first = None if pretrained else TileAutoencoderStage(config, source, device)
    if first is not None and name == first.name:
        return _begun(first, start)
    if first is not None:
        _restore(first, config, out, start)
    return _begun(TileDenoiserStage(config, source, device, first), start)


def _begun(stage: Stage, start: Start | None) -> Stage:
    """`stage` with the weights of `start`; what it fits, it fits anew."""
    return stage if start is None else _loaded(stage, start.tensors, start.folder)


def _restore(stage: Stage, config: Config, out: Path, start: Start | None) -> None:
    path, here = out / f"{stage.name}.safetensors", launched()
    if start is not None and not path.exists() and here.is_main:
        taken = _begun(stage, start).module.state_dict()
        save_tensors(path, taken, {"config": config.to_json(), "history": start.history})
    here.agree(0.0)  # the others read what the main process has written
    _loaded(stage, load_tensors(path)[0], path)


def _loaded(stage: Stage, tensors: Mapping[str, Tensor], path: Path) -> Stage:
    for name, part in stage.module.named_children():
        load_into(part, tensors, name, path)
    return stage
