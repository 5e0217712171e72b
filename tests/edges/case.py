"""What a case is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link in the root."""

    target: str


@dataclass(frozen=True, slots=True)
class Expected:
    """One package that must come out; ``evidence`` is a grade of the model."""

    purl: str
    snyk_name: str
    snyk_version: str | None
    evidence: str = "opened"


@dataclass(frozen=True, slots=True)
class Case:
    """``files`` makes a root (absolute path -> content); the runtime opens ``path`` in it, or it is executed.

    ``expected`` are all the packages it proves, or the skip reason. ``rule`` is where that is written:
    a PEP, a specification, a section of the runtime's documentation, or what the runtime was seen to do
    (then with its version).
    """

    name: str
    rule: str
    files: Mapping[str, bytes | Link]
    path: str
    expected: tuple[Expected, ...] | str
    executed: bool = False
    modes: Mapping[str, int] = field(default_factory=dict)
