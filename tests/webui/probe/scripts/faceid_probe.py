"""An extension for tests only: it does what neighbours do at the worst moment, and tells what is left in the UNet."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from modules import extra_networks, processing, script_callbacks, scripts, shared, ui_extra_networks

OURS = "ip_adapter_faceid.py"


class Probe(scripts.Script):
    """Takes one dict: {"nested": true} runs a job inside the job, {"fail_at_call": n} fails in the n-th UNet call,
    {"prompts": [...]} gives each image its prompt, as wildcards do.

    {"own_calls": true} calls the UNet with a prompt of its own before each call of the job's; {"own_prompt": n} puts
    it in place of the job's from the n-th call on.
    """

    def title(self) -> str:
        return "FaceID probe"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        import gradio as gr

        return [gr.JSON(visible=False)]

    def process(self, p: Any, wish: Any = None) -> None:
        if wish and "prompts" in wish:
            p.all_prompts = wish["prompts"]
        if wish and ("own_calls" in wish or "own_prompt" in wish):
            owner = caller()
            owner.apply_model = with_own_prompt(owner.apply_model, wish)
        if not wish or "fail_at_call" not in wish:
            return
        calls = 0

        def fail(*_: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == wish["fail_at_call"]:
                handle.remove()
                raise RuntimeError("the probe was asked to fail")

        first = getattr(unet(), "middle_block", None) or unet().double_blocks[0]  # of a UNet, or of FLUX.1
        handle = first.register_forward_pre_hook(fail)

    def postprocess(self, p: Any, processed: Any, wish: Any = None) -> None:
        vars(caller()).pop("apply_model", None)

    def postprocess_image(self, p: Any, pp: Any, wish: Any = None) -> None:
        if not wish or not wish.get("nested"):
            return
        inner = processing.StableDiffusionProcessingTxt2Img(
            sd_model=shared.sd_model,
            prompt=p.prompt,
            seed=p.seed,
            steps=p.steps,
            width=p.width,
            height=p.height,
            cfg_scale=p.cfg_scale,
            sampler_name=p.sampler_name,
            do_not_save_samples=True,
            do_not_save_grid=True,
        )
        pp.image = processing.process_images(inner).images[0]


def unet() -> Any:
    """The UNet that is loaded, in AUTOMATIC1111 and in Forge."""
    objects = getattr(shared.sd_model, "forge_objects", None)
    return objects.unet.model.diffusion_model if objects else shared.sd_model.model.diffusion_model


def caller() -> Any:
    """What calls the UNet."""
    objects = getattr(shared.sd_model, "forge_objects", None)
    return objects.unet.model if objects else shared.sd_model


def unmarked(*more: Any, **named: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the UNet is called with, without marks: a token in front of the prompt; slots beside it in Forge."""
    if more:
        return (_unmarked(more[0]), *more[1:]), named
    if "cond" in named:
        return more, {**named, "cond": _unmarked(named["cond"])}
    return more, {name: value for name, value in named.items() if name != "faceid_slots"}


def _unmarked(cond: dict[str, Any]) -> dict[str, Any]:
    return {**cond, "c_crossattn": [context[:, 1:] for context in cond["c_crossattn"]]}


def with_own_prompt(apply_model: Any, wish: dict[str, Any]) -> Any:
    """Return what calls the UNet with the prompt as it was before anybody marked it."""
    calls = 0

    def apply(x: Any, t: Any, *more: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        own = unmarked(*more, **named)
        if "own_calls" in wish:
            apply_model(x, t, *own[0], **own[1])
        if calls >= wish.get("own_prompt", calls + 1):
            more, named = own
        return apply_model(x, t, *more, **named)

    return apply


def hooks_left() -> dict[str, Any]:
    """Count the hooks on the UNet and on everything in it, and the networks that are merged into it."""
    modules = list(unet().modules())
    return {
        "hooks": sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules),
        "networks": loras(),
    }


def loras() -> list[str]:
    """What is merged into the weights now."""
    if objects := getattr(shared.sd_model, "forge_objects", None):
        loader = getattr(objects.unet.model, "lora_loader", None)
        if loader is None:  # Forge Neo's, where they are patches of weights as in early Forge
            return sorted(objects.unet.patches)
        return [] if loader.loaded_hash == "[]" else [loader.loaded_hash]
    networks = sys.modules.get("networks")
    return [network.name for network in networks.loaded_networks] if networks else []


def count_merges() -> list[str]:
    """Have each layer noted from now on whose LoRA is computed anew."""
    merged: list[str] = []
    if network := sys.modules.get("network_lora"):  # AUTOMATIC1111's
        noting(network.NetworkModuleLora, "calc_updown", lambda layer, _weight: merged.append(layer.network_key))
    elif forge := sys.modules.get("backend.patcher.lora"):
        noting(forge, "merge_lora_to_weight", lambda _patches, _weight, key="", *_: merged.append(key))
    return merged


def noting(owner: Any, name: str, note: Any) -> None:
    """Have a function's arguments noted whenever it is called."""
    real = getattr(owner, name)

    def noted(*given: Any, **named: Any) -> Any:
        note(*given)
        return real(*given, **named)

    setattr(owner, name, noted)


def registered(app: FastAPI) -> dict[str, Any]:
    """Count what the WebUI holds of the extension."""
    callbacks = [
        category
        for category, entries in script_callbacks.callback_map.items()
        for entry in entries
        if Path(entry.script).name == OURS
    ]
    (plot,) = [one.module for one in scripts.scripts_data if one.path.endswith("xyz_grid.py")]
    runners = {"txt2img": scripts.scripts_txt2img, "img2img": scripts.scripts_img2img}
    networks = [*ui_extra_networks.extra_pages, *extra_networks.extra_network_registry.values()]
    return {
        "callbacks": Counter(callbacks),
        "axes": Counter(option.label for option in plot.axis_options if option.label.startswith("[FaceID")),
        "networks": Counter(type(one).__name__ for one in networks if type(one).__module__.startswith("lib_faceid")),
        "scripts": {
            tab: sum(Path(one.filename).name == OURS for one in runner.alwayson_scripts)
            for tab, runner in runners.items()
        },
        "routes": Counter(
            f"{method} {route.path}"
            for route in app.routes
            if route.path.startswith("/ip-adapter-faceid")
            for method in route.methods
        ),
    }


def add_route(_demo: Any, app: FastAPI) -> None:
    app.add_api_route("/faceid-probe", hooks_left, methods=["GET"])
    merged = count_merges()
    app.add_api_route("/faceid-probe/merged", lambda: len(merged), methods=["GET"])
    started = time.time()

    def answer() -> dict[str, Any]:
        return {"started": started, **registered(app)}

    app.add_api_route("/faceid-probe/registered", answer, methods=["GET"])
    app.add_api_route("/faceid-probe/order", order, methods=["GET"])
    app.add_api_route("/faceid-probe/storage", storage, methods=["GET"])


def storage() -> str:
    """What the numbers of a query's matrix are kept in."""
    return str(next(p.dtype for name, p in unet().named_parameters() if name.endswith("attn2.to_q.weight")))


def order() -> list[str]:
    """Who is asked before each sampling, in this order: Forge's own names of callbacks."""
    return [one.name for one in scripts.scripts_txt2img.ordered_callbacks("process_before_every_sampling")]


script_callbacks.on_app_started(add_route)
