"""Lists, counts and times, compared with the same counted in Python over every row."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from sensor.receiver.queries import containers, groups, packages
from sensor.receiver.queries.cells import fold
from sensor.receiver.queries.connection import TooSlowError, reading
from sensor.receiver.queries.details import package_names, sightings, spread
from sensor.receiver.queries.exposure import Exposure, exposures
from sensor.receiver.queries.rows import Order
from sensor.receiver.queries.selection import Selection, of_containers, selection
from sensor.receiver.queries.totals import choices, totals
from tests import receiver_seed
from tests.clock import in_time

EVERYTHING = Order("package", limit=10_000)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seeded") / "receiver.db"
    receiver_seed.seed(path, containers=150, images=12, packages=200)
    return path


@pytest.fixture(scope="module")
def truth(database: Path) -> list[dict[str, Any]]:
    """Every package of every container, a dictionary each."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        facts = []
        for row in connection.execute("SELECT * FROM container").fetchall():
            moments = memoryview(row["package_times"]).cast("q")
            members = connection.execute(
                "SELECT p.*, m.evidence FROM member m JOIN package p ON p.id = m.package "
                "WHERE m.package_set = ? ORDER BY m.package",
                (row["package_set"],),
            )
            for at, member in enumerate(members):
                seen = {"first": moments[2 * at] / 1000, "last": moments[2 * at + 1] / 1000}
                facts.append({**dict(row), **dict(member), "row": row["id"], **seen})
    return facts


@pytest.fixture
def connection(database: Path) -> Iterator[sqlite3.Connection]:
    with reading(database) as connection:
        yield connection


def _packages(connection: sqlite3.Connection, wanted: Selection, order: Order = EVERYTHING) -> Any:
    fold(connection, wanted)
    return packages.packages(connection, wanted, of_containers(wanted), order)


def _by_package(facts: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for fact in facts:
        found[fact["purl"]].append(fact)
    return {
        purl: (
            len({f["row"] for f in same}),
            len({(f["cluster"], f["namespace"], f["workload_kind"], f["workload_name"]) for f in same}),
            len({f["image_name"] for f in same}),
            min(f["first"] for f in same),
            max(f["last"] for f in same),
        )
        for purl, same in found.items()
    }


@pytest.mark.parametrize(
    ("wanted", "is_meant"),
    [
        (Selection(), lambda f: True),
        (Selection(cluster="staging"), lambda f: f["cluster"] == "staging"),
        (Selection(namespace="shop"), lambda f: f["namespace"] == "shop"),
        (Selection(workload="Deployment/orders"), lambda f: f["workload_name"] == "orders"),
        (Selection(workload="orders"), lambda f: f["workload_name"] == "orders"),
        (Selection(image="orders:1.0"), lambda f: f["image_name"] == "orders:1.0"),
        (Selection(ecosystem="maven"), lambda f: f["ecosystem"] == "maven"),
        (Selection(evidence="executed"), lambda f: f["evidence"] == "executed"),
        (Selection(coverage="partial"), lambda f: f["coverage"] == "partial"),
        (Selection(state="ended"), lambda f: f["ended_at"] is not None),
        (Selection(risk=("deployed",)), lambda f: f["ended_at"] is None),
        (Selection(risk=("loaded",)), lambda f: f["evidence"] != "bundled"),
        (Selection(q="LOG4J-core"), lambda f: "log4j-core" in f["purl"]),
        (Selection(q="orders-"), lambda f: "orders-" in f["pod_name"]),
        (
            Selection(cluster="staging", ecosystem="maven", risk=("deployed", "loaded")),
            lambda f: (
                f["cluster"] == "staging"
                and f["ecosystem"] == "maven"
                and f["ended_at"] is None
                and f["evidence"] != "bundled"
            ),
        ),
    ],
)
def test_packages_are_what_every_row_says(
    connection: sqlite3.Connection, truth: list[dict[str, Any]], wanted: Selection, is_meant: Any
) -> None:
    meant = _by_package([fact for fact in truth if is_meant(fact)])
    part = _packages(connection, wanted)
    assert meant
    assert part.total == len(part.rows) == len(meant)
    assert {
        row.purl: (row.containers, row.workloads, row.images, row.first_seen, row.last_seen)
        for row in part.rows
    } == meant


@pytest.mark.parametrize("column", packages.COLUMNS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_of_packages_are_the_whole_in_its_order(database: Path, column: str, descending: bool) -> None:
    def part(offset: int, limit: int) -> Any:
        with reading(database) as connection:
            return _packages(connection, Selection(), Order(column, descending, offset, limit))

    whole = part(0, 10_000)
    pages = [row for offset in range(0, whole.total, 70) for row in part(offset, 70).rows]
    keys: dict[str, Callable[[Any], Any]] = {
        "package": lambda row: row.name.lower(),
        "snyk": lambda row: row.snyk_name.lower(),
        "evidence": lambda row: ("", "bundled", "opened", "mapped", "executed").index(row.evidence),
        "first": lambda row: row.first_seen,
        "last": lambda row: row.last_seen,
    }
    key = keys.get(column, attrgetter(column))
    assert tuple(pages) == whole.rows
    assert [key(row) for row in pages] == sorted((key(row) for row in pages), reverse=descending)


@pytest.mark.parametrize("by", groups.KEYS)
@pytest.mark.parametrize("column", ["containers", "packages", "first", "last"])
def test_groups_are_what_every_row_says(
    connection: sqlite3.Connection, truth: list[dict[str, Any]], by: str, column: str
) -> None:
    names = {"image": "image_name"}
    keys = groups.KEYS[by]
    meant: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for fact in truth:
        meant[tuple(fact[names.get(key, key)] for key in keys)].append(fact)
    fold(connection, Selection())
    part = groups.groups(connection, by, Selection(), Order(column, descending=True, limit=10_000))
    assert {
        tuple(getattr(row, key) for key in keys): (row.containers, row.packages) for row in part.rows
    } == {key: (len({f["row"] for f in same}), len({f["purl"] for f in same})) for key, same in meant.items()}
    attribute = {"first": "first_seen", "last": "observed_at"}.get(column, column)
    values = [getattr(row, attribute) for row in part.rows]
    assert values == sorted(values, reverse=True)
    assert part.total == len(meant)


@pytest.mark.parametrize("column", containers.COLUMNS)
def test_containers_are_all_there_in_any_order(connection: sqlite3.Connection, column: str) -> None:
    chosen = of_containers(Selection())
    pages = [
        containers.containers(connection, chosen, Order(column, True, at, 40)) for at in range(0, 150, 40)
    ]
    assert sorted(row.id for page in pages for row in page.rows) == list(range(1, 151))
    assert pages[0].total == 150


def test_totals(connection: sqlite3.Connection, truth: list[dict[str, Any]]) -> None:
    fold(connection, Selection())
    found = totals(connection, Selection())
    rows = {fact["row"]: fact for fact in truth}.values()
    assert (found.running, found.ended) == (
        sum(row["ended_at"] is None for row in rows),
        sum(row["ended_at"] is not None for row in rows),
    )
    assert found.packages == len({fact["purl"] for fact in truth})
    assert found.nodes == len({(row["cluster"], row["node"]) for row in rows})
    assert found.partial == sum(row["coverage"] == "partial" for row in rows)
    assert dict(found.reasons)["events_lost"] == sum("events_lost" in row["coverage_reasons"] for row in rows)
    assert dict(found.reasons)["unasked"] == dict(found.reasons)["skipped_too_large"]
    assert choices(connection, "cluster") == ("prod-eu", "prod-us", "staging")


def test_a_package_is_found_everywhere(connection: sqlite3.Connection, truth: list[dict[str, Any]]) -> None:
    purl = max({fact["purl"] for fact in truth}, key=lambda p: sum(f["purl"] == p for f in truth))
    meant = {f["row"]: (f["evidence"], f["first"], f["last"]) for f in truth if f["purl"] == purl}
    found = sightings(connection, purl, Order("", limit=1000))
    assert found.total == len(meant)
    assert {s.container.id: (s.evidence, s.first_seen, s.last_seen) for s in found.rows} == meant
    assert sum(row.containers for row in spread(connection, purl).rows) == len(meant)
    assert package_names(connection, purl)[0].purl == purl
    assert package_names(connection, "pkg:npm/none@1") == ()


def test_times_that_do_not_fit_their_set_are_not_known(tmp_path: Path) -> None:
    with closing(receiver_seed.create(tmp_path / "db")) as connection:
        package = receiver_seed.Package(1, "npm", "express", "4.0.0")
        receiver_seed.add_package(connection, package)
        package_set = receiver_seed.add_set(connection, [(package, "opened", "/a")])
        for number, times in enumerate((b"", b"\x00" * 8, b"\x00" * 32, None)):
            row = receiver_seed.container(number, package_set=package_set, package_times=times)
            connection.execute(receiver_seed.INSERT_CONTAINER, row)
    with reading(tmp_path / "db") as connection:
        (row,) = _packages(connection, Selection()).rows
        assert (row.containers, row.first_seen, row.last_seen) == (4, None, None)
        assert containers.loaded_by(connection, 1)[0].first_seen is None


def test_a_selection_survives_its_address() -> None:
    wanted = Selection(q="a&b=%c", cluster="prod eu", workload="Deployment/x", risk=("deployed", "public"))
    from urllib.parse import parse_qsl

    assert selection(parse_qsl(wanted.query())) == wanted


def test_what_cannot_be_asked_is_not() -> None:
    asked = [
        ("state", "' OR 1"),
        ("risk", "everything"),
        ("nonsense", "1"),
        ("q", "x" * 9999),
        ("cluster", " "),
        ("image", "\0"),
    ]
    assert selection(asked) == Selection(q="x" * 512)


@pytest.mark.parametrize("q", ["%", "_", "\\", "'", '"', "100%_\\'"])
def test_a_search_takes_every_character_as_it_is(connection: sqlite3.Connection, q: str) -> None:
    assert _packages(connection, Selection(q=q)).total == _packages_with(connection, q)


def _packages_with(connection: sqlite3.Connection, q: str) -> int:
    connection.execute("DROP TABLE cell")
    connection.execute("DROP TABLE reach")
    rows = _packages(connection, Selection()).rows
    return sum(q in row.purl or q in row.name for row in rows)


def test_a_question_that_takes_too_long_is_given_up(database: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    with in_time(), pytest.raises(TooSlowError), reading(database, seconds=0.1) as connection:
        connection.execute(endless).fetchone()


def test_nothing_is_written(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM container")


_BACKEND = {"backend": {"service": {"name": "s"}}}
_LABELS = {"app": "web", "tier": "front"}


def _deployment(name: str, labels: object) -> tuple[str, str, object]:
    return "Deployment", name, {"spec": {"template": {"metadata": {"labels": labels}}}}


@pytest.mark.parametrize(
    ("resources", "why"),
    [
        (
            [("Service", "s", {"spec": {"type": "LoadBalancer", "selector": {"app": "web"}}})],
            "Service s (LoadBalancer)",
        ),
        ([("Service", "s", {"spec": {"type": "NodePort", "selector": _LABELS}})], "Service s (NodePort)"),
        ([("Service", "s", {"spec": {"type": "ClusterIP", "selector": _LABELS}})], None),
        ([("Service", "s", {"spec": {"type": "LoadBalancer", "selector": {"app": "other"}}})], None),
        ([("Service", "s", {"spec": {"type": "LoadBalancer", "selector": {}}})], None),
        (
            [
                ("Service", "s", {"spec": {"selector": {"app": "web"}}}),
                ("Ingress", "i", {"spec": {"rules": [{"http": {"paths": [_BACKEND]}}]}}),
            ],
            "Ingress i to Service s",
        ),
        (
            [
                ("Service", "s", {"spec": {"selector": {"app": "web"}}}),
                ("Ingress", "i", {"spec": {"backend": {"serviceName": "s"}}}),
            ],
            "Ingress i to Service s",
        ),
        ([("Ingress", "i", {"spec": {"rules": [None, 3, {"http": []}]}})], None),
        ([("Service", "s", "no object"), ("Ingress", "i", None)], None),
    ],
)  # fmt: skip
def test_what_faces_the_public(
    tmp_path: Path, resources: list[tuple[str, str, object]], why: str | None
) -> None:
    with closing(receiver_seed.create(tmp_path / "db")) as connection:
        for kind, name, manifest in [_deployment("web", _LABELS), _deployment("bare", None), *resources]:
            connection.execute(
                "INSERT INTO resource VALUES ('o', 'c', 'v1', ?, 'shop', ?, ?, '', NULL, 0)",
                (kind, name, json.dumps(manifest)),
            )
        connection.row_factory = sqlite3.Row
        found = exposures(connection)
        assert found == ({("c", "shop", "Deployment", "web"): (why,)} if why else {})


def test_public_facing_follows_the_resources(tmp_path: Path) -> None:
    service = {"spec": {"type": "NodePort", "selector": {"app": "web"}}}
    exposure = Exposure()
    with closing(receiver_seed.create(tmp_path / "db")) as connection:
        connection.row_factory = sqlite3.Row
        assert exposure.of(connection) == {}
        for at, (kind, name, manifest) in enumerate([_deployment("web", _LABELS), ("Service", "s", service)]):
            connection.execute(
                "INSERT INTO resource VALUES ('o', 'prod-eu', 'v1', ?, 'shop', ?, ?, '', NULL, ?)",
                (kind, name, json.dumps(manifest), at),
            )
        for number, workload in enumerate(("web", "other")):
            row = receiver_seed.container(number, workload_name=workload)
            connection.execute(receiver_seed.INSERT_CONTAINER, row)
        public = exposure.of(connection)
        chosen = of_containers(Selection(risk=("public",)), public)
        (row_,) = containers.containers(connection, chosen, Order("container")).rows
        assert row_.workload_name == "web"
        connection.execute(
            "UPDATE resource SET manifest = NULL, deleted_at = 'now', received_at = 9 WHERE name = 's'"
        )
        assert exposure.of(connection) == {}


@pytest.mark.parametrize("view", ["workloads", "images", "namespaces", "clusters"])
def test_a_search_counts_the_same_packages_in_every_list(database: Path, view: str) -> None:
    """What a group's count leads to is a list of as many."""
    with reading(database) as connection:
        fold(connection, Selection())
        name = packages.packages(connection, Selection(), of_containers(Selection()), EVERYTHING).rows[0].name
    wanted = Selection(q=name)
    with reading(database) as connection:
        fold(connection, wanted)
        listed = groups.groups(connection, view, wanted, Order("containers", limit=10_000)).rows
        every = packages.packages(connection, wanted, of_containers(wanted), EVERYTHING)
        assert totals(connection, wanted).packages == every.total
    assert len(listed) > 0
    for row in listed:
        names = {key: getattr(row, key) for key in ("cluster", "namespace", "image") if getattr(row, key)}
        if row.workload_name:
            names["workload"] = f"{row.workload_kind}/{row.workload_name}"
        narrow = Selection(q=name, **names)
        with reading(database) as connection:
            fold(connection, narrow)
            of_group = packages.packages(connection, narrow, of_containers(narrow), EVERYTHING)
        assert of_group.total == row.packages


def test_many_services_that_select_the_same_are_told_within_bounds(tmp_path: Path) -> None:
    selector = {"app": "web"}
    with closing(receiver_seed.create(tmp_path / "db")) as connection:
        for number in range(300):
            service = {"spec": {"type": "NodePort", "selector": selector}}
            deployment = {"spec": {"template": {"metadata": {"labels": {"v": "1", **selector}}}}}
            for kind, manifest in (("Service", service), ("Deployment", deployment)):
                connection.execute(
                    "INSERT INTO resource VALUES ('o', 'c', 'v1', ?, 'n', ?, ?, '', NULL, 0)",
                    (kind, f"x{number}", json.dumps(manifest)),
                )
        connection.commit()
    with reading(tmp_path / "db") as connection:
        found = exposures(connection)
    assert len(found) == 300 and {len(why) for why in found.values()} == {20}
