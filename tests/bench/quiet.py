"""Tracing programs that are loaded in the kernel: a foreign one would be timed with ours."""

from __future__ import annotations

import ctypes
import os

# enum bpf_prog_type: kprobe, tracepoint, perf event, raw tracepoint, its writable form, fentry and the like.
TRACING_TYPES = {2, 5, 7, 17, 24, 26}
# The kernel's own preloaded iterators (kernel/bpf/preload): of a tracing type, yet never run unasked.
PRELOADED = (b"dump_bpf_map", b"dump_bpf_prog")


class _ProgramInfo(ctypes.Structure):
    """The head of ``struct bpf_prog_info``; the kernel fills as much as it is given room for."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("between", ctypes.c_uint8 * 56),
        ("name", ctypes.c_char * 16),
    )


def tracing_programs() -> frozenset[int]:
    """Ids of the loaded programs that could cost the probe time. Needs CAP_SYS_ADMIN."""
    libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
    found: set[int] = set()
    current = ctypes.c_uint32(0)
    while libbpf.bpf_prog_get_next_id(current, ctypes.byref(current)) == 0:
        if _traces(libbpf, current.value):
            found.add(current.value)
    return frozenset(found)


def _traces(libbpf: ctypes.CDLL, program: int) -> bool:
    descriptor = int(libbpf.bpf_prog_get_fd_by_id(ctypes.c_uint32(program)))
    if descriptor < 0:  # unloaded meanwhile
        return False
    info = _ProgramInfo()
    size = ctypes.c_uint32(ctypes.sizeof(info))
    try:
        failed = libbpf.bpf_obj_get_info_by_fd(descriptor, ctypes.byref(info), ctypes.byref(size))
    finally:
        os.close(descriptor)
    return not failed and info.type in TRACING_TYPES and info.name not in PRELOADED
