"""The model card: what the weights are, what they were trained on, how good they are and where they end."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from torch import nn

from engine.diffusion.inference import ExpressionModel
from engine.diffusion.pairs import PairSource
from engine.diffusion.weights_folder import MANIFEST
from engine.io.files import read_json

_CARD = """# Model card: {model_id}

Written by `expdiff evaluate --card`; every number below comes from that run or from the weights' own records.

**What it does.** From one neutral head (positions and diffuse texture) and an expression, offsets of the skin and the
change of diffuse, specular, roughness and normal map. A latent rectified-flow transformer with joint attention over the
maps; `docs/model.md` describes it.

**Data.** Synthetic only: {train} people sampled from ICT-FaceKit's identity modes (MIT), its expression shapes carried
to each, procedural skin, and wrinkles, blood and gloss that follow from strain by rule. No photograph and no scan of a
person. {test} further people are kept back; the table is made on {people} of them.

**Training.**

| stage | samples seen | pairs in the pool | minutes | steps skipped |
|---|---|---|---|---|
{training}

**Size.** {parameters:.1f} million weights, seed {seed}, configuration `{name}`.

**Result on people it never saw.**

{table}

**Rows.** *copy neutral* predicts no change; *mean change* adds the training people's average for the expression, *mean
in local frames* the same turned with each head's surface; *deformation transfer* (Sumner and Popovic 2004) carries its
gradients instead; *ridge regression* goes from principal components of positions and texture to everything. None of
them sees more than the model does. *foreseeable* is the truth without what of a person cannot be known from the
neutral, *floor* that through the model's representation and back: the least error a denoiser could have here.

**Columns.** *identity*: shape coefficients of the posed face, less the mean change, against the person's own, and how
often no other person is nearer; *detail kept*: correlation of the finest texture detail with the neutral's on skin
at rest; *asked*, *off target*, *top-1*: strengths of the expressions found in the offsets by non-negative least
squares; *strain r*: how the maps follow the geometry, *coherence gap* how far from the truth's way; *diversity*:
distance in mm between variations, beside that between two draws of what cannot be seen.

**Limits.** The reflectance rules of the training data are plausible, not measured: wrinkles of a real person are not
known to the model. How far someone goes with an expression cannot be read off a neutral face, so much of the error in
mm stays. Trained on faces with stubble, brows and make-up that are painted, without beards, glasses or scars; not shown
to be equally good for all skin tones and ages. Not for identifying anyone, nor for judging what a person feels.

**Licence.** Apache-2.0, as the program; ICT-FaceKit's MIT notice is in `THIRD_PARTY.md`.
"""


def model_card(model: ExpressionModel, folder: Path, table_text: str, source: PairSource, people: int) -> str:
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
    return _CARD.format(
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
