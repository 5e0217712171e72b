"""Packages, and over how much of the selection each is spread."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from sensor.receiver.queries.breadth import breadth
from sensor.receiver.queries.rows import Order, PackageRow, Part
from sensor.receiver.queries.selection import Condition, Selection, of_packages, search_packages
from sensor.receiver.queries.times import Span, spans

STRENGTH = """CASE m.evidence WHEN 'executed' THEN 4 WHEN 'mapped' THEN 3 WHEN 'opened' THEN 2
    WHEN 'bundled' THEN 1 ELSE 0 END"""
EVIDENCE_OF = ("", "bundled", "opened", "mapped", "executed")
_SORTS = {
    "ecosystem": "p.ecosystem",
    "package": "p.name COLLATE NOCASE",
    "snyk": "p.snyk_name COLLATE NOCASE",
    "evidence": "strength",
    "containers": "containers",
}
COLUMNS = (*_SORTS, "workloads", "images", "first", "last")


def packages(
    connection: sqlite3.Connection, wanted: Selection, chosen: Condition, order: Order
) -> Part[PackageRow]:
    """List packages; after :func:`sensor.receiver.queries.cells.fold`. ``order.column`` is of ``COLUMNS``."""
    if order.column in _SORTS:
        ranked, total = _ranked(connection, wanted, order)
        return Part(_rows(connection, wanted, ranked, spans(connection, wanted, chosen, ranked)), total)
    every, total = _ranked(connection, wanted, Order("package", limit=-1))
    times: Mapping[int, Span] = {}
    keys: Mapping[int, float]
    if order.column in ("workloads", "images"):
        keys = breadth(connection, order.column.removesuffix("s"))
    else:
        times = spans(connection, wanted, chosen, every)
        keys = {package: span[order.column == "last"] for package, span in times.items()}
    sign = -1 if order.descending else 1
    every.sort(key=lambda package: (package not in keys, sign * keys.get(package, 0)))
    ranked = every[order.offset : order.offset + order.limit]
    times = times or spans(connection, wanted, chosen, ranked)
    return Part(_rows(connection, wanted, ranked, times), total)


def _ranked(connection: sqlite3.Connection, wanted: Selection, order: Order) -> tuple[list[int], int]:
    condition = shown(wanted)
    direction = "DESC" if order.descending else "ASC"
    sql = f"""
    SELECT m.package AS package, count(*) OVER () AS total, sum(r.containers) AS containers,
      max({STRENGTH}) AS strength
    FROM reach r JOIN member m ON m.package_set = r.package_set JOIN package p ON p.id = m.package
    WHERE {condition.sql} GROUP BY m.package
    ORDER BY {_SORTS[order.column]} {direction}, p.name COLLATE NOCASE, p.version, p.id
    LIMIT :limit OFFSET :offset
    """
    values = {**condition.values, "limit": order.limit, "offset": order.offset}
    rows = connection.execute(sql, values).fetchall()
    return [row["package"] for row in rows], rows[0]["total"] if rows else 0


def shown(wanted: Selection) -> Condition:
    """Of a package in a cell: what is searched for is in its names or in those of its containers."""
    condition, found = of_packages(wanted), search_packages(wanted)
    return Condition(f"{condition.sql} AND (r.hit OR {found.sql})", {**condition.values, **found.values})


def _rows(
    connection: sqlite3.Connection, wanted: Selection, ranked: Sequence[int], times: Mapping[int, Span]
) -> tuple[PackageRow, ...]:
    condition = shown(wanted)
    sql = f"""
    SELECT p.*, sum(r.containers) AS containers, sum(r.running) AS running, max({STRENGTH}) AS strength
      , count(DISTINCT r.workload) AS workloads, count(DISTINCT r.image) AS images
    FROM member m JOIN cell r ON r.package_set = m.package_set JOIN package p ON p.id = m.package
    WHERE m.package IN (SELECT value FROM json_each(:ranked)) AND {condition.sql} GROUP BY m.package
    """
    rows = connection.execute(sql, {**condition.values, "ranked": json.dumps(ranked)})
    made = {row["id"]: _row(row, times.get(row["id"])) for row in rows}
    return tuple(made[package] for package in ranked)


def _row(row: sqlite3.Row, span: Span | None) -> PackageRow:
    return PackageRow(
        ecosystem=row["ecosystem"],
        name=row["name"],
        version=row["version"] or "",
        purl=row["purl"],
        snyk_type=row["snyk_type"],
        snyk_name=row["snyk_name"],
        snyk_version=row["snyk_version"] or "",
        evidence=EVIDENCE_OF[row["strength"]],
        workloads=row["workloads"],
        images=row["images"],
        containers=row["containers"],
        running=row["running"],
        first_seen=span.first if span else None,
        last_seen=span.last if span else None,
    )
