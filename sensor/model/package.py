"""A language package, its two names, and how strongly we know that it is loaded."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Ecosystem(enum.StrEnum):
    """Names as they stand in reports; they are the purl types except ``pypi``/``npm``… themselves."""

    PYPI = "pypi"
    NPM = "npm"
    MAVEN = "maven"
    GOLANG = "golang"
    NUGET = "nuget"


class Evidence(enum.StrEnum):
    """From strongest to weakest, see :attr:`strength`."""

    EXECUTED = "executed"  # the binary was run, the class was loaded
    MAPPED = "mapped"  # mapped into a process
    OPENED = "opened"  # opened by the ecosystem's own runtime
    BUNDLED = "bundled"  # inside something opened, unknown whether used

    @property
    def strength(self) -> int:
        """Higher is stronger."""
        return _STRENGTH[self]


_STRENGTH = {Evidence.BUNDLED: 0, Evidence.OPENED: 1, Evidence.MAPPED: 2, Evidence.EXECUTED: 3}


@dataclass(frozen=True, slots=True)
class SnykIdentity:
    """The package as Snyk's own scan of the image writes it; ``version`` is null when unknown."""

    type: str
    name: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Package:
    ecosystem: Ecosystem
    name: str
    version: str | None
    purl: str
    snyk: SnykIdentity


@dataclass(frozen=True, slots=True)
class PackageUse:
    """A package and the file that proves it. ``path`` is absolute in the container."""

    package: Package
    evidence: Evidence
    path: str


class SkipReason(enum.StrEnum):
    """Why a file led to no package. Every skip is counted under its reason."""

    # Not a loss: the file proves no package.
    NOT_A_PACKAGE = "not_a_package"  # standard library, the application's own code
    FOREIGN_OPENER = "foreign_opener"  # opened by something that is not the ecosystem's runtime
    # Not a loss yet: only the process itself can tell, and sensor.node.introspect asks it.
    ASK_PROCESS = "ask_process"
    # The file system of the container did not let us.
    VANISHED = "vanished"
    NOT_REGULAR = "not_regular"
    ESCAPES_ROOT = "escapes_root"
    PERMISSION = "permission"
    TOO_LARGE = "too_large"
    TOO_MANY_ENTRIES = "too_many_entries"
    TOO_SLOW = "too_slow"
    IO_ERROR = "io_error"
    # The content did not let us.
    MALFORMED = "malformed"
    ARCHIVE_BOUNDS = "archive_bounds"
    OBFUSCATED = "obfuscated"  # the names in it are not those of packages (garble)
    # The event did not let us.
    PATH_TRUNCATED = "path_truncated"

    @property
    def loses_facts(self) -> bool:
        """True when a loaded package may be missing because of it: coverage turns partial."""
        return self not in (SkipReason.NOT_A_PACKAGE, SkipReason.FOREIGN_OPENER, SkipReason.ASK_PROCESS)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that led to no package: a value, not an exception, so that it is counted."""

    reason: SkipReason
    detail: str = ""
