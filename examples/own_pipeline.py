"""A sampling loop of one's own: a batch with another person in each picture, from the second tenth of the steps on.

`pictures_of` takes any diffusers pipeline of SD 1.5, with any scheduler. Nothing of it is changed afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lib_faceid import Adapter, Contribution, Identity, Schedule, inject, merge_lora

__all__ = ["pictures_of"]


@torch.no_grad()
def pictures_of(
    pipeline: Any, adapter: Adapter, people: Sequence[Identity], prompt: str, *, steps: int = 20, weight: float = 0.8
) -> Tensor:
    """Return a picture of each person, float32 [people, 3, H, W] from -1 to 1."""
    unet, scheduler, count, cfg = pipeline.unet, pipeline.scheduler, len(people), 2.0
    prompts, negatives = pipeline.encode_prompt(prompt, unet.device, count, do_classifier_free_guidance=True)
    texts = torch.cat([negatives, prompts])
    side = unet.config.sample_size
    latents = torch.randn(count, 4, side, side, generator=torch.Generator().manual_seed(7)).to(unet.device, unet.dtype)
    scheduler.set_timesteps(steps)
    latents = latents * scheduler.init_noise_sigma
    contribution = Contribution(adapter.tokens(people), Schedule(weight, start=0.1))
    with merge_lora(unet, adapter, 0.6 if weight else 0), inject(unet, contribution) as injection:
        with_person = range(1, count + 1)  # slot 1 is the first picture with its person, -1 the same without
        injection.set_rows([*(-slot for slot in with_person), *with_person])
        for step, timestep in enumerate(scheduler.timesteps):
            injection.set_progress(step / len(scheduler.timesteps), 1 / len(scheduler.timesteps))
            noisy = scheduler.scale_model_input(torch.cat([latents, latents]), timestep)
            uncond, cond = unet(noisy, timestep, encoder_hidden_states=texts).sample.chunk(2)
            latents = scheduler.step(uncond + cfg * (cond - uncond), timestep, latents).prev_sample
    return pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample.float().clamp(-1, 1)
