"""What helm rendered, as objects, and what a cluster would not take of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from jsonschema import Draft7Validator

from tests.charts.kubernetes_schemas import KubernetesSchema

Manifest = dict[str, Any]
_CUSTOM: dict[str, Any] = json.loads((Path(__file__).parent / "custom_kinds.json").read_text())


class _StrictLoader(yaml.CSafeLoader):  # type: ignore[misc]
    """A key that comes twice is an error, as for the API server; YAML itself would take the last."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} twice", node.start_mark)
    return dict(loader.construct_pairs(node, deep=True))


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse(text: str) -> list[Manifest]:
    """The objects of a stream of YAML; raises ``yaml.YAMLError``, also for a key that comes twice."""
    return [each for each in yaml.load_all(text, Loader=_StrictLoader) if each is not None]


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] in kinds]


def workload(manifests: Iterable[Manifest]) -> Manifest:
    """The one DaemonSet or Deployment."""
    (found,) = of_kind(manifests, "DaemonSet", "Deployment")
    return found


def pod_spec(manifests: Iterable[Manifest]) -> Manifest:
    spec: Manifest = workload(manifests)["spec"]["template"]["spec"]
    return spec


def container(manifests: Iterable[Manifest]) -> Manifest:
    """The one container of the workload."""
    (found,) = pod_spec(manifests)["containers"]
    return dict(found)


def refusals(manifest: Manifest, schema: KubernetesSchema) -> Iterator[str]:
    """What a cluster of that version would refuse: ``PATH: why``."""
    api_version, kind = str(manifest.get("apiVersion")), str(manifest.get("kind"))
    custom = _CUSTOM.get(f"{api_version}/{kind}")
    validator = Draft7Validator(custom) if custom else schema.validator(api_version, kind)
    if validator is None:
        yield f"{api_version} {kind}: no such kind"
        return
    for error in validator.iter_errors(manifest):
        yield f"{kind} {error.json_path}: {error.message[:300]}"
