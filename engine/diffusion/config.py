"""Every size and every training choice of the model, frozen, read from one TOML file in `configs/`.

The resolved configuration travels inside each checkpoint, so weights always know the network they belong to.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from engine.checks import check_count, check_limits, short
from engine.errors import FileFormatError
from engine.face.space import GEOMETRY_SIZE, TEXTURE_SIZE
from engine.io.border import border
from engine.io.files import read_bytes

CONFIGS = Path(__file__).parent / "configs"
"""Folder of the configurations that come with the program."""
LAYOUTS = ("change", "tiles")
_LARGEST_FILE = 2**20
_LARGEST_SIZE = 2**16
"""Of any number of cells, channels, blocks or words: what a file says beyond that is no network."""
Share = Annotated[float, (0.0, 1.0)]
Count = Annotated[int, (1, 1e9)]


def _check_sizes(config: Any, least: Mapping[str, int]) -> None:
    """ValueError where a whole number of `config` is below 1, or the `least` of its name, or absurd."""
    for entry in fields(config):
        value = getattr(config, entry.name)
        if type(entry.default) is int:
            check_count(f"{type(config).__name__}.{entry.name}", value, least.get(entry.name, 1), _LARGEST_SIZE)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes of the unified representation and of the three networks."""

    geometry_size: int = GEOMETRY_SIZE
    """Side of position and offset maps."""
    texture_size: int = TEXTURE_SIZE
    """Side of textures and change maps."""
    grid: int = 32
    """Side of the latent grid that all maps share; divides both sizes."""
    offset_channels: int = 20
    """Latent channels of the offset map (block PCA)."""
    change_channels: int = 24
    """Latent channels of the nine change maps (autoencoder)."""
    position_channels: int = 12
    """Condition channels of the neutral positions (block PCA)."""
    albedo_channels: int = 16
    """Condition channels of the neutral texture (block PCA)."""
    shape_components: int = 80
    """Principal components of the head's shape that say how far this person goes."""
    texture_components: int = 160
    """Principal components of the energies of its texture that do so, too."""
    person_matches: int = 0
    """Regions a side of the face in which its lines are held against the templates; 0 leaves that out."""
    person_directions: int = 9
    """Directions among them whose squares and products count."""
    person_leanings: int = 4
    """The first of those, along which the skin's whole answer to each expression leans."""
    fine_width: int = 96
    """Autoencoder width at twice the grid."""
    coarse_width: int = 160
    """Autoencoder width on the grid."""
    reader_blocks: int = 2
    encoder_blocks: int = 1
    decoder_blocks: int = 2
    """Residual blocks of the reader, and per level of encoder and decoder."""
    templates: int = 8
    """Templates of where faces fold."""
    preview_scale: int = 4
    """The preview decoder draws at `grid * preview_scale`."""
    width: int = 256
    depth: int = 6
    heads: int = 4
    hidden: int = 512
    """Denoiser: token width, blocks, attention heads, SwiGLU width."""
    patch: int = 4
    """Latent cells per token side."""
    skin_width: int = 128
    """Width of the convolutions that say what strain does to skin."""
    expression_attention: bool = False
    """Whether expressions of one person that are made together attend to each other, in every third block."""
    prompt_length: int = 16
    prompt_width: int = 128
    prompt_depth: int = 2
    prompt_vocabulary: int = 2048
    """Prompt encoder: tokens kept, width, blocks, rows of the hashed word table."""

    def __post_init__(self) -> None:
        _check_sizes(self, least={"person_matches": 0, "person_directions": 0, "person_leanings": 0})
        for name, size in (("geometry_size", self.geometry_size), ("texture_size", self.texture_size)):
            if size % self.grid:
                raise ValueError(f"ModelConfig.{name}: expected a multiple of grid {self.grid}, found {size}")
        if self.grid % self.patch or self.width % (4 * self.heads) or self.texture_block % 2:
            raise ValueError(
                f"ModelConfig: expected patch to divide grid, 4 x heads to divide width and an even texture block, "
                f"found patch {self.patch}, grid {self.grid}, heads {self.heads}, width {self.width}"
            )

    @property
    def geometry_block(self) -> int:
        """Texels of a geometry map per latent cell side."""
        return self.geometry_size // self.grid

    @property
    def texture_block(self) -> int:
        """Texels of a texture per latent cell side."""
        return self.texture_size // self.grid


@dataclass(frozen=True, slots=True)
class TileConfig:
    """Sizes of the tile layout (`tiles`) and its networks; by default as wide and as deep as the `small` model."""

    geometry_size: int = GEOMETRY_SIZE
    """Side of position maps."""
    texture_size: int = TEXTURE_SIZE
    """Side of textures, and of every tile."""
    grid: int = 32
    """Side of a tile's latent grid."""
    channels: int = 16
    """Latent channels of a tile."""
    fine_width: int = 96
    coarse_width: int = 128
    encoder_blocks: int = 1
    decoder_blocks: int = 2
    """Image autoencoder: width at twice the grid and on it, residual blocks per level."""
    preview_scale: int = 4
    """Previews are drawn at `grid * preview_scale`."""
    width: int = 256
    depth: int = 4
    heads: int = 4
    hidden: int = 512
    """Denoiser: token width, blocks, attention heads, SwiGLU width."""
    patch: int = 4
    """Latent cells per token side."""
    prompt_length: int = 16
    prompt_width: int = 128
    prompt_depth: int = 2
    prompt_vocabulary: int = 2048
    """Our own prompt encoder; with `text_encoder`, the width must be that encoder's and the others are not used."""
    image_autoencoder: str = ""
    """Folder or hub name of a Stable Diffusion VAE; empty trains our own. `grid` and `channels` must be its."""
    text_encoder: str = ""
    """Folder or hub name of a CLIP text model with its tokenizer; empty trains our own."""
    diffuse_against_input: bool = True
    """Measure the change of diffuse against the input texture; False: against the model's own Neutral, as the others
    are, which takes out the light that the texture holds and the albedo does not."""

    def __post_init__(self) -> None:
        _check_sizes(self, least={})
        if self.texture_size % self.grid or self.texture_size % self.geometry_size or self.grid % self.patch:
            raise ValueError(
                f"TileConfig: expected grid {self.grid} and geometry_size {self.geometry_size} to divide texture_size "
                f"{self.texture_size}, and patch {self.patch} to divide grid"
            )
        if self.width % (4 * self.heads) or self.block % 2 or self.block % self.preview_scale:
            raise ValueError(
                f"TileConfig: expected 4 x heads to divide width and 2 and preview_scale to divide the texels of a "
                f"cell, found heads {self.heads}, width {self.width}, preview_scale {self.preview_scale}, {self.block}"
            )

    @property
    def block(self) -> int:
        """Texels of a tile per latent cell side."""
        return self.texture_size // self.grid


@dataclass(frozen=True, slots=True)
class StageConfig:
    """How one stage is trained."""

    batch: Annotated[int, (1, _LARGEST_SIZE)] = 8
    learning_rate: Annotated[float, (0.0, 10.0)] = 1e-3
    weight_decay: Annotated[float, (0.0, 10.0)] = 0.01
    warmup: Annotated[int, (0, 1e9)] = 100
    """Steps of linear warm-up."""
    decay: Share = 0.5
    """Last share of the run over which the rate falls linearly to zero; constant before."""
    clip: Annotated[float, (0.0, 1e9)] = 1.0
    """Largest gradient norm."""
    ema: Share = 0.998
    """Decay of the weight average per step, reached after a warm-up."""
    pool: Count = 600
    """Largest number of pairs kept in memory and trained on."""
    pool_share: Share = 0.3
    """Largest share of the minutes spent on filling the pool."""
    fit: Count = 200
    """Pairs of the pool that statistics and projections are fitted on."""
    latent_noise: Annotated[float, (0.0, 1e3)] = 0.05
    """Noise added to the latent while the autoencoder trains."""
    crop: Annotated[int, (0, _LARGEST_SIZE)] = 0
    """Autoencoder and refine: side in texels of the squares trained on; 0 takes whole maps."""
    moves: Share = 0.0
    """Denoiser: share of each batch that is geometry alone, made on the spot."""
    drop_prompt: Share = 0.1
    """Denoiser: share of samples that have strengths but no prompt; writing prompts keeps a fast device waiting."""
    flow: bool = True
    """Denoiser: learn the flow; without it, a direct regressor of the same size (one step from nothing, L1)."""
    log_every: Count = 20
    """Steps between two JSON lines."""
    save_every: Count = 500
    """Steps between two checkpoints."""
    minutes_share: Share = 0.0
    """Share of the minutes that this stage gets of `expdiff train all`; 0 leaves it out."""

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, slots=True)
class Config:
    """All of it."""

    name: str = "small"
    seed: Annotated[int, (0, 2**62)] = 0
    threads: Annotated[int, (0, 4096)] = 0
    """CPU threads; 0 takes all that the process may use."""
    identities: Annotated[int, (1, 1e6)] = 400
    """People the data generator is asked for."""
    precision: str = "auto"
    """float32, bfloat16 (networks under autocast, weights and losses in float32), or auto: what is fast here."""
    layout: str = LAYOUTS[0]
    """What is denoised: change, ours, or tiles, ExpDiff's absolute maps (sizes in `tiles` instead of `model`)."""
    model: ModelConfig = field(default_factory=ModelConfig)
    tiles: TileConfig = field(default_factory=TileConfig)
    autoencoder: StageConfig = field(default_factory=StageConfig)
    denoiser: StageConfig = field(default_factory=StageConfig)
    refine: StageConfig = field(default_factory=StageConfig)

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(f"Config.layout: expected one of {LAYOUTS}, found '{self.layout}'")
        check_limits(self)

    @property
    def sizes(self) -> ModelConfig | TileConfig:
        """Those of the layout."""
        return self.tiles if self.layout == "tiles" else self.model

    def to_json(self) -> str:
        """The resolved configuration as JSON, for checkpoints and logs."""
        return json.dumps(asdict(self), sort_keys=True)


_TABLES: dict[str, Any] = {
    part.name: part.default_factory for part in fields(Config) if part.default_factory is not MISSING
}


def config_from(table: Mapping[str, Any], origin: str) -> Config:
    """Build a Config from nested tables; FileFormatError names an unknown key or a value of the wrong type."""
    with border(origin, "a configuration of this program"):
        parts: dict[str, Any] = dict(table)
        for name, kind in _TABLES.items():
            parts[name] = _checked(kind, parts.get(name, {}), f"{origin}: [{name}]")
        return _checked(Config, parts, origin)


def _checked(kind: type, table: Mapping[str, Any], where: str) -> Any:
    known = {entry.name: entry for entry in fields(kind)}
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise FileFormatError(f"{where}: expected keys of {sorted(known)}, found {unknown}; remove them")
    for key, value in table.items():
        default = known[key].default
        wanted = type(default) if isinstance(default, (bool, int, float, str)) else None
        if wanted is float and isinstance(value, int):
            wanted = int
        if wanted is not None and type(value) is not wanted:
            raise FileFormatError(f"{where}: expected {key} to be {wanted.__name__}, found {short(value)}")
    return kind(**table)


def read_config(path: Path) -> Config:
    """Read a TOML configuration; a bare name ('small') means the file of that name in `CONFIGS`."""
    file = path if path.suffix or path.parent != Path() else CONFIGS / f"{path.name}.toml"
    known = ", ".join(sorted(entry.stem for entry in CONFIGS.glob("*.toml")))
    if not file.exists():
        raise FileFormatError(f"{path}: expected a TOML configuration, found none; with the program: {known}")
    with border(file, "a TOML configuration"):
        table = tomllib.loads(read_bytes(file, _LARGEST_FILE).decode("utf-8-sig"))
    return config_from(table, str(file))
