"""Gives up what only the start needed: loading programs, real-time scheduling, everything root has beside.

Capabilities belong to a thread; new threads and children have those of the one that starts them. So
:func:`drop` is called before there are other threads, and by those that there are.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Iterable, Set
from pathlib import Path

from sensor.config.node import NodeSettings
from sensor.node.capability import Capability

log = logging.getLogger(__name__)

_NEEDED = frozenset((Capability.BPF, Capability.SYS_PTRACE, Capability.DAC_READ_SEARCH))
"""For reading and clearing our maps; for the roots, namespaces and memory of containers' processes; for
files whoever owns them."""

_UNPRIVILEGED_PORTS = 1024
_VERSION_3 = 0x20080522
_BITS = 64
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 24, 38, 47, 4


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    """Half of the bits; the second half follows."""

    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def needed(settings: NodeSettings) -> frozenset[int]:
    """What a node with these settings goes on to need, as numbers of capabilities."""
    wanted: set[int] = set(_NEEDED)
    address = settings.metrics_address
    if address is not None and 0 < address.port < _UNPRIVILEGED_PORTS:
        wanted.add(Capability.NET_BIND_SERVICE)
    if settings.state_dir is not None and _owner(settings.state_dir) != os.geteuid():
        wanted.add(Capability.DAC_OVERRIDE)  # root writes where it is not the owner
    return frozenset(wanted)


def drop(keep: Iterable[int]) -> frozenset[int] | None:
    """Leave the calling thread, and what it starts from now on, with ``keep`` of what it has, for good.

    Returns what it has then; ``None``, and said, where the kernel refuses. CAP_SYS_ADMIN stays where it has
    to stand for CAP_BPF, which runtimes older than Linux 5.8 do not know.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    held = _permitted(libc)
    kept = set(keep)
    if Capability.BPF in kept and Capability.BPF not in held:
        kept.add(int(Capability.SYS_ADMIN))
    kept &= held
    zero = ctypes.c_ulong(0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero)
    libc.prctl(_PR_CAP_AMBIENT, ctypes.c_ulong(_AMBIENT_CLEAR_ALL), zero, zero, zero)
    for bit in range(_BITS):
        if bit not in kept:  # refused without CAP_SETPCAP, and above the last capability
            libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(bit), zero, zero, zero)
    mask = sum(1 << bit for bit in kept)
    halves = (_Sets * 2)(*(_Sets(half, half, 0) for half in (mask & 0xFFFFFFFF, mask >> 32)))
    if libc.capset(ctypes.byref(_Header(_VERSION_3, 0)), halves):
        log.warning("capabilities cannot be given up: %s", os.strerror(ctypes.get_errno()))
        return None
    return frozenset(kept)


def names(capabilities: Set[int]) -> str:
    """For people: ``CAP_BPF, CAP_SYS_PTRACE``."""
    known = {int(each): str(each) for each in Capability}
    return ", ".join(sorted(known.get(bit, f"capability {bit}") for bit in capabilities)) or "none"


def _permitted(libc: ctypes.CDLL) -> frozenset[int]:
    halves = (_Sets * 2)()
    if libc.capget(ctypes.byref(_Header(_VERSION_3, 0)), halves):
        return frozenset()
    mask = halves[0].permitted | halves[1].permitted << 32
    return frozenset(bit for bit in range(_BITS) if mask >> bit & 1)


def _owner(folder: Path) -> int:
    """Of ``folder``, or of what it will be made in."""
    for each in (folder, *folder.absolute().parents):
        try:
            return each.stat().st_uid
        except OSError:
            continue
    return os.geteuid()
