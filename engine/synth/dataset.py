"""`expdiff dataset synth`: synthetic people in the published layout of J-Reflectance.

    expdiff dataset synth --data ICT_FACEKIT --identities 100 --seed 0 --out DIR

Writes DIR/pNNN/exp1 .. exp32 with shape.npy, texture.png, diffuse.png, specular.png, roughness.png and normal.png each,
train.json and test.json, split by identity, and dataset.json: what it was begun with, and whether it is complete. The
people are those training draws with the same seed.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.channels import MODEL_MAPS
from engine.checks import check_count
from engine.errors import EngineError, FileFormatError
from engine.expression import Expression, ExpressionSet
from engine.face import builtin
from engine.face.eyes import paint_eye
from engine.face.head_model import ict_shape
from engine.face.transfer import decode_change, decode_offsets
from engine.identity import Identity, Provenance, ReflectanceMaps
from engine.io import ict
from engine.io.border import border, opened
from engine.io.files import alone_in, check_fillable, read_json, write_json
from engine.io.jreflectance import is_complete, write_split
from engine.io.jreflectance_writer import write
from engine.io.temporary import finished, sweep
from engine.reproducible import code_digest, usable_cores
from engine.synth import MOST_IDENTITIES, MOST_SEED
from engine.vocabulary import EXPRESSIONS

if TYPE_CHECKING:  # they bring torch, which takes seconds to load
    from engine.synth.batch import Batch
    from engine.synth.generator import Population

MANIFEST, FORMAT = "dataset.json", "expdiff data set"
_AT_ONCE = 4


def synthetic_identity(source: Population, number: int) -> tuple[Identity, ExpressionSet]:
    """Person `number` of `source` as a whole head on the built-in mesh, with all 31 expressions."""
    rows = list(range(1, len(EXPRESSIONS)))
    identity: Identity | None = None
    made: list[Expression] = []
    for at in range(0, len(rows), _AT_ONCE):
        part = rows[at : at + _AT_ONCE]
        batch = source.pairs([number] * len(part), part)
        if identity is None:
            identity = _identity(source, number, batch)
        for index, row in enumerate(part):
            entry = EXPRESSIONS[row]
            offsets = decode_offsets(identity, _image(batch, "offset_m", index), entry.arkit)
            change = decode_change(identity, _image(batch, "change", index))
            made.append(Expression(entry.name, offsets, change, entry.prompt, entry.facs, identity.provenance))
    assert identity is not None
    return identity, ExpressionSet(identity.hash, tuple(made))


def _identity(source: Population, number: int, batch: Batch) -> Identity:
    maps = _image(batch, "neutral", 0)
    provenance = Provenance(f"synthetic:{number}", builtin.LICENCE, "shape sampled, skin painted, folds drawn")
    painted = ReflectanceMaps(*(each.encoded(each.of(maps)) for each in MODEL_MAPS))
    shape, eyes = ict_shape(source.head_m(number)), paint_eye(number)
    return builtin.grow_identity(f"Synthetic {number}", shape, painted, eyes, provenance)


def _image(batch: Batch, name: str, index: int) -> np.ndarray:
    """One (H, W, C) float32 image of a batch."""
    return np.ascontiguousarray(getattr(batch, name)[index].permute(1, 2, 0).cpu().numpy(), np.float32)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `expdiff dataset`."""
    parser.add_argument("kind", choices=("synth",), help="synthetic people")
    parser.add_argument("--data", type=Path, required=True, help="ICT-FaceKit folder that heads are sampled from")
    parser.add_argument("--identities", type=int, default=100, help="how many people (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another population (default %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="data set folder to write")


def run(args: argparse.Namespace) -> int:
    """Carry out `expdiff dataset`. It can be stopped and started again with the same bytes in the end: people that are
    there whole are kept; other arguments, data or code are refused, as is a folder with files of others."""
    with border("dataset", "numbers within their limits", EngineError):
        check_count("--identities", args.identities, 2, MOST_IDENTITIES)  # one for each list
        check_count("--seed", args.seed, 0, MOST_SEED)
    with alone_in(args.out):
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    import torch
    from tqdm import tqdm

    from engine.synth.generator import Population

    begun = _begin(args)
    torch.set_num_threads(begun["threads"])
    source = Population(args.data, args.identities, args.seed)
    write_json(args.out / MANIFEST, begun)  # only now: what cannot be begun leaves no folder behind
    names = {number: f"p{number:03d}" for number in (*source.train_identities, *source.test_identities)}
    for number, name in tqdm(names.items(), desc="people", disable=None):
        sweep(args.out / name)
        if not is_complete(args.out / name):
            for _ in write(*synthetic_identity(source, number), args.out / name):
                pass
    train, test = (
        tuple(names[number] for number in part) for part in (source.train_identities, source.test_identities)
    )
    write_split(args.out, train, test)
    write_json(args.out / MANIFEST, begun | {"complete": True})
    print(f"wrote {len(names)} people x {len(EXPRESSIONS)} expressions to {args.out}")
    return 0


def _begin(args: argparse.Namespace) -> dict[str, Any]:
    """The manifest of the data set in `args.out`, new or as it was begun; EngineError where it was begun otherwise.

    One that nobody has been written to yet is begun anew.
    """
    path = args.out / MANIFEST
    wanted = {
        "format": FORMAT,
        "version": 1,
        "seed": args.seed,
        "identities": args.identities,
        "data": _data_digest(args.data),
        "code": code_digest("synth", "face", "io"),
    }
    begun = read_json(path) if path.exists() else None
    if not isinstance(begun, dict) or begun.get("format") != FORMAT:
        check_fillable(args.out, "files, but no data set that this version began")
        begun = None
    elif begun.get("complete") is False and finished(args.out) == [path]:
        begun = None
    if begun is None:
        return wanted | {"complete": False, "threads": usable_cores()}
    for key, value in wanted.items():
        if begun.get(key) != value:
            raise EngineError(
                f"{args.out}: expected the {key} it was begun with, {_short(begun.get(key))}, found {_short(value)}; "
                "finish it as it was begun, or choose a new folder"
            )
    threads = begun.get("threads")
    if type(threads) is not int or not 1 <= threads <= 4096:
        raise FileFormatError(f"{path}: expected 'threads' from 1 to 4096, found {threads!r}")
    return begun


def _data_digest(folder: Path) -> str:
    """Digest of names and contents of what heads are sampled from: a tenth of a second for 170 MB of ICT-FaceKit."""
    model = ict.model_folder(folder)
    files = [] if model is None else [*model.glob("*.obj"), *folder.glob("*.npz"), *model.parent.glob("*.npz")]
    digest = hashlib.sha256()
    for path in sorted(set(files)):
        with opened(path) as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _short(value: Any) -> str:
    return str(value)[:12]
