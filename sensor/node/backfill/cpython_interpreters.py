"""Finds the interpreters of a process that runs CPython 3.8 to 3.14, and their ``sys.modules``.

It begins at the exported symbol ``_PyRuntime``. From 3.13 on that starts with a description of itself
(``_Py_DebugOffsets``, ``Include/internal/pycore_debug_offsets.h``). Before, its first words hold
``{mutex, head, main}`` of the list of interpreters (``Include/internal/pycore_runtime.h``): the list
from ``head`` is linked by the first word of each interpreter and ends in ``main``. In an interpreter,
``sys.modules`` is the first dictionary that holds the modules sys and builtins; nothing is believed
before that is seen.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from sensor.node.backfill.cpython_objects import Objects, Torn, Types
from sensor.node.backfill.elf import Image, NotElf, Symbol
from sensor.node.backfill.mappings import Mapping, program_images
from sensor.node.backfill.memory import BadAddress, ProcessMemory

_NAMED_PYTHON = re.compile(r"(lib)?(python|pypy)\d?[\d.]*\w*(\.so[\d.]*)?( \(deleted\))?")
_IMAGES = 512  # programs and libraries searched; numpy's whole stack loads about 100
_INTERPRETERS = 256
_COOKIE = int.from_bytes(b"xdebugpy", "little")
_DESCRIBED_WORDS = 25
_STATE_BYTES = (16 << 10, 4 << 10, 1 << 10)  # of an interpreter's state; less where its mapping ends
_STATE_MAX = 1 << 24
_RUNTIME_WORDS = 32  # in which the list's head stands; word 5 in 3.8, word 7 in 3.12
_PROOF_ENTRIES = 64  # sys and builtins are the first two modules of every interpreter


class NotPython(Exception):
    """No image of the process is a CPython that was started. ``named``: one is named like it."""

    def __init__(self, named: bool) -> None:
        super().__init__("symbols not found" if named else "not python")
        self.named = named


class NoInterpreter(Exception):
    """A CPython is loaded, but no interpreter was found: not yet started, or already over."""


@dataclass(frozen=True, slots=True)
class Interpreters:
    """How to reach every ``sys.modules`` of the process, at any later moment."""

    memory: ProcessMemory
    objects: Objects
    head: int
    """Address of the pointer to the first interpreter."""
    next_offset: int
    modules_offset: int

    def modules(self) -> list[int]:
        """Return the addresses of the dictionaries, one per interpreter; raises what a read raises."""
        states = _chain(self.memory, self.memory.word(self.head), self.next_offset)
        if not states:
            raise Torn("the list of interpreters is empty or cut")
        return [self.memory.word(state + self.modules_offset) for state in states]


def find_interpreters(memory: ProcessMemory) -> Interpreters:
    """Return the interpreters. Raises NotPython, NoInterpreter, LimitReached, ProcessGone."""
    heads = _ordered(program_images(memory.mappings), memory.program_path())
    program = _image(memory, heads[0]) if heads else None
    found = False
    for index, head in enumerate(heads):
        image = program if index == 0 else _image(memory, head)
        try:
            runtime = _runtime_of(memory, program, image)
            if runtime is not None:
                found = True
                return _in_runtime(memory, *runtime)
        except (BadAddress, Torn, NoInterpreter):
            continue  # another image may be the one that runs: a program can both be and load a CPython
    if found:
        raise NoInterpreter
    raise NotPython(any(_NAMED_PYTHON.fullmatch(posixpath.basename(head.path)) for head in heads))


def _runtime_of(
    memory: ProcessMemory, program: Image | None, image: Image | None
) -> tuple[Objects, Symbol] | None:
    runtime = image.lookup("_PyRuntime") if image is not None else None
    images = [each for each in (program, image) if each is not None]
    types = _types(images) if runtime is not None else None
    if runtime is None or types is None:
        return None
    return Objects(memory, types, _lookup(images, "Py_Version") is not None), runtime


def _ordered(heads: Iterable[Mapping], program: str) -> list[Mapping]:
    """The program first, for its symbols come before those of libraries; then what is named Python."""

    def rank(head: Mapping) -> int:
        if head.path == program:
            return 0
        return 1 if _NAMED_PYTHON.fullmatch(posixpath.basename(head.path)) else 2

    return sorted(heads, key=rank)[:_IMAGES]


def _image(memory: ProcessMemory, head: Mapping) -> Image | None:
    try:
        return Image(memory, head.start)
    except (BadAddress, NotElf):
        return None


def _in_runtime(memory: ProcessMemory, objects: Objects, runtime: Symbol) -> Interpreters:
    if memory.word(runtime.address) == _COOKIE:
        return _described(memory, objects, runtime.address)
    return _searched(memory, objects, runtime.address)


def _described(memory: ProcessMemory, objects: Objects, runtime: int) -> Interpreters:
    """Follow ``_Py_DebugOffsets``. ``imports_modules`` moved by a word in 3.14, so every word is tried."""
    words = memory.words(runtime, _DESCRIBED_WORDS)
    head, size, next_offset = runtime + words[5], words[6], words[8]
    if not next_offset < size < _STATE_MAX:
        raise Torn(f"interpreter state of {size} bytes")
    offsets = [offset for offset in words[9:] if 0 < offset < size and offset % 8 == 0]
    for state in _chain(memory, memory.word(head), next_offset):
        for offset in offsets:
            if _is_modules(objects, _word(memory, state + offset)):
                return Interpreters(memory, objects, head, next_offset, offset)
    raise NoInterpreter


def _searched(memory: ProcessMemory, objects: Objects, runtime: int) -> Interpreters:
    words = memory.words(runtime, _RUNTIME_WORDS)
    for index, (head, main) in enumerate(pairwise(words)):
        states = _chain(memory, head, 0)
        if not states or states[-1] != main:
            continue
        for offset, pointer in _pointers(memory, main):
            if _is_modules(objects, pointer):
                return Interpreters(memory, objects, runtime + index * 8, 0, offset)
    raise NoInterpreter


def _chain(memory: ProcessMemory, state: int, next_offset: int) -> list[int]:
    """Return the list from ``state`` on; empty if it is broken, endless or changing."""
    states: list[int] = []
    while state:
        if state % 8 or len(states) == _INTERPRETERS:
            return []
        states.append(state)
        try:
            state = memory.word(state + next_offset)
        except BadAddress:
            return []
    return states


def _pointers(memory: ProcessMemory, state: int) -> Iterator[tuple[int, int]]:
    for size in _STATE_BYTES:
        try:
            words = memory.words(state, size // 8)
        except BadAddress:
            continue
        yield from ((index * 8, word) for index, word in enumerate(words) if word and word % 8 == 0)
        return


def _is_modules(objects: Objects, address: int) -> bool:
    """Whether a ``sys.modules`` is there: a dictionary with the modules sys and builtins near its start."""
    missing = {"sys", "builtins"}
    try:
        for key, value in objects.entries(objects.table(address), _PROOF_ENTRIES):
            name = objects.text(key)
            if name in missing and objects.is_module(value):
                missing.remove(name)
                if not missing:
                    return True
    except (BadAddress, Torn):
        pass
    return False


def _word(memory: ProcessMemory, address: int) -> int:
    try:
        return memory.word(address)
    except BadAddress:
        return 0


def _types(images: list[Image]) -> Types | None:
    names = ("PyType_Type", "PyDict_Type", "PyModule_Type", "PyUnicode_Type", "_Py_NoneStruct")
    addresses = [symbol.address for name in names if (symbol := _lookup(images, name)) is not None]
    return Types(*addresses) if len(addresses) == len(names) else None


def _lookup(images: list[Image], name: str) -> Symbol | None:
    """Look a symbol up as the dynamic linker does: the program first, for it may hold the copy in use."""
    for image in images:
        if (symbol := image.lookup(name)) is not None:
            return symbol
    return None
