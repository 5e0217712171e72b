"""What containers have loaded, kept once for all that loaded the same."""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
import struct
from collections.abc import Sequence
from typing import NamedTuple

from sensor.receiver.lru import Lru
from sensor.receiver.report_form import EVIDENCE, MAX_TEXT, Unfit, check_members
from sensor.receiver.report_form import package as read_package
from sensor.receiver.states import Loaded

_KNOWN_PACKAGES = 200_000
_KNOWN_BYTES = 64 << 20
"""Of known packages, serialised."""
_KNOWN_SETS = 20_000
_KNOWN_MEMBERS = 2_000_000
"""Of all known sets together: about 200 MiB. A path counts for more members than one where it is long."""
_LONG_PATH = 128


class KnownSet(NamedTuple):
    """``order`` sorts the sender's columns by package; ``None`` where they are."""

    id: int
    order: tuple[int, ...] | None


class Packages:
    """Rows of ``package``, ``package_set`` and ``member``, found or made. Used by the writer alone.

    What it remembers are ids of rows: :meth:`forget` once rows were deleted, or a transaction undone.
    """

    def __init__(self) -> None:
        self._packages: dict[bytes, int] = {}
        self._bytes = 0
        self._sets: Lru[tuple[tuple[int, ...], tuple[int, ...], tuple[str, ...]], KnownSet] = Lru(
            _KNOWN_SETS, _KNOWN_MEMBERS
        )

    def forget(self) -> None:
        self._packages.clear()
        self._bytes = 0
        self._sets.clear()

    def ids(self, connection: sqlite3.Connection, packages: Sequence[bytes]) -> list[int | None]:
        """Of serialised packages; ``None`` of what is unfit."""
        found = list(map(self._packages.get, packages))
        if None in found:
            found = [
                one or self._package(connection, serialised)
                for one, serialised in zip(found, packages, strict=True)
            ]
        return found

    def stored(
        self, connection: sqlite3.Connection, ids: Sequence[int | None], loaded: Loaded
    ) -> tuple[int, bytes]:
        """Return the id of the package set, and ``package_times``. ``ids`` are those of the batch.

        Raises :class:`Unfit`.
        """
        try:
            packages: tuple[int, ...] = tuple(map(ids.__getitem__, loaded.package))  # type: ignore[arg-type]
        except IndexError:
            highest = max(loaded.package)
            raise Unfit(f"packages: found the index {highest}, expected less than {len(ids)}") from None
        if None in packages:
            raise Unfit(
                f"package {loaded.package[packages.index(None)]}: expected an ecosystem, a name and a purl,"
                f" of at most {MAX_TEXT:,} characters each"
            )
        key = packages, loaded.evidence, loaded.path
        known = self._sets.get(key)
        if known is None:
            if len(set(packages)) != len(packages):
                return self._stored_once(connection, packages, loaded)
            known = self._set(connection, *key)
            self._sets.put(key, known, len(packages) + sum(map(len, loaded.path)) // _LONG_PATH)
        times: Sequence[tuple[int, int]] = tuple(zip(loaded.first_seen, loaded.last_seen, strict=True))
        if known.order is not None:
            times = [times[index] for index in known.order]
        return known.id, struct.pack(f"<{2 * len(times)}q", *itertools.chain.from_iterable(times))

    def _stored_once(
        self, connection: sqlite3.Connection, packages: tuple[int, ...], loaded: Loaded
    ) -> tuple[int, bytes]:
        """The same package was listed more than once: its strongest evidence and whole time count."""
        merged: dict[int, tuple[int, str, int, int]] = {}
        for package, _, evidence, path, first, last in zip(packages, *loaded, strict=True):
            evidence_now, path_now, first_now, last_now = merged.get(package, (0, "", first, last))
            if evidence > evidence_now:
                evidence_now, path_now = evidence, path
            merged[package] = evidence_now, path_now, min(first, first_now), max(last, last_now)
        evidence, paths, first, last = zip(*merged.values(), strict=True)
        return self.stored(
            connection, tuple(merged), Loaded(tuple(range(len(merged))), evidence, paths, first, last)
        )

    def _package(self, connection: sqlite3.Connection, serialised: bytes) -> int | None:
        try:
            package = read_package(serialised)
        except Unfit:
            return None
        # The four names tell packages apart; IS, not =: of versions that are NULL there is one too.
        row = connection.execute(
            "SELECT id FROM package WHERE purl = ?4 AND snyk_type = ?5 AND snyk_name = ?6"
            " AND snyk_version IS ?7",
            package,
        ).fetchone()
        row = (
            row
            or connection.execute(
                "INSERT INTO package (ecosystem, name, version, purl, snyk_type, snyk_name, snyk_version)"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
                package,
            ).fetchone()
        )
        if len(self._packages) >= _KNOWN_PACKAGES or self._bytes >= _KNOWN_BYTES:
            self._packages.clear()
            self._bytes = 0
        self._packages[serialised] = row[0]
        self._bytes += len(serialised)
        return int(row[0])

    def _set(
        self,
        connection: sqlite3.Connection,
        packages: tuple[int, ...],
        evidence: tuple[int, ...],
        paths: tuple[str, ...],
    ) -> KnownSet:
        check_members(evidence, paths)
        order = tuple(sorted(range(len(packages)), key=packages.__getitem__))
        members = [(packages[i], EVIDENCE[evidence[i]], paths[i]) for i in order]
        in_order = order == tuple(range(len(packages)))
        return KnownSet(_set_id(connection, members), None if in_order else order)


def _set_id(connection: sqlite3.Connection, members: Sequence[tuple[int, str, str]]) -> int:
    digest = hashlib.sha256(repr(members).encode("utf-8", "surrogatepass")).digest()
    row = connection.execute("SELECT id FROM package_set WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        row = connection.execute(
            "INSERT INTO package_set (digest) VALUES (?) RETURNING id", (digest,)
        ).fetchone()
        connection.executemany(
            "INSERT INTO member (package_set, package, evidence, path) VALUES (?, ?, ?, ?)",
            [(row[0], *member) for member in members],
        )
    return int(row[0])
