"""What the formats have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sensor.receiver.sbom import purl

MOST_COMPONENTS = 100_000
_SURROGATE = re.compile("[\ud800-\udfff]")  # no database takes half of a pair


class SbomError(ValueError):
    """What was found, what was expected."""


@dataclass(frozen=True, slots=True)
class Component:
    """``purl`` is without qualifiers and subpath."""

    purl: str
    ecosystem: str
    name: str
    version: str


def component(found: Any) -> Component | None:
    """Of the text of a package URL; ``None`` where it is none."""
    parts = purl.parse(found) if isinstance(found, str) else None
    if parts is None or _SURROGATE.search(parts.name + parts.version):
        return None
    return Component(parts.text, parts.type, parts.name, parts.version)


def text(value: Any) -> str:
    """``value`` where it is a text that can be kept, else ``''``."""
    return value.encode("utf-8", "replace").decode()[:1024] if isinstance(value, str) else ""


def objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
