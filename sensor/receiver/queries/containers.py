"""Containers as a list, one alone, and their packages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from sensor.receiver.queries.rows import ContainerRow, LoadedRow, Order, Part
from sensor.receiver.queries.selection import EVIDENCES, IMAGE, Condition
from sensor.receiver.queries.times import milliseconds

_SORTS = {
    "container": "coalesce(c.container_name, c.container_id) COLLATE NOCASE",
    "workload": "c.workload_name COLLATE NOCASE",
    "image": f"{IMAGE} COLLATE NOCASE",
    "namespace": "c.namespace COLLATE NOCASE",
    "cluster": "c.cluster COLLATE NOCASE",
    "node": "c.node COLLATE NOCASE",
    "coverage": "c.coverage",
    "packages": "packages",
    "first": "c.first_seen",
    "last": "c.observed_at",
}
COLUMNS = tuple(_SORTS)
_SIZES = """LEFT JOIN (SELECT package_set, count(*) AS size FROM member GROUP BY package_set) s
    ON s.package_set = c.package_set"""


def containers(connection: sqlite3.Connection, chosen: Condition, order: Order) -> Part[ContainerRow]:
    total = connection.execute(f"SELECT count(*) FROM container c WHERE {chosen.sql}", chosen.values)
    sql = f"""SELECT c.*, ifnull(s.size, 0) AS packages FROM container c {_SIZES} WHERE {chosen.sql}
        ORDER BY {_SORTS[order.column]} {"DESC" if order.descending else "ASC"}, c.id
        LIMIT :limit OFFSET :offset"""
    rows = connection.execute(sql, {**chosen.values, "limit": order.limit, "offset": order.offset})
    return Part(tuple(_row(row) for row in rows), total.fetchone()[0])


def container(connection: sqlite3.Connection, row_id: int) -> ContainerRow | None:
    sql = f"SELECT c.*, {_SIZE} AS packages FROM container c WHERE c.id = ?"
    row = connection.execute(sql, (row_id,)).fetchone()
    return _row(row) if row else None


_SIZE = "(SELECT count(*) FROM member m WHERE m.package_set = c.package_set)"


def after(
    connection: sqlite3.Connection, chosen: Condition, row_id: int, limit: int
) -> list[tuple[ContainerRow, bytes | None]]:
    """The chosen containers with a higher row id, in its order, with the times of their packages."""
    sql = f"""SELECT c.*, {_SIZE} AS packages FROM container c WHERE c.id > :after AND {chosen.sql}
        ORDER BY c.id LIMIT :limit"""
    rows = connection.execute(sql, {**chosen.values, "after": row_id, "limit": limit})
    return [(_row(row), row["package_times"]) for row in rows]


def members(connection: sqlite3.Connection, package_set: int) -> list[sqlite3.Row]:
    sql = """SELECT p.*, m.evidence, m.path FROM member m JOIN package p ON p.id = m.package
        WHERE m.package_set = ? ORDER BY m.package"""
    return connection.execute(sql, (package_set,)).fetchall()


def loaded(found: Iterable[sqlite3.Row], times: bytes | None) -> Iterator[LoadedRow]:
    """The members of a set as the container whose times are given has them."""
    rows = list(found)
    moments = milliseconds(times) if times and len(times) == 16 * len(rows) else None
    for at, row in enumerate(rows):
        yield LoadedRow(
            ecosystem=row["ecosystem"],
            name=row["name"],
            version=row["version"] or "",
            purl=row["purl"],
            snyk_type=row["snyk_type"],
            snyk_name=row["snyk_name"],
            snyk_version=row["snyk_version"] or "",
            evidence=row["evidence"] if row["evidence"] in EVIDENCES else "",
            path=row["path"],
            first_seen=moments[2 * at] / 1000 if moments else None,
            last_seen=moments[2 * at + 1] / 1000 if moments else None,
        )


def loaded_by(connection: sqlite3.Connection, row_id: int) -> tuple[LoadedRow, ...]:
    """The packages of one container, by ecosystem and name."""
    sql = "SELECT package_set, package_times FROM container WHERE id = ?"
    found = connection.execute(sql, (row_id,)).fetchone()
    if found is None or found["package_set"] is None:
        return ()
    rows = loaded(members(connection, found["package_set"]), found["package_times"])
    return tuple(sorted(rows, key=lambda row: (row.ecosystem, row.name.casefold(), row.version)))


_TEXTS = (
    "container_id", "runtime", "node", "namespace", "workload_kind", "workload_name", "pod_name", "pod_uid",
    "container_name", "image_name", "image_digest", "source", "cluster", "coverage",
)  # fmt: skip
_AS_THEY_ARE = ("id", "first_seen", "observed_at", "received_at", "ended_at", "package_set", "packages")


def _row(row: sqlite3.Row) -> ContainerRow:
    values: dict[str, Any] = {name: row[name] or "" for name in _TEXTS}
    values.update((name, row[name]) for name in _AS_THEY_ARE)
    return ContainerRow(**values, coverage_reasons=tuple(row["coverage_reasons"].split()))
