"""Puts what came over https into the database. Runs in the writer's thread, inside its transaction.

The form knows no containers, only what runs under one, on whichever node: what the nodes report of the
same is the sum. So packages are added, and go with the row, once nobody has reported it for the time of
expiry.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sensor.receiver.https_form import Place, Results, Running, Workload, serialised
from sensor.receiver.ingest import Transaction, store_states
from sensor.receiver.report_form import MAX_PACKAGES
from sensor.receiver.states import Described, Loaded, PackageRow, Report, State

_SENDER = "https"


def store_results(transaction: Transaction, results: Results) -> None:
    """Later ones of the same request add to earlier ones."""
    for running, loaded in results.loaded:
        _store(transaction, results.place, running, _merged(transaction, results.place, running, loaded))
        _drop_bare(transaction.connection, results.place, running)


def store_workload(transaction: Transaction, workload: Workload) -> None:
    """What is named there is deployed: rows that are there are kept, others are made, without packages."""
    connection, _, received_at = transaction
    for running in workload.running:
        rows = [
            row[0]
            for row in _rows(connection, workload.place, running)
            if _repository(row[1]) == running.repository
        ]
        connection.executemany(
            "UPDATE container SET received_at = ?, observed_at = ?1, ended_at = NULL WHERE id = ?",
            [(received_at, row) for row in rows],
        )
        if not rows:
            _store(transaction, workload.place, running, _Merged((), Loaded(), received_at, 0))


def end_workload(transaction: Transaction, place: Place, workload: tuple[str, str, str]) -> int:
    """Of namespace, kind and name. Return how many ended."""
    return transaction.connection.execute(
        "UPDATE container SET ended_at = ?1, changed_at = ?1 WHERE group_id = ?2 AND cluster = ?3"
        " AND source = 'https' AND ended_at IS NULL"
        " AND ifnull(namespace, '') = ?4 AND workload_kind = ?5 AND workload_name = ?6",
        (transaction.received_at, *place, *workload),
    ).rowcount


class _Merged(NamedTuple):
    """Packages and columns as a report over gRPC has them."""

    packages: Sequence[bytes]
    loaded: Loaded
    first_seen: float
    generation: int


def _merged(transaction: Transaction, place: Place, running: Running, loaded: Iterable[bytes]) -> _Merged:
    connection, _, received_at = transaction
    now = round(received_at * 1000)
    held = connection.execute(
        "SELECT package_set, package_times, first_seen, generation FROM container"
        " WHERE group_id = ? AND cluster = ? AND key = ?",
        (*place, running.key),
    ).fetchone()
    times = dict(_held_packages(connection, held[0], held[1])) if held else {}
    for package in loaded:
        if package in times or len(times) < MAX_PACKAGES:
            times[package] = times.get(package, (now, now))[0], now
    count = len(times)
    columns = Loaded(
        tuple(range(count)),
        (0,) * count,
        ("",) * count,
        tuple(first for first, _ in times.values()),
        tuple(last for _, last in times.values()),
    )
    return _Merged(tuple(times), columns, held[2] if held else received_at, held[3] + 1 if held else 0)


def _held_packages(
    connection: sqlite3.Connection, package_set: int | None, times: bytes | None
) -> Iterable[tuple[bytes, tuple[int, int]]]:
    rows = connection.execute(
        "SELECT ecosystem, name, version, purl, snyk_type, snyk_name, snyk_version FROM member"
        " JOIN package ON package.id = member.package WHERE package_set = ? ORDER BY member.package",
        (package_set,),
    )
    return zip(
        (serialised(PackageRow._make(row)) for row in rows),
        struct.iter_unpack("<2q", times or b""),
        strict=True,
    )


def _store(transaction: Transaction, place: Place, running: Running, merged: _Merged) -> None:
    received_at = transaction.received_at
    described = Described(
        namespace=running.namespace or None,
        workload_kind=running.kind or None,
        workload_name=running.name or None,
        container_name=running.container or None,
        image_name=running.image_name or None,
        image_digest=running.image_digest,
    )
    state = State(
        running.key, merged.generation, received_at, merged.first_seen, None, described, "", "", merged.loaded
    )
    report = Report("", _SENDER, received_at, *place, merged.packages, (state,), (), None)
    store_states(transaction, report, source="https")


def _rows(connection: sqlite3.Connection, place: Place, running: Running) -> list[tuple[int, str | None]]:
    return connection.execute(
        "SELECT id, image_name FROM container WHERE group_id = ? AND cluster = ? AND source = 'https'"
        " AND key >= ? AND key < ?",
        (*place, *_span(running)),
    ).fetchall()


def _drop_bare(connection: sqlite3.Connection, place: Place, running: Running) -> None:
    """What a workload alone has made goes once what is loaded there is known."""
    rows = connection.execute(
        "SELECT id, image_name FROM container WHERE group_id = ? AND cluster = ? AND source = 'https'"
        " AND key >= ? AND key < ? AND key <> ? AND package_times = x''",
        (*place, *_span(running), running.key),
    ).fetchall()
    bare = [row[0] for row in rows if _repository(row[1]) == running.repository]
    connection.execute(
        "DELETE FROM container WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(bare),)
    )


def _span(running: Running) -> tuple[str, str]:
    """Keys from the first to before the second are those of this container, whatever its image."""
    start = running._replace(image="").key
    return start, start[:-1] + "0"  # what follows "/"


def _repository(image: str | None) -> str:
    return Running("", "", "", "", image or "").repository
