"""The shape of a line, against the schema in docs/."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sensor.delivery.container_json import (
    LATEST,
    MalformedState,
    from_json,
    milliseconds,
    rfc3339,
    to_json,
)
from sensor.model.container import ContainerIdentity, ContainerMetadata, Image
from sensor.model.package import Ecosystem, Evidence
from sensor.model.report import ContainerReport, Coverage
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


HOSTILE = 'a\x00b"\\\u2028\x1b[2J\u202e\U0001f600' + "x" * 5000


def there_and_back(one: ContainerReport) -> None:
    """Through bytes, as a file holds it."""
    written = json.dumps(to_json(one))
    again = from_json(json.loads(written))
    assert json.dumps(to_json(again)) == written


def test_a_report_comes_back_as_it_was() -> None:
    one = report(*(use(name, evidence=evidence) for name, evidence in zip("abcd", Evidence, strict=True)))
    again = from_json(to_json(one))
    uid = one.container.pod_uid
    assert again == dataclasses.replace(one, metadata=dataclasses.replace(one.metadata, pod_uid=uid))


@pytest.mark.parametrize(
    "one",
    [
        report(),
        report(use(version=None), ended_at=DAY, deployed=False),
        report(coverage=Coverage.PARTIAL, coverage_reasons=("events_lost", "root_unavailable")),
        report(
            container=ContainerIdentity("ab", "unknown"),
            metadata=ContainerMetadata(),
            cluster=None,
            node=None,
        ),
        report(use(HOSTILE, HOSTILE, path="/" + HOSTILE), cluster=HOSTILE, node=HOSTILE),
        report(use("\ud800x", path=b"/caf\xe9".decode("utf-8", "surrogateescape"))),
        report(observed_at=DAY + 0.0004999, first_seen=DAY - 0.0005001),
        report(observed_at=math.inf, first_seen=-math.inf, ended_at=math.nan, deployed=False),
    ],
    ids=["bare", "ended", "partial", "unknown", "hostile", "no unicode", "under a millisecond", "no times"],
)
def test_a_report_survives_the_way_there_and_back(one: ContainerReport) -> None:
    VALIDATOR.validate(to_json(one))
    there_and_back(one)


def test_every_millisecond_survives() -> None:
    for number in range(1000):
        there_and_back(
            report(observed_at=1_700_000_000 + number / 1000, first_seen=LATEST / 1000 - number / 1000)
        )


def test_what_a_later_version_adds_is_passed_over() -> None:
    state = to_json(report(use()))
    assert from_json(state | {"colour": "red"}) == from_json(state)


def paths(part: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    if isinstance(part, dict | list):
        for key, inner in part.items() if isinstance(part, dict) else enumerate(part):
            yield from paths(inner, (*here, key))


def changed(state: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    state = copy.copy(state)
    state[path[0]] = changed(state[path[0]], path[1:], value)
    return state


GOOD = to_json(report(use(), coverage=Coverage.PARTIAL, coverage_reasons=("events_lost",)))


@pytest.mark.parametrize("path", list(paths(GOOD)), ids=str)
def test_a_wrong_kind_of_value_anywhere_is_refused_with_its_key(path: tuple[Any, ...]) -> None:
    wrongs: list[Any] = [7, -1.5, [7] * 9000, {"a" * 9000: 1}, [{}]]
    for wrong in wrongs:
        with pytest.raises(MalformedState) as caught:
            from_json(changed(GOOD, path, wrong))
        assert len(str(caught.value)) < 250
        assert not path or str(path[0]) in str(caught.value)


@pytest.mark.parametrize(
    "path", [path for path in paths(GOOD) if path and isinstance(path[-1], str)], ids=str
)
def test_a_key_that_is_missing_is_refused(path: tuple[Any, ...]) -> None:
    state = copy.deepcopy(GOOD)
    part = state
    for step in path[:-1]:
        part = part[step]
    del part[path[-1]]
    with pytest.raises(MalformedState, match=str(path[-1])):
        from_json(state)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "pod"}, "type: found 'pod', expected one of container"),
        ({"observed_at": "2023-02-31T00:00:00.000Z"}, "observed_at: found '2023-02-31"),
        ({"observed_at": "1969-12-31T23:59:59.999Z"}, "observed_at: found '1969"),
        ({"observed_at": "٢٠٢٣-11-14T22:13:20.250Z"}, "expected a time such as"),
        ({"coverage": "whole"}, "coverage: found 'whole', expected one of complete, partial"),
        ({"coverage": "complete"}, "coverage_reasons: found reasons for complete"),
        ({"coverage_reasons": []}, "none for partial"),
        ({"deployed": False}, "ended_at: found"),
        ({"workload": {"kind": None, "name": "web"}}, "workload.kind: found None, expected a text"),
        ({"packages": [None]}, r"packages\[0\]: found None"),
    ],
    ids=str,
)
def test_what_contradicts_itself_or_is_no_time_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(MalformedState, match=said):
        from_json(GOOD | change)


@pytest.mark.parametrize("found", [None, [], "container", 1, True])
def test_what_is_no_object_is_refused(found: Any) -> None:
    with pytest.raises(MalformedState):
        from_json(found)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(math.nan, 0), (-1e308, 0), (1e308, LATEST), (1.0004, 1000), (1.0006, 1001), (-math.inf, 0)],
)
def test_milliseconds_are_bounded(seconds: float, expected: int) -> None:
    assert milliseconds(seconds) == expected
    assert len(rfc3339(seconds)) == 24
