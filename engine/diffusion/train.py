"""`expdiff train`: one loop for all stages, on a wall-clock or an image budget, resumable to the bit.

    expdiff train autoencoder --data HEADS --config small --minutes 15 --out RUN
    expdiff train denoiser    --data HEADS --config small --minutes 30 --out RUN
    expdiff train refine      --data HEADS --config small --minutes 10 --out RUN
    expdiff train denoiser    --data HEADS --config finetune --from engine/diffusion/weights --minutes 30 --out RUN
    expdiff train release     --out engine/diffusion/weights --run RUN

Everything random in a step comes from (seed, images seen), so a resumed run continues as if it had not stopped.
Habits from EDM2 (Karras et al. 2024) and nanoGPT: images counted instead of steps, averaged weights, bfloat16 where
the device is fast at it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from engine.checks import check_count, check_range
from engine.diffusion.budget import Budget
from engine.diffusion.checkpoint import (
    Start,
    config_of,
    load_into,
    load_model,
    load_tensors,
    read_start,
    save_tensors,
    write_release,
)
from engine.diffusion.config import Config, read_config
from engine.diffusion.device import use_device
from engine.diffusion.grid import evaluation_grid
from engine.diffusion.processes import ALONE, Processes, launched
from engine.diffusion.recipe import make_stage, pair_source
from engine.diffusion.stages import Stage
from engine.diffusion.weights_folder import STAGES, file_digest, weights_border
from engine.errors import EngineError, TrainingError, WeightsError
from engine.io.border import border
from engine.io.files import alone_in
from engine.io.images import write_png
from engine.synth.generator import Population

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW keeps of each weight; its steps differ where a batch leaves a weight without a gradient."""
MOST_BAD_STEPS = 50
"""So many steps in a row without a finite loss end the run."""
SAVE_SECONDS = 180.0
"""A checkpoint is written at least this often, however slow the steps are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a stage runs. Whichever of minutes and images is used up first ends it; the rate falls towards that."""

    minutes: float = math.inf
    images: int = 2**62
    stop: int = 2**62
    """Leave after so many images, unfinished, as an interruption would."""

    def progress(self, seconds: float, images: int) -> float:
        """Share of the budget that is used, 0..1."""
        return min(1.0, max(seconds / 60.0 / max(self.minutes, 1e-9), images / self.images))

    def later(self, seconds: float) -> Plan:
        """What is left of it where it begins so much late."""
        return replace(self, minutes=max(0.0, self.minutes - max(0.0, seconds) / 60.0))


@dataclass(slots=True)
class Progress:
    """What the loop counts; saved with the state."""

    images: int = 0
    steps: int = 0
    seconds: float = 0.0
    skipped: int = 0
    """Steps left out because loss or gradient was not finite."""
    pool: int = 0
    loss: float = 0.0
    """Mean of the last logged stretch."""

    @property
    def taken(self) -> int:
        """Steps that changed the weights."""
        return self.steps - self.skipped

    started: float = field(default_factory=time.monotonic)


@dataclass(eq=False, slots=True)
class Run:
    """A stage under way: what is trained, what is averaged, and where it goes."""

    stage: Stage
    config: Config
    plan: Plan
    out: Path
    progress: Progress
    trained: dict[str, nn.Parameter]
    averages: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    after: str = ""
    """Digest of the checkpoint that this stage builds on."""
    history: str = "{}"
    """Of `checkpoint.Start`."""
    processes: Processes = ALONE


def train(
    stage: Stage, config: Config, plan: Plan, out: Path, resume: bool = False, start: Start | None = None
) -> Progress:
    """Run `stage` to the end of `plan`, writing `NAME.safetensors`, its state and `NAME.jsonl` into `out`.

    `start` is what `stage` was made with, for the record.
    TrainingError where memory runs out, losses stop being finite, or the plan's time is over before one step is done;
    the last checkpoint stays as it was written.
    """
    here, progress = launched(), Progress()
    state, metadata = load_tensors(_state_path(out, stage)) if resume else ({}, {})
    if resume:
        progress = _counted(metadata, config, _state_path(out, stage))
        for name, part in stage.module.named_children():
            load_into(part, state, f"weight.{name}", out)
    left = plan.minutes * 60 - progress.seconds
    with _enough_memory(stage):
        if not resume:
            pool_seconds = left * stage.settings.pool_share if left < math.inf else left
            progress.pool = stage.prepare(Budget(stage.name, left, pool_seconds, here), None)
        elif left > 0:
            stage.prepare(Budget(stage.name, left, left, here), progress.pool)
        here.broadcast(stage.module.state_dict().values())
        trained = {name: weight for name, weight in stage.module.named_parameters() if weight.requires_grad}
        optimiser = torch.optim.AdamW(
            trained.values(), stage.settings.learning_rate, (0.9, 0.95), weight_decay=stage.settings.weight_decay
        )
        averages = {name: weight.detach().clone() for name, weight in trained.items()}
        if resume:
            _check_state(state, trained, _state_path(out, stage))
            _restore(optimiser, averages, trained, state)
        before = out / f"{STAGES[STAGES.index(stage.name) - 1]}.safetensors"
        after = file_digest(before) if stage.name == STAGES[-1] else ""
        history = metadata.get("history", "{}") if start is None else start.history
        _loop(Run(stage, config, plan, out, progress, trained, averages, optimiser, after, history, here))
    here.agree(0.0)  # nobody goes on to the next stage before the main process has written this one
    return progress


@contextmanager
def _enough_memory(stage: Stage) -> Iterator[None]:
    """Turns running out of memory into an error that says what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not (
            "alloc" in str(error) and "memory" in str(error)
        ):
            raise
        settings = stage.settings
        raise TrainingError(
            f"train {stage.name}: expected memory for a pool of {settings.pool} pairs and batches of "
            f"{settings.batch}, found too little ({str(error).splitlines()[0]}); lower `pool` or `batch` of "
            f"[{stage.name}] in the configuration. The last checkpoint is whole"
        ) from error


def _loop(run: Run) -> None:
    progress, settings = run.progress, run.stage.settings
    before = saved = progress.seconds
    losses: list[float] = []
    bad = 0
    while True:
        progress.seconds = before + time.monotonic() - progress.started
        share = run.processes.agree(run.plan.progress(progress.seconds, progress.images))
        done = share >= 1.0 or progress.images >= run.plan.stop
        if losses and (done or progress.steps % settings.log_every == 0):
            progress.loss = sum(losses) / len(losses)
            losses.clear()
            if run.processes.is_main:
                _log(run, share)
        if done and not progress.taken:
            raise TrainingError(
                f"train {run.stage.name}: expected time for at least one step that counts, found "
                f"{progress.seconds / 60:.2g} minutes used up by a pool of {progress.pool} pairs and {progress.steps} "
                "steps without a finite loss; nothing is saved; give more --minutes, or lower `pool` of "
                f"[{run.stage.name}] in the configuration"
            )
        due = progress.seconds - saved > SAVE_SECONDS or progress.steps % settings.save_every == 0
        if (done or (due and progress.steps)) and run.processes.is_main:
            _save(run)
            saved = progress.seconds
        if done:
            return
        rate = settings.learning_rate * learning_rate_share(share, progress.steps, settings.warmup, settings.decay)
        for group in run.optimiser.param_groups:
            group["lr"] = rate
        loss = _step(run)
        bad = 0 if math.isfinite(loss) else bad + 1
        if bad == MOST_BAD_STEPS:
            raise TrainingError(
                f"train {run.stage.name}: expected finite losses, found {bad} in a row that were not, at step "
                f"{progress.steps}; lower learning_rate and resume from the last checkpoint, which is whole"
            )
        if bad == 0:
            losses.append(loss)
            decay = min(settings.ema, (1 + progress.steps) / (10 + progress.steps))
            raw = [run.trained[name].detach() for name in run.averages]
            get_ema_multi_avg_fn(decay)(list(run.averages.values()), raw, 0)
        progress.steps += 1
        progress.images += settings.batch * run.processes.count


def learning_rate_share(progress: float, step: int, warmup: int, decay: float) -> float:
    """Linear warm-up over `warmup` steps, then 1, then linear to 0 over the last share `decay` of the budget."""
    falling = min(1.0, (1.0 - progress) / decay) if decay > 0 else 1.0
    return min(1.0, (step + 1) / max(warmup, 1)) * falling


def _step(run: Run) -> float:
    """One update; returns the loss, or NaN where loss or gradient was not finite and the weights were left alone."""
    progress, stage = run.progress, run.stage
    here = run.config.seed * 1_000_003 + progress.images * 7919 + run.processes.index * 104_729 + 17
    rng = torch.Generator().manual_seed(here % 2**63)
    torch.manual_seed(here % 2**63)  # what dropout draws from
    device = next(stage.module.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(run.config.precision, device)):
        loss = stage.loss(rng)
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    run.processes.average_gradients(run.trained.values())
    norm = nn.utils.clip_grad_norm_(run.trained.values(), stage.settings.clip)
    if not (torch.isfinite(norm) and (run.processes.count > 1 or torch.isfinite(loss))):
        progress.skipped += 1
        return math.nan
    run.optimiser.step()
    return float(loss.detach())


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether networks train in bfloat16: as said, or, for 'auto', where the device has instructions for it."""
    if precision == "auto":
        return device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return precision == "bfloat16"


def _log(run: Run, share: float) -> None:
    progress = run.progress
    line = {
        "stage": run.stage.name,
        "step": progress.steps,
        "images": progress.images,
        "pool": progress.pool,
        "minutes": round(progress.seconds / 60, 2),
        "progress": round(share, 4),
        "loss": round(progress.loss, 6),
        "skipped": progress.skipped,
    }
    text = json.dumps(line)
    print(text, flush=True)
    run.out.mkdir(parents=True, exist_ok=True)
    with (run.out / f"{run.stage.name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def _state_path(out: Path, stage: Stage) -> Path:
    return out / f"{stage.name}-state.safetensors"


def _save(run: Run) -> None:
    """Averaged weights for use, and the raw state to resume from."""
    stage, progress = run.stage, run.progress
    counts = {name: str(getattr(progress, name)) for name in ("images", "steps", "seconds", "skipped", "pool", "loss")}
    metadata = {"stage": stage.name, "config": run.config.to_json(), "after": run.after, "history": run.history}
    metadata |= counts
    raw = stage.module.state_dict()
    save_tensors(run.out / f"{stage.name}.safetensors", {**raw, **run.averages}, metadata)
    state = {f"weight.{name}": tensor for name, tensor in raw.items()}
    state |= {f"average.{name}": tensor for name, tensor in run.averages.items()}
    for name, weight in run.trained.items():
        for moment in _MOMENTS:
            if moment in run.optimiser.state[weight]:
                state[f"{moment}.{name}"] = run.optimiser.state[weight][moment]
    save_tensors(_state_path(run.out, stage), state, metadata)


def _counted(metadata: dict[str, str], config: Config, path: Path) -> Progress:
    if config_of(metadata, path) != config:
        raise WeightsError(f"{path}: expected the configuration given, found another; resume with that or start afresh")
    with weights_border(path, "the counts of a training"):
        whole = {name: int(metadata[name]) for name in ("images", "steps", "skipped", "pool")}
        return Progress(seconds=float(metadata["seconds"]), **whole)


def _check_state(state: dict[str, Tensor], trained: dict[str, nn.Parameter], path: Path) -> None:
    """WeightsError where `state` lacks what `_restore` needs of a weight, or has it in another shape."""
    for name, weight in trained.items():
        moments = [f"{moment}.{name}" for moment in _MOMENTS[:-1]]
        wanted = [f"average.{name}", *(moments if moments[0] in state else ())]
        shapes = [tuple(state[key].shape) if key in state else None for key in wanted]
        if any(shape != tuple(weight.shape) for shape in shapes) or (len(wanted) > 1 and f"step.{name}" not in state):
            raise WeightsError(f"{path}: expected the state of {name}, found another or none; start afresh")


def _restore(
    optimiser: torch.optim.Optimizer,
    averages: dict[str, Tensor],
    trained: dict[str, nn.Parameter],
    state: dict[str, Tensor],
) -> None:
    for name, weight in trained.items():
        averages[name].copy_(state[f"average.{name}"])
        if f"{_MOMENTS[0]}.{name}" in state:
            optimiser.state[weight] = {moment: state[f"{moment}.{name}"].to(weight.device) for moment in _MOMENTS[:-1]}
            optimiser.state[weight]["step"] = state[f"step.{name}"].cpu()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `expdiff train`."""
    parser.add_argument("stage", choices=(*STAGES, "all", "release"), help="what to train, or pack weights")
    parser.add_argument("--data", type=Path, help="folder the data generator reads its heads from")
    parser.add_argument("--config", type=Path, default=Path("small"), help="TOML file, or small, gpu, tiles, smoke")
    parser.add_argument("--minutes", type=float, help="wall-clock budget, data and saving included")
    parser.add_argument("--images", type=int, help="budget in training samples")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, state and log")
    parser.add_argument(
        "--from",
        type=Path,
        dest="start",
        metavar="FOLDER",
        help="release, or training folder, with whose weights a training begins; stages before it come from there",
    )
    parser.add_argument("--run", type=Path, help="release: the training folder, or release, to pack")
    parser.add_argument("--seed", type=int, help="replaces the configuration's")
    parser.add_argument("--resume", action="store_true", help="go on from the state in --out")


def run(args: argparse.Namespace) -> int:
    """Carry out `expdiff train`; returns the exit code."""
    if args.stage == "release":
        if args.run is None:
            raise EngineError("train release: expected --run FOLDER with a finished training, found none")
        print(f"wrote {write_release(args.run, args.out)}")
        return 0
    if args.data is None or (args.minutes is None and args.images is None):
        raise EngineError("train: expected --data FOLDER and one of --minutes and --images, found too little")
    with border("train", "numbers within their limits", EngineError):
        if args.minutes is not None:
            check_range("--minutes", args.minutes, 1e-3, 1e9)
        if args.images is not None:
            check_count("--images", args.images, 1, 2**62)
    started = time.monotonic()
    config = read_config(args.config)
    if args.seed is not None:
        with border("--seed", "a seed of a configuration", EngineError):
            config = replace(config, seed=args.seed)
    plan = Plan(args.minutes or math.inf, args.images or 2**62)
    plans = stage_plans(plan, config) if args.stage == "all" else {args.stage: plan}
    start = None if args.start is None else read_start(args.start, config)
    if not args.resume:
        _check_unused(args.out, plans)
    device, here = use_device(args.device, config.threads), launched()
    source = pair_source(config, args.data, device)
    with alone_in(args.out) if here.is_main else nullcontext():
        train_stages(plans, config, source, device, args.out, args.resume, started, start)
    last = list(plans)[-1]
    if last != STAGES[0] and here.is_main:
        picture = args.out / f"{last}.png"
        write_png(picture, evaluation_grid(load_model(args.out, device), source))
        print(f"wrote {picture}")
    here.leave()
    return 0


def _check_unused(out: Path, names: Iterable[str]) -> None:
    """TrainingError where `out` has files of one of the stages already: only --resume goes on with what is there."""
    for name in names:
        files = (f"{name}.safetensors", f"{name}.jsonl", f"{name}-state.safetensors", f"{name}.png")
        if taken := [file for file in files if (out / file).exists()]:
            raise TrainingError(
                f"{out}: expected no {name} training there yet, found {taken[0]}; add --resume to go on with it, or "
                "choose another --out"
            )


def stage_plans(whole: Plan, config: Config) -> dict[str, Plan]:
    """What each stage gets of the minutes, or of the images, by `minutes_share` of its configuration."""
    shares = {name: getattr(config, name).minutes_share for name in STAGES}
    plans = {
        name: Plan(whole.minutes * share, math.ceil(whole.images * share))
        for name, share in shares.items()
        if share > 0
    }
    if not plans:
        raise EngineError("train all: expected minutes_share of at least one stage in the configuration, found none")
    return plans


def train_stages(
    plans: Mapping[str, Plan],
    config: Config,
    source: Population,
    device: torch.device,
    out: Path,
    resume: bool = False,
    started: float | None = None,
    start: Start | None = None,
) -> None:
    """Run stages one after the other; with `resume`, from the last that has begun. `start` as in `make_stage`.

    Minutes count from `started` (time.monotonic; now by default): a stage that begins late gets so much less.
    """
    names = list(plans)
    due = time.monotonic() if started is None else started
    begun = [name for name in names if (out / f"{name}-state.safetensors").exists()] if resume else []
    for name in names[names.index(begun[-1]) :] if begun else names:
        stage, again = make_stage(name, config, source, device, out, start), name in begun
        plan = plans[name] if again else plans[name].later(time.monotonic() - due)
        done = train(stage, config, plan, out, again, start)
        due = time.monotonic() if again else due + plans[name].minutes * 60
        if launched().is_main:
            print(
                f"{name}: {done.taken} steps on {done.images} samples from a pool of {done.pool} pairs in "
                f"{done.seconds / 60:.1f} minutes, loss {done.loss:.4g}",
                flush=True,
            )
