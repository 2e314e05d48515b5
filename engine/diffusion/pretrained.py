"""A Stable Diffusion image autoencoder and a CLIP text encoder in the places of our own (extra `hf`).

Both are read from a folder in the format of `diffusers` and `transformers`, the whole pipeline's or the part's alone,
or by hub name from the hub's local cache. Nothing is fetched unless asked for, and only safetensors are opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.config import TileConfig
from engine.diffusion.tiles import ImageCodec, TextEncoder
from engine.errors import EngineError, WeightsError
from engine.io.border import check_file

_VAE = ("config.json", "diffusion_pytorch_model.safetensors")
_TEXT = ("config.json", "model.safetensors")
_WORDS = ("tokenizer_config.json", "tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json")


class StableImageAutoencoder(ImageCodec):
    """`diffusers.AutoencoderKL`, frozen: latents are the mean of its posterior times its scaling factor."""

    pretrained = True

    def __init__(self, config: TileConfig, download: bool = False) -> None:
        """EngineError without the extra, WeightsError where the files are not there, foreign or of other sizes."""
        super().__init__()
        source = config.image_autoencoder
        with _libraries():
            from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        folder = _folder(source, "vae", _VAE, download)
        self.network = _loaded(AutoencoderKL, folder, low_cpu_mem_usage=False)
        made: Any = self.network.config
        self.scale, self.shift = float(made.scaling_factor), float(made.get("shift_factor") or 0.0)
        grid, channels = config.texture_size // 2 ** (len(made.block_out_channels) - 1), int(made.latent_channels)
        if (config.grid, config.channels) != (grid, channels):
            raise WeightsError(
                f"{source}: expected latents as in the configuration, grid {config.grid} and channels "
                f"{config.channels}, found grid {grid} and channels {channels}; set them so"
            )

    @property
    def gains(self) -> Tensor:
        """See `ImageCodec`: all alike."""
        return torch.ones(int(self.network.config.latent_channels), device=self.network.device)

    def encode(self, images: Tensor) -> Tensor:
        """See `ImageCodec`; one image at a time, for these layers are wide at full resolution."""
        means = [self.network.encode(image).latent_dist.mode() for image in images.split(1)]
        return (torch.cat(means) - self.shift) * self.scale

    def decode(self, latent: Tensor) -> Tensor:
        """See `ImageCodec`."""
        latent = latent / self.scale + self.shift
        return torch.cat([self.network.decode(part).sample for part in latent.split(1)])


class ClipText(TextEncoder):
    """`transformers.CLIPTextModel` with its tokenizer, frozen: prompts padded to its full length, as it was trained."""

    pretrained = True

    def __init__(self, config: TileConfig, download: bool = False) -> None:
        """EngineError without the extra, WeightsError where the files are not there, foreign or of other sizes."""
        super().__init__()
        source = config.text_encoder
        with _libraries():
            from transformers import CLIPTextModel, CLIPTokenizer
            from transformers.utils.logging import disable_progress_bar
        disable_progress_bar()
        self.network = _loaded(CLIPTextModel, _folder(source, "text_encoder", _TEXT, download))
        words = _folder(source, "tokenizer", _WORDS[:1], download)
        if not any((words / name).is_file() for name in _WORDS[1:3]):
            raise WeightsError(f"{words}: expected {' or '.join(_WORDS[1:3])}, found neither; restore the tokenizer")
        with _readable(words):
            self.tokenizer = CLIPTokenizer.from_pretrained(words, local_files_only=True)
        made: Any = self.network.config
        self.length = int(made.max_position_embeddings)
        if len(self.tokenizer) != made.vocab_size:  # a tokenizer without its files comes up empty, and says nothing
            raise WeightsError(
                f"{words}: expected a CLIP tokenizer of {made.vocab_size} tokens, found {len(self.tokenizer)}; "
                "restore its files"
            )
        if made.hidden_size != config.prompt_width:
            raise WeightsError(
                f"{source}: expected text features as wide as the configuration's prompt_width {config.prompt_width}, "
                f"found {made.hidden_size}; set it so"
            )

    def tokens(self, prompts: Sequence[str]) -> Tensor:
        """See `TextEncoder`."""
        words: Any = self.tokenizer(
            list(prompts), padding="max_length", max_length=self.length, truncation=True, return_tensors="pt"
        )
        return words.input_ids

    def forward(self, input_ids: Tensor) -> Tensor:
        """See `TextEncoder`."""
        return self.network(input_ids).last_hidden_state


@contextmanager
def _libraries() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise EngineError(
            f"pretrained parts: expected the extra 'hf', found: {error}; run: scripts/install '.[hf]'"
        ) from error


def _folder(source: str, part: str, wanted: Sequence[str], download: bool) -> Path:
    """The folder of one part of `source`, with the files `wanted` in it."""
    root = Path(source)
    if not root.is_dir():
        root = _from_hub(source, download)
    folder = root / part if (root / part).is_dir() else root
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise WeightsError(
            f"{folder}: expected the {part} of a diffusers or transformers folder, found no "
            f"{' and no '.join(missing)}; give a folder saved by those libraries, with safetensors"
        )
    for name in wanted:
        check_file(folder / name)  # the libraries would wait for a pipe
    return folder


def _from_hub(name: str, download: bool) -> Path:
    """The snapshot of a hub repository in the local cache, with what we read of it fetched if `download`."""
    with _libraries():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    files = [*_VAE, *_TEXT, *_WORDS]
    folders = ["vae", "text_encoder", "tokenizer"]
    patterns = files + [f"{folder}/{file}" for folder in folders for file in files]
    try:
        return Path(snapshot_download(name, local_files_only=not download, allow_patterns=patterns))
    except (OSError, HFValidationError, LocalEntryNotFoundError) as error:
        raise WeightsError(
            f"'{name}': expected a folder, or a hub repository in the local cache, found: "
            f"{str(error).splitlines()[0]}; give a folder, or allow the download"
        ) from error


def _loaded(kind: Any, folder: Path, **options: Any) -> Any:
    """A network of class `kind` with every weight from `folder`, float32, in evaluation mode."""
    with _readable(folder):
        network, report = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True, **options
        )
    lacking = sorted(report["missing_keys"])
    if lacking:
        raise WeightsError(
            f"{folder}: expected all weights of {kind.__name__}, found no {lacking[0]}; restore the file"
        )
    return network.float().eval().requires_grad_(False)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """What the libraries raise over a damaged or foreign folder -> WeightsError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        first = (str(error).strip() or repr(error)).splitlines()[0]
        raise WeightsError(f"{folder}: expected a folder saved by diffusers or transformers, found: {first}") from error
