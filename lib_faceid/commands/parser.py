"""A command line whose errors are two lines: what is wrong and what was probably meant, and where the rest stands."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

__all__ = ["Parser"]

REQUIRED, TOO_MANY = "the following arguments are required", "is one argument too many"
CHOICE = re.compile(r"(?:argument (?P<where>[^:]+): )?invalid choice: (?P<found>'.*?'|\S+) \(choose from (?P<all>.*)\)")


class Parser(argparse.ArgumentParser):
    """An ArgumentParser; those of its commands are of this kind, too."""

    typed: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the options; what is left over is an error of the command that it was typed after."""
        self.typed = list(sys.argv[1:] if args is None else args)
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"{_quoted(rest[0])} {TOO_MANY}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in two lines, and end with exit code 2."""
        choice = CHOICE.search(message)
        before = self.typed[: self.typed.index(choice["found"].strip("'"))] if choice else self.typed
        # What a wrong option leads to: its value is taken for a command, or what it stands for is missing.
        is_about_others = choice or message.startswith(REQUIRED) or message.endswith(TOO_MANY)
        unknown = [self._meant(option) for option in self._unknown(before)] if is_about_others else []
        sentence = " ".join(unknown) or self._in_words(message)
        end = "" if sentence.endswith((".", "?")) else "."
        self.exit(2, f"Error: {sentence}{end}\nEvery option is listed by: {self.prog} --help\n")

    def _unknown(self, typed: Sequence[str]) -> Iterator[str]:
        """Give the options among these words that do not exist."""
        known = list(self._option_string_actions)
        for word in typed:
            if word == "--":
                return
            option = word.split("=", 1)[0]
            is_option = re.match(r"-[^\d\W]|--\w", option)
            if is_option and not any(one == option or one.startswith(option) for one in known):
                yield option

    def _meant(self, option: str) -> str:
        near = difflib.get_close_matches(option[:60], self._option_string_actions, n=1)
        hint = f"; did you mean {near[0]}?" if near else " here."
        return f"There is no option {_quoted(option)}{hint}"

    def _in_words(self, message: str) -> str:
        if match := CHOICE.search(message):
            choices = [word.strip().strip("'") for word in match["all"].split(",")]
            found = match["found"].strip("'")
            near = difflib.get_close_matches(found, choices, n=1)
            where = match["where"] or "COMMAND"
            hint = f"; did you mean {near[0]}?" if near else "."
            return f"{where} is {_quoted(found)}{hint} One of {', '.join(choices)} was expected"
        if message.endswith(("expected one argument", "expected at least one argument")):
            return f"{message}. A value that begins with a hyphen is written behind an equals sign: --option=-value"
        return message.removeprefix("argument ")


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
