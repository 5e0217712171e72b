"""What AWS publishes for EKS add-ons in AWS Marketplace, as rules over an unpacked chart.

Container-based product requirements and "Preparing your Helm chart" of the AWS Marketplace seller guide. AWS
greps texts, so do these: a hook behind a condition is a hook. A rule yields a sentence for each place that
breaks it: what was found where, and what was expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.charts.helm_program import OLD, HelmError, run
from tests.charts.manifests import Manifest, of_kind, parse

SCHEMA = "aws_mp_configuration_schema.json"
DRAFTS = (
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
)
ARCHITECTURES = {"amd64", "arm64"}
_RELEASE = re.compile(r"\.Release\.(?!(?:Name|Namespace)\b)\w+")
_LOOKUP = re.compile(r"\{\{[^}]*\blookup\s+[\"'(.$]")
_FULL_IMAGE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?/[a-z0-9._/-]+:(?!latest$)[\w][\w.-]*")
_CAMEL = re.compile(r"[a-z][A-Za-z0-9]*")
_SECRET = re.compile(r"(token|password|passwd|credential|apikey|privatekey)s?$", re.IGNORECASE)

Rule = Callable[[Path], Iterator[str]]


def no_hooks(chart: Path) -> Iterator[str]:
    for path, text in _files(chart):
        if "helm.sh/hook" in text:
            yield f"{path}: found helm.sh/hook, expected none: EKS installs without hooks"


def no_lookup(chart: Path) -> Iterator[str]:
    for path, text in _files(chart):
        if _LOOKUP.search(text):
            yield f"{path}: found `lookup`, expected none: EKS renders away from the cluster"


def release_has_a_name_and_a_namespace_only(chart: Path) -> Iterator[str]:
    for path, text in _files(chart):
        for found in _RELEASE.findall(text):
            yield f"{path}: found {found}, expected .Release.Name and .Release.Namespace alone"


def no_questions_for_apis(chart: Path) -> Iterator[str]:
    for path, text in _files(chart):
        if ".Capabilities.APIVersions" in text:
            yield f"{path}: found .Capabilities.APIVersions, expected none: custom APIs cannot be asked for"


def images_are_named_in_full(chart: Path) -> Iterator[str]:
    for image in _images(_manifests(chart)):
        if not _FULL_IMAGE.fullmatch(image):
            yield f"found the image {image!r}, expected REGISTRY/REPOSITORY:TAG"


def images_stand_in_values(chart: Path) -> Iterator[str]:
    values = (chart / "values.yaml").read_text()
    for image in _images(_manifests(chart)):
        repository, _, tag = image.rpartition(":")
        if repository not in values or not re.search(
            rf"tag: ['\"]?{re.escape(tag)}['\"]?$", values, re.MULTILINE
        ):
            yield f"values.yaml: found no {image!r}, which a template names; expected all images there"


def no_definition_beside_its_resource(chart: Path) -> Iterator[str]:
    found = [path for path in chart.rglob("*.yaml") if "kind: CustomResourceDefinition" in path.read_text()]
    for path in found:
        yield f"{path.relative_to(chart)}: found a CustomResourceDefinition, expected none that ships along"


def a_workload_is_there(chart: Path) -> Iterator[str]:
    if not of_kind(_manifests(chart), "DaemonSet", "Deployment"):
        yield "found neither DaemonSet nor Deployment by default, expected one"


def both_architectures(chart: Path) -> Iterator[str]:
    for manifest in of_kind(_manifests(chart), "DaemonSet", "Deployment"):
        spec = manifest["spec"]["template"]["spec"]
        chosen = {spec.get("nodeSelector", {}).get("kubernetes.io/arch", "")} - {""}
        for wanted in _architectures(spec.get("affinity", {})):
            chosen |= wanted
        if chosen and not chosen >= ARCHITECTURES:
            yield f"{manifest['kind']}: found {', '.join(chosen)} alone, expected amd64 and arm64"


def self_contained(chart: Path) -> Iterator[str]:
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    for each in about.get("dependencies", []):
        if not str(each.get("repository", "")).startswith("file://"):
            yield f"Chart.yaml: found the dependency {each['name']} from elsewhere, expected it inside"


def helm_3_8_lints_it(chart: Path) -> Iterator[str]:
    try:
        run(["lint", "--strict", chart], OLD)
    except HelmError as error:
        yield f"helm 3.8 lint: {error}"


def helm_3_8_renders_it(chart: Path) -> Iterator[str]:
    try:
        _render(chart)
    except HelmError as error:
        yield f"helm 3.8 template: {error}"


def schema_is_of_a_draft_that_eks_reads(chart: Path) -> Iterator[str]:
    found = _schema(chart).get("$schema")
    if found not in DRAFTS:
        yield f"{SCHEMA}: found $schema {found!r}, expected one of {', '.join(DRAFTS)}"


def schema_describes_each_property(chart: Path) -> Iterator[str]:
    for path, each in _properties(_schema(chart)):
        if not str(each.get("description", "")).strip():
            yield f"{SCHEMA}: {path}: found no description, expected one"


def schema_is_in_camel_case(chart: Path) -> Iterator[str]:
    for path, _ in _properties(_schema(chart)):
        if not _CAMEL.fullmatch(path.rpartition(".")[2]):
            yield f"{SCHEMA}: {path}: expected camelCase"


def schema_takes_no_secret(chart: Path) -> Iterator[str]:
    for path, each in _properties(_schema(chart)):
        if _SECRET.search(path.rpartition(".")[2]) and each.get("type") != "boolean":
            yield f"{SCHEMA}: {path}: expected no secret: EKS shows what is configured"


def schema_names_values_of_the_chart(chart: Path) -> Iterator[str]:
    values = yaml.safe_load((chart / "values.yaml").read_text())
    for path, _ in _properties(_schema(chart)):
        found = values
        for key in path.split("."):
            found = found.get(key, KeyError) if isinstance(found, dict) else KeyError
        if found is KeyError:
            yield f"{SCHEMA}: {path}: found no such value in values.yaml, expected one"


RULES: tuple[Rule, ...] = (
    helm_3_8_lints_it,
    helm_3_8_renders_it,
    no_hooks,
    no_lookup,
    release_has_a_name_and_a_namespace_only,
    no_questions_for_apis,
    images_are_named_in_full,
    images_stand_in_values,
    no_definition_beside_its_resource,
    a_workload_is_there,
    both_architectures,
    self_contained,
    schema_is_of_a_draft_that_eks_reads,
    schema_describes_each_property,
    schema_is_in_camel_case,
    schema_takes_no_secret,
    schema_names_values_of_the_chart,
)
_NEED_A_RENDERING = (
    images_are_named_in_full,
    images_stand_in_values,
    a_workload_is_there,
    both_architectures,
)


def violations(chart: Path) -> Iterator[str]:
    """``RULE: what was found, what was expected``, for each rule that the unpacked chart breaks."""
    renders = not list(helm_3_8_renders_it(chart))
    for rule in RULES:
        if renders or rule not in _NEED_A_RENDERING:
            for sentence in rule(chart):
                yield f"{rule.__name__}: {sentence}"


def _files(chart: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(chart.rglob("*")):
        if path.is_file():
            yield path.relative_to(chart), path.read_text()


def _render(chart: Path) -> str:
    return run(["template", "addon", chart, "--namespace", "addon", "--no-hooks", "--include-crds"], OLD)


def _manifests(chart: Path) -> list[Manifest]:
    return parse(_render(chart))


def _images(found: list[Manifest]) -> Iterator[str]:
    for manifest in of_kind(found, "DaemonSet", "Deployment"):
        spec = manifest["spec"]["template"]["spec"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            yield str(container["image"])


def _architectures(affinity: dict[str, Any]) -> Iterator[set[str]]:
    needed = affinity.get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", {})
    for term in needed.get("nodeSelectorTerms", []):
        for each in term.get("matchExpressions", []):
            if each["key"] == "kubernetes.io/arch" and each["operator"] == "In":
                yield set(each["values"])
            elif each["key"] == "kubernetes.io/arch":
                yield ARCHITECTURES - set(each.get("values", []))


def _schema(chart: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((chart / SCHEMA).read_text())
    return found


def _properties(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, each in schema.get("properties", {}).items():
        inner = f"{path}.{key}".removeprefix(".")
        yield inner, each
        yield from _properties(each, inner)
