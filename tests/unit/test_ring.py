"""Records out of libbpf's hands: called back through real ctypes, by a library of our own."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable
from typing import Any, cast

import pytest

from sensor.node.capture.errors import CaptureError
from sensor.node.capture.layout import MalformedRecord
from sensor.node.capture.ring import Ring


class Library:
    """As much of libbpf as a ring needs. ``records`` are handed over by the next poll."""

    def __init__(self, buffer: int | None = 4711) -> None:
        self.buffer = buffer
        self.records: list[bytes] = []
        self.result: int | None = None
        self.polled: list[tuple[int, int]] = []
        self.freed: list[int] = []
        self.descriptor = -1
        self.callback: Callable[..., int] | None = None

    def ring_buffer__new(
        self, descriptor: int, callback: Callable[..., int], _context: None, _options: None
    ) -> int | None:
        self.descriptor, self.callback = descriptor, callback
        if self.buffer is None:
            ctypes.set_errno(errno.EPERM)
        return self.buffer

    def ring_buffer__poll(self, buffer: int, milliseconds: int) -> int:
        self.polled.append((buffer, milliseconds))
        records, self.records = self.records, []
        assert self.callback is not None
        for record in records:
            memory = ctypes.create_string_buffer(record, max(1, len(record)))
            assert self.callback(None, ctypes.addressof(memory), len(record)) == 0
        return len(records) if self.result is None else self.result

    def ring_buffer__free(self, buffer: int) -> None:
        self.freed.append(buffer)


def ring(library: Library, handler: Callable[[bytes], None]) -> Ring:
    return Ring(cast("ctypes.CDLL", library), 9, handler)


def test_records_arrive_whole_and_in_order() -> None:
    library, received = Library(), list[bytes]()
    made = ring(library, received.append)
    assert library.descriptor == 9
    library.records = [b"a\0b", b"", b"\xff" * 5000]
    assert made.poll(0.25) == 3
    assert received == [b"a\0b", b"", b"\xff" * 5000]
    assert made.poll(0.0) == 0
    assert library.polled == [(4711, 250), (4711, 0)]
    assert made.failures == 0


@pytest.mark.parametrize("error", [MalformedRecord("3 bytes"), RuntimeError("defect"), KeyError("x")])
def test_a_record_that_fails_is_counted_and_the_next_is_read(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    received: list[bytes] = []

    def handler(record: bytes) -> None:
        if record == b"bad":
            raise error
        received.append(record)

    library = Library()
    made = ring(library, handler)
    library.records = [b"bad", b"good"]
    assert made.poll(0.1) == 2
    assert received == [b"good"]
    assert made.failures == 1
    assert len(caplog.records) == 1


def test_a_signal_is_no_error() -> None:
    library = Library()
    library.result = -errno.EINTR
    assert ring(library, print).poll(0.1) == 0


def test_an_error_of_the_kernel_is_named() -> None:
    library = Library()
    library.result = -errno.EBADF
    with pytest.raises(CaptureError, match="reading the ring buffer failed: EBADF"):
        ring(library, print).poll(0.1)


def test_a_buffer_that_cannot_be_mapped_is_told_with_its_reason() -> None:
    with pytest.raises(CaptureError, match=r"cannot be mapped: EPERM\n  what to do: grant CAP_BPF"):
        ring(Library(buffer=None), print)


def test_it_is_freed_once_and_not_read_afterwards() -> None:
    library = Library()
    made = ring(library, print)
    made.close()
    made.close()
    assert library.freed == [4711]
    assert made.poll(0.1) == 0
    assert library.polled == []


def test_libbpf_keeps_no_reference_to_the_callback() -> None:
    kept: list[Any] = []

    class Forgetful(Library):
        def ring_buffer__new(self, descriptor: int, callback: Any, *_rest: None) -> int | None:
            kept.append(ctypes.cast(callback, ctypes.c_void_p).value)
            return self.buffer

    received: list[bytes] = []
    made = ring(Forgetful(), received.append)
    again = type(made._callback)(kept[0])  # from the bare address, as C would
    memory = ctypes.create_string_buffer(b"x", 1)
    assert again(None, ctypes.addressof(memory), 1) == 0
    assert received == [b"x"]
