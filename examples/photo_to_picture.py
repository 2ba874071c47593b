"""From a photo to a picture: `python photo_to_picture.py me.jpg ip-adapter-faceid_sd15.bin MODEL me.png`.

MODEL is what diffusers loads: a folder, or a name such as `stable-diffusion-v1-5/stable-diffusion-v1-5`.
"""

from __future__ import annotations

import sys

import torch
from diffusers import StableDiffusionPipeline

from lib_faceid import Contribution, Schedule, identity_from_photos, inject, load_adapter, merge_lora

photo, adapter_file, model, picture = sys.argv[1:]
person = identity_from_photos(photo)
adapter = load_adapter(adapter_file)
pipeline = StableDiffusionPipeline.from_pretrained(model)
unet, noise = pipeline.unet, torch.Generator().manual_seed(7)
contribution = Contribution(adapter.tokens(person), Schedule(weight=0.8))
with merge_lora(unet, adapter, 0.6), inject(unet, contribution) as injection:
    injection.set_rows([0, 1])  # the rows of each UNet call: without the person (uncond), with her
    drawn = pipeline("a photo of a person, blue background", guidance_scale=2, generator=noise)
drawn.images[0].save(picture)
