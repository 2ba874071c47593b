"""The sizes that turn a published layout into a miniature: the same tree of tensors with fewer channels."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "CONTEXT_LENGTH",
    "INPAINTING",
    "LATENT",
    "MINIATURE",
    "PUBLISHED",
    "RGB",
    "SD15",
    "SDXL",
    "VOCABULARY",
    "Sizes",
    "TextSizes",
    "UNetSizes",
    "VAESizes",
]

SD15, SDXL = "sd15", "sdxl"
LATENT, RGB = 4, 3  # channels of a latent and of a picture
INPAINTING = LATENT + 1 + LATENT  # channels that an inpainting UNet is given: latent, mask, masked picture
VOCABULARY, CONTEXT_LENGTH = 49_408, 77  # CLIP's tokens, and how many of them a prompt is cut into


@dataclass(frozen=True)
class UNetSizes:
    """A UNet: level i has `channels * mult[i]` channels and `depth[i]` transformer blocks per attention."""

    channels: int
    mult: tuple[int, ...]
    depth: tuple[int, ...]
    middle_depth: int
    context: int  # width of the text conditioning, the cross_attention_dim
    linear_projection: bool  # proj_in and proj_out are Linear in SDXL, 1x1 convolutions in SD 1.5
    adm: int = 0  # width of the pooled text and picture sizes that SDXL adds to the time embedding
    blocks_per_level: int = 2
    inputs: int = LATENT  # channels that it is given; an inpainting UNet also sees the mask and the masked picture

    @property
    def attention_channels(self) -> tuple[int, ...]:
        """Return the channels of each cross attention as adapters number them: down, up, mid."""
        levels = [(self.channels * mult, depth) for mult, depth in zip(self.mult, self.depth, strict=True) if depth]
        down = [c for c, depth in levels for _ in range(depth * self.blocks_per_level)]
        up = [c for c, depth in reversed(levels) for _ in range(depth * (self.blocks_per_level + 1))]
        return (*down, *up, *[self.channels * self.mult[-1]] * self.middle_depth)


@dataclass(frozen=True)
class VAESizes:
    """An autoencoder; four levels make pictures eight times as wide as latents."""

    channels: int
    mult: tuple[int, ...]
    blocks_per_level: int


@dataclass(frozen=True)
class TextSizes:
    """A CLIP text encoder; heads are always 64 wide."""

    width: int
    feed_forward: int
    layers: int


@dataclass(frozen=True)
class Sizes:
    """A whole checkpoint. SDXL has a second text encoder, in open_clip's layout."""

    unet: UNetSizes
    vae: VAESizes
    text: TextSizes
    open_text: TextSizes | None = None


PUBLISHED = {
    SD15: Sizes(
        UNetSizes(320, (1, 2, 4, 4), (1, 1, 1, 0), middle_depth=1, context=768, linear_projection=False),
        VAESizes(128, (1, 2, 4, 4), 2),
        TextSizes(768, 3072, 12),
    ),
    SDXL: Sizes(
        UNetSizes(320, (1, 2, 4), (0, 2, 10), middle_depth=10, context=2048, linear_projection=True, adm=2816),
        VAESizes(128, (1, 2, 4, 4), 2),
        TextSizes(768, 3072, 12),
        TextSizes(1280, 5120, 32),
    ),
}

# The widths of SDXL's text encoders add up to its context; 256 x 10 layers is ViT-S-32-alt, the smallest
# open_clip architecture that a WebUI can be told by name.
MINIATURE = {
    SD15: Sizes(
        UNetSizes(64, (1, 2, 4, 4), (1, 1, 1, 0), middle_depth=1, context=768, linear_projection=False),
        VAESizes(64, (1, 1, 1, 1), 1),
        TextSizes(768, 768, 1),
    ),
    SDXL: Sizes(
        UNetSizes(32, (1, 2, 4), (0, 2, 10), middle_depth=10, context=2048, linear_projection=True, adm=1792),
        VAESizes(64, (1, 1, 1, 1), 1),
        TextSizes(1792, 512, 2),
        TextSizes(256, 1024, 10),
    ),
}
