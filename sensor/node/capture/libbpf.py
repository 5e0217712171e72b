"""The few functions of libbpf that the agent and its loader call, through ctypes. No LLVM, no bcc.

API: https://libbpf.readthedocs.io/en/latest/api.html, stable within libbpf.so.1.
"""

from __future__ import annotations

import ctypes
import errno
import os

_BATCH = 1024
"""Entries that are read at once where they are only counted; larger batches are no faster."""

RingCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


def load() -> ctypes.CDLL:
    """Return libbpf with the signatures set. Raises ``OSError`` when it is not installed."""
    library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    library.ring_buffer__new.restype = pointer
    library.ring_buffer__new.argtypes = (integer, RingCallback, pointer, pointer)
    library.ring_buffer__poll.argtypes = (pointer, integer)
    library.ring_buffer__consume.argtypes = (pointer,)
    library.ring_buffer__free.argtypes = (pointer,)
    library.ring_buffer__free.restype = None
    library.bpf_map_lookup_elem.argtypes = (integer, pointer, pointer)
    library.bpf_map_update_elem.argtypes = (integer, pointer, pointer, ctypes.c_uint64)
    library.bpf_map_delete_elem.argtypes = (integer, pointer)
    library.bpf_map_get_next_key.argtypes = (integer, pointer, pointer)
    library.bpf_map_lookup_batch.argtypes = (integer, *(pointer,) * 6)
    library.bpf_obj_get_info_by_fd.argtypes = (integer, pointer, pointer)
    text = ctypes.c_char_p
    library.bpf_prog_load.argtypes = (integer, text, text, pointer, ctypes.c_size_t, pointer)
    library.bpf_raw_tracepoint_open.argtypes = (text, integer)
    return library


class Map:
    """A hash map behind a descriptor that the loader handed over. Keys and values are bytes."""

    def __init__(self, library: ctypes.CDLL, descriptor: int, key_size: int, value_size: int) -> None:
        self._library = library
        self._descriptor = descriptor
        self._key_size = key_size
        self._value_size = value_size

    def get(self, key: bytes) -> bytes | None:
        """Return the value, ``None`` when the kernel has no such key."""
        value = ctypes.create_string_buffer(self._value_size)
        failed = self._library.bpf_map_lookup_elem(self._descriptor, key, value)
        return None if failed else value.raw

    def set(self, key: bytes, value: bytes) -> bool:
        """Write an entry; ``False`` when the map is full."""
        return not self._library.bpf_map_update_elem(self._descriptor, key, value, 0)

    def delete(self, key: bytes) -> None:
        """Remove an entry if it is there."""
        self._library.bpf_map_delete_elem(self._descriptor, key)

    def keys(self, limit: int) -> list[bytes]:
        """Return at most ``limit`` keys. Entries that move meanwhile may be missing or double."""
        found: list[bytes] = []
        current: bytes | None = None
        following = ctypes.create_string_buffer(self._key_size)
        while len(found) < limit:
            if self._library.bpf_map_get_next_key(self._descriptor, current, following):
                break
            current = following.raw
            found.append(current)
        return found

    def count(self, limit: int) -> int:
        """Return how many entries there are, ``limit`` at most; about 0.12 us each.

        By BPF_MAP_LOOKUP_BATCH (5.6), as the kernel counts no entries itself. The order of an LRU map stays.
        Raises ``OSError``.
        """
        keys = ctypes.create_string_buffer(_BATCH * self._key_size)
        values = ctypes.create_string_buffer(_BATCH * self._value_size)
        place, read = ctypes.c_uint32(), ctypes.c_uint32()  # a hash map's place is the number of a bucket
        start, total = None, 0
        while total < limit:
            read.value = _BATCH
            failed = self._library.bpf_map_lookup_batch(
                self._descriptor, start, ctypes.byref(place), keys, values, ctypes.byref(read), None
            )
            number = ctypes.get_errno() if failed else 0
            if number not in (0, errno.ENOENT):
                raise OSError(number, f"the kernel does not let a map be read: {os.strerror(number)}")
            total += read.value
            if number:  # that was the last of it
                break
            start = ctypes.byref(place)
        return min(total, limit)


class PerCpuArray:
    """An array of 64-bit values kept per CPU, read as sums."""

    def __init__(self, library: ctypes.CDLL, descriptor: int) -> None:
        self._library = library
        self._descriptor = descriptor
        self._values = (ctypes.c_uint64 * _possible_cpus())()

    def sum(self, index: int) -> int:
        """Return the sum over all possible CPUs; 0 for an index outside the array."""
        key = index.to_bytes(4, "little")
        failed = self._library.bpf_map_lookup_elem(self._descriptor, key, ctypes.byref(self._values))
        return 0 if failed else sum(self._values)


def _possible_cpus() -> int:
    """The kernel copies a value for every possible CPU, online or not: 0-3 or 0,2-5."""
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
        last = file.read().strip().split(",")[-1].split("-")[-1]
    return max(int(last) + 1, os.cpu_count() or 1)
