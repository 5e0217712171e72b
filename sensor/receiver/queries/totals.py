"""How much there is, and how whole it is."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable

from sensor.receiver.queries.packages import shown
from sensor.receiver.queries.rows import Totals
from sensor.receiver.queries.selection import Selection, Workload, of_containers


def totals(connection: sqlite3.Connection, wanted: Selection, public: Iterable[Workload] = ()) -> Totals:
    """Count what is selected; after :func:`sensor.receiver.queries.cells.fold`."""
    chosen = of_containers(wanted, public)
    counts = connection.execute(_COUNTS.format(chosen=chosen.sql), chosen.values).fetchone()
    shared = connection.execute(_SHARED).fetchone()
    return Totals(
        clusters=shared["clusters"],
        nodes=counts["nodes"],
        namespaces=shared["namespaces"],
        workloads=shared["workloads"],
        images=shared["images"],
        running=counts["running"] or 0,
        ended=counts["containers"] - (counts["running"] or 0),
        packages=_packages(connection, wanted),
        partial=counts["partial"] or 0,
        reasons=_reasons(connection, chosen.sql, chosen.values),
        last_report=counts["last_report"],
    )


_COUNTS = """
SELECT count(*) AS containers, sum(c.ended_at IS NULL) AS running, sum(c.coverage = 'partial') AS partial,
  count(DISTINCT nullif(c.cluster || char(31) || c.node, '')) AS nodes, max(c.received_at) AS last_report
FROM container c WHERE {chosen}
"""
_SHARED = """
SELECT count(DISTINCT cluster) AS clusters, count(DISTINCT nullif(image, '')) AS images,
  count(DISTINCT CASE WHEN namespace <> '' THEN cluster || char(31) || namespace END) AS namespaces,
  count(DISTINCT CASE WHEN workload_name <> '' THEN workload END) AS workloads
FROM cell
"""


def _packages(connection: sqlite3.Connection, wanted: Selection) -> int:
    condition = shown(wanted)
    sql = f"""SELECT count(DISTINCT m.package)
        FROM reach r JOIN member m ON m.package_set = r.package_set JOIN package p ON p.id = m.package
        WHERE {condition.sql}"""
    count: int = connection.execute(sql, condition.values).fetchone()[0]
    return count


def _reasons(connection: sqlite3.Connection, chosen: str, values: object) -> tuple[tuple[str, int], ...]:
    sql = f"""SELECT c.coverage_reasons, count(*) FROM container c
        WHERE c.coverage = 'partial' AND {chosen} GROUP BY 1"""
    counted: Counter[str] = Counter()
    for reasons, containers in connection.execute(sql, values):  # type: ignore[arg-type]
        for reason in reasons.split():
            counted[reason] += containers
    return tuple(counted.most_common())


def choices(connection: sqlite3.Connection, column: str, most: int = 500) -> tuple[str, ...]:
    """The clusters or namespaces there are, by name; at most ``most``."""
    assert column in ("cluster", "namespace")
    sql = f"SELECT DISTINCT {column} FROM container WHERE {column} <> '' ORDER BY 1 LIMIT ?"
    return tuple(row[0] for row in connection.execute(sql, (most,)))
