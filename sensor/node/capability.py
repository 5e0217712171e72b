"""Linux capabilities that the sensor asks for, keeps or gives up."""

from __future__ import annotations

import enum
import re
from pathlib import Path


class Capability(enum.IntEnum):
    """Numbers of include/uapi/linux/capability.h; names as capabilities(7) has them, without ``CAP_``."""

    DAC_OVERRIDE = 1
    DAC_READ_SEARCH = 2
    NET_BIND_SERVICE = 10
    SYS_PTRACE = 19
    SYS_ADMIN = 21
    SYS_NICE = 23
    SYS_RESOURCE = 24
    PERFMON = 38
    BPF = 39

    def __str__(self) -> str:
        return f"CAP_{self.name}"


def effective(root: Path = Path("/")) -> int:
    """The effective set of this process, a bit for each capability; 0 where it cannot be told.

    ``root`` is where /proc is.
    """
    try:
        status = (root / "proc/self/status").read_text()
    except OSError:
        return 0
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return int(match[1], 16) if match else 0


def holds(held: int, capability: Capability) -> bool:
    """Whether a mask of :func:`effective` has it."""
    return bool(held >> capability & 1)
