"""IP-Adapter FaceID for the WebUI: what it is, where this WebUI is one that we serve, and else a sentence."""

from lib_faceid.hosts.webui.served import why_not_served

if problem := why_not_served():
    print(problem)
else:
    from lib_faceid.webui.script import FaceIDScript, register

    __all__ = ["FaceIDScript"]
    register()
