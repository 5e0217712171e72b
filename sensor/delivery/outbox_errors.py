"""How keeping states fails, and what to do about it.

Damaged      what was read is not what was written: the file is set aside (sensor.delivery.outbox_packing)
Unusable     the directory or the disk does not let us; the states stay in memory meanwhile
OutboxError  nobody can go on: another sensor uses the directory, or there is no room
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import TypeGuard

from sensor.delivery.outbox_packing import Damaged
from sensor.delivery.sink import SinkError

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNUSABLE = (
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL),
)
_CURE = "make it a directory that the sensor may write to, or name another with --state-dir"
_CURES = {
    sqlite3.SQLITE_FULL: "free some space on its file system",
    sqlite3.SQLITE_READONLY: "make it writable, or name another with --state-dir",
    sqlite3.SQLITE_CANTOPEN: _CURE,
    sqlite3.SQLITE_IOERR: "look at the disk (`dmesg`), free some space, or name another with --state-dir",
    sqlite3.SQLITE_BUSY: "end the program that has outbox.db open",
}
_DIRECTORY_CURES = {
    errno.ENOSPC: "free some space on its file system",
    errno.EDQUOT: "free some quota of its file system",
    errno.EFBIG: "raise the largest file size allowed (`ulimit -f`)",
    errno.EROFS: "make it writable, or name another with --state-dir",
    errno.EACCES: "let the sensor write to it, or name another with --state-dir",
    errno.EPERM: "let the sensor write to it, or name another with --state-dir",
}


class OutboxError(SinkError):
    pass


class Unusable(Exception):
    """The text says what was found and what to do."""


def is_damage(error: Exception) -> bool:
    """Whether the file holds something else than was written; it then is set aside."""
    if isinstance(error, sqlite3.Error):
        return _primary(error) in _DAMAGED
    return isinstance(error, Damaged | UnicodeDecodeError)


def is_unusable(error: Exception) -> TypeGuard[sqlite3.Error]:
    """Whether the disk or the directory is the reason, not what was asked of it."""
    return isinstance(error, sqlite3.Error) and _primary(error) in _UNUSABLE


def unusable(directory: Path, error: sqlite3.Error | OSError) -> Unusable:
    """Say of an error of the disk what it is and what to do."""
    if isinstance(error, sqlite3.Error):
        found = f"{error} ({getattr(error, 'sqlite_errorname', 'SQLite')})"
        cure = _CURES.get(_primary(error), _CURE)
    else:
        found, cure = error.strerror or str(error), _DIRECTORY_CURES.get(error.errno or 0, _CURE)
    return Unusable(f"cannot keep states in {directory}: {found}; {cure}")


def _primary(error: sqlite3.Error) -> int:
    # https://www.sqlite.org/rescode.html: the lowest byte; 0 is an error of the module itself
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
