"""What others post to the receiver: reports, results, resources, SBOMs; into a real database, then undone."""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import resources
from typing import NamedTuple

from sensor.receiver import connector, https_form, jsonapi, merge
from sensor.receiver.exports import container_csv, container_json
from sensor.receiver.exports.walk import Exported
from sensor.receiver.ingest import Transaction, store_report
from sensor.receiver.packages import Packages
from sensor.receiver.queries import containers
from sensor.receiver.queries.exposure import exposures
from sensor.receiver.queries.selection import Condition
from sensor.receiver.report_form import Malformed, TooLarge, read
from sensor.receiver.sbom import purl
from sensor.receiver.sbom.document import parse
from sensor.receiver.sbom.interface import SbomError
from sensor.receiver.sbom.reference import normalised
from sensor.receiver.sbom.store import keep
from sensor.snyk.proto.v1.reports_pb2 import ReportResponse
from tests.fuzz.target import Target

_ROOM = "sensor.receiver"
_NOW = 1_700_000_000.0


class _Database(NamedTuple):
    connection: sqlite3.Connection
    packages: Packages


@functools.cache
def _database() -> _Database:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(resources.files(_ROOM).joinpath("schema.sql").read_text("utf-8"))
    connection.execute("PRAGMA foreign_keys = ON")
    return _Database(connection, Packages())


def _undone(work: Callable[[Transaction], None]) -> None:
    connection, packages = _database()
    connection.execute("BEGIN")
    try:
        work(Transaction(connection, packages, _NOW))
    finally:
        connection.execute("ROLLBACK")
        packages.forget()


def _shown(connection: sqlite3.Connection) -> int:
    """Read all containers as the exports do, and return how many there are."""
    connection.row_factory = sqlite3.Row
    try:
        found = [
            Exported(row, tuple(containers.loaded(_members(connection, row.package_set), times)), ())
            for row, times in containers.after(connection, Condition("1", {}), 0, 1000)
        ]
    finally:
        connection.row_factory = None
    assert all(one.packages[0].first_seen is not None for one in found if one.packages)
    json.loads("".join(container_json.pieces([found])))
    "".join(container_csv.pieces([found])).encode()
    return len(found)


def _says_why(error: Exception) -> None:
    assert "expected" in str(error) or "found" in str(error)


def _refused(failure: jsonapi.Failure) -> None:
    assert failure.status in (400, 413)
    _says_why(failure)


def _members(connection: sqlite3.Connection, package_set: int | None) -> Iterable[sqlite3.Row]:
    return [] if package_set is None else containers.members(connection, package_set)


def _report(data: bytes) -> None:
    try:
        report = read(data)
    except (Malformed, TooLarge) as error:
        _says_why(error)
        return

    def work(transaction: Transaction) -> None:
        response = store_report(transaction, report)
        count = _shown(transaction.connection)
        assert store_report(transaction, report) == response
        other = report.batch_id[:-1] + ("0" if report.batch_id[-1] != "0" else "1")
        again = store_report(transaction, replace(report, batch_id=other))
        assert _shown(transaction.connection) == count
        assert len(ReportResponse.FromString(again).rejected) <= len(report.states) + len(report.rejected)

    _undone(work)


def _results(data: bytes) -> None:
    try:
        results = https_form.runtime_results(jsonapi.parsed(data))
    except jsonapi.Failure as failure:
        _refused(failure)
        return

    def work(transaction: Transaction) -> None:
        merge.store_results(transaction, results)
        count = _shown(transaction.connection)
        # What is listed without packages goes with another image of the same container.
        assert len({running.key for running, loaded in results.loaded if loaded}) <= count
        merge.store_results(transaction, results)
        assert _shown(transaction.connection) == count

    _undone(work)


def _workload(data: bytes) -> None:
    try:
        workload = https_form.workload(jsonapi.parsed(data))
    except jsonapi.Failure as failure:
        _refused(failure)
        return

    def work(transaction: Transaction) -> None:
        merge.store_workload(transaction, workload)
        count = _shown(transaction.connection)
        merge.store_workload(transaction, workload)
        assert _shown(transaction.connection) == count
        for running in workload.running:
            merge.end_workload(transaction, workload.place, (running.namespace, running.kind, running.name))

    _undone(work)


def _resources(data: bytes) -> None:
    try:
        cluster, found = connector.read(jsonapi.parsed(data))
    except jsonapi.Failure as failure:
        _refused(failure)
        return

    def work(transaction: Transaction) -> None:
        connection = transaction.connection
        connector.store(connection, "org", cluster, found, _NOW)
        connection.row_factory = sqlite3.Row
        try:
            for workload, why in exposures(connection).items():
                assert all(isinstance(text, str) for text in (*workload, *why))
        finally:
            connection.row_factory = None

    _undone(work)


def _sbom(data: bytes) -> None:
    try:
        found = parse(data)
    except SbomError as error:
        _says_why(error)
        return
    for component in found.components:
        again = purl.parse(component.purl)
        assert again is not None and again.text == component.purl
    _undone(lambda transaction: _kept(transaction.connection, found.image or "image", data))


def _kept(connection: sqlite3.Connection, image: str, data: bytes) -> None:
    found = parse(data)
    assert keep(connection, image, found, _NOW) == keep(connection, image, found, _NOW)


def _purl(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    parts = purl.parse(text)
    if parts is not None and parts.name.isprintable() and parts.version.isprintable():
        again = purl.parse(parts.text)
        assert again is not None and again.key == parts.key, (parts, again)
    normalised(text)


TARGETS: tuple[Target, ...] = (
    Target("receiver_report", _ROOM, _report),
    Target("receiver_results", _ROOM, _results),
    Target("receiver_workload", _ROOM, _workload),
    Target("receiver_resources", _ROOM, _resources),
    Target("receiver_sbom", f"{_ROOM}.sbom", _sbom),
    Target("receiver_purl", f"{_ROOM}.sbom", _purl),
)
