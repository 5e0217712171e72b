"""An uploaded SBOM: hostile bytes in, components out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sensor.receiver.sbom import cyclonedx, spdx
from sensor.receiver.sbom.interface import MOST_COMPONENTS, Component, SbomError

MOST_BYTES = 32 << 20
_MOST_VALUES = 3_000_000
_EXPECTED = "expected CycloneDX as JSON, or SPDX 2.3 as JSON"


@dataclass(frozen=True, slots=True)
class Sbom:
    """``image`` is what the document says it is of, ``''`` where it does not; ``unnamed`` counts
    components without a package URL, which nothing can be compared with."""

    format: str
    image: str
    components: tuple[Component, ...]
    unnamed: int


def parse(body: bytes) -> Sbom:
    """Raises :class:`SbomError`, whose text is for people."""
    document = _json(body)
    if document.get("bomFormat") == "CycloneDX":
        image, found = cyclonedx.image(document), cyclonedx.components(document)
    elif str(document.get("spdxVersion", "")).startswith("SPDX-2."):
        image, found = spdx.image(document), spdx.packages(document)
    else:
        raise SbomError(f"found JSON that is neither CycloneDX nor SPDX 2, {_EXPECTED}")
    named: dict[str, Component] = {}
    unnamed = 0
    for number, component in enumerate(found):
        if number >= MOST_COMPONENTS:
            raise SbomError(f"found more than {MOST_COMPONENTS:,} components, expected at most so many")
        if component is None:
            unnamed += 1
        else:
            named.setdefault(component.purl, component)
    form = "cyclonedx" if "bomFormat" in document else "spdx"
    return Sbom(form, image, tuple(named.values()), unnamed)


def _json(body: bytes) -> dict[str, Any]:
    if len(body) > MOST_BYTES:
        raise SbomError(f"found {len(body):,} bytes, expected at most {MOST_BYTES:,}")
    # Each value costs some 60 to 100 bytes once parsed, however short it was.
    if body.count(b",") + body.count(b"[") + body.count(b"{") > _MOST_VALUES:
        raise SbomError(f"found more than {_MOST_VALUES:,} values, expected an SBOM of one image")
    if body.lstrip()[:1] == b"<":
        raise SbomError(f"found XML, {_EXPECTED}: most tools write it when asked for json")
    try:
        document = json.loads(body)
    except RecursionError:
        raise SbomError(f"found JSON nested too deep, {_EXPECTED}") from None
    except ValueError as error:
        raise SbomError(f"found no JSON ({str(error)[:100]}), {_EXPECTED}") from None
    if not isinstance(document, dict):
        raise SbomError(f"found JSON that is no object, {_EXPECTED}")
    return document
