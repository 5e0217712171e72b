"""Reads the ring buffer through libbpf. Sleeps in epoll until there is data: no busy loop."""

from __future__ import annotations

import ctypes
import errno
import logging
import mmap
import re
from collections.abc import Callable
from pathlib import Path

from sensor.node.capture import layout, libbpf
from sensor.node.capture.errors import CaptureError

log = logging.getLogger(__name__)

Handler = Callable[[bytes], None]

MAX_RECORD = 64 << 10
"""Bytes, more than any record of ours has with its header."""

_MAPS = Path("/proc/self/maps")
_RING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r--s ([0-9a-f]+) .*anon_inode:bpf-map$", re.MULTILINE)
_PROT_NONE = 0
_MAP_FIXED, _MAP_NORESERVE = 0x10, 0x4000  # asm-generic/mman-common.h, as on x86-64 and arm64


class Ring:
    """One reader of one ring buffer. Not thread-safe: one thread polls.

    ``handler`` gets each record as bytes. A handler that raises does not stop the reading; it is
    counted in :attr:`failures` and logged.
    """

    def __init__(self, library: ctypes.CDLL, descriptor: int, handler: Handler) -> None:
        self._library = library
        self._handler = handler
        self.failures = 0
        known = _mapped()
        self._callback = libbpf.RingCallback(self._receive)  # libbpf keeps no reference of its own
        self._buffer = library.ring_buffer__new(descriptor, self._callback, None, None)
        if not self._buffer:
            raise CaptureError(
                f"the ring buffer cannot be mapped: {errno.errorcode.get(ctypes.get_errno(), 'unknown')}",
                "grant CAP_BPF; on kernels before 5.11 also raise the limit of locked memory",
            )
        for start, end in _mapped() - known:
            _unmap_unread(start, end)

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


def _mapped() -> set[tuple[int, int]]:
    """First and last address of all data of rings, which begin behind the page of the producer's position."""
    try:
        text = _MAPS.read_text()
    except OSError:
        return set()
    return {(int(start, 16), int(end, 16)) for start, end, _ in _RING.findall(text)}


def _unmap_unread(start: int, end: int) -> None:
    """Let the second half of a ring go, but for its beginning.

    libbpf maps a page with the producer's position, and the data twice in a row, so that a record that goes
    over the end of the first is in one piece all the same. A record begins in the first; so of the second,
    which counts as resident memory like it, no more is read than the longest record has. The addresses stay
    taken until libbpf unmaps all of it, in one.
    """
    page = mmap.PAGESIZE
    size, odd = divmod(end - start - page, 2)
    unread = start + page + size + MAX_RECORD
    if odd or size % page or unread >= end:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED | _MAP_NORESERVE
    libc.mmap(unread, end - unread, _PROT_NONE, flags, -1, 0)  # where it fails, nothing has changed
