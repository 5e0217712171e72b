"""Writes texts to a file descriptor: whole, or with an error that says what to do."""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from collections.abc import Iterable

from sensor.delivery.sink import SinkClosed, SinkError

_CURES = {
    errno.ENOSPC: "free some space or write it elsewhere; what was not written is kept and follows then",
    errno.EDQUOT: "free some quota or write it elsewhere; what was not written is kept and follows then",
    errno.EFBIG: "write it to another file, or raise the largest size allowed (`ulimit -f`)",
    errno.EBADF: "it is not open for writing: redirect it to a file or a pipe",
}


class DescriptorWriter:
    """Writes to ``fd``, which stays its owner's to close.

    What a failed write left over is kept, and written before anything else, so that a text begun is
    always completed. At most one text is ever left over. A write takes at most ``patience`` seconds,
    so that a reader that stopped cannot hold the sensor up.
    """

    def __init__(self, fd: int, patience: float = 2.0) -> None:
        self._fd = fd
        self._patience = patience
        self._rest = memoryview(b"")
        # poll() promises room for PIPE_BUF bytes only (pipe_poll() of the kernel: one free page);
        # more would block where the descriptor is blocking, as standard output is.
        self._chunk = 1 << 20 if _is_file(fd) else select.PIPE_BUF

    def write_all(self, texts: Iterable[str]) -> None:
        """Write the texts in order; :attr:`SinkError.delivered` tells how many were written whole."""
        for number, text in enumerate(texts):
            try:
                self.write(text)
            except SinkError as error:
                error.delivered = number
                raise

    def write(self, text: str) -> None:
        """Write all of ``text``, or raise :class:`SinkError`: then it was cut, and its rest will
        come before the next text, or nothing of it was written and nothing will be."""
        self.flush()
        whole = memoryview(text.encode("utf-8", "backslashreplace"))
        self._rest = whole
        try:
            self.flush()
        finally:
            if len(self._rest) == len(whole):
                self._rest = memoryview(b"")

    def flush(self) -> None:
        """Write what a failed write left over; raises :class:`SinkError` where that fails again."""
        deadline = time.monotonic() + self._patience
        while self._rest:
            self._wait(deadline)
            try:
                self._rest = self._rest[os.write(self._fd, self._rest[: self._chunk]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError as error:
                raise SinkClosed("the reader of the output closed it") from error
            except OSError as error:
                cure = _CURES.get(error.errno or 0, "write it elsewhere")
                raise SinkError(f"cannot write the output: {error.strerror}; {cure}") from error

    def _wait(self, deadline: float) -> None:
        poll = select.poll()  # not select(): descriptors of 1024 and above are fine
        poll.register(self._fd, select.POLLOUT)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise SinkError(
                f"the reader of the output did not take {len(self._rest)} bytes in {self._patience:g} s; "
                "what was not written is kept and follows when it reads again"
            )


def _is_file(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False  # closed: the first write says so
