"""The last stage: one step from noise to maps, trained end to end on what is seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.diffusion.autoencoder import reconstruction_loss
from engine.diffusion.budget import Budget
from engine.diffusion.config import Config
from engine.diffusion.denoiser_stage import DenoiserStage, Samples, channel_weights, conditions, flow_loss
from engine.diffusion.inference import condition_of, person_of
from engine.diffusion.pairs import FILL_BATCH, PairPool
from engine.diffusion.shading import render_loss, surface_frame
from engine.diffusion.stages import crop_of, normal
from engine.diffusion.unified import OFFSET_UNIT_M

_OFFSET_WEIGHT, _RENDER_WEIGHT = 6.0, 1.0


class RefineStage:
    """One step from pure noise to maps, trained end to end on what is seen: change, offsets, and the skin re-rendered.

    After diffusion-e2e-ft and SuperMat: a one-step model trained on its output beats a many-step one. The decoder
    learns to draw from latents that the denoiser foresees instead of such that an encoder made, on squares of the face.
    Every fourth batch stays on the flow loss, so that more steps keep working. Reader, encoder, person and pivot stay.
    """

    name = "refine"

    def __init__(self, config: Config, second: DenoiserStage) -> None:
        self.config, self.source, self.device = config, second.source, second.device
        self.settings = config.refine
        self.unified, self.reader, self.autoencoder = second.unified, second.reader, second.autoencoder
        self.pivot, self.person, self.denoiser = second.pivot, second.person, second.denoiser
        for part in self.autoencoder.decoder_parts():
            part.train().requires_grad_(True)
        self.module: nn.Module = nn.ModuleDict({"autoencoder": self.autoencoder, "denoiser": self.denoiser})
        self.pool: PairPool | None = None
        self.condition = self.people = self.turn = self.clean = torch.empty(0)
        self.weights = channel_weights(self.pivot, self.unified, self.autoencoder, self.denoiser.splits)

    @torch.no_grad()
    def prepare(self, budget: Budget, count: int | None) -> int:
        """See `Stage`. Pairs are of other draws than those of the stages before."""
        self.pool = pool = PairPool(self.source, self.config.seed + 2, self.settings, budget, count, self.device)
        budget.check("textures of the pool")
        pool.read(self.unified, maps=False)
        stored: list[tuple[Tensor, ...]] = []
        at_once = FILL_BATCH[self.device.type]
        people = (pool.position_m, pool.texture, pool.guides)
        for position, texture, lines in zip(*(part.split(at_once) for part in people), strict=True):
            budget.check(f"the people of {len(pool)} pairs")
            position, texture = position.to(self.device), texture.to(self.device).float()
            condition = condition_of(self.unified, self.reader.features(texture), position, texture)
            person = person_of(self.person, self.autoencoder, position, condition, lines.to(self.device).float())
            stored.append((condition.half(), person, self.pivot.turn(self.unified, position).half()))
        self.condition, self.people, self.turn = (torch.cat(column) for column in zip(*stored, strict=True))
        clean: list[Tensor] = []
        for part in torch.arange(len(pool)).split(at_once):
            budget.check(f"latents of {len(pool)} pairs")
            change = self.unified.scale_change(pool.change[part].to(self.device))
            features = self.reader.features(pool.texture[pool.person[part]].to(self.device).float())
            offset = pool.offset_m[part].to(self.device).float()
            latent = torch.cat([self.unified.encode_offset(offset), self.autoencoder.encode(change, features)], 1)
            clean.append(self.pivot.normalise(latent, self._expected(part)).half())
        self.clean = torch.cat(clean)
        return len(pool)

    def _expected(self, chosen: Tensor) -> Tensor:
        """(B, C, h, w) of `Pivot.expected` for pairs of the pool."""
        assert self.pool is not None
        who = self.pool.person[chosen].to(self.device)
        strengths = self.pool.expression[chosen].to(self.device)
        position_m = self.pool.position_m[self.pool.person[chosen]].to(self.device)
        return self.pivot.expected(self.unified, strengths, position_m, self.turn[who].float(), self.people[who])

    def loss(self, rng: torch.Generator) -> Tensor:
        """See `Stage`."""
        assert self.pool is not None
        pool = self.pool
        chosen = torch.randint(len(pool), (self.settings.batch,), generator=rng)
        who = pool.person[chosen].to(self.device)
        condition, person = self.condition[who].float(), self.people[who]
        strengths = pool.expression[chosen].to(self.device)
        expected = self._expected(chosen)
        typical = self.pivot.typical(expected)
        strain = self.pivot.strain(self.unified, pool.position_m[pool.person[chosen]].to(self.device), expected)
        if torch.rand((), generator=rng) < 0.25:
            known = torch.ones(len(chosen), dtype=torch.bool, device=self.device)
            clean = self.clean[chosen.to(self.device)].float()
            return flow_loss(self, Samples(clean, typical, strain, condition, person, strengths, known), rng)
        noise = normal(expected.shape, rng, self.device) * float(self.config.denoiser.flow)
        ids, present = conditions(strengths, rng, self.config)
        inputs = (noise, torch.ones(len(noise), 2, device=self.device), condition, person, typical, strain, strengths)
        foreseen = self.denoiser(*inputs, ids.to(self.device), torch.ones_like(present).to(self.device))
        geometry, reflectance = self.pivot.restore(foreseen.float(), expected).split(self.denoiser.splits, 1)
        offset = pool.offset_m[chosen].to(self.device).float()
        loss = _OFFSET_WEIGHT * ((self.unified.decode_offset(geometry) - offset) / OFFSET_UNIT_M).abs().mean()
        return loss + self._seen(chosen, reflectance, offset, rng)

    def _seen(self, chosen: Tensor, latent: Tensor, offset_m: Tensor, rng: torch.Generator) -> Tensor:
        """Loss of a square of the maps that are drawn from `latent` (B, C', h, w), and of how it looks."""
        assert self.pool is not None
        pool, unified, block = self.pool, self.unified, self.config.model.texture_block
        part = crop_of(self.config.model, self.settings.crop, rng)
        cells = (slice(None), slice(None), *(slice(one.start // block, one.stop // block) for one in part[1:]))
        halves = (slice(None), slice(None), *(slice(one.start // 2, one.stop // 2) for one in part[1:]))
        who = pool.person[chosen]
        texture, guides_in = (stored[(who, *part)].to(self.device).float() for stored in (pool.texture, pool.guides))
        lines = self.autoencoder.lines(guides_in, part)
        change = pool.change[(chosen, *part)].to(self.device).float()
        mask, scale = unified.change_mask[part[1:]], unified.change_scale
        with torch.no_grad():
            features = self.reader.features(texture)
            position = pool.position_m[who].to(self.device) + offset_m
            frame = surface_frame(position, self.config.model.texture_size // 2)[halves]
        drawn = self.autoencoder.decode(latent[cells], features, lines).float()
        neutral = pool.neutral[(who, *part)].to(self.device).float()
        loss = reconstruction_loss(drawn, change / scale * mask, mask)
        return loss + _RENDER_WEIGHT * render_loss(neutral, frame, drawn * scale * mask, change * mask, rng)
