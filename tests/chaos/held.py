"""What the receiver's database holds, read as it stands on the disk."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import time
from pathlib import Path
from urllib.parse import quote

from tests.chaos.compare import HeldPackage, Row

_CONTAINERS = """
    SELECT container_id, first_seen, ended_at, coverage, sender_id, image_name, package_set,
           package_times
    FROM container
"""
_MEMBERS = """
    SELECT purl FROM member JOIN package ON package.id = member.package
    WHERE member.package_set = ? ORDER BY member.package
"""


def rows(database: Path) -> list[Row]:
    """Every row of the table of containers. Raises sqlite3.Error.

    Moments are told in CLOCK_MONOTONIC; the wall clock must not have been set since.
    """
    offset = time.time() - time.monotonic()
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as connection:
        connection.execute("BEGIN")  # one state of everything
        found = connection.execute(_CONTAINERS).fetchall()
        return [_row(connection, offset, *columns) for columns in found]


def is_of_others(row: Row) -> bool:
    """Whether it is of a container that somebody else runs on this machine meanwhile."""
    return row.image is not None and not row.image.startswith("docker.io/chaos/")


def _row(  # noqa: PLR0917 - a row's columns
    connection: sqlite3.Connection,
    offset: float,
    container_id: str,
    first_seen: float,
    ended_at: float | None,
    coverage: str,
    sender_id: str,
    image: str | None,
    package_set: int | None,
    times: bytes | None,
) -> Row:
    purls = [purl for (purl,) in connection.execute(_MEMBERS, (package_set,))]
    pairs = list(struct.iter_unpack("<qq", times or b""))
    packages = tuple(
        HeldPackage(purl, first / 1000 - offset) for purl, (first, _) in zip(purls, pairs, strict=True)
    )
    ended = None if ended_at is None else ended_at - offset
    return Row(container_id, first_seen - offset, ended, packages, coverage, sender_id, image)
