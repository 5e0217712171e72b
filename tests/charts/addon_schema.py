"""The configuration schema of an EKS add-on: what of a chart's values AWS's console and CLI may set.

AWS asks for drafts 04, 06, 07 or 2019-09, camel case, a description of each property, and no secrets. It is
made of the chart's own ``values.schema.json`` and of the texts in ``values.yaml``: it cannot drift from them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.charts.readme import Value, values_of

# Free text in which people put tokens, what a cluster of EKS has no use for, and what helm alone does.
LEFT_OUT = frozenset(
    {
        "global",
        "tests",
        "openshift",
        "proxy",
        "caBundle",
        "sensor.extraArgs",
        "sensor.extraEnv",
        "sensor.extraVolumes",
        "sensor.extraVolumeMounts",
        "sensor.image",
    }
)


def configuration_schema(chart: Path) -> dict[str, Any]:
    """Of the chart in that folder; raises ``KeyError`` for a property without a text in ``values.yaml``."""
    schema = json.loads((chart / "values.schema.json").read_text())
    texts = {value.path: value for value in values_of(chart)}
    made = _object("", schema, schema["definitions"], texts)
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": schema["title"], **made}


def _object(
    path: str, found: Mapping[str, Any], definitions: Mapping[str, Any], texts: Mapping[str, Value]
) -> dict[str, Any]:
    properties = {}
    for key, each in found["properties"].items():
        inner = f"{path}.{key}".removeprefix(".")
        if inner not in LEFT_OUT:
            properties[key] = _property(inner, each, definitions, texts)
    made = {"type": "object", "additionalProperties": False, "properties": properties}
    if path:
        made["description"] = _described(path, texts)
    return made


def _property(
    path: str, found: Mapping[str, Any], definitions: Mapping[str, Any], texts: Mapping[str, Value]
) -> dict[str, Any]:
    found = _resolved(found, definitions)
    if path not in texts and found.get("type") == "object" and "properties" in found:
        return _object(path, found, definitions, texts)
    value = texts[path]
    made = {key: each for key, each in found.items() if key not in {"properties", "items"}}
    if "properties" in found:
        made.pop("additionalProperties", None)  # the chart's own schema looks inside
        made.pop("required", None)
    if isinstance(found.get("additionalProperties"), dict):
        made["additionalProperties"] = _resolved(found["additionalProperties"], definitions)
    if "items" in found:
        items = _resolved(found["items"], definitions)
        made["items"] = {"type": "object"} if items.get("type") == "object" else items
    return {**made, "description": value.text, "default": value.default}


def _resolved(found: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    return definitions[found["$ref"].rpartition("/")[2]] if "$ref" in found else found


def _described(path: str, texts: Mapping[str, Value]) -> str:
    """Of a group: the names of what is in it."""
    inside = [each.removeprefix(f"{path}.") for each in texts if each.startswith(f"{path}.")]
    return f"Settings of {path}: {', '.join(inside)}."
