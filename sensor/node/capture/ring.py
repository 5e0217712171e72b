"""Reads the ring buffer through libbpf. Sleeps in epoll until there is data: no busy loop."""

from __future__ import annotations

import ctypes
import errno
import logging
from collections.abc import Callable

from sensor.node.capture import layout, libbpf
from sensor.node.capture.errors import CaptureError

log = logging.getLogger(__name__)

Handler = Callable[[bytes], None]


class Ring:
    """One reader of one ring buffer. Not thread-safe: one thread polls.

    ``handler`` gets each record as bytes. A handler that raises does not stop the reading; it is
    counted in :attr:`failures` and logged.
    """

    def __init__(self, library: ctypes.CDLL, descriptor: int, handler: Handler) -> None:
        self._library = library
        self._handler = handler
        self.failures = 0
        self._callback = libbpf.RingCallback(self._receive)  # libbpf keeps no reference of its own
        self._buffer = library.ring_buffer__new(descriptor, self._callback, None, None)
        if not self._buffer:
            raise CaptureError(
                f"the ring buffer cannot be mapped: {errno.errorcode.get(ctypes.get_errno(), 'unknown')}",
                "grant CAP_BPF; on kernels before 5.11 also raise the limit of locked memory",
            )

    def poll(self, timeout: float) -> int:
        """Hand over what is there, waiting at most ``timeout`` seconds; return how many records."""
        if not self._buffer:
            return 0  # closed; libbpf would not check
        result = int(self._library.ring_buffer__poll(self._buffer, int(timeout * 1000)))
        if result >= 0 or result == -errno.EINTR:
            return max(result, 0)
        raise CaptureError(
            f"reading the ring buffer failed: {errno.errorcode.get(-result)}", "restart the sensor"
        )

    def close(self) -> None:
        if self._buffer:
            self._library.ring_buffer__free(self._buffer)
            self._buffer = None

    def _receive(self, _context: int | None, data: int, size: int) -> int:
        try:
            self._handler(ctypes.string_at(data, size))
        except layout.MalformedRecord as error:
            self.failures += 1
            log.error("malformed record from the kernel: %s", error)
        except Exception:  # an exception must not travel through C
            self.failures += 1
            log.exception("an event could not be handled")
        return 0
