"""Who is timed: the UNet alone, ours, diffusers' own IP-Adapter, and the formula as one would write it down."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from builders import Parts
from diffusers.models.attention_processor import AttnProcessor2_0
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor
from torch.nn import functional

from bench.hooks import Hooks
from bench.interleaved import Call, Contender
from bench.networks import Subject
from lib_faceid.effects.injection import Contribution, inject
from lib_faceid.unet.layers import attention_layers

__all__ = ["Peer", "bare", "ours", "plain"]

WEIGHT = 0.7


def bare(subject: Subject) -> Contender:
    """Return the UNet as it is."""

    @contextmanager
    def ready() -> Generator[Call]:
        yield subject.call

    return Contender("the UNet alone", ready)


def ours(name: str, subject: Subject, people: Sequence[Contribution], target: float | None = None) -> Contender:
    """Return the UNet with people in it."""

    hooks = Hooks()

    @contextmanager
    def ready() -> Generator[Call]:
        with inject(subject.unet, people) as injection, hooks.watched():
            injection.set_rows(subject.slots)
            yield subject.call

    return Contender(name, ready, target, hooks)


def plain(subject: Subject) -> Contender:
    """Return the paper's formula (eq. 5) in an attention processor: keys and values anew in each layer and step."""
    adapter, layers = subject.adapter, attention_layers(subject.unet)
    tokens = adapter.encode(subject.person(1))
    rows = torch.stack([tokens.uncond, tokens.cond])[-subject.size.rows :].to(subject.device, subject.dtype)
    weights = {
        id(layer.module): [
            matrix[layer.index].to(subject.device, subject.dtype) for matrix in (adapter.to_k_ip, adapter.to_v_ip)
        ]
        for layer in layers
        if layer.is_cross
    }

    class Plain(AttnProcessor2_0):
        def __call__(self, attn: Any, hidden_states: Tensor, *args: Any, **more: Any) -> Tensor:
            matrices = weights.get(id(attn))
            if matrices is None:
                return super().__call__(attn, hidden_states, *args, **more)
            context = more["encoder_hidden_states"]
            q, k, v = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
            k_ip, v_ip = (rows @ matrix.T for matrix in matrices)
            q, k, v, k_ip, v_ip = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in (q, k, v, k_ip, v_ip))
            text = functional.scaled_dot_product_attention(q, k, v)
            scores = q @ k_ip.transpose(-1, -2) / q.shape[-1] ** 0.5
            found = text + WEIGHT * (scores.softmax(-1) @ v_ip)
            return attn.to_out[1](attn.to_out[0](found.transpose(1, 2).flatten(2)))

    @contextmanager
    def ready() -> Generator[Call]:
        subject.unet.set_attn_processor(Plain())
        try:
            yield subject.call
        finally:
            subject.unet.set_attn_processor(AttnProcessor2_0())

    return Contender("the formula written plainly", ready)


class Peer:
    """diffusers' own IP-Adapter with the same weights. Its LoRA, where it has one, stays in the UNet once loaded."""

    def __init__(self, subject: Subject, parts: Parts) -> None:
        absent: dict[str, Any] = dict.fromkeys(
            ("vae", "text_encoder", "tokenizer", "safety_checker", "feature_extractor")
        )
        self._pipeline: Any = cast("Any", StableDiffusionPipeline)(
            **absent, unet=subject.unet, scheduler=DDIMScheduler(), requires_safety_checker=False
        )
        self._subject = subject
        self._has_lora = any("lora" in key for key in parts.ip_adapter)
        self._pipeline.load_ip_adapter(parts.nested(), subfolder=None, weight_name="x", image_encoder_folder=None)
        self._pipeline.set_ip_adapter_scale(WEIGHT)
        unet = subject.unet.to(subject.device, subject.dtype)
        self._processors, self._projection = dict(unet.attn_processors), unet.encoder_hid_proj
        vectors = subject.person(1).normed_embeddings
        embeds = torch.stack([torch.zeros_like(vectors), vectors])[-subject.size.rows :]
        self._embeds = [embeds.to(subject.device, subject.dtype)]
        self._off()

    def contender(self, name: str) -> Contender:
        """Return it, to be timed."""

        @contextmanager
        def ready() -> Generator[Call]:
            unet = self._subject.unet
            unet.set_attn_processor(dict(self._processors))
            unet.encoder_hid_proj, unet.config["encoder_hid_dim_type"] = self._projection, "ip_image_proj"
            unet.register_to_config(encoder_hid_dim_type="ip_image_proj")
            if self._has_lora:
                self._pipeline.set_adapters(["faceid_0"], adapter_weights=[WEIGHT])
                self._pipeline.enable_lora()
            try:
                yield lambda: self._subject.call(added_cond_kwargs={"image_embeds": self._embeds})
            finally:
                self._off()

        return Contender(name, ready)

    def _off(self) -> None:
        unet = self._subject.unet
        unet.set_attn_processor(AttnProcessor2_0())
        unet.encoder_hid_proj = None
        unet.register_to_config(encoder_hid_dim_type=None)
        if self._has_lora:
            self._pipeline.disable_lora()
