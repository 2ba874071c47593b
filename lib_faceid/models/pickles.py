"""Read a pickle, protocols 0 to 5, without running anything in it.

`pickle.load` imports what a file names and calls it; torch's own reader of weights has had holes of its own in each
version up to 2.9 (CVE-2025-32434, CVE-2026-24747), and the WebUI carries version 2.1. So the opcodes are carried out
here, on plain values: a name stays a name (`Named`), a call of a known name gives what a table says, and a call of any
other gives an `Unknown`, which holds what it was made of. No module is imported, no attribute is looked up.
"""

from __future__ import annotations

import io
import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["DAMAGE", "Calls", "Named", "Pickled", "Unknown", "read_pickle"]

Calls: TypeAlias = Mapping[str, Callable[..., Any]]
"""What a call of a name gives, by `module.name`."""

# What a damaged pickle ends in: an opcode that does not exist, an empty stack, a value of the wrong kind.
DAMAGE = (
    *(ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError),
    *(struct.error, EOFError, RecursionError),
)

_MAX_MEMO = 1 << 32
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,  # nothing here asks a set for what is in it, and its values may not be hashable
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}
_VALUES = frozenset(
    [
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    ]
)
_NOTHING = frozenset({"PROTO", "FRAME", "STOP"})


@dataclass(frozen=True)
class Named:
    """A class or function that the pickle names, as `module.name`. It is never looked up."""

    name: str


class Unknown(dict[str, Any]):
    """An object of a class that no table knows: its items, and its state where that is a dict."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


@dataclass(frozen=True)
class Pickled:
    """What one pickle holds."""

    value: Any
    """Numbers, strings, lists, tuples, dicts with strings as keys, and what `calls` gave."""
    unknown: frozenset[str]
    """The names that were called and that no table knows."""


def read_pickle(file: io.BytesIO, calls: Calls, persistent: Callable[[Any], Any] | None = None) -> Pickled:
    """Return what a pickle holds; the file is left after it. `persistent` gives what a persistent id stands for.

    Raises one of DAMAGE where it is none.
    """
    machine = _Machine(calls, persistent)
    for opcode, argument, _ in pickletools.genops(file):
        machine.do(opcode.name, argument)
    return Pickled(machine.pop(), frozenset(machine.unknown))


class _Machine:
    """A stack, the places of marks on it, and the values that the pickle wants to come back to."""

    def __init__(self, calls: Calls, persistent: Callable[[Any], Any] | None) -> None:
        self.calls = calls
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.unknown: set[str] = set()

    def do(self, name: str, argument: Any) -> None:
        """Carry out one opcode."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name not in _NOTHING:
            action = _ACTIONS.get(name)
            if action is None:
                raise ValueError(f"the opcode {name} is not for files")
            action(self, argument)

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def remember(self, index: int) -> None:
        if not 0 <= index < _MAX_MEMO:
            raise ValueError(f"a memo number of {index}")
        self.memo[index] = self.stack[-1]

    def call(self, function: Any, arguments: Any) -> Any:
        """Return what a call gives: by the table, or an Unknown."""
        name = function.name if isinstance(function, Named | Unknown) else type(function).__name__
        if isinstance(function, Named) and name in self.calls:
            return self.calls[name](*arguments)
        self.unknown.add(name)
        return Unknown(name)

    def take_global(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a name that is no text")
        self.stack.append(Named(f"{module}.{name}"))

    def new_object(self, arguments: Any, function: Any) -> None:
        self.stack.append(self.call(function, arguments))

    def made_of_mark(self) -> None:
        function, *arguments = self.pop_mark()
        self.stack.append(self.call(function, arguments))

    def persist(self, identity: Any) -> None:
        if self.persistent is None:
            raise ValueError("a persistent id in a pickle that may have none")
        self.stack.append(self.persistent(identity))

    def build(self, state: Any) -> None:
        """Give the object on top its state: what it takes in itself, else what an Unknown can hold of it."""
        target = self.stack[-1]
        take = getattr(target, "take_state", None)
        if take is not None:
            take(state)
        elif isinstance(target, Unknown):
            for part in state if isinstance(state, tuple) else (state,):
                if isinstance(part, dict):
                    target.update(part)

    def put_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            for key, value in zip(pairs[::2], pairs[1::2], strict=True):
                _put(target, key, value)

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)

    def duplicate(self) -> None:
        self.stack.append(self.stack[-1])

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError("too few values for a tuple")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(items)


def _put(target: dict[str, Any], key: Any, value: Any) -> None:
    """Put an item in under its key as text, as which the names of tensors are read; other kinds of keys are left out.

    Text also has hashes that a file cannot choose so that they collide.
    """
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    if isinstance(key, int) and key.bit_length() > 64:
        return
    plain = key is None or isinstance(key, str | int | float)
    if plain or (
        isinstance(key, tuple) and len(key) <= 4 and all(isinstance(part, str) or _is_short(part) for part in key)
    ):
        target[str(key)] = value


def _is_short(number: Any) -> bool:
    return isinstance(number, int) and number.bit_length() <= 64


def _dict_of(pairs: list[Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        _put(made, key, value)
    return made


_ACTIONS: Mapping[str, Callable[[_Machine, Any], Any]] = {
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: m.pop(),
    "POP_MARK": lambda m, _: m.pop_mark(),
    "DUP": lambda m, _: m.duplicate(),
    "PERSID": lambda m, identity: m.persist(identity),
    "BINPERSID": lambda m, _: m.persist(m.pop()),
    "APPEND": lambda m, _: m.extend([m.pop()]),
    "APPENDS": lambda m, _: m.extend(m.pop_mark()),
    "ADDITEMS": lambda m, _: m.extend(m.pop_mark()),
    "SETITEM": lambda m, _: m.put_items([m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m, _: m.put_items(m.pop_mark()),
    "LIST": lambda m, _: m.stack.append(m.pop_mark()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.pop_mark())),
    "FROZENSET": lambda m, _: m.stack.append(tuple(m.pop_mark())),
    "DICT": lambda m, _: m.stack.append(_dict_of(m.pop_mark())),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "GET": lambda m, index: m.stack.append(m.memo[index]),
    "BINGET": lambda m, index: m.stack.append(m.memo[index]),
    "LONG_BINGET": lambda m, index: m.stack.append(m.memo[index]),
    "PUT": lambda m, index: m.remember(index),
    "BINPUT": lambda m, index: m.remember(index),
    "LONG_BINPUT": lambda m, index: m.remember(index),
    "MEMOIZE": lambda m, _: m.remember(len(m.memo)),
    "GLOBAL": lambda m, names: m.take_global(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.take_global(*[m.pop(), m.pop()][::-1]),
    "REDUCE": lambda m, _: m.new_object(m.pop(), m.pop()),
    "NEWOBJ": lambda m, _: m.new_object(m.pop(), m.pop()),
    "NEWOBJ_EX": lambda m, _: (m.pop(), m.new_object(m.pop(), m.pop())),
    "OBJ": lambda m, _: m.made_of_mark(),
    "INST": lambda m, names: m.stack.append(m.call(Named(names.replace(" ", ".", 1)), m.pop_mark())),
    "BUILD": lambda m, _: m.build(m.pop()),
}
