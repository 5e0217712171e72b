"""The name of a jar -> artifact and version: Maven's default layout, ``artifact-version[-classifier].jar``.

Neither part is marked, and both may hold dashes and digits: ``log4j-1.2-api-2.17.1.jar``. So all ways to
split a name are given, the likeliest first, and what else is known of the jar chooses.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SPLIT = re.compile(r"-(?=[vVrR]?\d)")
# What follows a version's numbers within it: beta-2, 33.1.0-jre, 1.0-20240101.120000-1, 4.1.108.Final.
_QUALIFIER = re.compile(
    r"(?:alpha|beta|a|b|m|milestone|rc|cr|sp|ga|final|release|snapshot|pre|preview|jre|jdk|java|android|ea|dev"
    r"|incubating|incubator|hadoop|build|p|patch|u|r|v|redhat|jbossorg|nightly|empty|lts|scala|spark|kafka)?"
    r"[\d.]*",
    re.IGNORECASE,
)
# Parts of a name, other than a version's, that Maven puts behind the version.
_CLASSIFIER = re.compile(
    r"-(?:linux|osx|windows|macosx|natives?|sources|javadoc|tests?|shaded|all|exec|plain|boot|executable|nodeps"
    r"|jar-with-dependencies|uber|runner|fat|with-dependencies|jakarta|no_?aop|classes|bin|standalone)(?:-.*)?\Z",
    re.IGNORECASE,
)
_STEM_LENGTH = 255
_SPLITS = 8


class Split(NamedTuple):
    artifact: str
    version: str | None


def stem_of(path: str) -> str:
    """The file name without its folder and its suffix."""
    name = path[path.rfind("/") + 1 :][:_STEM_LENGTH]
    return name.rpartition(".")[0] or name


def splits(stem: str) -> tuple[Split, ...]:
    """Return the ways to read a file name, the likeliest first, the whole as an artifact last."""
    found = [
        Split(stem[: match.start()], stem[match.end() :])
        for match in _SPLIT.finditer(stem)
        if match.start() and match.end() < len(stem)
    ][:_SPLITS]
    ordered = sorted(found, key=lambda split: -_likeliness(split.version or ""))
    return (*ordered, Split(stem, None))


def without_classifier(version: str) -> str:
    """The version that a file name says, without what Maven appends for variants of one artifact."""
    return _CLASSIFIER.sub("", version) or version


def _likeliness(text: str) -> int:
    """2 for what reads as one whole version with a dot in its numbers, 1 without (``v121-4.19.1``, where
    the version is behind), 0 for a name that goes on (``1.2-api-2.17.1``)."""
    first, *others = without_classifier(text).split("-")
    if not all(_QUALIFIER.fullmatch(other) is not None for other in others):
        return 0
    return 2 if "." in first else 1
