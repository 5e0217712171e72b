"""Batches as messages of our own service, against files and against the bounds of their fields."""

from __future__ import annotations

import dataclasses

import pytest
from google.protobuf import json_format, text_format

from sensor.delivery.container_json import LATEST
from sensor.delivery.destination import Batch, OutgoingState
from sensor.model.container import ContainerIdentity
from sensor.model.package import Ecosystem, Evidence
from sensor.model.report import Coverage, LoadedPackage
from sensor.snyk.grpc_form import build
from sensor.snyk.proto.v1 import reports_pb2 as wire
from sensor.snyk.text import LONGEST
from tests.unit.batches import BATCHES, PACKAGES, WIRE, batch, compare, container, hostile
from tests.unit.reports import DAY, report, use

GROUP = "9e3c1b6e-7d36-4a8f-9e0b-1f3a5c7d9b33"


def there_and_back(one: Batch) -> wire.ReportRequest:
    """Through the bytes that cross the wire."""
    return wire.ReportRequest.FromString(build(one, GROUP, "0.3.0").SerializeToString())


@pytest.mark.parametrize("name", BATCHES)
def test_each_batch_is_as_in_its_file(name: str) -> None:
    request = there_and_back(BATCHES[name])
    compare(f"{name}.txtpb", text_format.MessageToString(request, as_utf8=True))


def test_no_file_is_left_over() -> None:
    assert {file.stem for file in WIRE.glob("*.txtpb")} == set(BATCHES)


def test_the_files_are_what_the_published_service_takes() -> None:
    for file in WIRE.glob("*.txtpb"):
        request = text_format.Parse(file.read_text(), wire.ReportRequest())
        for state in request.containers:
            assert state.container_id and state.observed_at_ms and state.coverage
            assert all(
                loaded.package < len(request.packages) and loaded.evidence for loaded in state.packages
            )


def test_a_package_is_written_once_however_many_have_it() -> None:
    request = there_and_back(batch(*(container(f"web-{number}", *PACKAGES) for number in range(20))))
    assert len(request.packages) == len(PACKAGES)
    assert [loaded.package for loaded in request.containers[19].packages] == [0, 1, 2, 3, 4]
    assert request.packages[4].snyk_name == "MathNet.Numerics"


def test_versions_that_differ_are_packages_of_their_own() -> None:
    request = there_and_back(
        batch(report(use(version="1"), use(version="2"), use(version=None), use(version="")))
    )
    assert [package.version for package in request.packages] == ["1", "2", "", ""]
    assert [package.HasField("version") for package in request.packages] == [True, True, False, True]
    assert [package.HasField("snyk_version") for package in request.packages] == [True, True, False, True]


def test_packages_that_are_written_alike_are_one_with_the_best_proof() -> None:
    """Two names that differ in bytes that are no text."""
    weak, strong = use("x\udce9", path="/weak"), use("x\udcea", evidence=Evidence.MAPPED, path="/strong")
    weak, strong = (
        dataclasses.replace(one, package=dataclasses.replace(one.package, purl="pkg:pypi/x"))
        for one in (weak, strong)
    )
    twice = (LoadedPackage(strong, DAY - 9, DAY - 5), LoadedPackage(weak, DAY - 10, DAY - 1))
    request = there_and_back(batch(report(packages=twice)))
    assert len(request.packages) == 1
    (loaded,) = request.containers[0].packages
    assert (loaded.path, loaded.evidence) == ("/strong", wire.EVIDENCE_MAPPED)
    assert (loaded.first_seen_ms, loaded.last_seen_ms) == ((DAY - 10) * 1000, (DAY - 1) * 1000)


def test_deployed_is_no_end() -> None:
    running, ended = there_and_back(batch(report(), report(deployed=False, ended_at=DAY))).containers
    assert not running.HasField("ended_at_ms")
    assert ended.HasField("ended_at_ms") and ended.ended_at_ms == DAY * 1000


def test_an_empty_snapshot_is_a_snapshot_and_none_is_none() -> None:
    assert not there_and_back(batch(running=None)).HasField("snapshot")
    snapshot = there_and_back(batch(running=(), sent_at=DAY)).snapshot
    assert (snapshot.node, snapshot.observed_at_ms, list(snapshot.running_container_ids)) == (
        "node-1",
        DAY * 1000,
        [],
    )


def test_containers_keep_their_order_and_generation() -> None:
    """A rejection names a container by its index."""
    request = there_and_back(batch(*(container(name) for name in "cab")))
    assert [(state.container_name, state.generation) for state in request.containers] == [
        ("c", 7),
        ("a", 8),
        ("b", 9),
    ]


def test_the_pod_uid_of_the_cgroup_serves_where_the_runtime_told_none() -> None:
    assert there_and_back(batch(container("web"))).containers[0].pod_uid == "uid-of-web"


def test_every_evidence_coverage_and_ecosystem_has_its_place() -> None:
    request = there_and_back(BATCHES["ecosystems"])
    assert {package.ecosystem for package in request.packages} == set(Ecosystem)
    for evidence in Evidence:
        (loaded,) = there_and_back(batch(report(use(evidence=evidence)))).containers[0].packages
        assert wire.Evidence.Name(loaded.evidence) == f"EVIDENCE_{evidence.upper()}"
        assert loaded.evidence == evidence.strength + 1
    for coverage in Coverage:
        (state,) = there_and_back(batch(report(coverage=coverage))).containers
        assert wire.Coverage.Name(state.coverage) == f"COVERAGE_{coverage.upper()}"


def test_hostile_values_are_bounded() -> None:
    request = there_and_back(batch(hostile(), sent_at=float("inf")))
    (state,) = request.containers
    assert (state.observed_at_ms, state.first_seen_ms, state.ended_at_ms) == (0, 0, LATEST)
    assert len(state.namespace) == LONGEST and state.namespace.endswith("…")
    assert state.namespace.startswith("\x00\N{REPLACEMENT CHARACTER}\u202e")
    assert request.sent_at_ms == LATEST
    assert request.ByteSize() < 30 * 4 * LONGEST


@pytest.mark.parametrize(("generation", "expected"), [(-1, 0), (1 << 70, (1 << 63) - 1), (1 << 62, 1 << 62)])
def test_a_generation_stays_within_its_field(generation: int, expected: int) -> None:
    one = batch(states=(OutgoingState("web", generation, report()),))
    assert there_and_back(one).containers[0].generation == expected


def test_a_text_of_the_longest_length_is_whole() -> None:
    path = "/" + "x" * (LONGEST - 1)
    (loaded,) = there_and_back(batch(report(use(path=path)))).containers[0].packages
    assert loaded.path == path


def test_ids_of_a_snapshot_are_texts_as_well() -> None:
    one = batch(report(container=ContainerIdentity("\udce9", "runc")), running=("\udce9",))
    request = there_and_back(one)
    assert request.snapshot.running_container_ids[0] == request.containers[0].container_id


def test_the_same_batch_is_the_same_bytes() -> None:
    """A further try, after the first answer was lost."""
    one, other = (build(BATCHES["shared"], GROUP, "0.3.0").SerializeToString() for _ in range(2))
    assert one == other


def test_the_example_in_the_documentation_is_one() -> None:
    text = (WIRE.parents[2] / "docs/wire.md").read_text()
    example = text.partition("RuntimeReports/Report <<'EOT'\n")[2].partition("EOT")[0]
    request = json_format.Parse(example, wire.ReportRequest())
    assert request.containers[0].packages[0].evidence == wire.EVIDENCE_OPENED
    assert request.packages[0].snyk_name == "pyyaml"
