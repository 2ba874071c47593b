"""The script and the callbacks: each is handed on in a line or two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from modules import scripts

from lib_faceid.api import api, private_files
from lib_faceid.external import TITLE
from lib_faceid.hosts.usual import api_services_of
from lib_faceid.hosts.webui import aiming as webui_aiming
from lib_faceid.hosts.webui import api as webui_api
from lib_faceid.hosts.webui import cards as webui_cards
from lib_faceid.hosts.webui import journal_tab as webui_journal
from lib_faceid.hosts.webui import plot_axes as xyz
from lib_faceid.hosts.webui import recording
from lib_faceid.hosts.webui import script as webui
from lib_faceid.hosts.webui import settings as webui_settings
from lib_faceid.hosts.webui import tags as webui_tags
from lib_faceid.hosts.webui.callback_order import Callbacks
from lib_faceid.hosts.webui.host import WebUI
from lib_faceid.hosts.webui.looks import LOOKS, begin_plain, keep_looks
from lib_faceid.hosts.webui.plot_legend import put_likeness_into_legend
from lib_faceid.hosts.webui.saving import mark_picture
from lib_faceid.ui import units as ui
from lib_faceid.ui.host import services_for
from lib_faceid.ui.journal import JournalServices, build_journal
from lib_faceid.ui.parts import component

__all__ = ["FaceIDScript", "register"]

callbacks = Callbacks(str(Path(__file__).parents[2] / "scripts" / "ip_adapter_faceid.py"))


class FaceIDScript(scripts.Script):  # pyright: ignore[reportUntypedBaseClass]
    """The part of the page below the prompts, and one job's life."""

    def title(self) -> str:
        return TITLE

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        services = replace(services_for(WebUI()), journal=webui_journal.journal_if_on, facts_of=LOOKS.facts_of)
        tab = "img2img" if is_img2img else "txt2img"
        units = ui.build_units(tab, services, webui_settings.setting("faceid_unit_count"), aims=True)
        self.infotext_fields = units.infotext_fields
        return units.arguments

    def before_process(self, p: Any, *args: Any) -> None:
        begin_plain(p, args)
        webui_aiming.begin_aim(p, args)

    def process(self, p: Any, *args: Any) -> None:
        webui.start(p, args)

    def after_extra_networks_activate(self, p: Any, *args: Any, **kwargs: Any) -> None:
        webui.apply_loras(p)

    def process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        webui.apply_loras(p)  # again: a job may have its extra networks switched off
        webui_tags.say_if_off(p)

    def process_before_every_sampling(self, p: Any, *args: Any, **kwargs: Any) -> None:
        _come_last()
        webui.before_sampling(p)

    def postprocess_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        webui.report(p)

    def postprocess_image_after_composite(self, p: Any, pp: Any, *args: Any) -> None:
        webui.score(p, pp.image)

    def postprocess(self, p: Any, processed: Any, *args: Any) -> None:
        recording.record(p, processed)  # before they are sorted
        keep_looks(p, processed)
        webui.finish(p, processed)


def _add_axes() -> None:
    """Add our axes to the X/Y/Z plot, where there is one."""
    if plot := webui.plot_module():
        adapters = {"adapter": lambda: ["Auto", *(path.name for path in webui.adapter_files())]}
        put_likeness_into_legend(plot)
        xyz.add_axes(plot, webui_settings.setting("faceid_unit_count"), adapters)


def _add_networks() -> None:
    """Add the prompt's tag, and the cards of saved people beside those of the LoRAs."""
    webui_tags.register(_come_last)
    webui_cards.register()


def _add_routes(_demo: Any, app: Any) -> None:
    """Add our HTTP routes where the WebUI has its own, behind the same password; keep saved people off its `/file=`."""
    private_files.guard(app, lambda: private_files.private_folders(webui_settings.roots()))
    guards = api.guards_of(app, webui_api.GUARDED_ROUTE)
    if guards is not None:
        api.add_routes(app, api_services_of(WebUI()), guards)


def _journal_tab() -> list[Any]:
    """Return the tab of the journal, as the WebUI takes tabs."""
    with component("Blocks")(analytics_enabled=False) as block:
        tab = build_journal(
            JournalServices(webui_api.journal, webui_journal.is_on, webui_journal.switch, webui_journal.photos_of)
        )
        webui_journal.paste_into_txt2img(tab.back, tab.infotext)
    return [(block, "FaceID journal", "faceid_journal")]


def _come_last() -> None:
    """Have our tags written after whatever others do to the conditioning."""
    callbacks.put_last("cfg_denoiser", webui.on_denoiser)


def register() -> None:
    """Give the WebUI our callbacks; reloading its page clears them and asks for them again."""
    callbacks.add("before_ui", _add_axes)
    callbacks.add("before_ui", _add_networks)
    callbacks.add("app_started", _add_routes)
    callbacks.add("ui_tabs", _journal_tab)
    callbacks.add("ui_settings", lambda: webui_settings.add_options(component))
    _come_last()
    callbacks.add("cfg_after_cfg", webui.on_denoised)
    callbacks.add("before_image_saved", mark_picture)
    callbacks.add("model_loaded", webui.on_model_loaded)
    callbacks.add("script_unloaded", webui.on_scripts_unloaded)
