"""Linux capabilities that the sensor asks for, keeps or gives up."""

from __future__ import annotations

import enum


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
