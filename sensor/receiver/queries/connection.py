"""A read-only connection that cannot run for ever."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

LIMIT_SECONDS = 10.0
_STEPS_BETWEEN_LOOKS = 20_000


class TooSlowError(Exception):
    """The question took longer than it may; a narrower one is quicker."""


@contextmanager
def reading(database: Path, seconds: float = LIMIT_SECONDS) -> Iterator[sqlite3.Connection]:
    """Yield a connection that sees one state of the database throughout.

    Raises :class:`TooSlowError` where what runs on it takes more than ``seconds``, and
    :class:`sqlite3.OperationalError` where there is no such database.
    """
    deadline = time.monotonic() + seconds
    address = f"file:{quote(str(database.absolute()))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.text_factory = _text
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
        try:
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("BEGIN")
            yield connection
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname == "SQLITE_INTERRUPT":
                raise TooSlowError(f"it took more than {seconds:g} s") from None
            raise


def _text(found: bytes) -> str:
    """What was stored may be no UTF-8: it came from elsewhere."""
    return found.decode("utf-8", "replace")
