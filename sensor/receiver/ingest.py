"""Puts reports into the database. Runs in the writer's thread, inside its transaction.

Which of two states of a container holds:

- of the same sender, the higher generation; of the same generation, the one observed later;
- of different senders, the one that arrives later, unless it was observed more than :data:`TOLERANCE`
  before the other. What is compared are ages: clocks of nodes may be days off.

A container that ended by a snapshot runs again when its sender says so after that snapshot.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from sensor.receiver.packages import Packages
from sensor.receiver.report_form import Unfit, loaded_packages
from sensor.receiver.states import Loaded, Report, Snapshot, State
from sensor.snyk.proto.v1.reports_pb2 import Rejection, ReportResponse

TOLERANCE = 300.0
"""Seconds."""


class Transaction(NamedTuple):
    """Times are seconds since the epoch, by the receiver's clock."""

    connection: sqlite3.Connection
    packages: Packages
    received_at: float


class Held(NamedTuple):
    """What the database holds of one container."""

    id: int
    sender_id: str
    generation: int
    observed_at: float
    observed_here: float
    ended_at: float | None


def store_report(transaction: Transaction, report: Report) -> bytes:
    """Return the serialised ReportResponse; that of before, where the batch has come before."""
    connection, _, received_at = transaction
    answered = connection.execute("SELECT response FROM batch WHERE id = ?", (report.batch_id,)).fetchone()
    if answered is not None:
        return bytes(answered[0])
    rejected = [*report.rejected, *store_states(transaction, report, source="grpc")]
    if report.snapshot is not None:
        _end_absent(transaction, report, report.snapshot)
    response = ReportResponse(
        accepted=len(report.states) + len(report.rejected) - len(rejected),
        rejected=[Rejection(container=index, reason=reason) for index, reason in sorted(rejected)],
        received_at_ms=round(received_at * 1000),
    ).SerializeToString()
    connection.execute(
        "INSERT INTO batch (id, received_at, response) VALUES (?, ?, ?)",
        (report.batch_id, received_at, response),
    )
    return response


def store_states(transaction: Transaction, report: Report, *, source: str) -> list[tuple[int, str]]:
    """Return index and reason of what is not taken."""
    states, rejected = report.states, list[tuple[int, str]]()
    if len({state.key for state in states}) < len(states):  # else what is unfit stands for itself alone
        states, rejected = _fit(transaction, report)
    held = _held(transaction.connection, report)
    latest, chosen, confirmed = dict(held), dict[str, State](), set[str]()
    for state in states:
        before = latest.get(state.key)
        if before is None or _replaces(state, report, transaction, before):
            latest[state.key] = _as_held(state, report, transaction)
            chosen[state.key] = state
        elif _confirms(state, report, before):
            confirmed.add(state.key)
    _touch(transaction, [held[key].id for key in confirmed - chosen.keys()])
    return rejected + _put(transaction, report, tuple(chosen.values()), source)


def _fit(transaction: Transaction, report: Report) -> tuple[list[State], list[tuple[int, str]]]:
    """What can be stored, and of the rest index and reason: it must not keep out others of its container."""
    connection, packages, _ = transaction
    ids = packages.ids(connection, report.packages)
    fit, rejected = [], []
    for state in report.states:
        try:
            packages.stored(connection, ids, _loaded(state))
        except Unfit as unfit:
            rejected.append((state.position, str(unfit)))
        else:
            fit.append(state)
    return fit, rejected


def _held(connection: sqlite3.Connection, report: Report) -> dict[str, Held]:
    rows = connection.execute(
        "SELECT key, id, sender_id, generation, observed_at, observed_here, ended_at FROM container"
        " WHERE group_id = ?1 AND cluster = ?2 AND key IN (SELECT value FROM json_each(?3))",
        (report.group_id, report.cluster, json.dumps([state.key for state in report.states])),
    )
    return {row[0]: Held(*row[1:]) for row in rows}


def _as_held(state: State, report: Report, transaction: Transaction) -> Held:
    here = observed_here(state.observed_at, report, transaction)
    return Held(0, report.sender_id, state.generation, state.observed_at, here, state.ended_at)


def observed_here(observed_at: float, report: Report, transaction: Transaction) -> float:
    """``observed_at`` by the receiver's clock, as far as the sender's tells its own time evenly."""
    return transaction.received_at - max(0.0, report.sent_at - observed_at)


def _replaces(state: State, report: Report, transaction: Transaction, before: Held) -> bool:
    if before.sender_id != report.sender_id:
        here = observed_here(state.observed_at, report, transaction)
        return here >= before.observed_here - TOLERANCE
    if state.generation != before.generation:
        return state.generation > before.generation
    revived = state.ended_at is None and before.ended_at is not None and report.sent_at > before.ended_at
    return revived or state.observed_at > before.observed_at


def _confirms(state: State, report: Report, before: Held) -> bool:
    return before.sender_id == report.sender_id and before.generation == state.generation


def _touch(transaction: Transaction, ids: list[int]) -> None:
    transaction.connection.executemany(
        "UPDATE container SET received_at = ? WHERE id = ?",
        [(transaction.received_at, one) for one in sorted(ids)],
    )


_CONTENT = (
    "container_id, runtime, node, namespace, workload_kind, workload_name, pod_name, pod_uid, container_name,"
    " image_name, image_digest, coverage, coverage_reasons, first_seen, ended_at, package_set"
)
_COLUMNS = (
    f"{_CONTENT}, group_id, cluster, key, sender_id, generation, source, observed_at, received_at,"
    " changed_at, package_times, observed_here"
)


def _qualified(columns: str, table: str) -> str:
    return ", ".join(f"{table}.{column.strip()}" for column in columns.split(","))


_PUT = (
    f"INSERT INTO container ({_COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS.split(',')))})"
    " ON CONFLICT (group_id, cluster, key) DO UPDATE SET"
    f" changed_at = iif(({_qualified(_CONTENT, 'container')}) IS ({_qualified(_CONTENT, 'excluded')}),"
    " container.changed_at, excluded.changed_at), "
    + ", ".join(
        f"{column.strip()} = excluded.{column.strip()}"
        for column in _COLUMNS.split(",")
        if column.strip() not in ("changed_at", "group_id", "cluster", "key")
    )
)


def _put(
    transaction: Transaction, report: Report, states: Sequence[State], source: str
) -> list[tuple[int, str]]:
    connection, packages, received_at = transaction
    ids = packages.ids(connection, report.packages) if states else []
    rows, rejected = [], []
    for state in states:
        try:
            package_set, times = packages.stored(connection, ids, _loaded(state))
        except Unfit as unfit:
            rejected.append((state.position, str(unfit)))
            continue
        here = observed_here(state.observed_at, report, transaction)
        rows.append(
            (
                *state.described,
                state.coverage,
                state.coverage_reasons,
                state.first_seen,
                state.ended_at,
                package_set,
                report.group_id,
                report.cluster,
                state.key,
                report.sender_id,
                state.generation,
                source,
                state.observed_at,
                received_at,
                received_at,
                times,
                here,
            )
        )
    connection.executemany(_PUT, rows)
    return rejected


def _loaded(state: State) -> Loaded:
    return loaded_packages(state.loaded) if isinstance(state.loaded, bytes) else state.loaded


_NOT_WATCHED = " AND ?3 = '' AND instr(' ' || coverage_reasons || ' ', ' packages_not_watched ')"


def _end_absent(transaction: Transaction, report: Report, snapshot: Snapshot) -> None:
    """What runs there and is not in the snapshot has ended, unless it was reported as of after it.

    A snapshot of a whole cluster (no node) tells of what its sender watches: Deployed alone. What nodes'
    sensors report beside it is theirs to end.
    """
    connection, _, received_at = transaction
    here = observed_here(snapshot.observed_at, report, transaction)
    node = " AND node = ?3" if snapshot.node else _NOT_WATCHED
    rows = connection.execute(
        "SELECT id, key FROM container WHERE group_id = ?1 AND cluster = ?2 AND ended_at IS NULL"
        f" AND source = 'grpc'{node}"
        " AND iif(sender_id = ?4, observed_at <= ?5, observed_here <= ?6)",
        (report.group_id, report.cluster, snapshot.node, report.sender_id, snapshot.observed_at, here),
    ).fetchall()
    connection.executemany(
        "UPDATE container SET ended_at = max(?1, first_seen), changed_at = ?2 WHERE id = ?3",
        [(snapshot.observed_at, received_at, one) for one, key in rows if key not in snapshot.running],
    )
