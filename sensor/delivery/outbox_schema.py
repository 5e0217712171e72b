"""The outbox's tables, and what SQLite is told about its file.

``state``        a row per destination and container, see :class:`sensor.delivery.outbox_codec.Row`
``fact``         what states share, under its SHA-256; triggers count its holders and drop it with the last
``destination``  names
``mark``         positions of whatever produced the states
``meta``         who the sender is, and the last generation
"""

from __future__ import annotations

import re
import sqlite3
import uuid
import zlib
from contextlib import closing

from sensor.delivery.outbox_packing import Damaged

VERSION = 1
APPLICATION = 0x52534F42  # "RSOB", for file(1)
PAGE = 4096
MAX_GENERATION = 1 << 62
_HEADER = 100
_AHEAD = 1 << 20
_SENDER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# AUTOINCREMENT: an id is never used again, as it is held in memory from one call to the next. So the rows lie
# in the order in which containers were first seen, and those that go together give whole pages back.
_TABLES = """
CREATE TABLE destination (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE fact (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE holders (fact INTEGER PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE state (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  generation INTEGER NOT NULL,
  destination INTEGER NOT NULL,
  key NOT NULL,
  queued_at REAL,
  aside TEXT,
  first_seen INTEGER NOT NULL,
  observed_at INTEGER NOT NULL,
  ended_at INTEGER,
  pod_name TEXT,
  pod_uid,
  shared INTEGER NOT NULL,
  packages INTEGER NOT NULL,
  size INTEGER NOT NULL,
  times BLOB NOT NULL,
  boot,
  boottime INTEGER,
  checksum INTEGER NOT NULL
);
CREATE UNIQUE INDEX state_key ON state (key, destination);
CREATE INDEX state_queue ON state (destination, queued_at) WHERE queued_at IS NOT NULL;
CREATE INDEX state_running ON state (destination) WHERE ended_at IS NULL;
CREATE INDEX state_ended ON state (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX state_aside ON state (aside) WHERE aside IS NOT NULL;
CREATE TABLE mark (name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL);

CREATE TRIGGER fact_added AFTER INSERT ON fact BEGIN
  INSERT INTO holders VALUES (new.id, 0);
END;
CREATE TRIGGER state_added AFTER INSERT ON state BEGIN
  UPDATE holders SET number = number + 1 WHERE fact IN (new.shared, new.packages);
END;
CREATE TRIGGER state_changed AFTER UPDATE OF shared, packages ON state BEGIN
  UPDATE holders SET number = number + 1 WHERE fact IN (new.shared, new.packages);
  UPDATE holders SET number = number - 1 WHERE fact IN (old.shared, old.packages);
END;
CREATE TRIGGER state_gone AFTER DELETE ON state BEGIN
  UPDATE holders SET number = number - 1 WHERE fact IN (old.shared, old.packages);
END;
CREATE TRIGGER holders_gone AFTER UPDATE ON holders WHEN new.number <= 0 BEGIN
  DELETE FROM fact WHERE id = new.fact;
  DELETE FROM holders WHERE fact = new.fact;
END;
"""


def configure(connection: sqlite3.Connection, max_pages: int, wal_pages: int) -> None:
    """Before the first read. Raises :class:`sqlite3.Error`."""
    # A damaged text must reach its checksum.
    connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    for pragma in (
        # One process only, see the lock; so the index of the WAL needs no shared memory, whose pages a full
        # disk turns into SIGBUS.
        "locking_mode = EXCLUSIVE",
        f"max_page_count = {max_pages}",
        "cell_size_check = ON",
        "secure_delete = OFF",
        "temp_store = MEMORY",
        "cache_size = -1024",
        "foreign_keys = OFF",
        f"wal_autocheckpoint = {wal_pages}",
        f"journal_size_limit = {wal_pages * PAGE}",
        "synchronous = NORMAL",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def create(connection: sqlite3.Connection) -> None:
    """Make the tables in a database that has none."""
    for pragma in (f"page_size = {PAGE}", "auto_vacuum = INCREMENTAL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.executescript(_TABLES)
    put(connection, "meta", "sender", str(uuid.uuid4()))
    put(connection, "meta", "generation", "0")
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def check_header(header: bytes) -> None:
    """Before SQLite sees the file, which may write to whatever it takes for a database. Raises
    :class:`Damaged`. https://www.sqlite.org/fileformat2.html#the_database_header"""
    if not header:
        raise Damaged("found an empty file")
    if len(header) < _HEADER or not header.startswith(b"SQLite format 3\0"):
        raise Damaged("file is not a database")
    # Any other number makes the file one that may only be read.
    if header[18:20] not in (b"\1\1", b"\2\2"):
        raise Damaged("found a file format that this sensor does not write")
    version, application = int.from_bytes(header[60:64], "big"), int.from_bytes(header[68:72], "big")
    if application != APPLICATION:
        raise Damaged("found a database that is no outbox")
    if version != VERSION:
        raise Damaged(f"found an outbox of version {version}, expected {VERSION}, which this sensor writes")


def verify(connection: sqlite3.Connection) -> None:
    """Raises :class:`Damaged` or :class:`sqlite3.Error` unless it is a whole outbox of this version."""
    if _texts(connection) != _expected_texts():
        raise Damaged("its tables are not those that were made")
    # Unlike quick_check it compares the indexes with their tables: what is to be sent is found by one.
    if (found := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
        raise Damaged(found.replace("\n", " "))
    if not _SENDER.fullmatch(get(connection, "meta", "sender") or ""):
        raise Damaged("found no sender")


def _texts(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


def _expected_texts() -> list[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_TABLES)
        return _texts(connection)


def begin(connection: sqlite3.Connection, now: float) -> int:
    """Return a generation that no state had before, and keep it so that not even a power cut takes it back.

    A power cut may take the last commits back (``synchronous = NORMAL``), and a disk that failed may hold
    an old file: what was sent meanwhile must not be sent again with other content under the same
    generation. So every start skips what such a loss can hold, and at least to the clock's milliseconds.
    """
    text = get(connection, "meta", "generation") or ""
    (highest,) = connection.execute("SELECT max(generation) FROM state").fetchone()
    found = max(int(text) if text.isdecimal() and len(text) < 20 else 0, highest or 0)
    if found >= MAX_GENERATION:
        raise Damaged(f"found the generation {found}, expected one below {MAX_GENERATION}")
    generation = max(found + _AHEAD, round(now * 1000))
    put(connection, "meta", "generation", str(generation))
    connection.execute("PRAGMA wal_checkpoint").fetchall()  # which synchronises the disk
    return generation


def put(connection: sqlite3.Connection, table: str, name: str, value: str) -> None:
    """``table`` is ``mark`` or ``meta``."""
    connection.execute(
        f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", (name, value, _checksum(name, value))
    )


def get(connection: sqlite3.Connection, table: str, name: str) -> str | None:
    """Raises :class:`Damaged`."""
    found = connection.execute(f"SELECT value, checksum FROM {table} WHERE name = ?", (name,)).fetchone()
    if found is None:
        return None
    if found[1] != _checksum(name, found[0]):
        raise Damaged(f"{name} has another checksum than was written with it")
    return str(found[0])


def _checksum(name: str, value: object) -> int:
    return zlib.crc32(f"{name}\0{value}".encode("utf-8", "surrogatepass"))
