"""One synthetic person x 8 expressions x 4 maps, as a picture for the documentation.

python scripts/picture_of_set.py ICT_FACEKIT docs/pictures/set.jpg --person 5
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from engine.color import srgb_from_linear
from engine.diffusion.shading import absolute
from engine.synth.generator import Population
from engine.vocabulary import NAMES

SHOWN = (
    "Neutral", "Brows Up", "Brows Down", "Face Compression", "Nose Wrinkler", "Lip Corner Puller", "Lip Puckerer",
    "Face Stretch",
)  # fmt: skip
TILE = 232
_FACE = (slice(40, 424), slice(64, 448))
"""Rows and columns of the 512 map that are shown: the front of the face."""


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--person", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    source = Population(args.data, 40, args.seed)
    batch = source.pairs([args.person] * len(SHOWN), [NAMES.index(name) for name in SHOWN])
    maps = absolute(batch.neutral, batch.change)[(slice(None), slice(None), *_FACE)]
    slope = 3.0 * maps[:, 7:]  # steeper, to be seen
    normal = F.normalize(torch.cat([slope, torch.ones_like(slope[:, :1])], 1), dim=1)
    rows = [
        torch.from_numpy(srgb_from_linear(maps[:, :3].numpy())),
        maps[:, 3:6] * 2.0,  # brightened to be seen
        maps[:, 6:7].expand(-1, 3, -1, -1),
        0.5 + 0.5 * normal,
    ]
    tiles = [F.interpolate(row.float(), (TILE, TILE), mode="area") for row in rows]
    picture = torch.cat([torch.cat(list(row), 2) for row in tiles], 1).clamp(0, 1)
    Image.fromarray((picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)).save(args.out, quality=88)


if __name__ == "__main__":
    main()
