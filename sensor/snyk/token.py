"""The token that requests are made with. Its value is in no log, no error and no ``repr``."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from sensor.config.texts import SettingsError
from sensor.snyk.watched_file import WatchedFile

MAX_TOKEN_BYTES = 8192

log = logging.getLogger(__name__)


class Token:
    """One token, given or read from a file. Any thread may ask.

    A file is read again when it changes. What is there in place of a token (nothing, an empty file, several
    lines) is said once, and the last one that was whole is used meanwhile: secrets are written in steps.
    """

    def __init__(self, literal: str | None = None, *, file: Path | None = None) -> None:
        """Raises :class:`SettingsError` where there is no token to begin with."""
        if (literal is None) == (file is None):
            raise SettingsError("found no token, or two: expected a token or the file that holds it")
        self._lock = threading.Lock()
        self._file = WatchedFile(file, MAX_TOKEN_BYTES) if file else None
        self._complaint = ""
        self._version = 1
        self._value = (
            _checked(literal.encode("utf-8", "surrogatepass"), "the token")
            if literal is not None
            else self._first()
        )

    def value(self) -> str:
        """The token as it is now; costs a stat() where a file is watched."""
        with self._lock:
            self._look()
            return self._value

    @property
    def version(self) -> int:
        """Grows each time the value becomes another."""
        with self._lock:
            self._look()
            return self._version

    def __repr__(self) -> str:
        return f"Token(file={str(self._file.path)!r})" if self._file else "Token(literal)"

    def _first(self) -> str:
        assert self._file is not None
        try:
            content = self._file.read_if_changed()
        except OSError as error:
            raise SettingsError(_unreadable(self._file.path, error)) from None
        return _checked(content or b"", f"the token file {str(self._file.path)!r}")

    def _look(self) -> None:
        if self._file is None:
            return
        try:
            content = self._file.read_if_changed()
            if content is None:
                return
            value = _checked(content, f"the token file {str(self._file.path)!r}")
        except OSError as error:
            self._complain(_unreadable(self._file.path, error))
        except SettingsError as error:
            self._complain(str(error))
        else:
            self._take(value)

    def _take(self, value: str) -> None:
        self._complaint = ""
        if value != self._value:
            self._value = value
            self._version += 1

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            log.warning("%s; the last token stays in use until the file holds another", text)


def _unreadable(path: Path, error: OSError) -> str:
    return f"cannot read the token file {str(path)!r}: {error.strerror or error}"


def _checked(content: bytes, what: str) -> str:
    """Return the token without white space around it: editors and ``echo`` end a file with a line feed."""
    expected = "expected one line of printable ASCII without spaces, as Snyk shows the token"
    if len(content) > MAX_TOKEN_BYTES:
        raise SettingsError(f"{what} is longer than {MAX_TOKEN_BYTES:,} bytes: {expected}")
    stripped = content.strip()
    if not stripped:
        raise SettingsError(f"{what} is empty: {expected}")
    if not stripped.isascii():
        raise SettingsError(f"{what} has characters that are not ASCII: {expected}")
    if b"\n" in stripped or b"\r" in stripped:
        raise SettingsError(f"{what} has several lines: {expected}")
    if not all(0x21 <= byte <= 0x7E for byte in stripped):
        raise SettingsError(f"{what} has spaces or control characters in it: {expected}")
    return stripped.decode("ascii")
