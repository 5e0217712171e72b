"""SBOMs into the database, one per image; a later one replaces the one before."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sensor.receiver.sbom.document import Sbom
from sensor.receiver.sbom.reference import normalised

MOST_SBOMS = 10_000
_WAIT_SECONDS = 20.0


class FullError(Exception):
    """There are as many SBOMs as are kept."""


def keep(database: Path, image: str, sbom: Sbom, now: float) -> str:
    """Store ``sbom`` under the image's name in one form, which is returned, in a transaction of its own.

    ``image`` is a name or a digest (``sha256:…``); ``now`` is seconds since the epoch. Raises
    :class:`FullError` and :class:`sqlite3.Error`.
    """
    name = image if image.startswith("sha256:") else normalised(image)
    with closing(sqlite3.connect(database, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        try:
            _replace(connection, name, sbom, now)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    return name


def _replace(connection: sqlite3.Connection, name: str, sbom: Sbom, now: float) -> None:
    old = connection.execute("SELECT id FROM sbom WHERE image = ?", (name,)).fetchone()
    if old:
        connection.execute("DELETE FROM sbom_component WHERE sbom = ?", old)
        connection.execute("DELETE FROM sbom WHERE id = ?", old)
    elif connection.execute("SELECT count(*) FROM sbom").fetchone()[0] >= MOST_SBOMS:
        raise FullError(f"found {MOST_SBOMS:,} SBOMs kept, expected fewer: start with a new database")
    added = connection.execute(
        "INSERT INTO sbom (image, format, received_at) VALUES (?, ?, ?)", (name, sbom.format, now)
    )
    connection.executemany(
        "INSERT INTO sbom_component (sbom, purl, ecosystem, name, version) VALUES (?, ?, ?, ?, ?)",
        ((added.lastrowid, c.purl, c.ecosystem, c.name, c.version or None) for c in sbom.components),
    )
