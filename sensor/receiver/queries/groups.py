"""Workloads, images, namespaces and clusters: containers by what they share."""

from __future__ import annotations

import sqlite3

from sensor.receiver.queries.breadth import holdings
from sensor.receiver.queries.rows import GroupRow, Order, Part
from sensor.receiver.queries.selection import Selection

KEYS = {
    "workloads": ("cluster", "namespace", "workload_kind", "workload_name"),
    "images": ("image",),
    "namespaces": ("cluster", "namespace"),
    "clusters": ("cluster",),
}
_NAMES = ("cluster", "namespace", "workload_kind", "workload_name", "image")
_SORTS = {
    "cluster": "cluster COLLATE NOCASE",
    "namespace": "namespace COLLATE NOCASE",
    "workload": "workload_name COLLATE NOCASE",
    "image": "image COLLATE NOCASE",
    **{name: name for name in ("namespaces", "workloads", "images", "containers", "partial")},
    "first": "first_seen",
    "last": "observed_at",
}
COLUMNS = (*_SORTS, "packages")


def groups(connection: sqlite3.Connection, by: str, wanted: Selection, order: Order) -> Part[GroupRow]:
    """List what ``KEYS`` names ``by``; after :func:`sensor.receiver.queries.cells.fold`."""
    keys = KEYS[by]
    if order.column == "packages":
        found = _grouped(connection, keys, Order("last", descending=True, limit=-1))
        counts = holdings(connection, keys, wanted)
        found.sort(key=lambda row: counts[_key(row, keys)], reverse=order.descending)
        rows = found[order.offset : order.offset + order.limit]
    else:
        rows = _grouped(connection, keys, order)
        counts = holdings(connection, keys, wanted)
    total = rows[0]["total"] if rows else 0
    return Part(tuple(_row(row, counts[_key(row, keys)]) for row in rows), total)


def _grouped(connection: sqlite3.Connection, keys: tuple[str, ...], order: Order) -> list[sqlite3.Row]:
    names = [name if name in keys else f"'' AS {name}" for name in _NAMES]
    known = " OR ".join(f"{key} <> ''" for key in keys if key != "workload_kind")
    sql = f"""
    SELECT {", ".join(names)}, sum(containers) AS containers, sum(running) AS running,
      sum(partial) AS partial, min(first_seen) AS first_seen, max(observed_at) AS observed_at,
      count(DISTINCT cluster || char(31) || namespace) AS namespaces,
      count(DISTINCT workload) AS workloads, count(DISTINCT image) AS images, count(*) OVER () AS total
    FROM cell WHERE {"1" if keys == ("cluster",) else known} GROUP BY {", ".join(keys)}
    ORDER BY {_SORTS[order.column]} {"DESC" if order.descending else "ASC"},
      {", ".join(f"{key} COLLATE NOCASE" for key in keys)} LIMIT :limit OFFSET :offset
    """
    return connection.execute(sql, {"limit": order.limit, "offset": order.offset}).fetchall()


def _key(row: sqlite3.Row, keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(row[key] for key in keys)


def _row(row: sqlite3.Row, packages: int) -> GroupRow:
    names = {name: row[name] for name in (*_NAMES, *_COUNTS, "first_seen", "observed_at")}
    return GroupRow(**names, packages=packages)


_COUNTS = ("namespaces", "workloads", "images", "containers", "running", "partial")
