"""`python -m lib_faceid models`: what is there, what is missing, and getting it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lib_faceid.commands.completion import complete_with, model_names
from lib_faceid.errors import LicenceError

__all__ = ["add_models"]

Options = argparse.Namespace
FAMILIES = {"sd15": 768, "sdxl": 2048, "flux": 4096}


def add_models(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of the command `models`."""
    parser.set_defaults(run=_show)
    parser.add_argument("--family", choices=FAMILIES, help="only what a checkpoint of that family needs")
    parser.add_argument("--webui", type=Path, metavar="DIR", help="a WebUI's folder: its models count, and get the new")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the same as data")
    form.add_argument("--diagnostics", action="store_true", help="text for a bug report: no photo, no user name")
    commands = parser.add_subparsers(metavar="download")
    download = commands.add_parser("download", help="get a missing model from its official address, after asking")
    download.set_defaults(run=_download)
    name = download.add_argument("name", metavar="NAME", help="as the table calls it, such as plusv2_sd15")
    complete_with(name, model_names)
    download.add_argument("--yes", action="store_true", help="accept the licence and say yes")


def _show(options: Options) -> None:
    from lib_faceid.inventory.check import check_setup
    from lib_faceid.inventory.text import as_text, diagnostics
    from lib_faceid.models.folders import usual_roots

    report = check_setup(usual_roots(options.webui), FAMILIES.get(options.family))
    if options.json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        print(diagnostics(report) if options.diagnostics else as_text(report))


def _download(options: Options) -> None:
    from lib_faceid.app.offer import offer
    from lib_faceid.models.catalogue import entry
    from lib_faceid.models.folders import usual_roots

    done = offer(entry(options.name), usual_roots(options.webui), yes=options.yes)
    if done is None:
        raise LicenceError(f"{options.name} was not downloaded.")
    print(done)
