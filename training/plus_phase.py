"""Train what Plus v2 has beyond FaceID: an image encoder of our own and the resampler that reads it.

UNet and FaceID adapter stay as they are. First both look at photos only: from what the resampler gives, one layer has
to guess the latents of another picture of the same person, which takes a tenth of the time and teaches what a face
looks like. Then the UNet draws with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lib_faceid.encoders.clip_vision import preprocess
from training.adapter import Faces
from training.joint_phase import LORA, SCALE, Album, Joint, noise_loss
from training.loop import Plan, train
from training.plus import START, WIDTH, PlusNetworks
from training.world import PHOTO

__all__ = ["Photos", "PlusTraining"]

LOOKED_AT = 24  # photos in a step
STARTING = 60  # photos, from whose patches the encoder starts


@dataclass(frozen=True, eq=False)
class Photos:
    """The straightened faces of everybody's photos, as CLIP is shown them."""

    parts: Sequence[NDArray[np.uint8]]
    """Each [people of a part, photos of each, 224, 224, 3], of as many people."""

    def pixel_values(self, person: Tensor, which: Tensor) -> Tensor:
        """Return CLIP's pixel values [n, 3, 224, 224] of a photo of each person."""
        size = len(self.parts[0])
        pairs = zip(person.flatten().tolist(), which.flatten().tolist(), strict=True)
        return torch.stack([preprocess(np.array(self.parts[who // size][who % size, at])) for who, at in pairs])


class _JointPlus(Joint):
    """UNet and FaceID adapter, which stay, with Plus v2's tokens."""

    def __init__(self, joint: Joint, networks: PlusNetworks, photos: Photos) -> None:
        nn.Module.__init__(self)
        self.unet, self.adapter, self._networks, self._photos = joint.unet, joint.adapter, networks, photos

    def faces(self, album: Album, chosen: Tensor, which: Tensor, is_nobody: Tensor) -> Faces:
        faces = super().faces(album, chosen, which, is_nobody)
        pixels = self._photos.pixel_values(album.person[chosen], which)
        nobody = is_nobody[:, None].expand(chosen.shape).flatten()
        tokens = self._networks(faces.tokens, pixels.masked_fill(nobody[:, None, None, None], 0))
        return Faces(tokens, faces.people, SCALE, LORA)


class _Guess(nn.Module):
    """The networks with one layer that guesses latents [n, 4, 16, 16] before a wall of that colour."""

    def __init__(self, networks: PlusNetworks, latents: int, colours: int) -> None:
        super().__init__()
        self.networks = networks
        self.guess, self.wall = nn.Linear(4 * WIDTH, latents), nn.Embedding(colours, latents)

    def forward(self, tokens: Tensor, pixels: Tensor, colour: Tensor) -> Tensor:
        seen = self.networks.perceiver_resampler(tokens, self.networks.vision_model(pixels))
        return self.guess(seen.flatten(1)) + self.wall(colour)


@dataclass(frozen=True, eq=False)
class PlusTraining:
    """What the two networks are shown."""

    joint: Joint
    """UNet and adapter, finished."""
    album: Album
    photos: Photos
    captions: Tensor
    look: Plan
    plan: Plan

    def run(self, folder: Path) -> PlusNetworks:
        """Return the trained networks; their state is kept in `folder`."""
        torch.manual_seed(self.plan.seed)
        self.joint.requires_grad_(False)
        networks = self._looked(folder)
        joint = _JointPlus(self.joint, networks, self.photos)

        def losses(generator: torch.Generator, step: int) -> dict[str, Tensor]:
            return {"noise": noise_loss(joint, self.album, self.captions, generator, step, has_beginnings=True)}

        return train(networks, self.plan, folder, losses, lambda _mean, _step: {})

    def _looked(self, folder: Path) -> PlusNetworks:
        """Return networks that have looked at photos, and add next to nothing yet to FaceID's tokens."""
        networks = PlusNetworks()
        first = torch.randperm(len(self.album.photo_embeddings))[:STARTING]
        networks.start_from(self.photos.pixel_values(first, torch.zeros_like(first)))
        nn.init.ones_(networks.perceiver_resampler.norm_out.weight)
        shown = torch.nonzero(self.album.style == PHOTO)[:, 0]
        latents = self.album.latents.flatten(1)
        guess = _Guess(networks, latents.shape[1], int(self.album.colour.max()) + 1)

        def losses(generator: torch.Generator, _step: int) -> dict[str, Tensor]:
            chosen = shown[torch.randint(len(shown), (LOOKED_AT,), generator=generator)]
            person = self.album.person[chosen]
            which = torch.randint(self.album.photo_embeddings.shape[1], person.shape, generator=generator)
            vectors = functional.normalize(self.album.photo_embeddings[person, which], dim=-1)
            found = guess(
                self.joint.adapter.image_proj(vectors),
                self.photos.pixel_values(person, which),
                self.album.colour[chosen],
            )
            return {"latents": functional.mse_loss(found, latents[chosen])}

        networks = train(guess, self.look, folder, losses, lambda _mean, _step: {}).networks.requires_grad_()
        nn.init.constant_(networks.perceiver_resampler.norm_out.weight, START)
        nn.init.zeros_(networks.perceiver_resampler.norm_out.bias)
        return networks.train()
