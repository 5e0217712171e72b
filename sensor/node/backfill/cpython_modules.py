"""One module of a running CPython: its name, and the files it says it came from."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass

from sensor.node.backfill.cpython_objects import Objects, Torn
from sensor.node.backfill.memory import BadAddress

_FILE, _CACHED = "__file__", "__cached__"
_EARLY_ENTRIES = 16  # the import system sets both before the module's own names
_KEYS_MAX = 4096
_AT_ONCE = 0.002  # seconds; one takes about 50 us, a program that fills and empties a dictionary longer


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """One name in ``sys.modules``. Paths are the process's own, from its root, and may be relative."""

    name: str
    file: str | None
    """``__file__``: None for built-in modules, namespace packages, and objects that are no modules."""
    cached: str | None
    """``__cached__``: the compiled file's path, whether or not it exists."""


class AttributeNames:
    """Addresses of the strings ``__file__`` and ``__cached__`` in one interpreter.

    The interpreter keeps one interned string of each name for all modules, so keys are compared as
    addresses, and of most modules none needs to be read. Bounded; when full, copies of the names that
    were not met before are no longer recognised.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._by_address: dict[int, str] = {}  # '' for a key that is neither
        self._missing = {_FILE, _CACHED}

    def learn_of(self, module: int) -> None:
        """Learn from a module, while there is something to learn."""
        if not self._missing:
            return
        with contextlib.suppress(BadAddress, Torn):
            namespace = self._objects.namespace(module) if self._objects.is_module(module) else None
            if namespace is not None:
                self._learn(self._objects.entries(self._objects.table(namespace), _EARLY_ENTRIES))

    def values(self, namespace: int) -> dict[str, str | None]:
        """Return the texts of the two attributes, as far as they are set.

        Raises Torn, and what a read raises.
        """
        objects = self._objects
        before = objects.table(namespace)
        early = objects.entries(before, _EARLY_ENTRIES)
        found = self._pick(early)
        if len(found) < 2 and before.count > _EARLY_ENTRIES:
            found = self._pick(objects.entries(before))
        if _FILE not in found:
            self._learn(early)  # its name may be a copy
            found.update(self._pick(early))
        texts = {name: objects.text(value) for name, value in found.items()}
        if objects.table(namespace).keys != before.keys:
            raise Torn("the module's dictionary grew while it was read")
        return texts

    def _pick(self, entries: Iterable[tuple[int, int]]) -> dict[str, int]:
        return {name: value for key, value in entries if (name := self._by_address.get(key))}

    def _learn(self, entries: Iterable[tuple[int, int]]) -> None:
        for key, _ in entries:
            if key not in self._by_address and len(self._by_address) < _KEYS_MAX:
                name = self._objects.text(key)
                self._by_address[key] = name if name in (_FILE, _CACHED) else ""
                self._missing.discard(name or "")


def read_module(
    objects: Objects, names: AttributeNames, slot: int, key: int, value: int
) -> LoadedModule | None:
    """Return the module that stands in ``sys.modules`` as ``key`` and ``value``, in that slot.

    None for the value None, which forbids an import, and for a key that is no ``str`` and so cannot be
    imported. Raises Torn, and what a read raises: what does not stand there from the first to the last
    read may have been freed, and its memory given to another module or another name. So may it in a
    reading that was interrupted for so long that even the slots may be those of another dictionary.
    """
    begun = time.monotonic()
    if not objects.holds(slot, key, value):
        raise Torn("moved or removed since it was listed")
    module = _read(objects, names, key, value)
    if not objects.holds(slot, key, value) or time.monotonic() - begun > _AT_ONCE:
        raise Torn("moved or removed while it was read, or the reading was interrupted")
    return module


def _read(objects: Objects, names: AttributeNames, key: int, value: int) -> LoadedModule | None:
    name = None if objects.is_none(value) else objects.text(key)
    if name is None:
        return None
    namespace = objects.namespace(value) if objects.is_module(value) else None
    if namespace is None:
        return LoadedModule(name, None, None)
    texts = names.values(namespace)
    return LoadedModule(name, texts.get(_FILE), texts.get(_CACHED))
