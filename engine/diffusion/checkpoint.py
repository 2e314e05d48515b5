"""Weights on disk: safetensors written whole or not at all, the resolved configuration inside, digests beside.

A *training folder* holds `autoencoder.safetensors`, `denoiser.safetensors` and perhaps `refine.safetensors` (float32,
averaged weights; the last counts only while it was made from that denoiser) and the state to resume from. A *release*
holds `weights-N.safetensors` (networks in 8 bits, small statistics in full, at most `SHARD_BYTES` each) and
`weights.json` with the SHA-256 of each; what differs from it is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from engine.checks import check_text, short
from engine.diffusion.autoencoder import Autoencoder, Reader
from engine.diffusion.config import Config, config_from
from engine.diffusion.denoiser import Denoiser
from engine.diffusion.inference import ChangeModel
from engine.diffusion.person import Person
from engine.diffusion.pivot import Pivot
from engine.diffusion.tile_model import TileModel, TileParts
from engine.diffusion.unified import Unified
from engine.diffusion.weights_folder import MANIFEST, SHIPPED, STAGES, file_digest, weights_border
from engine.errors import WeightsError
from engine.io.border import border, check_file
from engine.io.files import LARGEST_JSON, check_fillable, json_from_bytes, read_bytes, write_bytes

SHARD_BYTES = 15 * 2**20
PARTS: dict[str, Any] = {
    "unified": Unified, "reader": Reader, "autoencoder": Autoencoder, "pivot": Pivot, "person": Person,
    "denoiser": Denoiser,
}  # fmt: skip
"""The networks in a checkpoint by name, in the order of `ChangeModel`."""
FORMAT = "expdiff-4"
_SPARE_NUMBERS = 2**26
"""Numbers beyond those of a file that may be made room for."""
_LARGE_BUFFERS = (
    "pivot.offset_m",
    "pivot.jaw_m",
    "pivot.change",
    "pivot.lean",
    "unified.mean_maps",
    "unified.mean_albedo",
    "person.shape.basis",
    "person.texture.basis",
    "autoencoder.templates",
)
"""Buffers large enough to be stored in 8 bits all the same."""
_LATER = {"pivot.jaw_m"}
"""Buffers that weights of before lack; with zeros in them all is as it was."""
_RUN = 64
"""Numbers of a tensor, in the order of its memory, that share one step of their 8 bits."""
_COUNTS = ("images", "seconds", "skipped", "pool", "loss")
"""What the training loop counts, for the model card."""
_STEPS = ":steps"
"""Ends the name of a tensor's steps in a release."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file whole or not at all, with the mode of any new file (`save_file` makes private ones)."""
    ready = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    write_bytes(path, save(ready, {"format": FORMAT, **metadata}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata that `save_tensors` wrote; WeightsError where the file is missing, damaged or foreign."""
    with weights_border(path, "a weights file"):
        check_file(path)
    with border(path, "a safetensors checkpoint", WeightsError, SafetensorError), safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    if metadata.get("format") != FORMAT:
        raise WeightsError(
            f"{path}: expected a checkpoint of format {FORMAT}, found {short(metadata.get('format', 'none'))}"
        )
    return tensors, metadata


def config_of(metadata: Mapping[str, str], path: Path) -> Config:
    """The configuration inside a checkpoint's metadata; WeightsError where it does not fit this program."""
    with weights_border(path, "the configuration of this version"):
        return config_from(json_from_bytes(metadata["config"].encode(), str(path)), str(path))


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: Path) -> None:
    """Fill `module` with the tensors named `prefix`.*; WeightsError names what is missing, extra or misshapen."""
    mine = {name: torch.zeros_like(part) for name, part in module.named_buffers() if f"{prefix}.{name}" in _LATER}
    mine |= {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")}
    bad = [name for name, tensor in mine.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if bad:
        raise WeightsError(f"{path}: expected finite weights, found NaN or infinite in {prefix}.{bad[0]}")
    try:
        module.load_state_dict({name: tensor.float() for name, tensor in mine.items()})
    except (RuntimeError, TypeError, NotImplementedError) as error:
        first = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{path}: expected the tensors of {prefix}, found: {first}") from error


def load_model(folder: Path | None = None, device: torch.device | str = "cpu") -> ChangeModel | TileModel:
    """Read a release (or a training folder) onto `device`; WeightsError where it is missing, damaged or foreign."""
    folder = SHIPPED if folder is None else folder
    device = torch.device(device)
    with weights_border(folder, "weights of this program"):
        tensors, config, digest = _read(folder)
        if folder != SHIPPED:  # torch takes seconds to get ready for tensors without memory
            _check_sizes(tensors, config, folder)
    model_id = f"{config.name}-{digest[:8]}"
    if config.layout == "tiles":
        tiles = TileParts.fresh(config.tiles)
        for name, module in tiles.ours().items():
            load_into(module, tensors, name, folder)
        return TileModel(config, tiles, model_id, device)
    parts = fresh_networks(config)
    for name, module in parts.items():
        load_into(module, tensors, name, folder)
        module.to(device).to(memory_format=torch.channels_last)
        module.eval().requires_grad_(False)
    return ChangeModel(config, **parts, model_id=model_id, device=device)


def fresh_networks(config: Config) -> dict[str, Any]:
    """Fresh networks of a configuration, by the names of `PARTS`, or those of the tile layout that are ours."""
    if config.layout == "tiles":
        return dict(TileParts.fresh(config.tiles).ours())
    return {name: kind(config.model) for name, kind in PARTS.items()}


def _check_sizes(tensors: Mapping[str, Tensor], config: Config, folder: Path) -> None:
    """WeightsError where the configuration asks for other networks than the file holds, before they take memory."""
    widest = max((max(tensor.shape, default=1) for tensor in tensors.values()), default=0)
    most = max(widest, len(tensors))
    for name, size in asdict(config.sizes).items():
        if isinstance(size, int) and size > most:
            raise WeightsError(f"{folder}: expected {name} up to {most} as in its tensors, found {size}")
    with torch.device("meta"):
        asked = sum(tensor.numel() for part in fresh_networks(config).values() for tensor in part.state_dict().values())
    there = sum(tensor.numel() for tensor in tensors.values())
    if asked - there > _SPARE_NUMBERS:  # of fewer, the networks themselves say which is missing
        raise WeightsError(f"{folder}: expected {asked} numbers for its configuration, found {there}; restore it")


def _digests(manifest: Path) -> tuple[bytes, dict[str, str]]:
    """A manifest's content and the digests in it, by name of the file; WeightsError where it is damaged."""
    with weights_border(manifest, "a list of files and digests"):
        data = read_bytes(manifest, LARGEST_JSON)
        files: dict[str, str] = dict(json_from_bytes(data, str(manifest))["sha256"])
        for wanted in files.values():
            check_text("digest", wanted)
    return data, files


def _read(folder: Path) -> tuple[dict[str, Tensor], Config, str]:
    """Tensors, configuration and digest of a release or a training folder."""
    manifest = folder / MANIFEST
    if manifest.exists():
        data, files = _digests(manifest)
        if not files:
            raise WeightsError(f"{manifest}: expected at least one file, found none; restore the weights")
        paths = [folder / Path(name).name for name in files]
        for path, wanted in zip(paths, files.values(), strict=True):
            found = file_digest(path)
            if found != wanted:
                raise WeightsError(
                    f"{path}: expected SHA-256 {wanted[:16]}..., found {found[:16]}...; restore the file"
                )
    else:
        paths = _training_files(folder)
        data = "".join(map(file_digest, paths)).encode()
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    for path in paths:
        part, metadata = load_tensors(path)
        tensors |= part
    return _from_8_bits(tensors, folder), config_of(metadata, folder), hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, eq=False, slots=True)
class Start:
    """Weights that a training begins with."""

    folder: Path
    tensors: Mapping[str, Tensor]
    history: str
    """JSON of what was counted when they were trained, for the checkpoints that come of them."""


def read_start(folder: Path, config: Config) -> Start:
    """The weights of the release or training folder `folder`; WeightsError where their sizes are not `config`'s."""
    tensors, other, digest = _read(folder)
    wanted, sizes = ({"layout": each.layout, **asdict(each.sizes)} for each in (config, other))
    unlike = [name for name in wanted if sizes.get(name) != wanted[name]]
    if unlike:
        told = [", ".join(f"{name} {found.get(name)}" for name in unlike) for found in (wanted, sizes)]
        raise WeightsError(f"{folder}: expected weights of the configuration's {told[0]}, found {told[1]}")
    model = f"{other.name}-{digest[:8]}"
    history = {name if " " in name else f"{model} {name}": counts for name, counts in _history(folder).items()}
    return Start(folder, tensors, json.dumps(history))


def _in_8_bits(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """`tensor` as whole numbers within 127 of its shape, and the float32 step of each `_RUN` of them."""
    runs = _runs(tensor.float())
    steps = runs.abs().amax(dim=1) / 127
    whole = (runs / steps.clamp_min(torch.finfo(torch.float32).tiny)[:, None]).round().to(torch.int8)
    return {name: whole.flatten()[: tensor.numel()].reshape(tensor.shape), name + _STEPS: steps}


def _runs(tensor: Tensor) -> Tensor:
    """(runs, `_RUN`), the last with zeros at its end."""
    return F.pad(tensor.flatten(), (0, -tensor.numel() % _RUN)).reshape(-1, _RUN)


def _from_8_bits(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """What `_in_8_bits` made smaller in float32, other tensors as they are; WeightsError where steps do not fit."""
    full = {name: tensor for name, tensor in tensors.items() if not name.endswith(_STEPS)}
    for name in tensors.keys() - full.keys():
        whole, steps = full.get(name.removesuffix(_STEPS)), tensors[name]
        if whole is None or whole.dtype != torch.int8 or len(steps) != -(-whole.numel() // _RUN):
            raise WeightsError(f"{path}: expected 8-bit numbers for {name}, found others; restore the file")
        runs = _runs(whole) * steps.float()[:, None]
        full[name.removesuffix(_STEPS)] = runs.flatten()[: whole.numel()].reshape(whole.shape)
    return full


def _training_files(folder: Path) -> list[Path]:
    """The checkpoints of a training folder that belong together, in order; WeightsError where one is missing."""
    paths = [folder / f"{stage}.safetensors" for stage in STAGES]
    if not paths[0].exists() and paths[1].exists():
        metadata = load_tensors(paths[1])[1]
        if config_of(metadata, paths[1]).tiles.image_autoencoder:
            return [paths[1]]  # the autoencoder is someone else's
    missing = [path.name for path in paths[:-1] if not path.exists()]
    if missing:
        raise WeightsError(
            f"{folder}: expected weights ({MANIFEST}, or {' and '.join(path.name for path in paths[:-1])}), "
            f"found no {' and no '.join(missing)}; run `expdiff train` or restore the folder"
        )
    last = paths[-1]
    made_from_these = last.exists() and load_tensors(last)[1].get("after") == file_digest(paths[-2])
    return paths if made_from_these else paths[:-1]


def write_release(source: Path, folder: Path) -> Path:
    """Turn a training folder, or a release, into a release in `folder`; returns the manifest's path.

    The shards of a release that is there stay whole until the new manifest is; ExportError where `folder` holds other
    files and no release.
    """
    manifest = folder / MANIFEST
    if not manifest.exists():
        check_fillable(folder, "files, but no release of weights")
    tensors, config, _ = _read(source)
    model = load_model(source)
    named = model.parts.ours() if isinstance(model, TileModel) else {part: getattr(model, part) for part in PARTS}
    full = {f"{name}.{key}" for name, part in named.items() for key, _ in part.named_buffers()}.difference(
        _LARGE_BUFFERS
    )
    small: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        small |= {name: tensor} if name in full else _in_8_bits(name, tensor)
    before = _listed(manifest)
    digests: dict[str, str] = {}
    history = _history(source)
    unused = (path for number in count(1) if not (path := folder / f"weights-{number}.safetensors").exists())
    for shard, path in zip(_shards(small), unused, strict=False):
        save_tensors(path, shard, {"config": config.to_json()})
        digests[path.name] = file_digest(path)
    text = json.dumps({"name": config.name, "training": history, "sha256": digests}, indent=1) + "\n"
    write_bytes(manifest, text.encode())
    for name in before.difference(digests):
        (folder / name).unlink(missing_ok=True)
    return manifest


def _listed(manifest: Path) -> set[str]:
    """Names of the shards that a release has, none where there is no release; other files are none of ours."""
    if not manifest.exists():
        return set()
    listed = {Path(name).name for name in _digests(manifest)[1]}
    return {name for name in listed if name.endswith(".safetensors")}


def _history(source: Path) -> dict[str, dict[str, float]]:
    """By stage, what the training loop counted, what it began with first."""
    if (source / MANIFEST).exists():
        with weights_border(source / MANIFEST, "a record of the training"):
            return dict(json_from_bytes(_digests(source / MANIFEST)[0], str(source / MANIFEST))["training"])
    history: dict[str, dict[str, float]] = {}
    for path in _training_files(source):
        _, metadata = load_tensors(path)
        with weights_border(path, "a record of the training"):
            history |= json_from_bytes(metadata.get("history", "{}").encode(), str(path))
            counts = {name: float(metadata[name]) for name in _COUNTS if name in metadata}
        history |= {path.stem: counts} if counts else {}  # none where it was taken over as it was
    return history


def _shards(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    shard: dict[str, Tensor] = {}
    size = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        if size and size + tensor.nbytes > SHARD_BYTES:
            yield shard
            shard, size = {}, 0
        shard[name] = tensor
        size += tensor.nbytes
    yield shard
