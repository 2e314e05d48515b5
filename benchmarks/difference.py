"""How far a picture is from the path tracer's: what render_truth.py and render_speed.py print."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.color import srgb_from_linear


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a picture against the truth."""

    psnr_db: float
    """Of display values: sRGB, clipped at 1."""
    bias: float
    """Of the mean of linear light, as a share of the truth's."""
    flip: float
    """Mean at 67 pixels a degree, 0..1 (Andersson et al. 2020)."""

    def __str__(self) -> str:
        return f"{self.psnr_db:.1f} dB, bias {100 * self.bias:+.2f} %, FLIP {self.flip:.4f}"


def compare(found: np.ndarray, truth: np.ndarray, counts: np.ndarray) -> Difference:
    """Of linear (H, W, 3) pictures over the pixels (H, W) that count; ImportError without flip-evaluator."""
    from flip_evaluator import evaluate  # pyright: ignore[reportMissingImports]

    shown = [srgb_from_linear(np.clip(image, 0, 1)).astype(np.float32) * counts[..., None] for image in (truth, found)]
    error = ((shown[0] - shown[1])[counts] ** 2).mean()
    flip, _, _ = evaluate(shown[0], shown[1], "LDR", inputsRGB=True, applyMagma=False)
    bias = (np.mean(found[counts]) - np.mean(truth[counts])) / truth[counts].mean()
    return Difference(-10 * math.log10(max(error, 1e-12)), float(bias), float(np.asarray(flip)[..., 0][counts].mean()))
