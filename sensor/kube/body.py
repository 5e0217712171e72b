"""The body of an answer, read with bounds."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator

import urllib3
from urllib3.exceptions import HTTPError

from sensor.kube.errors import KubeError, Malformed

_CHUNK = 64 << 10


class Body:
    """Used by one thread; :meth:`abort` by any. ``failed`` makes an error of what was raised."""

    def __init__(
        self,
        response: urllib3.BaseHTTPResponse,
        failed: Callable[[BaseException], KubeError],
        received: Callable[[int], None],
    ) -> None:
        self._response = response
        self._failed = failed
        self._received = received
        packed = response.headers.get("Content-Encoding", "identity").lower() == "gzip"
        self._unpack = zlib.decompressobj(31) if packed else None
        self.is_whole = False

    def read(self) -> bytes:
        """Return what has come, up to 64 KiB, waiting for at least a byte; nothing at the end.

        Raises :class:`KubeError`.
        """
        if self._unpack is None:
            return self._read()
        while True:
            packed = self._unpack.unconsumed_tail or self._read()
            if packed and self._unpack.eof:  # it would all be kept
                raise _no_gzip("has more behind its end")
            try:
                found = self._unpack.decompress(packed, _CHUNK)
            except zlib.error:
                raise _no_gzip("is no gzip, as its headers say") from None
            if found or not packed:
                return found

    def lines(self, most: int, too_long: Callable[[], None]) -> Iterator[bytes]:
        """Yield each line as it comes. One of more than ``most`` bytes is left out, and ``too_long`` called.

        What comes after the last line feed is no line: it was cut.
        """
        parts: list[bytes] = []
        size = 0
        while chunk := self.read():
            head, *rest = chunk.split(b"\n")
            parts.append(head)
            size += len(head)
            for one in rest:
                if size > most:
                    too_long()
                else:
                    yield b"".join(parts)
                parts, size = [one], len(one)
            if size > most:
                parts = []

    def abort(self) -> None:
        """Let a read that waits come to an end, in whichever thread."""
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # it has ended already
            self._response.shutdown()

    def close(self) -> None:
        """Keep the connection for the next request where all was read."""
        if self.is_whole:
            self._response.release_conn()
        else:
            self._response.close()

    def _read(self) -> bytes:
        try:
            found = self._response.read1(_CHUNK, decode_content=False) or b""
        except (HTTPError, OSError, ValueError) as error:
            raise self._failed(error) from None
        self._received(len(found))
        self.is_whole = not found
        return found


def _no_gzip(why: str) -> Malformed:
    return Malformed(f"the API server's answer {why}: look at proxies between", reason="malformed")
