"""The image's bill of materials: CycloneDX 1.6, every Debian package and every Python distribution in it.

Fields: https://cyclonedx.org/docs/1.6/json/. Package URLs, of Debian's packages
and of Python's: https://github.com/package-url/purl-spec. The same layers give the same bytes.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scripts.image_build.packages import Package, stubs
from scripts.image_build.unpack import STATUS
from scripts.image_build.wheels import SITE

PLACE = Path("usr/share/doc/runtime-sensor/sbom.cdx.json")


def document(
    layers: Iterable[Path], locked: Mapping[str, Package], version: str, architecture: str, created: str
) -> str:
    """The document as text. ``locked`` gives the packages' checksums, ``created`` is RFC 3339."""
    layers = list(layers)
    components = [
        *(_debian(path, locked) for layer in layers for path in sorted((layer / STATUS).glob("*"))),
        *(_python(path) for layer in layers for path in sorted((layer / SITE).glob("*.dist-info/METADATA"))),
    ]
    components.sort(key=lambda component: str(component["bom-ref"]))
    subject = {
        "type": "container",
        "bom-ref": "image",
        "name": "runtime-sensor",
        "version": version,
        "properties": [
            {"name": "architecture", "value": architecture},
            *({"name": "stub", "value": name} for name in stubs()),
        ],
    }
    body: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": created,
            "lifecycles": [{"phase": "build"}],
            "component": subject,
        },
        "components": components,
        "dependencies": [{"ref": "image", "dependsOn": [component["bom-ref"] for component in components]}],
    }
    number = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(body, sort_keys=True))
    return json.dumps({"serialNumber": f"urn:uuid:{number}", **body}, indent=1, sort_keys=True) + "\n"


def _debian(status: Path, locked: Mapping[str, Package]) -> dict[str, Any]:
    field = dict(re.findall(r"^([A-Za-z-]+): (.*)$", status.read_text(), re.MULTILINE))
    name, version = field["Package"], field["Version"]
    upstream = (field.get("Source") or name).partition(" ")[0]
    qualifiers = f"arch={field['Architecture']}&distro=debian-12&upstream={quote(upstream, safe='')}"
    purl = f"pkg:deb/debian/{quote(name, safe='')}@{quote(version, safe='')}?{qualifiers}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "description": field["Description"],
        "hashes": [{"alg": "SHA-256", "content": locked[name].sha256}],
        "purl": purl,
    }


def _python(metadata: Path) -> dict[str, Any]:
    field = HeaderParser().parsestr(metadata.read_text(encoding="utf-8"))
    name = re.sub(r"[-_.]+", "-", field["Name"]).lower()
    purl = f"pkg:pypi/{name}@{quote(field['Version'], safe='')}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": field["Name"],
        "version": field["Version"],
        "purl": purl,
    }
    if field["Summary"]:
        component["description"] = field["Summary"]
    if field["License-Expression"]:
        component["licenses"] = [{"expression": field["License-Expression"]}]
    elif field["License"] and "\n" not in field["License"]:
        component["licenses"] = [{"license": {"name": field["License"]}}]
    return component
