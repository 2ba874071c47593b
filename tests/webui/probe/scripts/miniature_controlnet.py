"""An extension for tests only: ControlNet takes the published width for granted; here it is told the miniatures'."""

from __future__ import annotations

import sys
from typing import Any

from modules import script_callbacks


def tell(*_: Any) -> None:
    guess = sys.modules.get("scripts.controlnet_model_guess")
    if guess is not None:
        guess.controlnet_default_config |= {"model_channels": 64}
        guess.controlnet_sdxl_config |= {"model_channels": 32, "adm_in_channels": 1792}


script_callbacks.on_app_started(tell)
