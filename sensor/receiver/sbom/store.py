"""SBOMs into the database, one per image; a later one replaces the one before."""

from __future__ import annotations

import sqlite3

from sensor.receiver.sbom.document import Sbom
from sensor.receiver.sbom.reference import normalised

MOST_SBOMS = 10_000


class FullError(Exception):
    """There are as many SBOMs as are kept."""


def keep(connection: sqlite3.Connection, image: str, sbom: Sbom, now: float) -> str:
    """Store ``sbom`` under the image's name in one form, which is returned; in the caller's transaction.

    ``image`` is a name or a digest (``sha256:…``); ``now`` is seconds since the epoch. Raises
    :class:`FullError` and :class:`sqlite3.Error`.
    """
    name = image if image.startswith("sha256:") else normalised(image)
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
    return name
