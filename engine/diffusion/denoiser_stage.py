"""The second stage: denoiser and prompt encoder, on latents that a finished autoencoder made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from engine.diffusion.autoencoder import Autoencoder
from engine.diffusion.budget import Budget
from engine.diffusion.config import Config
from engine.diffusion.denoiser import Denoiser
from engine.diffusion.inference import condition_of
from engine.diffusion.language.captions import caption
from engine.diffusion.pairs import FILL_BATCH, PeopleOnce, fill
from engine.diffusion.person import EXPRESSION_COUNT, Person
from engine.diffusion.pivot import AnswerFit, LeanFit, Pivot, PivotFit, reach_in
from engine.diffusion.schedule import spread, training_times
from engine.diffusion.stages import WEIGHT_TIME, AutoencoderStage, normal
from engine.diffusion.text import tokenize
from engine.diffusion.unified import Unified, energies_in, guides
from engine.synth.batch import Batch
from engine.vocabulary import EXPRESSIONS, JAW_SHAPES

if TYPE_CHECKING:
    from engine.diffusion.refine_stage import RefineStage

DROP_STRENGTHS, DROP_BOTH = 0.1, 0.1
"""Shares of training samples without strengths, and without strengths and prompt (classifier-free guidance)."""
TOGETHER = 2
"""Expressions of one person in a row where they attend to each other."""
JAW_PEOPLE = 64
"""Training people whose mean is what the jaw does; how far each goes with it is told by `Person`."""
REACH_MOVES = 3
"""Moves in which a person shows how far each expression goes, each of an equal share of them at once."""


@dataclass(frozen=True, slots=True)
class Samples:
    """B training samples of the denoiser, normalised."""

    clean: Tensor
    """(B, C, h, w)."""
    typical: Tensor
    """(B, C, h, w) of `Pivot.typical`."""
    strain: Tensor
    """(B, 4 b b, h, w) of `Pivot.strain`."""
    condition: Tensor
    """(B, K, h, w)."""
    person: Tensor
    """(B, D) of `person.Person`."""
    strengths: Tensor
    """(B, 2, 32)."""
    whole: Tensor
    """(B,) bool; where False only the geometry is known, the other channels are pure noise and do not count."""


class _People(NamedTuple):
    """P people of the pool, by the numbers of the source: what is seen of them, and `Person`'s (P, D) factors."""

    numbers: Tensor
    condition: Tensor
    turn: Tensor
    position_m: Tensor
    factors: Tensor


class _Latents(NamedTuple):
    """N pairs of the pool as `Samples` have them, half floats; `who` are rows of `_People`."""

    clean: Tensor
    typical: Tensor
    strain: Tensor
    strengths: Tensor
    who: Tensor


class DenoiserStage:
    """Trains denoiser and prompt encoder on latents that a finished autoencoder made once."""

    name = "denoiser"

    def __init__(self, config: Config, first: AutoencoderStage) -> None:
        self.config, self.source, self.device = config, first.source, first.device
        self.settings = config.denoiser
        self.unified, self.reader, self.autoencoder = first.unified, first.reader, first.autoencoder
        for part in (self.unified, self.reader, self.autoencoder):
            part.eval().requires_grad_(False)
        self.pivot, self.denoiser = Pivot(config.model).to(self.device), Denoiser(config.model).to(self.device)
        self.denoiser.skin.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - missing overload
        self.person = Person(config.model).to(self.device)
        self.module: nn.Module = nn.ModuleDict({"pivot": self.pivot, "person": self.person, "denoiser": self.denoiser})
        self.weights = torch.empty(0)
        self.people, self.latents = _People(*[torch.empty(0)] * 5), _Latents(*[torch.empty(0)] * 5)

    @torch.no_grad()
    def prepare(self, budget: Budget, count: int | None) -> int:
        """See `Stage`. Pairs are of other draws than the autoencoder's."""
        if count is None:
            self._fit_jaw(budget)
        sums, energies, matches = self._fill(budget, count)
        position_m = self.people.position_m
        if count is None:
            budget.check(f"the pivot of {len(self.latents.who)} pairs")
            sums.solve()
            self.person.fit_components(position_m, energies, matches)
            budget.share(self.pivot, self.person)
            reach = self._measured_reach(budget)
            factors = torch.cat([reach, self._measured_answer(reach, budget)], 1)
            self.person.fit(position_m, energies, matches, factors.log())
            budget.share(self.person)
        self.people = self.people._replace(factors=self.person(position_m, energies, matches))
        if count is None:
            self._fit_lean(budget)
        self._centre(budget, fitted=count is None)
        return len(self.latents.who)

    def _fit_jaw(self, budget: Budget) -> None:
        """Fit what the jaw does in each of its shapes, from the expression that is this shape alone."""
        people = self.source.train_identities[:JAW_PEOPLE]
        rng = torch.Generator().manual_seed(self.config.seed + 4)
        for shape, target in zip(JAW_SHAPES, self.pivot.jaw_m, strict=True):
            budget.check(f"the jaws of {len(people)} people")
            row = next(row for row, entry in enumerate(EXPRESSIONS) if entry.arkit.keys() == {shape})
            strengths = torch.zeros(len(people), 2, EXPRESSION_COUNT)
            strengths[..., row] = 1.0 / EXPRESSIONS[row].arkit[shape]
            target.copy_(self.source.moves(people, rng, strengths)[1].mean(0))
        budget.share(self.pivot)

    def _fill(self, budget: Budget, count: int | None) -> tuple[PivotFit, Tensor, Tensor]:
        """Make people and pairs; the sums that the pivot is fitted on, and energies and matches of each person."""
        people, pairs = PeopleOnce(), list[tuple[Tensor, ...]]()
        sums = PivotFit(self.pivot, self.unified)
        for batch in fill(self.source, self.config.seed + 1, self.settings, budget, count, self.device):
            batch = batch.to(self.device)
            features, condition, matches = self._read(batch)
            turn = self.pivot.turn(self.unified, batch.neutral_position_m)
            if count is None and not pairs:
                still = self.autoencoder.encode(torch.zeros_like(batch.change), features)
                self.pivot.still.copy_(still.mean(0))
                budget.share(self.pivot)
            change = self.autoencoder.encode(self.unified.scale_change(batch.change), features)
            latent = torch.cat([self.unified.encode_offset(batch.offset_m), change], 1)
            who = people.rows(batch, condition.half(), turn.half(), batch.neutral_position_m, matches)
            pairs.append((latent.half(), batch.expression, who.to(self.device)))
            sums.add(batch.expression, batch.offset_m, batch.neutral_position_m, turn, change)
        condition, turn, position_m, matches = people.columns()
        clean, strengths, who = (torch.cat(column) for column in zip(*pairs, strict=True))
        empty = torch.empty(0)
        self.people = _People(torch.tensor(list(people.numbers)), condition, turn, position_m, empty)
        self.latents = _Latents(clean, empty, empty, strengths, who)
        return sums, torch.cat([energies_in(part.float()) for part in condition.split(256)]), matches

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The reader's features (B, F, 2h, 2w), the condition (B, K, h, w) and the matches of lines; each person of the
        batch read once."""
        numbers = batch.identity.tolist()
        first = {number: numbers.index(number) for number in numbers}
        where = torch.tensor([list(first).index(number) for number in numbers], device=self.device)
        chosen = list(first.values())
        texture = self.unified.texture_input(batch.texture_srgb[chosen])
        features = self.reader.features(texture)
        condition = condition_of(self.unified, features, batch.neutral_position_m[chosen], texture)
        matches = self.autoencoder.matches(guides(texture), self.person.regions)
        return features[where], condition[where], matches[where]

    def _measured_reach(self, budget: Budget) -> Tensor:
        """(P, 32) how far each person of the pool goes with each expression, over the pivot."""
        rng = torch.Generator().manual_seed(self.config.seed + 3)
        reach = torch.ones(len(self.people.numbers), EXPRESSION_COUNT, device=self.device)
        for part in torch.arange(len(self.people.numbers)).split(FILL_BATCH[self.device.type]):
            budget.check(f"how far {len(self.people.numbers)} people go")
            for rows in (torch.randperm(EXPRESSION_COUNT - 1, generator=rng) + 1).chunk(REACH_MOVES):
                strengths = torch.zeros(len(part), 2, EXPRESSION_COUNT)
                strengths[:, :, rows] = 1.0
                _, offset_m = self.source.moves(self.people.numbers[part].tolist(), rng, strengths)
                here, there = part.to(self.device), rows.to(self.device)
                size = self.pivot.jaw_size(self.unified, self.people.position_m[here])
                turn, grid = self.people.turn[here], self.config.model.grid
                reach[here[:, None], there] = reach_in(self.pivot, offset_m.to(self.device), size, turn, there, grid)
        return reach

    def _measured_answer(self, reach: Tensor, budget: Budget) -> Tensor:
        """(P, C) how strongly each person's skin answers in each latent channel, over the pivot at that `reach`."""
        count, still = self.config.model.change_channels, self.pivot.still
        fit = AnswerFit(len(reach), count, self.device)
        for part in torch.arange(len(self.latents.who), device=self.device).split(64):
            budget.check(f"how the skin of {len(self.people.numbers)} people answers")
            who = self.latents.who[part]
            strengths = self.latents.strengths[part] * reach[who][:, None]
            position_m, turn = self.people.position_m[who], self.people.turn[who]
            expected = self.pivot.expected(self.unified, strengths, position_m, turn)[:, -count:]
            fit.add(who, self.latents.clean[part, -count:].float() - still, expected - still)
        return fit.solve()

    def _fit_lean(self, budget: Budget) -> None:
        """Fit how the skin's answer leans with the people of the pool, over the pivot at their factors."""
        fit, count = LeanFit(self.pivot), self.config.model.change_channels
        self.pivot.lean.zero_()
        for part in torch.arange(len(self.latents.who), device=self.device).split(64):
            budget.check(f"how the skin of {len(self.people.numbers)} people leans")
            who = self.latents.who[part]
            reached = self.latents.strengths[part] * self.people.factors[who][:, None, :EXPRESSION_COUNT].exp()
            rest = self.latents.clean[part].float() - self._expected(self.latents.strengths[part], who)
            fit.add(reached, self.people.factors[who], rest[:, -count:])
        fit.solve()
        budget.share(self.pivot)

    def _centre(self, budget: Budget, fitted: bool) -> None:
        """Latents -> what is personal in them, in units of its deviation; that is taken from them where `fitted`."""
        chunks = range(0, len(self.latents.who), 64)
        parts = [slice(at, at + 64) for at in chunks]
        budget.check(f"what is personal in {len(self.latents.who)} pairs")
        expected = [self._expected(self.latents.strengths[part], self.latents.who[part]) for part in parts]
        if fitted:
            rest = sum(
                (self.latents.clean[part].float() - mean).square().sum((0, 2, 3))
                for part, mean in zip(parts, expected, strict=True)
            )
            area = self.config.model.grid**2 * len(self.latents.who)
            self.pivot.deviation.copy_((torch.as_tensor(rest) / area).sqrt().clamp(min=1e-3)[:, None, None])
            budget.share(self.pivot)
        columns = [
            (
                self.pivot.normalise(self.latents.clean[part].float(), mean).half(),
                self.pivot.typical(mean).half(),
                self.pivot.strain(self.unified, self.people.position_m[self.latents.who[part]], mean).half(),
            )
            for part, mean in zip(parts, expected, strict=True)
        ]
        clean, typical, strain = (torch.cat(column) for column in zip(*columns, strict=True))
        self.latents = self.latents._replace(clean=clean, typical=typical, strain=strain)
        self.weights = channel_weights(self.pivot, self.unified, self.autoencoder, self.denoiser.splits)

    def loss(self, rng: torch.Generator) -> Tensor:
        """See `Stage`: squared velocity error of the flow, written in the clean latent."""
        chosen = self._choose(rng).to(self.device)
        who = self.latents.who[chosen]
        samples = Samples(
            self.latents.clean[chosen].float(),
            self.latents.typical[chosen].float(),
            self.latents.strain[chosen].float(),
            self.people.condition[who].float(),
            self.people.factors[who],
            self.latents.strengths[chosen],
            torch.ones(len(chosen), dtype=torch.bool, device=self.device),
        )
        moves = round(self.settings.batch * self.settings.moves)
        if moves:
            extra = self._moves(moves, rng)
            samples = Samples(
                *(torch.cat([getattr(part, name) for part in (samples, extra)]) for name in Samples.__slots__)
            )
        return flow_loss(self, samples, rng, TOGETHER if self.config.model.expression_attention else 1)

    @torch.no_grad()
    def _moves(self, count: int, rng: torch.Generator) -> Samples:
        """Geometry alone of people in the pool, made on the spot: how far someone goes takes many examples to learn."""
        who = torch.randint(len(self.people.numbers), (count,), generator=rng)
        strengths, offset = (part.to(self.device) for part in self.source.moves(self.people.numbers[who].tolist(), rng))
        who = who.to(self.device)
        expected = self._expected(strengths, who)
        geometry = self.unified.encode_offset(offset)
        latent = torch.cat([geometry, expected[:, geometry.shape[1] :]], 1)
        return Samples(
            self.pivot.normalise(latent, expected),
            self.pivot.typical(expected),
            self.pivot.strain(self.unified, self.people.position_m[who], expected),
            self.people.condition[who].float(),
            self.people.factors[who],
            strengths,
            torch.zeros(count, dtype=torch.bool, device=self.device),
        )

    def _expected(self, strengths: Tensor, who: Tensor) -> Tensor:
        """(B, C, h, w) of `Pivot.expected` for people of the pool."""
        position_m, turn = self.people.position_m[who], self.people.turn[who]
        return self.pivot.expected(self.unified, strengths, position_m, turn, self.people.factors[who])

    def _choose(self, rng: torch.Generator) -> Tensor:
        """Indices of a batch; where expressions attend to each other, `TOGETHER` of one person that came in a row."""
        count = self.settings.batch - round(self.settings.batch * self.settings.moves)
        if not self.config.model.expression_attention:
            return torch.randint(len(self.latents.who), (count,), generator=rng)
        runs = torch.randint(len(self.latents.who) // TOGETHER, (count // TOGETHER,), generator=rng)
        return (runs[:, None] * TOGETHER + torch.arange(TOGETHER)).flatten()


def flow_loss(stage: DenoiserStage | RefineStage, samples: Samples, rng: torch.Generator, together: int = 1) -> Tensor:
    """Squared velocity error of the flow on a batch, written in the clean latent; L1 at pure absence of noise where the
    configuration asks for a direct regressor."""
    clean, sizes, device = samples.clean, stage.denoiser.splits, stage.device
    count, flow = len(clean), stage.config.denoiser.flow
    times = training_times(count, rng) if flow else torch.ones(count, len(sizes))
    times[~samples.whole.cpu(), 1] = 1.0
    noise = normal(clean.shape, rng, device) * float(flow)
    ids, present = conditions(samples.strengths, rng, stage.config)
    per_channel = spread(times, sizes).to(device)
    noisy = clean + per_channel * (noise - clean)
    inputs = (noisy, times.to(device), samples.condition, samples.person, samples.typical)
    found = stage.denoiser(*inputs, samples.strain, samples.strengths, ids.to(device), present.to(device), together)
    error = (found.float() - clean) / per_channel.clamp(min=WEIGHT_TIME)
    counts = torch.stack([torch.ones_like(samples.whole), samples.whole], 1).float()
    weights = stage.weights * spread(counts, sizes)
    return ((error.square() if flow else error.abs()) * weights).mean()


def conditions(strengths: Tensor, rng: torch.Generator, config: Config) -> tuple[Tensor, Tensor]:
    """Prompt ids (B, T) that say the same as `strengths` (B, 2, 32), some left out, and whether strengths are given."""
    count = len(strengths)
    chance = torch.rand(count, generator=rng)
    random = Random(int(torch.randint(2**62, (), generator=rng)))
    no_prompt = chance < DROP_BOTH + config.denoiser.drop_prompt
    no_strengths = (chance < DROP_BOTH) | (chance >= 1.0 - DROP_STRENGTHS)
    prompts = [
        "" if dropped else caption(row, random)
        for row, dropped in zip(strengths.tolist(), no_prompt.tolist(), strict=True)
    ]
    return tokenize(prompts, config.model.prompt_length, config.model.prompt_vocabulary), ~no_strengths


def channel_weights(pivot: Pivot, unified: Unified, autoencoder: Autoencoder, splits: Sequence[int]) -> Tensor:
    """(C, 1, 1) what an error of one unit in a channel does to the maps, at least 0.05 of the mean."""
    deviation = pivot.deviation[:, 0, 0].split(list(splits))
    scales = (unified.offset.deviation, autoencoder.skeleton.deviation)
    gains = [part * scale for part, scale in zip(deviation, scales, strict=True)]
    weights = [(gain / gain.mean()).clamp(min=0.05) for gain in gains]
    return torch.cat([2.0 * weights[0], weights[1]])[:, None, None]  # geometry first: the maps follow it
