"""A manifest's rows as pictures: cells read once each however often they stand there, products of lists, every mistake.

A million rows are read in seconds, since what is alike in them is read once: cells, casts, the columns of a row.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lib_faceid.batch.asked import PEOPLE, Asked, Setting, Settings, fill_in
from lib_faceid.batch.casts import NOBODY, UNIT_COLUMNS, Cast, CastReader
from lib_faceid.batch.columns import OPTION_COLUMNS, REQUEST_COLUMNS, alternatives, names_in
from lib_faceid.batch.controls import COLUMN as CONTROL
from lib_faceid.batch.controls import read_controls, require_faces
from lib_faceid.batch.known import Known, require_named
from lib_faceid.batch.mistakes import CellError, Mistakes
from lib_faceid.batch.rows import Row, read_rows
from lib_faceid.batch.unused import Unused
from lib_faceid.errors import FaceIDError, UnitError
from lib_faceid.units.job_options import JobOptions
from lib_faceid.units.tags import find_tags, refuse_negative, units_of

__all__ = ["Manifest"]

T = TypeVar("T")
MOST_KEPT = 20_000  # of each kind; what stands in a manifest more often than that is read anew
PROMPTS, SEEDS = ("prompt", "template"), ("seeds", "seed")
MOST_OF_A_ROW = 10_000_000
ONE_SEED = (0,)


class _Shape(NamedTuple):
    """Which of a row's columns is what."""

    people: str
    prompt: str
    seeds: str
    units: tuple[str, ...]
    options: tuple[str, ...]
    request: tuple[str, ...]
    fields: tuple[str, ...]
    settings: tuple[str, ...]


class Manifest:
    """A manifest file, read by what is known. Mistakes are written down in `mistakes`."""

    def __init__(self, file: Path, known: Known, defaults: Mapping[str, Any] | None = None) -> None:
        self.file, self.known, self.mistakes = file, known, Mistakes()
        self.rows = 0
        self._defaults = dict(defaults or {})
        self._reader = CastReader(known, file.absolute().parent)
        self._kept: defaultdict[str, dict[Any, tuple[Any, FaceIDError | None]]] = defaultdict(dict)
        self._unused = Unused((*PEOPLE, *PROMPTS, *SEEDS, *UNIT_COLUMNS, *OPTION_COLUMNS, *REQUEST_COLUMNS))

    def asked(self) -> Iterator[Asked]:
        """Give what each right row asks for. Raises FileError where the file cannot be read at all."""
        for row in read_rows(self.file):
            self.rows += 1
            if row.problem:
                self.mistakes.add(row.number, "", row.problem)
                continue
            before = self.mistakes.count
            found = self._row(row)
            if found is not None and self.mistakes.count == before:
                yield found
        if not self.rows:
            self.mistakes.add(1, "", "the manifest is empty; rows were expected.")
        self._unused.say(self.mistakes)

    def _row(self, row: Row) -> Asked | None:
        values = {**self._defaults, **row.values} if self._defaults else row.values
        try:
            shape = self._once("shape", tuple(values), lambda: self._shape(tuple(values)))
            settings = self._settings(values, shape)
            prompts = self._prompts(row, values, shape, settings.negatives)
            seeds = alternatives(shape.seeds, values[shape.seeds]) if shape.seeds else ONE_SEED
        except FaceIDError:
            self._say_all(row, values)
            return None
        if settings.cells * len(prompts) * len(seeds) > MOST_OF_A_ROW:
            self.mistakes.add(
                row.number, "", f"its lists make more than {MOST_OF_A_ROW:,} pictures. Write several rows."
            )
            return None
        return Asked(row.number, settings, prompts, seeds)

    def _say_all(self, row: Row, values: Mapping[str, Any]) -> None:
        """Write down every mistake of a row that has one."""
        wrong, before = self.mistakes, self.mistakes.count
        try:
            shape = self._shape(tuple(values))
        except CellError as error:
            wrong.add(row.number, error.column, str(error))
            return
        with wrong.of(row.number, shape.people):
            self._casts(values, shape)
        with wrong.of(row.number):
            self._options(values, shape)
        negatives: tuple[str | None, ...] = (None,)
        for name in REQUEST_COLUMNS:
            with wrong.of(row.number, name):
                found = self._request(name, values.get(name))
                negatives = found if name == "negative" else negatives
        with wrong.of(row.number, shape.prompt or "prompt"):
            self._prompts(row, values, shape, negatives)
        with wrong.of(row.number, shape.seeds):
            _ = alternatives(shape.seeds, values[shape.seeds]) if shape.seeds else ()
        if wrong.count == before:  # nothing by itself, but some of it together
            with wrong.of(row.number):
                self._made_settings(values, shape)

    def _settings(self, values: Mapping[str, Any], shape: _Shape) -> Settings:
        """Return everything but prompts and seeds, in which most rows of a manifest are alike."""
        key = (shape, *[_hashable(values[name]) for name in shape.settings])
        return self._once("settings", key, lambda: self._made_settings(values, shape))

    def _made_settings(self, values: Mapping[str, Any], shape: _Shape) -> Settings:
        request = tuple(self._request(name, values.get(name)) for name in REQUEST_COLUMNS)
        made: list[Setting] = []
        for cast, options, one in itertools.product(
            self._casts(values, shape), self._options(values, shape), itertools.product(*request)
        ):
            negative, size, steps, cfg, checkpoint, controls = one
            require_faces(controls, cast)
            usual = self.known.usual(checkpoint)
            steps, cfg = usual.steps if steps is None else steps, usual.cfg if cfg is None else cfg
            made.append(Setting(cast, options, negative or "", size or usual.size_px, steps, cfg, checkpoint, controls))
        return Settings(tuple(made), request[0])

    def _shape(self, names: tuple[str, ...]) -> _Shape:
        one: list[str] = []
        for kind in (PEOPLE, PROMPTS, SEEDS):
            there = [name for name in kind if name in names]
            if len(there) > 1:
                raise CellError(there[1], f"{there[0]} and {there[1]} are both given. Keep one of them.")
            one.append(there[0] if there else "")
        sorts = [
            tuple(name for name in names if name in kind) for kind in (UNIT_COLUMNS, OPTION_COLUMNS, REQUEST_COLUMNS)
        ]
        known = {*one, *itertools.chain(*sorts)}
        own = tuple(name for name in names if name not in known)
        settings = tuple(name for name in names if name not in (*own, one[1], one[2]))
        units, options, request = sorts
        return _Shape(one[0], one[1], one[2], units, options, request, own, settings)

    def _casts(self, values: Mapping[str, Any], shape: _Shape) -> tuple[Cast, ...]:
        raw = [values.get(name) for name in (shape.people, *shape.units)]
        return self._once("casts", (shape.units, *map(_hashable, raw)), lambda: self._made_casts(values, shape))

    def _made_casts(self, values: Mapping[str, Any], shape: _Shape) -> tuple[Cast, ...]:
        raw = values.get(shape.people)
        if raw is None:
            if shape.units:
                raise CellError(shape.units[0], "a setting of people stands in a row without people.")
            return (NOBODY,)
        texts = [one.strip() for one in raw.split("||")] if isinstance(raw, str) else raw
        casts = self._reader.casts(texts)
        if not casts:
            raise CellError(shape.people, "the list of people is empty.")
        columns = [[(name, one) for one in self._cell(name, values[name])] for name in shape.units]
        return tuple(self._reader.finished(units, dict(one)) for units in casts for one in itertools.product(*columns))

    def _options(self, values: Mapping[str, Any], shape: _Shape) -> tuple[Mapping[str, Any], ...]:
        if not shape.options:
            return ({},)
        columns = [[(name, one) for one in self._cell(name, values[name])] for name in shape.options]
        raw = tuple(_hashable(values[name]) for name in shape.options)
        return self._once("options", (shape.options, raw), lambda: tuple(map(_options_of, itertools.product(*columns))))

    def _request(self, name: str, raw: Any) -> tuple[Any, ...]:
        if raw is None:
            return ({"checkpoint": self.known.checkpoint, CONTROL: ()}.get(name),)
        if name == "negative":  # commas and bars are its own
            return self._once(name, _hashable(raw), lambda: _negatives(raw))
        if name == CONTROL:
            folder = self.file.absolute().parent
            return self._once(name, _hashable(raw), lambda: read_controls(raw, self.known, folder))
        found = self._cell(name, raw)
        if name == "checkpoint":
            self._once("known", found, lambda: [self._require_checkpoint(one) for one in found])
        return found

    def _require_checkpoint(self, name: str) -> None:
        there = self.known.checkpoints
        if there is not None and not (self.known.reads_files and Path(name).is_file()):
            require_named(name, there, "checkpoint", "Put the file into models/Stable-diffusion.")

    def _prompts(
        self, row: Row, values: Mapping[str, Any], shape: _Shape, negatives: Sequence[str | None]
    ) -> tuple[tuple[str, Mapping[str, str]], ...]:
        if not shape.prompt:
            raise CellError("prompt", "there is no prompt; a text was expected.")
        found: list[tuple[str, Mapping[str, str]]] = []
        used: tuple[str, ...] = ()
        for prompt in alternatives(shape.prompt, values[shape.prompt]):
            names = names_in(prompt) if "{" in prompt else ()
            used += names
            columns = [(name, self._field(name, values, shape)) for name in names if name not in PEOPLE]
            for one in itertools.product(*(each for _, each in columns)):
                fields = {name: value for (name, _), value in zip(columns, one, strict=True)}
                if "<" in prompt or any("<" in value for value in one):
                    self._check_tags(fill_in(prompt, fields, ""))
                found.append((prompt, fields))
        for negative in negatives:
            if negative and "<" in negative:
                refuse_negative(negative)
        self._unused.row(row.number, shape.fields, used)
        return tuple(found)

    def _field(self, name: str, values: Mapping[str, Any], shape: _Shape) -> tuple[str, ...]:
        if name not in shape.fields:
            hint = self._unused.hint(name, shape.fields)
            raise CellError(
                shape.prompt, f"the prompt has {{{name}}}, and its row has no such column.{hint} {{{{ is a bracket."
            )
        return tuple(map(str, self._cell(name, values[name])))

    def _check_tags(self, prompt: str) -> None:
        tags = find_tags(prompt)[1]
        if tags and self.known.names is not None:
            names = self.known.names
            self._once("tags", tags, lambda: units_of(tags, names))

    def _cell(self, name: str, raw: Any) -> tuple[Any, ...]:
        return self._once(name, _hashable(raw), lambda: alternatives(name, raw))

    def _once(self, kind: str, key: Any, make: Callable[[], T]) -> T:
        """Return what `make` gives, made once for a key; what it raises is kept as well."""
        kept = self._kept[kind]
        found = kept.get(key)
        if found is None:
            if len(kept) >= MOST_KEPT:
                kept.clear()
            try:
                found = (make(), None)
            except FaceIDError as error:
                found = (None, error)
            kept[key] = found
        if found[1] is not None:
            raise found[1]
        return found[0]


def _hashable(raw: Any) -> Any:
    """Return what tells one raw value from another: 1, 1.0 and true are three."""
    return raw if isinstance(raw, str) or raw is None else (type(raw).__name__, json.dumps(raw, sort_keys=True))


def _options_of(values: tuple[tuple[str, Any], ...]) -> Mapping[str, Any]:
    try:
        made = JobOptions.from_dict(dict(values))
    except UnitError as error:
        raise CellError(values[0][0], str(error)) from error
    return {name: getattr(made, name) for name, _ in values}


def _negatives(raw: Any) -> tuple[str, ...]:
    return alternatives("negative", raw)
