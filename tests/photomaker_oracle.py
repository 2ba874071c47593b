"""PhotoMaker as its authors have it, written from their repository with the classes of transformers.

https://github.com/TencentARC/PhotoMaker (Apache-2.0, 060b4fc): model.py, model_v2.py, pipeline.py. Nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

__all__ = ["encode_prompt", "fused", "id_rows", "merge_lora"]

State = Mapping[str, Tensor]


def below(state: State, prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): one.float() for key, one in state.items() if key.startswith(prefix)}


def tower(state: State) -> CLIPVisionModelWithProjection:
    width, _, patch, _ = state["vision_model.embeddings.patch_embedding.weight"].shape
    places = state["vision_model.embeddings.position_embedding.weight"].shape[0]
    model = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=state["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
            num_hidden_layers=len({key.split(".")[3] for key in state if ".encoder.layers." in key}),
            num_attention_heads=width // 64,
            patch_size=patch,
            image_size=patch * int((places - 1) ** 0.5),
            projection_dim=state["visual_projection.weight"].shape[0],
        )
    )
    known = model.state_dict()
    model.load_state_dict({key: one.float() for key, one in state.items() if key in known}, strict=True)
    return model.eval()


@torch.no_grad()
def id_rows(state: State, pixels: Tensor, vectors: Tensor | None = None) -> Tensor:
    """PhotoMakerIDEncoder without the fuse, [photos * tokens, 2048]; vectors: of v2."""
    vision = tower(state).vision_model
    if vectors is None:
        pooled = vision(pixels).pooler_output
        both = [pooled @ state[f"{name}.weight"].float().T for name in ("visual_projection", "visual_projection_2")]
        return torch.cat(both, dim=-1)
    hidden = vision(pixels).last_hidden_state
    own = below(state, "qformer_perceiver.")
    rows = vectors @ own["token_proj.0.weight"].T + own["token_proj.0.bias"]
    rows = nn.functional.gelu(rows) @ own["token_proj.2.weight"].T + own["token_proj.2.bias"]
    rows = _norm(own, "token_norm", rows.view(len(vectors), -1, own["token_norm.weight"].shape[0]))
    return (rows + _resampled(below(own, "perceiver_resampler."), rows, hidden)).flatten(0, 1)


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    return nn.functional.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def _resampled(own: State, latents: Tensor, x: Tensor, dim_head: int = 128) -> Tensor:
    """FacePerceiverResampler, its attention written out."""
    x = x @ own["proj_in.weight"].T + own["proj_in.bias"]
    for layer in range(len({key.split(".")[1] for key in own if key.startswith("layers.")})):
        attention, feed = f"layers.{layer}.0", f"layers.{layer}.1"
        context, asking = _norm(own, f"{attention}.norm1", x), _norm(own, f"{attention}.norm2", latents)
        k, v = (torch.cat([context, asking], dim=1) @ own[f"{attention}.to_kv.weight"].T).chunk(2, dim=-1)
        heads = [one.split(dim_head, dim=-1) for one in (asking @ own[f"{attention}.to_q.weight"].T, k, v)]
        found = [(q @ k.mT / dim_head**0.5).softmax(dim=-1) @ v for q, k, v in zip(*heads, strict=True)]
        latents = torch.cat(found, dim=-1) @ own[f"{attention}.to_out.weight"].T + latents
        inner = nn.functional.gelu(_norm(own, f"{feed}.0", latents) @ own[f"{feed}.1.weight"].T)
        latents = inner @ own[f"{feed}.3.weight"].T + latents
    return _norm(own, "norm_out", latents @ own["proj_out.weight"].T + own["proj_out.bias"])


def _mlp(state: State, name: str, x: Tensor) -> Tensor:
    part = below(state, f"fuse_module.{name}.")
    x = _norm(part, "layernorm", x)
    x = nn.functional.gelu(x @ part["fc1.weight"].T + part["fc1.bias"])
    return x @ part["fc2.weight"].T + part["fc2.bias"]


@torch.no_grad()
def fused(state: State, rows: Tensor, ids: Tensor) -> Tensor:
    """FuseModule.fuse_fn."""
    stacked = _mlp(state, "mlp1", torch.cat([rows, ids], dim=-1)) + rows
    stacked = stacked + _mlp(state, "mlp2", stacked)
    return _norm(below(state, "fuse_module."), "layer_norm", stacked)


@torch.no_grad()
def encode_prompt(pipeline: Any, prompt: str, ids: Tensor, state: State) -> tuple[Tensor, Tensor]:
    """encode_prompt_with_trigger_word and the fuse: text [1, 77, 2048] and its pooled form, of one trigger "img"."""
    found: list[Tensor] = []
    pooled, mask = torch.empty(0), torch.zeros(77, dtype=torch.bool)
    for tokenizer, encoder in (
        (pipeline.tokenizer, pipeline.text_encoder),
        (pipeline.tokenizer_2, pipeline.text_encoder_2),
    ):
        (trigger,) = tokenizer("img", add_special_tokens=False).input_ids
        tokens: Sequence[int] = tokenizer(prompt).input_ids
        at = list(tokens).index(trigger)
        clean = [*tokens[: at - 1], *[tokens[at - 1]] * len(ids), *tokens[at + 1 :]]
        clean += [tokenizer.pad_token_id] * (77 - len(clean))
        mask[:] = False
        mask[at - 1 : at - 1 + len(ids)] = True
        given = encoder(torch.tensor([clean]), output_hidden_states=True)
        pooled = given[0]
        found.append(given.hidden_states[-2])
    embeds = torch.cat(found, dim=-1)
    embeds[:, mask] = fused(state, embeds[0, mask], ids)
    return embeds, pooled


@torch.no_grad()
def merge_lora(unet: nn.Module, state: State, strength: float) -> None:
    """The old names of diffusers' LoRA: `unet.<attention>.processor.to_q_lora.down.weight`."""
    for key in [key for key in state if key.endswith(".down.weight")]:
        place, name = key.removeprefix("unet.").removesuffix("_lora.down.weight").split(".processor.")
        up = state[key.replace(".down.", ".up.")].float()
        linear: Any = unet.get_submodule(f"{place}.{name}{'.0' if name == 'to_out' else ''}")
        linear.weight += strength * up @ state[key].float()
