"""Every size and every training choice of the model, frozen, read from one TOML file in `configs/`.

The resolved configuration travels inside each checkpoint, so weights always know the network they belong to.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from engine.errors import FileFormatError
from engine.face.space import GEOMETRY_SIZE, TEXTURE_SIZE

CONFIGS = Path(__file__).parent / "configs"
"""Folder of the configurations that come with the program."""


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
    shape_components: int = 40
    """Principal components of the head's shape that steer every block."""
    texture_components: int = 24
    """Principal components of the energies of its texture that do so, too."""
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
    expression_attention: bool = False
    """Whether expressions of one person that are made together attend to each other, in every third block."""
    prompt_length: int = 16
    prompt_width: int = 128
    prompt_depth: int = 2
    prompt_vocabulary: int = 2048
    """Prompt encoder: tokens kept, width, blocks, rows of the hashed word table."""

    def __post_init__(self) -> None:
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
class StageConfig:
    """How one stage is trained."""

    batch: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: int = 100
    """Steps of linear warm-up."""
    decay: float = 0.5
    """Last share of the run over which the rate falls linearly to zero; constant before."""
    clip: float = 1.0
    """Largest gradient norm."""
    ema: float = 0.998
    """Decay of the weight average per step, reached after a warm-up."""
    pool: int = 600
    """Largest number of pairs kept in memory and trained on."""
    pool_share: float = 0.3
    """Largest share of the minutes spent on filling the pool."""
    fit: int = 200
    """Pairs of the pool that statistics and projections are fitted on."""
    latent_noise: float = 0.05
    """Noise added to the latent while the autoencoder trains."""
    crop: int = 0
    """Autoencoder: side in texels of the squares trained on; 0 takes whole maps."""
    moves: float = 0.0
    """Denoiser: share of each batch that is geometry alone, made on the spot."""
    flow: bool = True
    """Denoiser: learn the flow; without it, a direct regressor of the same size (one step from nothing, L1)."""
    log_every: int = 20
    """Steps between two JSON lines."""
    save_every: int = 500
    """Steps between two checkpoints."""


@dataclass(frozen=True, slots=True)
class Config:
    """All of it."""

    name: str = "small"
    seed: int = 0
    threads: int = 0
    """CPU threads; 0 takes all that the process may use."""
    identities: int = 400
    """People the data generator is asked for."""
    precision: str = "auto"
    """float32, bfloat16 (networks under autocast, weights and losses in float32), or auto: what is fast here."""
    model: ModelConfig = field(default_factory=ModelConfig)
    autoencoder: StageConfig = field(default_factory=StageConfig)
    denoiser: StageConfig = field(default_factory=StageConfig)
    refine: StageConfig = field(default_factory=StageConfig)

    def to_json(self) -> str:
        """The resolved configuration as JSON, for checkpoints and logs."""
        return json.dumps(asdict(self), sort_keys=True)


_TABLES = (
    ("model", ModelConfig),
    ("autoencoder", StageConfig),
    ("denoiser", StageConfig),
    ("refine", StageConfig),
)


def config_from(table: Mapping[str, Any], origin: str) -> Config:
    """Build a Config from nested tables; FileFormatError names an unknown key or a value of the wrong type."""
    parts: dict[str, Any] = dict(table)
    try:
        for name, kind in _TABLES:
            parts[name] = _checked(kind, parts.get(name, {}), f"{origin}: [{name}]")
        return _checked(Config, parts, origin)
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{origin}: {error}") from error


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
            raise FileFormatError(f"{where}: expected {key} to be {wanted.__name__}, found {value!r}")
    return kind(**table)


def read_config(path: Path) -> Config:
    """Read a TOML configuration; a bare name ('small') means the file of that name in `CONFIGS`."""
    file = path if path.suffix else CONFIGS / f"{path.name}.toml"
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        known = ", ".join(sorted(entry.stem for entry in CONFIGS.glob("*.toml")))
        raise FileFormatError(
            f"{file}: expected a TOML configuration, found: {error}; with the program: {known}"
        ) from error
    return config_from(table, str(file))
