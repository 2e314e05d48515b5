"""The model card: what the weights are, what they were trained on, how good they are and where they end."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from torch import nn

from engine.diffusion.inference import ExpressionModel
from engine.diffusion.weights_folder import MANIFEST
from engine.io.files import read_json
from engine.synth.generator import Population

_CARD = Path(__file__).parent / "card.md"


def model_card(model: ExpressionModel, folder: Path, table_text: str, source: Population, people: int) -> str:
    """The model card of the weights in `folder`, as Markdown."""
    manifest = folder / MANIFEST
    history = read_json(manifest)["training"] if manifest.exists() else {}
    keys = (("images", 1), ("pool", 1), ("seconds", 60), ("skipped", 1))
    rows = [
        f"| {stage} | " + " | ".join(f"{counts[key] / unit:.0f}" for key, unit in keys) + " |"
        for stage, counts in history.items()
    ]
    parts = [getattr(model, field.name) for field in fields(cast(Any, model))]
    weights = [weight.numel() for part in parts if isinstance(part, nn.Module) for weight in part.parameters()]
    return _CARD.read_text("utf-8").format(
        model_id=model.model_id,
        train=len(source.train_identities),
        test=len(source.test_identities),
        people=people,
        training="\n".join(rows),
        parameters=sum(weights) / 1e6,
        seed=model.config.seed,
        name=model.config.name,
        table=table_text,
    )
