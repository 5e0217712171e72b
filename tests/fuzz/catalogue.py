"""Which targets there are."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from dataclasses import dataclass

from tests.fuzz import targets as room
from tests.fuzz.target import Target


@dataclass(frozen=True, slots=True)
class Listed:
    """A target and the module it is defined in, which a child process imports again."""

    source: str
    target: Target

    @property
    def name(self) -> str:
        return self.target.name


def catalogue() -> tuple[Listed, ...]:
    """All targets of this package's ``targets``. Raises ValueError when two have one name."""
    sources = sorted(module.name for module in pkgutil.iter_modules(room.__path__))
    found = [listed for source in sources for listed in targets_of(f"{room.__name__}.{source}")]
    names = [listed.name for listed in found]
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two targets are called {', '.join(double)}; expected a name for each")
    return tuple(found)


def targets_of(source: str) -> tuple[Listed, ...]:
    """The targets of one module, by its full name; none where it is only a help to others."""
    targets: tuple[Target, ...] = getattr(importlib.import_module(source), "TARGETS", ())
    return tuple(Listed(source, target) for target in targets)


def chosen(listed: Collection[Listed], names: Collection[str]) -> tuple[Listed, ...]:
    """Those with one of ``names``, all where none is given. Raises ValueError for a name nobody has."""
    known = {each.name for each in listed}
    if unknown := sorted(set(names) - known):
        raise ValueError(f"no target {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return tuple(each for each in listed if not names or each.name in names)
