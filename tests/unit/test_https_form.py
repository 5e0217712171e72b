"""Batches as the upstream of Snyk's Kubernetes monitor takes them, against files and a schema."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import jsonschema
import pytest

from sensor.delivery.destination import Batch
from sensor.model.container import ContainerIdentity, ContainerMetadata, Image, Workload
from sensor.model.package import Evidence
from sensor.model.report import ContainerReport
from sensor.snyk.https_form import image_id, repository, runtime_results, workloads
from sensor.snyk.text import LONGEST
from tests.unit.batches import BATCHES, PACKAGES, WIRE, batch, compare, container, hostile
from tests.unit.reports import DAY, METADATA, report, use

AGENT, LOCATOR = "f3c9a4de-0f0b-4f0a-8f46-2f1f6d0f9b22", "9e3c1b6e-7d36-4a8f-9e0b-1f3a5c7d9b33"
DIGEST = "sha256:" + "ab" * 32


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((WIRE / name).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


RESULTS, WORKLOAD = validator("runtime-results.schema.json"), validator("workload.schema.json")


def sent(one: Batch) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Both bodies, through the bytes that cross the wire, each valid."""
    body = json.loads(json.dumps(runtime_results(one, AGENT, LOCATOR), ensure_ascii=False).encode())
    deployed = json.loads(json.dumps(workloads(one, AGENT, LOCATOR), ensure_ascii=False).encode())
    RESULTS.validate(body)
    for workload in deployed:
        WORKLOAD.validate(workload)
    return body, deployed


def images(*reports: ContainerReport) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sent(batch(*reports))[0]["facts"][0]["data"]
    return found


@pytest.mark.parametrize("name", BATCHES)
def test_each_batch_is_as_in_its_file(name: str) -> None:
    body, deployed = sent(BATCHES[name])
    both = {"runtime-results": body, "workload": deployed}
    compare(f"{name}.json", json.dumps(both, indent=2, ensure_ascii=False) + "\n")


def test_no_file_is_left_over() -> None:
    files = {file.name.removesuffix(".json") for file in WIRE.glob("*.json")}
    assert files == {*BATCHES, "runtime-results.schema", "workload.schema"}


def test_the_schema_refuses_a_key_too_few_and_a_key_too_many() -> None:
    body, deployed = sent(BATCHES["ecosystems"])
    places: list[tuple[Any, dict[str, Any], tuple[Any, ...]]] = [
        (RESULTS, body, path)
        for path in ((), ("identity",), ("target",), ("facts", 0), ("facts", 0, "data", 0))
    ]
    places += [(RESULTS, body, ("facts", 0, "data", 0, "packages", 0))]
    places += [(WORKLOAD, deployed[0], path) for path in ((), ("workloadLocator",), ("workloadMetadata",))]
    for schema, good, path in places:
        assert schema.is_valid(good)
        for key in (*part(good, path), "surprise"):
            bad = copy.deepcopy(good)
            inner = part(bad, path)
            if key == "surprise":
                inner[key] = 1
            else:
                del inner[key]
            assert not schema.is_valid(bad), (path, key)


def part(document: Any, path: tuple[Any, ...]) -> dict[str, Any]:
    for step in path:
        document = document[step]
    assert isinstance(document, dict)
    return document


def test_replicas_of_a_batch_are_one_entry_with_the_union_of_their_packages() -> None:
    first, second = container("web", PACKAGES[0], PACKAGES[1]), container("web", PACKAGES[1], PACKAGES[2])
    second = dataclasses.replace(second, container=ContainerIdentity("99" * 32, "containerd"))
    body, deployed = sent(batch(first, second))
    (image,) = body["facts"][0]["data"]
    assert [package["name"] for package in image["packages"]] == [
        "jaraco.functools",
        "@babel/core",
        "ch.qos.logback:logback-classic",
    ]
    (workload,) = deployed
    assert len(workload["workloadMetadata"]["podSpec"]["containers"]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "sidecar"},
        {"namespace": "other"},
        {"workload": Workload("Deployment", "other")},
        {"workload": Workload("StatefulSet", "web")},
        {"image": Image("docker.io/library/shop:1", "sha256:" + "ef" * 32)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_differs_in_any_part_of_the_key_is_another_entry(changes: dict[str, Any]) -> None:
    assert len(images(report(use()), report(use(), metadata=dataclasses.replace(METADATA, **changes)))) == 2


def test_containers_of_one_workload_are_one_workload() -> None:
    sidecar = dataclasses.replace(METADATA, name="proxy", image=Image("envoy:1"))
    _, (workload,) = sent(batch(report(), report(metadata=sidecar)))
    assert workload["workloadMetadata"]["podSpec"]["containers"] == [
        {"name": "web", "image": "docker.io/library/shop:1"},
        {"name": "proxy", "image": "envoy:1"},
    ]


@pytest.mark.parametrize(
    ("image", "expected"), [(Image("shop:1", DIGEST), "shop:1"), (Image(None, DIGEST), DIGEST), (Image(), "")]
)
def test_a_pod_names_its_image_as_the_runtime_was_told(image: Image, expected: str) -> None:
    _, (workload,) = sent(batch(report(metadata=dataclasses.replace(METADATA, image=image))))
    assert workload["workloadMetadata"]["podSpec"]["containers"] == [{"name": "web", "image": expected}]


def test_what_has_ended_was_loaded_and_is_not_deployed() -> None:
    body, deployed = sent(batch(report(use(), deployed=False, ended_at=DAY)))
    assert len(body["facts"][0]["data"][0]["packages"]) == 1
    assert deployed == []


def test_what_is_only_bundled_is_not_loaded() -> None:
    (image,) = images(report(*(use(evidence.value, evidence=evidence) for evidence in Evidence)))
    assert [package["name"] for package in image["packages"]] == ["executed", "mapped", "opened"]


def test_a_container_that_loads_nothing_is_told_as_well() -> None:
    (image,) = images(report())
    assert image["packages"] == []


def test_a_package_stands_under_the_name_and_version_of_snyks_scan() -> None:
    (image,) = images(report(PACKAGES[0]))
    assert image["packages"] == [
        {
            "purl": "pkg:pypi/jaraco-functools@2.0",
            "name": "jaraco.functools",
            "version": "2.0.0",
            "type": "pip",
            "installedViaPackageManager": True,
        }
    ]


@pytest.mark.parametrize(
    ("workload", "pod", "kind", "name"),
    [
        (Workload("Deployment", "web"), "web-5d9c", "Deployment", "web"),
        (Workload("daemonset", "agent"), "agent-x", "DaemonSet", "agent"),
        (Workload("Node", "node-1"), "etcd-node-1", "Pod", "etcd-node-1"),
        (Workload("StrimziPodSet", "kafka"), "kafka-0", "Pod", "kafka-0"),
        (Workload("StrimziPodSet", "kafka"), None, "StrimziPodSet", "kafka"),
        (None, "lonely", "Pod", "lonely"),
        (None, None, "Container", "web"),
    ],
)
def test_a_workload_the_upstream_does_not_know_gives_way_to_the_pod(
    workload: Workload | None, pod: str | None, kind: str, name: str
) -> None:
    metadata = dataclasses.replace(METADATA, workload=workload, pod_name=pod)
    body, (deployed,) = sent(batch(report(metadata=metadata)))
    (image,) = body["facts"][0]["data"]
    assert (image["workloadKind"], image["workloadName"]) == (kind, name)
    assert (deployed["workloadLocator"]["type"], deployed["workloadLocator"]["name"]) == (kind, name)


def test_a_container_of_which_nothing_is_known_stands_under_its_id() -> None:
    (image,) = images(report(container=ContainerIdentity("ab", "runc"), metadata=ContainerMetadata()))
    assert (image["workloadKind"], image["workloadName"], image["container"]) == ("Container", "ab", "ab")


def test_nodes_themselves_are_told_apart() -> None:
    hosts = [
        report(node=node, container=ContainerIdentity("host", "host"), metadata=ContainerMetadata())
        for node in ("node-1", "node-2")
    ]
    assert [(image["workloadKind"], image["workloadName"]) for image in images(*hosts)] == [
        ("Node", "node-1"),
        ("Node", "node-2"),
    ]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image("docker.io/library/shop:1", DIGEST), f"docker.io/library/shop@{DIGEST}"),
        (Image("localhost:5000/shop", DIGEST), f"localhost:5000/shop@{DIGEST}"),
        (Image(f"shop:1@{DIGEST}", DIGEST), f"shop@{DIGEST}"),
        (Image("shop:1"), "shop:1"),
        (Image("shop"), "shop"),
        (Image(None, DIGEST), DIGEST),
        (Image(), ""),
    ],
)
def test_an_image_is_named_by_its_digest_where_that_is_known(image: Image, expected: str) -> None:
    assert image_id(image) == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("shop", "shop"),
        ("shop:1", "shop"),
        ("a.example:5000/shop", "a.example:5000/shop"),
        ("a.example:5000/team/shop:1.2-rc_3", "a.example:5000/team/shop"),
        (f"a.example/shop:1@{DIGEST}", "a.example/shop"),
        ("", ""),
        (":/@:", ":/"),
    ],
)
def test_a_repository_is_a_reference_without_tag_and_digest(reference: str, expected: str) -> None:
    assert repository(reference) == expected


def test_hostile_values_are_bounded() -> None:
    body, _ = sent(batch(dataclasses.replace(hostile(), deployed=True, ended_at=None)))
    (image,) = body["facts"][0]["data"]
    assert all(len(value) <= LONGEST for key, value in image.items() if key != "packages")
    assert all(len(str(value)) <= LONGEST for package in image["packages"] for value in package.values())


def test_bodies_of_one_batch_share_nothing() -> None:
    """Whoever adds a key to one must not change the next."""
    one = runtime_results(BATCHES["empty"], AGENT, LOCATOR)
    one["identity"]["type"] = "other"
    assert runtime_results(BATCHES["empty"], AGENT, LOCATOR)["identity"]["type"] == "sysdig"


def test_the_examples_in_the_documentation_are_valid() -> None:
    text = (WIRE.parents[2] / "docs/wire.md").read_text()
    examples = [part.partition("EOT")[0] for part in text.split("-d @- <<'EOT'\n")[1:]]
    assert len(examples) == 2
    RESULTS.validate(json.loads(examples[0]))
    WORKLOAD.validate(json.loads(examples[1]))
