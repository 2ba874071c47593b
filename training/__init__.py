"""How the miniature world was trained: a Stable Diffusion 1.5 of a few people, with a FaceID adapter, from scratch.

Read it in this order; each module is one thought:

    people      whose photos may be used, and the face of each
    world       one photo -> hundreds of slightly different small pictures, with captions
    captions    what the text encoder (seeded, never trained) makes of those captions
    recogniser  ArcFace as a differentiable network: what "the same person" means
    vae         pictures <-> latents; vae_phase trains it
    unet        noise -> latents, told by text; adapter adds "and by a face"; joint_phase trains both at once
    sampling    DDIM, which draws; measure says who is in the drawing
    loop        what every training needs: steps that can be stopped, resumed and repeated exactly
    export      the files to ship

    python -m training --photos ../shared/data/photos --face-models DIR --out DIR
"""

from __future__ import annotations

__all__: list[str] = []
