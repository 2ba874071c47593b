"""`python -m lib_faceid face approve | approval | withdraw`, and who may be drawn: approved references."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from lib_faceid.commands.inputs import library_of
from lib_faceid.commands.values import text

__all__ = ["add_approval_commands"]

Options = argparse.Namespace


def add_approval_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands that deal with approved people."""
    approve = add("approve", _approve, "write down that somebody agreed to a saved person as saved now", "NAME")
    approve.add_argument("--by", type=text, required=True, metavar="WHO")
    approve.add_argument("--note", type=text, default="")
    show = add("approval", _show, "who agreed to a saved person, and whether it changed since", "NAME")
    for command in (approve, show):
        command.add_argument("--json", action="store_true", help="the same as data")
    add("withdraw", _withdraw, "take an approval back", "NAME")
    only = add(
        "only-approved", _only, "let only approved people be drawn with this folder of models, or everybody", "WHO"
    )
    only.epilog = "WHO is on or off."


def _approve(options: Options) -> None:
    approval = library_of(options).approve(options.NAME, options.by, options.note)
    print(json.dumps(approval.as_dict(), indent=2) if options.json else approval.words)


def _show(options: Options) -> None:
    approval = library_of(options).approval(options.NAME)
    if options.json:
        print(json.dumps(approval and approval.as_dict(), indent=2))
    else:
        print(approval.words if approval else f"Nobody has approved {options.NAME!r}.")


def _withdraw(options: Options) -> None:
    was_there = library_of(options).withdraw(options.NAME)
    print("The approval is taken back." if was_there else f"Nobody had approved {options.NAME!r}.")


def _only(options: Options) -> None:
    from lib_faceid.arguments import one_of
    from lib_faceid.models.folders import usual_roots
    from lib_faceid.models.own_settings import change_settings

    is_on = one_of(options.WHO, "WHO", ("on", "off")) == "on"
    change_settings(usual_roots(), only_approved=is_on)
    print("Only approved people are drawn." if is_on else "Everybody may be drawn.")
