"""The shape of a line, against the schema in docs/."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sensor.delivery.container_json import rfc3339, to_json
from sensor.model.container import ContainerIdentity, ContainerMetadata, Image
from sensor.model.package import Ecosystem, Evidence
from sensor.model.report import Coverage
from tests.unit.reports import DAY, report, use

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "docs/schema/container.schema.json").read_text()
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_a_report_as_json_key_by_key() -> None:
    assert to_json(report(use())) == {
        "type": "container",
        "observed_at": "2023-11-14T22:13:20.250Z",
        "cluster": "east",
        "node": "node-1",
        "namespace": "default",
        "workload": {"kind": "Deployment", "name": "web"},
        "pod": {"name": "web-5d9c", "uid": "0b7c8f4e-1f7a-4f6e-9c53-1c1f6f0f2a11"},
        "container": {"id": "3f" * 32, "name": "web", "runtime": "containerd"},
        "image": {"name": "docker.io/library/shop:1", "digest": "sha256:" + "ab" * 32},
        "deployed": True,
        "first_seen": "2023-11-14T22:11:50.250Z",
        "ended_at": None,
        "coverage": "complete",
        "coverage_reasons": [],
        "packages": [
            {
                "ecosystem": "pypi",
                "name": "requests",
                "version": "2.31.0",
                "purl": "pkg:pypi/requests@2.31.0",
                "snyk": {"type": "pip", "name": "requests", "version": "2.31.0"},
                "evidence": "opened",
                "first_seen": "2023-11-14T22:12:05.250Z",
                "last_seen": "2023-11-14T22:13:19.250Z",
                "path": "/usr/lib/python3/site-packages/requests/__init__.py",
            }
        ],
    }


def test_what_is_not_known_is_null_and_its_objects_stay() -> None:
    bare = report(
        container=ContainerIdentity("ab", "unknown"), metadata=ContainerMetadata(), cluster=None, node=None
    )
    line = to_json(bare)
    VALIDATOR.validate(line)
    assert [line[key] for key in ("cluster", "node", "namespace")] == [None] * 3
    assert line["workload"] == {"kind": None, "name": None}
    assert line["pod"] == {"name": None, "uid": None}
    assert line["container"] == {"id": "ab", "name": None, "runtime": "unknown"}
    assert line["image"] == {"name": None, "digest": None}


def test_the_schema_is_one_and_takes_every_evidence_and_ecosystem() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(to_json(report(*(use(evidence=evidence) for evidence in Evidence))))
    known = SCHEMA["$defs"]["package"]["properties"]
    assert set(known["evidence"]["enum"]) == set(Evidence)
    assert set(known["ecosystem"]["enum"]) == set(Ecosystem)


@pytest.mark.parametrize(
    "path",
    [
        (),
        *((name,) for name in ("workload", "pod", "container", "image")),
        ("packages", 0),
        ("packages", 0, "snyk"),
    ],
    ids=str,
)
def test_the_schema_refuses_a_key_too_many_and_a_key_too_few(path: tuple[Any, ...]) -> None:
    good = to_json(report(use()))
    VALIDATOR.validate(good)

    def part(document: Any) -> dict[str, Any]:
        for step in path:
            document = document[step]
        assert isinstance(document, dict)
        return document

    more = copy.deepcopy(good)
    part(more)["surprise"] = 1
    assert not VALIDATOR.is_valid(more)
    for key in part(good):
        fewer = copy.deepcopy(good)
        del part(fewer)[key]
        assert not VALIDATOR.is_valid(fewer), key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("observed_at", "2023-11-14T22:13:20+00:00"),
        ("coverage", "unknown"),
        ("deployed", None),
        ("coverage_reasons", ["ring_full"]),
        ("image", {"name": None, "digest": "ab" * 32}),
    ],
)
def test_the_schema_refuses_wrong_values(key: str, value: Any) -> None:
    assert not VALIDATOR.is_valid(to_json(report()) | {key: value})


def test_partial_coverage_needs_a_reason() -> None:
    partial = to_json(report(coverage=Coverage.PARTIAL, coverage_reasons=("ring_full",)))
    VALIDATOR.validate(partial)
    assert not VALIDATOR.is_valid(partial | {"coverage_reasons": []})


def test_names_that_are_no_unicode_text_become_so() -> None:
    bytes_of_a_file_name = b"/caf\xe9/\xed\xa0\x80".decode("utf-8", "surrogateescape")
    line = to_json(
        report(use("\ud800x", path=bytes_of_a_file_name), metadata=ContainerMetadata(image=Image("ü")))
    )
    text = json.dumps(line, ensure_ascii=False)
    text.encode()  # raises for what is no text
    assert line["packages"][0]["name"] == "\N{REPLACEMENT CHARACTER}x"
    assert line["packages"][0]["path"].startswith("/caf\N{REPLACEMENT CHARACTER}/")
    assert line["image"]["name"] == "ü"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (DAY, "2023-11-14T22:13:20.250Z"),
        (1_700_000_000, "2023-11-14T22:13:20.000Z"),
    ],
)
def test_times_are_rfc3339_in_utc_with_milliseconds(seconds: float, text: str) -> None:
    assert rfc3339(seconds) == text
