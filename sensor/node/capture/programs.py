"""Loads and attaches compiled programs, with the kernel's own words where it refuses.

BCC compiles; what it made goes to the kernel through libbpf and, for kprobes, perf_event_open(2): bcc tells
neither errno nor verifier log to its caller, picks fentry's target by the function's name, and falls back to
kprobes in tracefs, which outlive the process. Everything attached here ends with its descriptor.
Used by the loader child only.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
from contextlib import suppress
from pathlib import Path

from sensor.node.capture import libbpf

KPROBE, RAW_TRACEPOINT, TRACING = 2, 17, 26
"""``enum bpf_prog_type`` of include/uapi/linux/bpf.h."""

NOTHING = bytes((0xB7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0))
"""A program of two instructions, ``r0 = 0; exit``: shows what kinds of programs a kernel takes."""

_TRACE_FENTRY = 24  # enum bpf_attach_type
_LICENSE = b"GPL"  # as BCC has it; lets it call the helpers that read kernel memory
_LOG_BYTES = 1 << 20
_KPROBE_PMU = Path("/sys/bus/event_source/devices/kprobe/type")
_ONLINE = Path("/sys/devices/system/cpu/online")
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_PERF_FLAG_FD_CLOEXEC = 8
_PERF_EVENT_IOC_SET_BPF = 0x40042408
_PERF_EVENT_IOC_ENABLE = 0x2400


class RefusedError(Exception):
    """The kernel said no. ``number`` is its errno; ``log`` the verifier's, ``""`` where there is none."""

    def __init__(self, what: str, number: int, log: str = "") -> None:
        super().__init__(f"{what}: {errno.errorcode.get(number, number)} ({os.strerror(number)})")
        self.number = number
        self.log = log


class _LoadOptions(ctypes.Structure):
    """``struct bpf_prog_load_opts`` of libbpf 1.0; ``size`` tells later ones where it ends."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("attempts", ctypes.c_int),
        ("expected_attach_type", ctypes.c_int),
        ("prog_btf_fd", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_ifindex", ctypes.c_uint32),
        ("kern_version", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
        ("attach_prog_fd", ctypes.c_uint32),
        ("attach_btf_obj_fd", ctypes.c_uint32),
        ("fd_array", ctypes.c_void_p),
        ("func_info", ctypes.c_void_p),
        ("func_info_cnt", ctypes.c_uint32),
        ("func_info_rec_size", ctypes.c_uint32),
        ("line_info", ctypes.c_void_p),
        ("line_info_cnt", ctypes.c_uint32),
        ("line_info_rec_size", ctypes.c_uint32),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_void_p),
    )


class _PerfEventAttributes(ctypes.Structure):
    """``struct perf_event_attr``, its version 5 of 112 bytes (Linux 4.1)."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("config", ctypes.c_uint64),
        ("sample_period", ctypes.c_uint64),
        ("sample_type", ctypes.c_uint64),
        ("read_format", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
        ("wakeup_events", ctypes.c_uint32),
        ("bp_type", ctypes.c_uint32),
        ("kprobe_function", ctypes.c_uint64),
        ("probe_offset", ctypes.c_uint64),
        ("rest", ctypes.c_uint64 * 5),
    )


def load(kind: int, name: str, instructions: bytes, attach_btf_id: int = 0) -> int:
    """Load a program and return its descriptor.

    ``kind`` is one of the numbers above; ``attach_btf_id`` is the function that a :data:`TRACING` program is
    for. Raises :class:`RefusedError`, with the verifier's log if the kernel wrote one.
    """
    log = ctypes.create_string_buffer(_LOG_BYTES)
    options = _LoadOptions(
        size=ctypes.sizeof(_LoadOptions),
        expected_attach_type=_TRACE_FENTRY if kind == TRACING else 0,
        attach_btf_id=attach_btf_id,
        log_size=_LOG_BYTES,
        log_buf=ctypes.addressof(log),
    )
    descriptor = libbpf.load().bpf_prog_load(
        kind, name[:15].encode(), _LICENSE, instructions, len(instructions) // 8, ctypes.byref(options)
    )
    if descriptor < 0:
        raise RefusedError(f"program {name}", ctypes.get_errno(), log.value.decode("utf-8", "replace"))
    return int(descriptor)


def attach_raw_tracepoint(program: int, tracepoint: str) -> int:
    """Attach and return the descriptor that keeps it so. Raises :class:`RefusedError`."""
    return _open_raw_tracepoint(f"raw tracepoint {tracepoint}", tracepoint.encode(), program)


def attach_fentry(program: int) -> int:
    """Attach to the function that the program was loaded for; else as :func:`attach_raw_tracepoint`."""
    return _open_raw_tracepoint("fentry", None, program)


def _open_raw_tracepoint(what: str, tracepoint: bytes | None, program: int) -> int:
    descriptor = int(libbpf.load().bpf_raw_tracepoint_open(tracepoint, program))
    if descriptor < 0:
        raise RefusedError(what, ctypes.get_errno())
    return descriptor


def attach_kprobe(program: int, function: str) -> int:
    """Attach to a kernel function and return the perf event's descriptor. Raises :class:`RefusedError`.

    One event on one CPU is enough: the programs of a kprobe run wherever it is hit (kprobe_perf_func()).
    """
    name = ctypes.create_string_buffer(function.encode())
    attributes = _PerfEventAttributes(
        type=_kprobe_type(), size=ctypes.sizeof(_PerfEventAttributes), kprobe_function=ctypes.addressof(name)
    )
    call = ctypes.CDLL(None, use_errno=True).syscall
    number = ctypes.c_long(_PERF_EVENT_OPEN[platform.machine()])
    everyone, no_group, flags = ctypes.c_int(-1), ctypes.c_int(-1), ctypes.c_ulong(_PERF_FLAG_FD_CLOEXEC)
    event = int(
        call(number, ctypes.byref(attributes), everyone, ctypes.c_int(_first_online_cpu()), no_group, flags)
    )
    if event < 0:
        raise RefusedError(f"perf_event_open of a kprobe on {function}", ctypes.get_errno())
    try:
        fcntl.ioctl(event, _PERF_EVENT_IOC_SET_BPF, program)
        fcntl.ioctl(event, _PERF_EVENT_IOC_ENABLE, 0)
    except OSError as error:
        os.close(event)
        raise RefusedError(f"kprobe on {function}", error.errno or 0) from error
    return event


def _kprobe_type() -> int:
    try:
        return int(_KPROBE_PMU.read_text())
    except OSError as error:
        raise RefusedError(f"no kprobes on this kernel, {_KPROBE_PMU}", error.errno or 0) from error


def _first_online_cpu() -> int:
    """Of ``0-3``, ``1,3-5``; 0 where the list cannot be read."""
    with suppress(OSError, ValueError):
        return int(_ONLINE.read_text().split(",")[0].split("-")[0])
    return 0
