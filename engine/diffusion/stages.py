"""What the stages train, and on what: the loop in `train` knows none of them.

Each stage fills a pool of pairs first (bounded in number and in time), fits its statistics, and then draws batches
from it. What belongs to a person is kept once per person. The pool is a function of the seed and its length, so a
resumed run rebuilds the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.autoencoder import Autoencoder, Reader, broad, reconstruction_loss
from engine.diffusion.budget import Budget
from engine.diffusion.config import Config, ModelConfig, StageConfig
from engine.diffusion.denoiser import Denoiser
from engine.diffusion.inference import condition_of
from engine.diffusion.person import EXPRESSION_COUNT, Person
from engine.diffusion.pivot import AnswerFit, LeanFit, Pivot, PivotFit, reach_in
from engine.diffusion.prompts import caption
from engine.diffusion.schedule import spread, training_times
from engine.diffusion.text import tokenize
from engine.diffusion.unified import Unified, energies_in, guides
from engine.synth.batch import Batch

DROP_STRENGTHS, DROP_BOTH = 0.1, 0.1
"""Shares of training samples without strengths, and without strengths and prompt (classifier-free guidance)."""
WEIGHT_TIME = 0.5
"""The velocity loss is the clean latent's error times 1 / t^2; t is kept above this, so that early steps count."""
TOGETHER = 2
"""Expressions of one person in a row where they attend to each other."""
FILL_BATCH = {"cpu": 8, "cuda": 64}
"""Pairs made together, by the device that trains; a pool is the same for the same number."""
PEOPLE_SEEN = 96
"""Most people whose textures statistics are fitted on."""
REACH_MOVES = 3
"""Moves in which a person shows how far each expression goes, each of an equal share of them at once."""
_FACE_U, _FACE_V = (0.125, 0.875), (0.0625, 0.8125)
"""Where the front of the face lies in the canonical layout: crops are taken there."""
_NEUTRAL_WEIGHT = 0.3


class PairSource(Protocol):
    """Where pairs come from: `engine.synth.generator.Generator`, or a few fixed pairs in tests."""

    @property
    def train_identities(self) -> Sequence[int]:
        """People to train on."""
        ...

    @property
    def test_identities(self) -> Sequence[int]:
        """People kept back, none of them in `train_identities`."""
        ...

    def batch(self, count: int, rng: torch.Generator) -> Batch:
        """`count` random pairs of the training people: pure expressions, mixes, one-sided and partial ones."""
        ...

    def moves(
        self, numbers: Sequence[int], rng: torch.Generator, strengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Strengths (B, 2, 32), random unless given, and offsets (B, 3, H, W) m of given people, without their skin."""
        ...

    def pairs(
        self, identity_indices: Sequence[int], expression_rows: Sequence[int], *, explained: bool = False
    ) -> Batch:
        """One pair for each (person, row of the vocabulary) taken side by side, at full strength; with `explained`
        without what nothing in the neutral tells."""
        ...


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


class Stage(Protocol):
    """What the training loop needs to know."""

    name: str
    settings: StageConfig
    module: nn.Module

    def prepare(self, budget: Budget, count: int | None) -> int:
        """Fill the pool within `budget`, or to just `count` pairs, and fit statistics unless resumed; its length.

        TrainingError where the time of `budget` is over before.
        """
        ...

    def loss(self, rng: torch.Generator) -> Tensor:
        """Scalar loss of one batch drawn with `rng`."""
        ...


def fill(
    source: PairSource, seed: int, settings: StageConfig, budget: Budget, count: int | None, device: torch.device
) -> Iterator[Batch]:
    """Batches until the pool's pairs, or `count`, are made, or its time is over; the same for the same seed."""
    rng = torch.Generator().manual_seed(seed)
    wanted = settings.pool if count is None else count
    least = min(settings.fit, wanted) if count is None else count
    made = 0
    while made < wanted and budget.wants_pairs(made, least):
        part = min(FILL_BATCH[device.type], wanted - made)
        yield source.batch(part, rng)
        made += part
        budget.tell(f"{made} of {wanted} pairs")


class PairPool:
    """Pairs in full size, half floats, on the device they are made on; positions, textures and neutral maps once per
    person."""

    def __init__(
        self,
        source: PairSource,
        seed: int,
        settings: StageConfig,
        budget: Budget,
        count: int | None,
        device: torch.device,
    ) -> None:
        wanted = settings.pool if count is None else count
        rows: dict[int, int] = {}
        people: list[tuple[Tensor, ...]] = []
        pairs: list[tuple[Tensor, ...]] = []
        self.change = torch.empty(0)
        made = 0
        for batch in fill(source, seed, settings, budget, count, device):
            if not made:  # one block from the start: joining gigabytes at the end would need them twice
                self.change = batch.change.new_empty(wanted, *batch.change.shape[1:], dtype=torch.float16)
            self.change[made : made + len(batch.change)] = batch.change
            made += len(batch.change)
            for index, number in enumerate(batch.identity.tolist()):
                if number not in rows:
                    rows[number] = len(people)
                    own = (batch.neutral_position_m[index], batch.texture_srgb[index], batch.neutral[index])
                    people.append((own[0].clone(), own[1].half(), own[2].half()))
            person = torch.tensor([rows[number] for number in batch.identity.tolist()])
            pairs.append((batch.offset_m.half(), batch.expression, person))
        self.change = self.change[:made]
        self.position_m, self.texture_srgb, self.neutral = (torch.stack(column) for column in zip(*people, strict=True))
        self.offset_m, self.expression, self.person = (torch.cat(column) for column in zip(*pairs, strict=True))

    @torch.no_grad()
    def read(self, unified: Unified, maps: bool = True) -> None:
        """Keep what the networks see of each person's texture, half floats: `texture_input`, `guides`, and `scale_maps`
        where asked for."""
        device, home = unified.change_mask.device, self.change.device
        textures, scaled, found = [], [], []
        for texture_srgb, neutral in zip(self.texture_srgb.split(4), self.neutral.split(4), strict=True):
            texture = unified.texture_input(texture_srgb.to(device))
            textures.append(texture.half().to(home))
            found.append(guides(texture).half().to(home))
            if maps:
                scaled.append(unified.scale_maps(neutral.to(device), texture).half().to(home))
        self.texture, self.guides = torch.cat(textures), torch.cat(found)
        self.maps = torch.cat(scaled) if maps else torch.empty(0)

    def __len__(self) -> int:
        return len(self.person)


class AutoencoderStage:
    """Trains reader and autoencoder, after fitting the unified representation's statistics and the skeleton."""

    name = "autoencoder"

    def __init__(self, config: Config, source: PairSource, device: torch.device) -> None:
        self.config, self.source, self.device = config, source, device
        self.settings = config.autoencoder
        self.unified = Unified(config.model).to(device)
        self.reader, self.autoencoder = Reader(config.model).to(device), Autoencoder(config.model).to(device)
        for part in (self.reader, self.autoencoder):
            part.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - missing overload
        for part in self.autoencoder.second_look():
            part.requires_grad_(False)
        self.module: nn.Module = nn.ModuleDict(
            {"unified": self.unified, "reader": self.reader, "autoencoder": self.autoencoder}
        )
        self.pool: PairPool | None = None

    def prepare(self, budget: Budget, count: int | None) -> int:
        """See `Stage`."""
        self.pool = pool = PairPool(self.source, self.config.seed, self.settings, budget, count, self.device)
        if count is None:
            budget.check(f"statistics of {len(pool)} pairs")
            fit, seen = self.settings.fit, slice(0, PEOPLE_SEEN)
            people = (pool.position_m[seen], pool.texture_srgb[seen], pool.neutral[seen])
            self.unified.fit(*(part.to(self.device) for part in (*people, pool.offset_m[:fit], pool.change[:fit])))
            block = self.config.model.texture_block
            diffuse, smoothed = [], []
            for part in pool.change[:fit].split(8):
                budget.check("the skeleton of changes")
                scaled = self.unified.scale_change(part.to(self.device))
                diffuse.append(scaled[:, :3].clone())
                smoothed.append(broad(scaled, block).half())
            self.autoencoder.fit_templates(torch.cat(diffuse))
            self.autoencoder.skeleton.fit(torch.cat(smoothed))
            budget.share(self.unified, self.autoencoder)
        budget.check("textures of the pool")
        pool.read(self.unified)
        return len(pool)

    def loss(self, rng: torch.Generator) -> Tensor:
        """See `Stage`. The preview decoder learns from the same latent, without steering it."""
        assert self.pool is not None
        chosen = torch.randint(len(self.pool), (self.settings.batch,), generator=rng)
        person = self.pool.person[chosen]
        part = crop_of(self.config.model, self.settings.crop, rng)
        pool, unified, mask = self.pool, self.unified, self.unified.change_mask[part[1:]]
        change = pool.change[(chosen, *part)].to(self.device).float() / unified.change_scale * mask
        texture, maps, found = (
            kept[(person, *part)].to(self.device).float() for kept in (pool.texture, pool.maps, pool.guides)
        )
        lines = self.autoencoder.lines(found, part)
        features = self.reader.features(texture)
        latent = self.autoencoder.encode(change, features)
        noisy = latent + normal(latent.shape, rng, self.device) * self.settings.latent_noise
        loss = reconstruction_loss(self.autoencoder.decode(noisy, features, lines).float(), change, mask)
        loss = loss + 1e-3 * (latent.square().mean(1) - 4.0).clamp(min=0.0).mean()  # keeps the code from running away
        loss = loss + _NEUTRAL_WEIGHT * reconstruction_loss(self.reader.neutral(features).float(), maps, mask)
        preview = self.autoencoder.decode_preview(noisy.detach())
        small = F.adaptive_avg_pool2d(change, preview.shape[-1])
        return loss + (preview - small).abs().mean()


def normal(shape: Sequence[int], rng: torch.Generator, device: torch.device) -> Tensor:
    """Normal noise; for another device from a generator there that `rng` seeds: the host would take longer than a
    step for it."""
    if device.type == rng.device.type:
        return torch.randn(*shape, generator=rng)
    there = torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
    return torch.randn(*shape, generator=there, device=device)


def crop_of(sizes: ModelConfig, side: int, rng: torch.Generator) -> tuple[slice, slice, slice]:
    """All channels of a square of `side` texels (0: all) on the latent's blocks, somewhere over the face's front."""
    size, block = sizes.texture_size, sizes.texture_block
    side = min(side or size, size)
    if side == size:
        return (slice(None), slice(0, size), slice(0, size))
    (top, bottom), (left, right) = ((round(share * size) for share in ends) for ends in (_FACE_V, _FACE_U))
    start = [
        int(torch.randint(low // block, max(low, high - side) // block + 1, (), generator=rng)) * block
        for low, high in ((top, bottom), (left, right))
    ]
    return (slice(None), slice(start[0], start[0] + side), slice(start[1], start[1] + side))


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
        self.clean = self.typical = self.strain = self.strengths = self.who = torch.empty(0)
        self.condition = self.people = self.position = self.turn = self.numbers = self.weights = torch.empty(0)

    @torch.no_grad()
    def prepare(self, budget: Budget, count: int | None) -> int:
        """See `Stage`. Pairs are of other draws than the autoencoder's."""
        rows: dict[int, int] = {}
        people: list[tuple[Tensor, ...]] = []
        pairs: list[tuple[Tensor, ...]] = []
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
            for index, number in enumerate(batch.identity.tolist()):
                if number not in rows:
                    rows[number] = len(people)
                    people.append(
                        (
                            condition[index].half(),
                            turn[index].half(),
                            batch.neutral_position_m[index].clone(),
                            matches[index].clone(),
                        )
                    )
            latent = torch.cat([self.unified.encode_offset(batch.offset_m), change], 1)
            person = torch.tensor([rows[number] for number in batch.identity.tolist()], device=self.device)
            pairs.append((latent.half(), batch.expression, person))
            sums.add(batch.expression, batch.offset_m, turn, change)
        self.condition, self.turn, self.position, matches = (
            torch.stack(column) for column in zip(*people, strict=True)
        )
        self.numbers = torch.tensor(list(rows))
        self.clean, self.strengths, self.who = (torch.cat(column) for column in zip(*pairs, strict=True))
        energies = torch.cat([energies_in(part.float()) for part in self.condition.split(256)])
        if count is None:
            budget.check(f"the pivot of {len(self.clean)} pairs")
            sums.solve()
            self.person.fit_components(self.position, energies, matches)
            budget.share(self.pivot, self.person)
            reach = self._measured_reach(budget)
            factors = torch.cat([reach, self._measured_answer(reach, budget)], 1)
            self.person.fit(self.position, energies, matches, factors.log())
            budget.share(self.person)
        self.people = self.person(self.position, energies, matches)
        if count is None:
            self._fit_lean(budget)
        self._centre(budget, fitted=count is None)
        return len(self.clean)

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
        reach = torch.ones(len(self.numbers), EXPRESSION_COUNT, device=self.device)
        for part in torch.arange(len(self.numbers)).split(FILL_BATCH[self.device.type]):
            budget.check(f"how far {len(self.numbers)} people go")
            for rows in (torch.randperm(EXPRESSION_COUNT - 1, generator=rng) + 1).chunk(REACH_MOVES):
                strengths = torch.zeros(len(part), 2, EXPRESSION_COUNT)
                strengths[:, :, rows] = 1.0
                _, offset_m = self.source.moves(self.numbers[part].tolist(), rng, strengths)
                here, there = part.to(self.device), rows.to(self.device)
                found = reach_in(self.pivot, offset_m.to(self.device), self.turn[here], there, self.config.model.grid)
                reach[here[:, None], there] = found
        return reach

    def _measured_answer(self, reach: Tensor, budget: Budget) -> Tensor:
        """(P, C) how strongly each person's skin answers in each latent channel, over the pivot at that `reach`."""
        count, still = self.config.model.change_channels, self.pivot.still
        fit = AnswerFit(len(reach), count, self.device)
        for part in torch.arange(len(self.clean), device=self.device).split(64):
            budget.check(f"how the skin of {len(self.numbers)} people answers")
            who = self.who[part]
            strengths = self.strengths[part] * reach[who][:, None]
            expected = self.pivot.expected(self.unified, strengths, self.turn[who].float())[:, -count:]
            fit.add(who, self.clean[part, -count:].float() - still, expected - still)
        return fit.solve()

    def _fit_lean(self, budget: Budget) -> None:
        """Fit how the skin's answer leans with the people of the pool, over the pivot at their factors."""
        fit, count = LeanFit(self.pivot), self.config.model.change_channels
        self.pivot.lean.zero_()
        for part in torch.arange(len(self.clean), device=self.device).split(64):
            budget.check(f"how the skin of {len(self.numbers)} people leans")
            who = self.who[part]
            reached = self.strengths[part] * self.people[who][:, None, :EXPRESSION_COUNT].exp()
            rest = self.clean[part].float() - self._expected(self.strengths[part], who)
            fit.add(reached, self.people[who], rest[:, -count:])
        fit.solve()
        budget.share(self.pivot)

    def _centre(self, budget: Budget, fitted: bool) -> None:
        """Latents -> what is personal in them, in units of its deviation; that is taken from them where `fitted`."""
        chunks = range(0, len(self.clean), 64)
        parts = [slice(at, at + 64) for at in chunks]
        budget.check(f"what is personal in {len(self.clean)} pairs")
        expected = [self._expected(self.strengths[part], self.who[part]) for part in parts]
        if fitted:
            rest = sum(
                (self.clean[part].float() - mean).square().sum((0, 2, 3))
                for part, mean in zip(parts, expected, strict=True)
            )
            area = self.config.model.grid**2 * len(self.clean)
            self.pivot.deviation.copy_((torch.as_tensor(rest) / area).sqrt().clamp(min=1e-3)[:, None, None])
            budget.share(self.pivot)
        columns = [
            (
                self.pivot.normalise(self.clean[part].float(), mean).half(),
                self.pivot.typical(mean).half(),
                self.pivot.strain(self.unified, self.position[self.who[part]], mean).half(),
            )
            for part, mean in zip(parts, expected, strict=True)
        ]
        self.clean, self.typical, self.strain = (torch.cat(column) for column in zip(*columns, strict=True))
        self.weights = channel_weights(self.pivot, self.unified, self.autoencoder, self.denoiser.splits)

    def loss(self, rng: torch.Generator) -> Tensor:
        """See `Stage`: squared velocity error of the flow, written in the clean latent."""
        chosen = self._choose(rng).to(self.device)
        who = self.who[chosen]
        samples = Samples(
            self.clean[chosen].float(),
            self.typical[chosen].float(),
            self.strain[chosen].float(),
            self.condition[who].float(),
            self.people[who],
            self.strengths[chosen],
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
        who = torch.randint(len(self.people), (count,), generator=rng)
        strengths, offset = (part.to(self.device) for part in self.source.moves(self.numbers[who].tolist(), rng))
        who = who.to(self.device)
        expected = self._expected(strengths, who)
        geometry = self.unified.encode_offset(offset)
        latent = torch.cat([geometry, expected[:, geometry.shape[1] :]], 1)
        return Samples(
            self.pivot.normalise(latent, expected),
            self.pivot.typical(expected),
            self.pivot.strain(self.unified, self.position[who], expected),
            self.condition[who].float(),
            self.people[who],
            strengths,
            torch.zeros(count, dtype=torch.bool, device=self.device),
        )

    def _expected(self, strengths: Tensor, who: Tensor) -> Tensor:
        """(B, C, h, w) of `Pivot.expected` for people of the pool."""
        return self.pivot.expected(self.unified, strengths, self.turn[who].float(), self.people[who])

    def _choose(self, rng: torch.Generator) -> Tensor:
        """Indices of a batch; where expressions attend to each other, `TOGETHER` of one person that came in a row."""
        count = self.settings.batch - round(self.settings.batch * self.settings.moves)
        if not self.config.model.expression_attention:
            return torch.randint(len(self.clean), (count,), generator=rng)
        runs = torch.randint(len(self.clean) // TOGETHER, (count // TOGETHER,), generator=rng)
        return (runs[:, None] * TOGETHER + torch.arange(TOGETHER)).flatten()


class Flow(Protocol):
    """What `flow_loss` needs of a stage."""

    config: Config
    device: torch.device
    denoiser: Denoiser
    weights: Tensor


def flow_loss(stage: Flow, samples: Samples, rng: torch.Generator, together: int = 1) -> Tensor:
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
