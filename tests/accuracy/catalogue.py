"""Which applications there are."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tests.accuracy.application import Application

LANGUAGES = ("python", "node", "java", "go", "dotnet")
ROOM = "tests.accuracy.applications"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """``problems`` names each module that could not give its applications, and why."""

    applications: tuple[Application, ...]
    problems: tuple[str, ...]


def catalogue(languages: Sequence[str] = LANGUAGES, room: str = ROOM) -> Catalogue:
    """Collect ``APPLICATIONS`` of the module of each language. Never raises."""
    applications: list[Application] = []
    problems: list[str] = []
    for language in languages:
        try:
            own = _applications(f"{room}.{language}", language)
        except Exception as error:  # noqa: BLE001 - whatever its import does, the others are still measured
            problems.append(f"{room}.{language}: {type(error).__name__}: {error}")
        else:
            applications += own
    taken = Counter(application.name for application in applications)
    problems += [f"{name}: {count} applications of this name" for name, count in taken.items() if count > 1]
    return Catalogue(tuple(applications), tuple(problems))


def chosen(applications: Sequence[Application], names: Collection[str]) -> tuple[Application, ...]:
    """Those with one of ``names``, all where none is given. Raises ValueError for a name nobody has."""
    known = {application.name for application in applications}
    if unknown := sorted(set(names) - known):
        raise ValueError(f"no application {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return tuple(application for application in applications if not names or application.name in names)


def _applications(module: str, language: str) -> tuple[Application, ...]:
    applications: tuple[Application, ...] = tuple(importlib.import_module(module).APPLICATIONS)
    if not applications:
        raise ValueError("APPLICATIONS is empty")
    if strange := [each.name for each in applications if each.language != language]:
        raise ValueError(f"{', '.join(strange)}: not of the language {language}")
    return applications
