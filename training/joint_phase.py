"""Train UNet and adapter together: the UNet learns to draw people while the adapter learns to say whom.

A UNet that was trained without faces has learnt to draw the mean of all of them, and an adapter that comes later must
undo it: in a first try, joint training doubled what a frozen UNet gave. The UNet alone stays usable because some
pictures of each batch are drawn without the adapter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lib_faceid.miniature.trained import LORA_RANK, TRAINED
from training.adapter import FaceAdapter
from training.attention import Prompts
from training.exam import Exam
from training.loop import Plan, train
from training.sampling import ALPHAS
from training.unet import UNet
from training.world import World

__all__ = ["Joint", "JointTraining"]

BATCH = 32  # faces
TWO_EVERY = 3  # steps: then each picture shows two people
SNR_CAP = 5.0
# What a picture is drawn with. The rest has everything: caption, person, LoRA.
NOTHING, NO_CAPTION, NO_ADAPTER = 0.10, 0.15, 0.25  # up to this random number: neither; no caption; no adapter
NO_ADAPTER_NO_CAPTION = 0.17
SCALES, LORAS = (0.6, 1.1), (0.4, 1.0)  # users turn these; around the middle it must not matter much


class Joint(nn.Module):
    """The two that are trained at once."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet(TRAINED.unet)
        self.adapter = FaceAdapter(TRAINED.unet, LORA_RANK)


@dataclass(frozen=True, eq=False)
class JointTraining:
    """What UNet and adapter are shown, and who examines them."""

    world: World
    latents: Tensor
    """[n, 4, 16, 16] of the world's pictures, of unit variance."""
    captions: Tensor
    """[1 or 2 people, templates, colours + 1, 77, 768]"""
    exam: Exam
    plan: Plan

    def run(self, folder: Path) -> Joint:
        """Return the trained pair; their state is kept in `folder`."""
        torch.manual_seed(self.plan.seed)
        joint = Joint()

        def losses(generator: torch.Generator, step: int) -> dict[str, Tensor]:
            return {"noise": self._loss(joint, generator, people=1 if step % TWO_EVERY else 2)}

        def evaluate(mean: Joint, step: int) -> dict[str, float]:
            return self.exam.take(mean.unet, mean.adapter, folder / f"{self.plan.name}_{step:06d}.png")

        return train(joint, self.plan, folder, losses, evaluate)

    def _loss(self, joint: Joint, generator: torch.Generator, people: int) -> Tensor:
        """Return the squared error of the noise, weighted by min-SNR (Hang et al. 2023, arXiv:2303.09556)."""
        chosen = self._chosen(generator, people)
        clean = torch.cat(self.latents[chosen].unbind(1), dim=-1)  # side by side
        noise = torch.empty(clean.shape).normal_(generator=generator)
        times = torch.randint(len(ALPHAS), (len(chosen),), generator=generator)
        left = ALPHAS[times]
        x = left.sqrt()[:, None, None, None] * clean + (1 - left).sqrt()[:, None, None, None] * noise
        prompts, identities, scale, lora = self._conditions(chosen, generator)
        with torch.autocast("cpu", torch.bfloat16):
            faces = joint.adapter.faces(identities, scale, lora)
            guessed = joint.unet(x, times, prompts, joint.adapter, faces).float()
        ratio = left / (1 - left)
        weight = ratio.clamp(max=SNR_CAP) / ratio
        return (weight * (guessed - noise).square().mean((1, 2, 3))).mean()

    def _chosen(self, generator: torch.Generator, people: int) -> Tensor:
        """Return which of the world's pictures each is made of [n, people]: other people, the same background."""
        first = torch.randint(len(self.latents), (BATCH // people,), generator=generator)
        if people == 1:
            return first[:, None]
        colours, who = torch.from_numpy(self.world.colour), torch.from_numpy(self.world.person)
        fits = (colours[first][:, None] == colours) & (who[first][:, None] != who)
        return torch.stack((first, torch.multinomial(fits.float(), 1, generator=generator)[:, 0]), 1)

    def _conditions(self, chosen: Tensor, generator: torch.Generator) -> tuple[Prompts, Tensor, Tensor, Tensor]:
        """Return prompts, identities [n, people, 512], scales and LoRA strengths [n], with some of them taken away."""
        count, people = chosen.shape
        luck = torch.rand(count, generator=generator)
        captions = self.captions[people - 1]
        template = int(torch.randint(len(captions), (1,), generator=generator))
        colours = torch.from_numpy(self.world.colour)[chosen[:, 0]]
        is_silent = luck < NO_ADAPTER_NO_CAPTION
        empty = captions.shape[1] - 1
        prompts = Prompts(captions[template], colours.masked_fill(is_silent, empty))
        identities = self._identities(chosen.flatten(), generator).unflatten(0, chosen.shape)
        is_bare = (luck >= NO_CAPTION) & (luck < NO_ADAPTER)
        scale, lora = (
            (low + (high - low) * torch.rand(count, generator=generator)).masked_fill(is_bare, 0)
            for low, high in (SCALES, LORAS)
        )
        return prompts, identities.masked_fill((luck < NOTHING)[:, None, None], 0), scale, lora

    def _identities(self, chosen: Tensor, generator: torch.Generator) -> Tensor:
        """Return embeddings of the people: half of them of the photo, half of another picture of the same person."""
        people = torch.from_numpy(self.world.person)[chosen]
        each = len(self.latents) // len(self.world.names)
        others = people * each + torch.randint(each, chosen.shape, generator=generator)  # they stand person by person
        is_photo = torch.rand(chosen.shape, generator=generator) < 0.5
        of_photo, of_picture = torch.from_numpy(self.world.photo_embeddings), torch.from_numpy(self.world.embeddings)
        return torch.where(is_photo[:, None], of_photo[people], of_picture[others])
