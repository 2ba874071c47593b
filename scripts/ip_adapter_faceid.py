"""IP-Adapter FaceID for the AUTOMATIC1111 WebUI: every callback is handed on in a line or two."""

from modules import script_callbacks, scripts

from lib_faceid import ui
from lib_faceid.hosts import webui

TITLE = "IP-Adapter FaceID"


class FaceIDScript(scripts.Script):
    """The part of the page below the prompts, and one job's life."""

    def title(self):
        return TITLE

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return ui.unit_components("img2img" if is_img2img else "txt2img", webui.adapter_files)

    def process(self, p, *args):
        webui.start(p, args)

    def after_extra_networks_activate(self, p, *args, **kwargs):
        webui.apply_loras(p)

    def process_batch(self, p, *args, **kwargs):
        webui.apply_loras(p)  # again: a job may have its extra networks switched off

    def postprocess_batch(self, p, *args, **kwargs):
        webui.report(p)

    def postprocess(self, p, processed, *args):
        webui.end(p)


def register():
    script_callbacks.on_cfg_denoiser(webui.on_denoiser)
    script_callbacks.on_cfg_denoised(webui.on_denoised)
    script_callbacks.on_model_loaded(webui.on_model_loaded)
    script_callbacks.on_script_unloaded(webui.on_scripts_unloaded)


register()
