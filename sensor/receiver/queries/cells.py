"""The selected containers, folded to what they share.

Thousands of containers run a few images under a few workloads, and have loaded the same sets: lists are
made of these cells, so that what they cost grows with what differs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from sensor.receiver.queries.selection import (
    IMAGE,
    Selection,
    Workload,
    of_containers,
    search_containers,
)


def fold(connection: sqlite3.Connection, wanted: Selection, public: Iterable[Workload] = ()) -> None:
    """Make the temporary tables ``cell`` and ``reach`` of the connection.

    A cell is a number of containers of one workload, image and package set. ``hit`` is whether what is
    searched for is in their names; ``workload`` is the four names of it as one text. ``reach`` is the same by
    package set alone.
    """
    chosen, found = of_containers(wanted, public), search_containers(wanted)
    connection.execute(
        _CELL.format(image=IMAGE, hit=found.sql, chosen=chosen.sql), {**chosen.values, **found.values}
    )
    connection.execute(_REACH)


_CELL = """
CREATE TEMP TABLE cell AS
SELECT *,
  cluster || char(31) || namespace || char(31) || workload_kind || char(31) || workload_name AS workload
FROM (
  SELECT c.package_set, c.cluster, coalesce(c.namespace, '') AS namespace,
    coalesce(c.workload_kind, '') AS workload_kind, coalesce(c.workload_name, '') AS workload_name,
    {image} AS image, {hit} AS hit, count(*) AS containers, sum(c.ended_at IS NULL) AS running,
    sum(c.coverage = 'partial') AS partial, min(c.first_seen) AS first_seen,
    max(c.observed_at) AS observed_at
  FROM container c WHERE {chosen} GROUP BY 1, 2, 3, 4, 5, 6, 7
)
"""
_REACH = """
CREATE TEMP TABLE reach AS
SELECT package_set, hit, sum(containers) AS containers, sum(running) AS running
FROM cell WHERE package_set IS NOT NULL GROUP BY 1, 2
"""
