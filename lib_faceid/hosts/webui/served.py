"""Whether the WebUI that runs here is one that this extension serves, found out without importing anything of it."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["why_not_served"]

DENOISER = "modules.sd_samplers_cfg_denoiser"
"""Where AUTOMATIC1111 and the Forges call the UNet, and call those who listen to it."""


def why_not_served() -> str:
    """Return a sentence where faces cannot be drawn in this WebUI, such as SD.Next, whose pictures diffusers draws.

    A WebUI prints it among its messages at the start. It is told by what is there and not by its name.
    """
    if find_spec("modules.sd_samplers_diffusers") is None and find_spec(DENOISER) is not None:
        return ""
    return (
        "IP-Adapter FaceID does not run in this WebUI: it serves AUTOMATIC1111's, Forge and reForge. SD.Next draws "
        "with diffusers and has FaceID built in (Scripts > Face). Our own page draws without a WebUI: see the README."
    )
