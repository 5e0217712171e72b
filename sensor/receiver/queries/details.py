"""Everywhere one package is loaded, and what one image is."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from sensor.receiver.queries.containers import container
from sensor.receiver.queries.packages import EVIDENCE_OF, STRENGTH
from sensor.receiver.queries.rows import ContainerRow, LoadedRow, Order, Part
from sensor.receiver.queries.selection import IMAGE, UNKNOWN, Selection, of_containers
from sensor.receiver.queries.times import milliseconds, spans


@dataclass(frozen=True, slots=True)
class PackageNames:
    """One purl, under one of the names that Snyk's scan has for it."""

    ecosystem: str
    name: str
    version: str
    purl: str
    snyk_type: str
    snyk_name: str
    snyk_version: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A package in a container. Times are seconds since the epoch, ``None`` where not known."""

    container: ContainerRow
    evidence: str
    path: str
    first_seen: float | None
    last_seen: float | None


def package_names(connection: sqlite3.Connection, purl: str) -> tuple[PackageNames, ...]:
    sql = "SELECT * FROM package WHERE purl = ? ORDER BY snyk_type, snyk_name, snyk_version"
    names = PackageNames.__dataclass_fields__
    return tuple(
        PackageNames(**{name: row[name] or "" for name in names}) for row in connection.execute(sql, (purl,))
    )


def sightings(connection: sqlite3.Connection, purl: str, order: Order) -> Part[Sighting]:
    """The containers that have loaded the package, those that run and the best proven first."""
    where = """FROM package p JOIN member m ON m.package = p.id
        JOIN container c ON c.package_set = m.package_set WHERE p.purl = :purl"""
    total = connection.execute(f"SELECT count(DISTINCT c.id) {where}", {"purl": purl}).fetchone()[0]
    sql = f"""SELECT c.id, m.package, m.path, max({STRENGTH}) AS strength {where} GROUP BY c.id
        ORDER BY c.ended_at IS NOT NULL, strength DESC, c.namespace, c.workload_name, c.id
        LIMIT :limit OFFSET :offset"""
    rows = connection.execute(sql, {"purl": purl, "limit": order.limit, "offset": order.offset}).fetchall()
    return Part(tuple(_sighting(connection, row) for row in rows), total)


def _sighting(connection: sqlite3.Connection, row: sqlite3.Row) -> Sighting:
    found = container(connection, row["id"])
    assert found is not None  # one transaction, one state
    first, last = _times(connection, row["id"], row["package"])
    return Sighting(found, EVIDENCE_OF[row["strength"]], row["path"], first, last)


def _times(connection: sqlite3.Connection, row_id: int, package: int) -> tuple[float | None, float | None]:
    sql = """SELECT c.package_times AS times, count(*) AS size, sum(m.package < :package) AS place
        FROM container c JOIN member m ON m.package_set = c.package_set WHERE c.id = :id"""
    row = connection.execute(sql, {"id": row_id, "package": package}).fetchone()
    if row["times"] is None or len(row["times"]) != 16 * row["size"]:
        return None, None
    values, at = milliseconds(row["times"]), 2 * row["place"]
    return values[at] / 1000, values[at + 1] / 1000


@dataclass(frozen=True, slots=True)
class Spread:
    """How many containers of a workload have it."""

    cluster: str
    namespace: str
    workload_kind: str
    workload_name: str
    image: str
    containers: int
    running: int
    evidence: str


def spread(connection: sqlite3.Connection, purl: str, limit: int = 200) -> Part[Spread]:
    """Workloads and images that have loaded the package; most containers first."""
    sql = f"""SELECT c.cluster, coalesce(c.namespace, '') AS namespace,
        coalesce(c.workload_kind, '') AS workload_kind, coalesce(c.workload_name, '') AS workload_name,
        {IMAGE} AS image, count(DISTINCT c.id) AS containers,
        count(DISTINCT CASE WHEN c.ended_at IS NULL THEN c.id END) AS running, max({STRENGTH}) AS strength,
        count(*) OVER () AS total
        FROM package p JOIN member m ON m.package = p.id JOIN container c ON c.package_set = m.package_set
        WHERE p.purl = ? GROUP BY 1, 2, 3, 4, 5
        ORDER BY running DESC, containers DESC, 1, 2, 3, 4, 5 LIMIT ?"""
    rows = connection.execute(sql, (purl, limit)).fetchall()
    names = [name for name in Spread.__dataclass_fields__ if name != "evidence"]
    found = tuple(
        Spread(**{name: row[name] for name in names}, evidence=EVIDENCE_OF[row["strength"]]) for row in rows
    )
    return Part(found, rows[0]["total"] if rows else 0)


def image_digests(connection: sqlite3.Connection, image: str) -> tuple[str, ...]:
    """What the name stands for now, and stood for in the last days; at most 20."""
    sql = f"""SELECT DISTINCT c.image_digest FROM container c
        WHERE {IMAGE} = ? AND c.image_digest IS NOT NULL ORDER BY 1 LIMIT 20"""
    return tuple(row[0] for row in connection.execute(sql, (image,)))


def loaded_of_image(connection: sqlite3.Connection, image: str) -> tuple[LoadedRow, ...]:
    """What the containers of the image have loaded, a row for each package and path; at most 100,000.

    After :func:`sensor.receiver.queries.cells.fold` of that image.
    """
    wanted = Selection(image=image or UNKNOWN)
    times = spans(connection, wanted, of_containers(wanted))
    sql = f"""SELECT p.*, m.path, max({STRENGTH}) AS strength
        FROM member m JOIN package p ON p.id = m.package
        WHERE m.package_set IN (SELECT package_set FROM reach)
        GROUP BY p.id, m.path ORDER BY p.ecosystem, p.name, p.version LIMIT 100000"""
    names = PackageNames.__dataclass_fields__
    return tuple(
        LoadedRow(
            **{name: row[name] or "" for name in names},
            evidence=EVIDENCE_OF[row["strength"]],
            path=row["path"],
            first_seen=times[row["id"]].first if row["id"] in times else None,
            last_seen=times[row["id"]].last if row["id"] in times else None,
        )
        for row in connection.execute(sql)
    )
