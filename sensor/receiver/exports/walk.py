"""Container after container out of the database, a page at a time.

Each page is a short transaction of its own: a slow reader does not keep the database's log from being
taken back. A container is whole; two containers may be of different moments.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sensor.receiver.lru import Lru
from sensor.receiver.queries.connection import reading
from sensor.receiver.queries.containers import after, loaded, members
from sensor.receiver.queries.exposure import Exposures
from sensor.receiver.queries.rows import ContainerRow, LoadedRow
from sensor.receiver.queries.selection import Selection, of_containers

PAGE = 200
MOST_PACKAGES = 20_000
"""Of the containers of a page together; one that has more is a page alone."""
_SETS, _MEMBERS = 64, 100_000


Sets = Lru[int, list[sqlite3.Row]]


@dataclass(frozen=True, slots=True)
class Exported:
    container: ContainerRow
    packages: tuple[LoadedRow, ...]
    public: tuple[str, ...]
    """Why it faces the public."""


def walk(database: Path, wanted: Selection, exposures: Exposures) -> Iterator[list[Exported]]:
    """Yield the selected containers with those of their packages that are selected, a page at a time."""
    chosen = of_containers(wanted, exposures)
    sets: Sets = Lru(_SETS, _MEMBERS)
    last = 0
    while True:
        with reading(database) as connection:
            page = _fitting(after(connection, chosen, last, PAGE))
            found = []
            for row, times in page:
                rows = _members(connection, sets, row.package_set)
                packages = tuple(one for one in loaded(rows, times) if _wanted(one, row, wanted))
                workload = (row.cluster, row.namespace, row.workload_kind, row.workload_name)
                found.append(Exported(row, packages, exposures.get(workload, ())))
        if not found:
            return
        yield found
        last = page[-1][0].id


def _fitting(page: list[tuple[ContainerRow, bytes | None]]) -> list[tuple[ContainerRow, bytes | None]]:
    sums = itertools.accumulate(row.packages for row, _ in page)
    return page[: max(1, sum(1 for _ in itertools.takewhile(lambda total: total <= MOST_PACKAGES, sums)))]


def _members(connection: sqlite3.Connection, sets: Sets, package_set: int | None) -> list[sqlite3.Row]:
    if package_set is None:
        return []
    found = sets.get(package_set)
    if found is None:
        found = members(connection, package_set)
        sets.put(package_set, found, len(found))
    return found


def _wanted(package: LoadedRow, container: ContainerRow, wanted: Selection) -> bool:
    """The same as :func:`sensor.receiver.queries.selection.of_packages` and the search say in SQL."""
    if wanted.ecosystem and package.ecosystem != wanted.ecosystem:
        return False
    if wanted.evidence and package.evidence != wanted.evidence:
        return False
    if "loaded" in wanted.risk and package.evidence == "bundled":
        return False
    if not wanted.q:
        return True
    names = (package.name, package.purl, package.snyk_name, container.image_name, container.image_digest)
    more = (container.workload_name, container.pod_name, container.container_name, container.container_id)
    return any(_lower(wanted.q) in _lower(name) for name in (*names, *more))


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _lower(text: str) -> str:
    return text.translate(_ASCII_LOWER)  # as LIKE does, which knows of no other letters
