"""Train what Plus v2 has beyond FaceID: an image encoder of our own and the resampler that reads it.

UNet and FaceID adapter stay as they are. The image encoder is shown the photo that was taken at the moment of the
picture which is to be drawn, while the recogniser's vector is another photo's: so the vector says who it is, and the
photo says how he looks and in what light. First both look at photos only: from what the resampler gives, one layer has
to guess the picture's latents, which takes a tenth of the time. Then the UNet draws with them.
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

__all__ = ["Photos", "PlusTraining"]

LOOKED_AT = 24  # photos in a step
STARTING = 60  # photos, from whose patches the encoder starts


@dataclass(frozen=True, eq=False)
class Photos:
    """The straightened face of each picture's own photo, as CLIP is shown it."""

    parts: Sequence[NDArray[np.uint8]]
    """Each [people of a part, pictures of each, 224, 224, 3], of as many people."""

    def pixel_values(self, pictures: Tensor) -> Tensor:
        """Return CLIP's pixel values [n, 3, 224, 224] for these pictures of the album."""
        size, each = self.parts[0].shape[:2]
        found = (divmod(picture, each) for picture in pictures.flatten().tolist())
        return torch.stack([preprocess(np.array(self.parts[who // size][who % size, at])) for who, at in found])


class _JointPlus(Joint):
    """UNet and FaceID adapter, which stay, with Plus v2's tokens."""

    def __init__(self, joint: Joint, networks: PlusNetworks, photos: Photos) -> None:
        nn.Module.__init__(self)
        self.unet, self.adapter, self._networks, self._photos = joint.unet, joint.adapter, networks, photos

    def faces(self, album: Album, chosen: Tensor, which: Tensor, is_nobody: Tensor) -> Faces:
        faces = super().faces(album, chosen, which, is_nobody)
        pixels = self._photos.pixel_values(chosen)
        nobody = is_nobody[:, None].expand(chosen.shape).flatten()
        tokens = self._networks(faces.tokens, pixels.masked_fill(nobody[:, None, None, None], 0))
        return Faces(tokens, faces.people, SCALE, LORA)


class _Guess(nn.Module):
    """The networks with one layer that guesses latents [n, 4, 16, 16]: by how much they differ from the mean."""

    def __init__(self, networks: PlusNetworks, album: Album) -> None:
        super().__init__()
        latents = album.latents.flatten(1)
        means = torch.stack([latents[album.colour == colour].mean(0) for colour in album.colour.unique()])
        self.networks = networks
        self.guess, self.wall = nn.Linear(4 * WIDTH, latents.shape[1]), nn.Embedding.from_pretrained(means)
        nn.init.zeros_(self.guess.weight)

    def forward(self, tokens: Tensor, pixels: Tensor, colour: Tensor) -> Tensor:
        seen = self.networks.perceiver_resampler.resample(tokens, self.networks.vision_model(pixels))
        return self.guess(seen.flatten(1)) + self.wall(colour)


@dataclass(frozen=True, eq=False)
class PlusTraining:
    """What the two networks are shown."""

    joint: Joint
    """UNet and adapter, finished."""
    album: Album
    """The pictures of sittings."""
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

        trained = train(networks, self.plan, folder, losses, lambda _mean, _step: {})
        trained.perceiver_resampler.lessen()
        return trained

    def _looked(self, folder: Path) -> PlusNetworks:
        """Return networks that have looked at photos, and add next to nothing yet to FaceID's tokens."""
        networks = PlusNetworks()
        networks.start_from(self.photos.pixel_values(torch.randperm(len(self.album.person))[:STARTING]))
        nn.init.ones_(networks.perceiver_resampler.norm_out.weight)
        latents = self.album.latents.flatten(1)
        guess = _Guess(networks, self.album)

        def losses(generator: torch.Generator, _step: int) -> dict[str, Tensor]:
            chosen = torch.randint(len(self.album.person), (LOOKED_AT,), generator=generator)
            person = self.album.person[chosen]
            which = torch.randint(self.album.photo_embeddings.shape[1], person.shape, generator=generator)
            vectors = functional.normalize(self.album.photo_embeddings[person, which], dim=-1)
            found = guess(
                self.joint.adapter.image_proj(vectors),
                self.photos.pixel_values(chosen),
                self.album.colour[chosen],
            )
            return {"latents": functional.mse_loss(found, latents[chosen])}

        networks = train(guess, self.look, folder, losses, lambda _mean, _step: {}).networks.requires_grad_()
        nn.init.constant_(networks.perceiver_resampler.norm_out.weight, START)
        nn.init.zeros_(networks.perceiver_resampler.norm_out.bias)
        return networks.train()
