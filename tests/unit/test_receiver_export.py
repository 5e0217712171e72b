"""What other programs get: everything once, valid by its schema, harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from sensor.receiver.exports import container_csv, container_json, cyclonedx, walk
from sensor.receiver.queries.cells import fold
from sensor.receiver.queries.connection import reading
from sensor.receiver.queries.containers import loaded_by
from sensor.receiver.queries.details import loaded_of_image
from sensor.receiver.queries.selection import Selection
from tests import receiver_seed

SCHEMA = Path(__file__).parents[2] / "docs/schema/container.schema.json"
HOSTILE = '=cmd|"/c calc"!A1,<b>\u202e\x1b[31m\r\n'


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seeded") / "receiver.db"
    receiver_seed.seed(path, containers=450, images=10, packages=100)
    return path


def _exported(database: Path, wanted: Selection) -> list[dict[str, Any]]:
    found = json.loads("".join(container_json.pieces(walk.walk(database, wanted, {}))))
    containers: list[dict[str, Any]] = found["containers"]
    return containers


def test_every_container_once_and_by_the_schema(database: Path) -> None:
    found = _exported(database, Selection())
    schema = json.loads(SCHEMA.read_text())
    schema["properties"].update({name: {} for name in ("row", "source", "received_at", "risk_factors")})
    validator = jsonschema.Draft202012Validator(schema)
    assert [one["row"] for one in found] == list(range(1, 451))
    for one in found[::10]:
        validator.validate(one)
        with reading(database) as connection:
            assert len(one["packages"]) == len(loaded_by(connection, one["row"]))


def test_nothing_is_valid_json_too(database: Path) -> None:
    assert _exported(database, Selection(cluster="none")) == []


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        (Selection(ecosystem="maven"), lambda c, p: p["ecosystem"] == "maven"),
        (Selection(evidence="mapped"), lambda c, p: p["evidence"] == "mapped"),
        (Selection(risk=("loaded",)), lambda c, p: p["evidence"] != "bundled"),
        (Selection(q="Log4J-Core"), lambda c, p: "log4j-core" in p["purl"]),
        (Selection(q="orders"), lambda c, p: "orders" in c["pod"]["name"]),
    ],
)
def test_the_filters_hold_for_packages_too(database: Path, wanted: Selection, holds: Any) -> None:
    found = _exported(database, wanted)
    everything = [(c, p) for c in _exported(database, Selection()) for p in c["packages"]]
    meant = [(c["row"], p["purl"]) for c, p in everything if holds(c, p)]
    assert [(c["row"], p["purl"]) for c in found for p in c["packages"]] == meant != []


def test_csv_has_a_line_for_each_package(database: Path) -> None:
    text = "".join(container_csv.pieces(walk.walk(database, Selection(), {})))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == sum(max(1, len(c["packages"])) for c in _exported(database, Selection()))
    assert {row["cluster"] for row in rows} == {"prod-eu", "prod-us", "staging"}
    assert all(row["path"].startswith("/") for row in rows)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """One container whose every name is an attack, with packages that are."""
    with closing(receiver_seed.create(tmp_path / "db")) as connection:
        packages = [
            receiver_seed.Package(n, "npm", name, "1") for n, name in enumerate(("@scope/x", HOSTILE), 1)
        ]
        for package in packages:
            receiver_seed.add_package(connection, package)
        members = [(package, "opened", HOSTILE) for package in packages]
        names = dict.fromkeys(("cluster", "namespace", "workload_name", "pod_name", "image_name"), HOSTILE)
        row = receiver_seed.container(1, **names, package_set=receiver_seed.add_set(connection, members))
        connection.execute(receiver_seed.INSERT_CONTAINER, row)
        empty = receiver_seed.container(2, coverage="", namespace=None, image_name=None)
        connection.execute(receiver_seed.INSERT_CONTAINER, empty)
    return tmp_path / "db"


def test_a_spreadsheet_calculates_nothing(hostile: Path) -> None:
    text = "".join(container_csv.pieces(walk.walk(hostile, Selection(), {})))
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == 4
    assert {len(row) for row in rows} == {len(container_csv.HEADINGS)}
    assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r\n")]
    assert f"'{HOSTILE}" in rows[1]


def test_hostile_names_are_json_as_they_are(hostile: Path) -> None:
    first, second = _exported(hostile, Selection())
    assert first["cluster"] == first["image"]["name"] == HOSTILE
    assert (second["coverage"], second["namespace"], second["image"]["name"]) == (None, None, None)


def _bill_of(database: Path, row: int) -> dict[str, Any]:
    with reading(database) as connection:
        loaded = loaded_by(connection, row)
    return cyclonedx.bill("image:1", "sha256:ab", loaded, {"cluster": "c", "pod": ""}, 0.0)


@pytest.mark.parametrize("row", [1, 2, 3, 4, 5])
def test_a_bill_of_a_container_is_valid(database: Path, row: int) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(_bill_of(database, row))) is None


@pytest.mark.parametrize("row", [1, 2])
def test_a_bill_of_hostile_names_is_valid(hostile: Path, row: int) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(_bill_of(hostile, row))) is None


def test_a_bill_carries_the_evidence(database: Path) -> None:
    with reading(database) as connection:
        (first, *_) = loaded_by(connection, 1)
    component = next(c for c in _bill_of(database, 1)["components"] if c["purl"] == first.purl)
    properties = {p["name"]: p["value"] for p in component["properties"]}
    assert properties["runtime-sensor:evidence"] == first.evidence
    assert properties["runtime-sensor:first-seen"] == container_json.moment(first.first_seen)
    assert component["evidence"]["occurrences"] == [{"location": first.path}]
    assert component["evidence"]["identity"][0]["field"] == "purl"


def test_a_bill_of_an_image_joins_its_containers(database: Path) -> None:
    everything = _exported(database, Selection())
    image = everything[0]["image"]["name"]
    meant = {p["purl"] for c in everything if c["image"]["name"] == image for p in c["packages"]}
    with reading(database) as connection:
        fold(connection, Selection(image=image))
        bill = cyclonedx.bill(image, "", loaded_of_image(connection, image), {}, 0.0)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    assert {c["purl"] for c in bill["components"]} == set(bill["dependencies"][0]["dependsOn"]) == meant


def test_two_names_of_one_purl_are_one_component() -> None:
    with_names = [_loaded("/a", "bundled", 5.0), _loaded("/b", "executed", 3.0), _loaded("/b", "opened", 9.0)]
    (component,) = cyclonedx.bill("i", "", with_names, {}, 0.0)["components"]
    properties = {p["name"].partition(":")[2]: p["value"] for p in component["properties"]}
    assert (properties["evidence"], properties["first-seen"]) == ("executed", "1970-01-01T00:00:03.000Z")
    assert [o["location"] for o in component["evidence"]["occurrences"]] == ["/a", "/b"]
    assert (component["group"], component["name"]) == ("g", "a")


def _loaded(path: str, evidence: str, first: float) -> Any:
    from sensor.receiver.queries.rows import LoadedRow

    return LoadedRow("maven", "g:a", "1", "pkg:maven/g/a@1", "maven", path, "1", evidence, path, first, first)


def test_containers_with_much_come_in_smaller_pieces(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _exported(database, Selection())
    assert sum(len(one["packages"]) for one in whole) > 100
    monkeypatch.setattr(walk, "MOST_PACKAGES", 10)
    monkeypatch.setattr(walk, "_MEMBERS", 20)
    pages = list(walk.walk(database, Selection(), {}))
    assert all(sum(len(one.packages) for one in page) <= 10 or len(page) == 1 for page in pages)
    assert _exported(database, Selection()) == whole
