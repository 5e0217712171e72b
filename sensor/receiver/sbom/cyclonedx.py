"""CycloneDX as JSON, https://cyclonedx.org/docs/1.6/json/, of any 1.x."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from sensor.receiver.sbom.interface import Component, component, objects, text


def image(document: dict[str, Any]) -> str:
    """The name of ``metadata.component`` where that is a container; syft and trivy write it so."""
    metadata = document.get("metadata")
    subject = metadata.get("component") if isinstance(metadata, dict) else None
    if not isinstance(subject, dict) or subject.get("type") != "container":
        return ""
    name, version = text(subject.get("name")), text(subject.get("version"))
    if not version or version.startswith("sha256:") or ":" in name.rpartition("/")[2] or "@" in name:
        return name
    return f"{name}:{version}"


def components(document: dict[str, Any]) -> Iterator[Component | None]:
    """Components and those inside of them, at any depth; ``None`` for one without a package URL."""
    waiting = deque(objects(document.get("components")))
    while waiting:
        found = waiting.popleft()
        waiting.extend(objects(found.get("components")))
        if found.get("type") in ("operating-system", "file", "data"):
            continue
        yield component(found.get("purl"))
