"""runc, on a machine that may give its containers less than a whole one could.

runc refuses a container that asks for a capability which is missing in the machine's own bounding set, as
CAP_SYS_RESOURCE is in some sandboxes. On such a machine containers get the others and go without this one; a
pod that needs it has to say so itself. On a whole machine it is runc and nothing else.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.kubernetes.layout import Layout

# include/uapi/linux/capability.h, in the order of their numbers.
_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
    "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
    "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
    "PERFMON BPF CHECKPOINT_RESTORE"
)
_WRAPPER = r"""#!/bin/sh
# Called by containerd in place of runc: takes the capabilities that this machine lacks out of what a
# container is given, or a program that is run in one.
before= bundle=. process=
for word; do
	case $before in
	--bundle) bundle=$word ;;
	--process) process=$word ;;
	esac
	before=$word
done
case " $* " in
*" create "*) file=$bundle/config.json ;;
*" exec "*) file=$process ;;
*) file= ;;
esac
[ -z "$file" ] || sed -i {expressions} "$file"
exec {runc} "$@"
"""


def program(layout: Layout) -> Path:
    """What containerd is to call."""
    runc = Path(shutil.which("runc") or "runc")
    missing = missing_capabilities()
    if not missing:
        return runc
    wrapper = layout.programs / "runc"
    expressions = " ".join(
        f"-e 's/\"{name}\",//g' -e 's/,\"{name}\"//g' -e 's/\"{name}\"//g'" for name in missing
    )
    wrapper.write_text(_WRAPPER.format(expressions=expressions, runc=runc))
    wrapper.chmod(0o755)
    return wrapper


def missing_capabilities() -> list[str]:
    """Names, with ``CAP_``, of those which the kernel has and no program of this machine can get."""
    status = Path("/proc/self/status").read_text()
    bounding = int(status.partition("CapBnd:")[2].split()[0], 16)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    known = list(enumerate(_CAPABILITIES.split()))[: last + 1]
    return [f"CAP_{name}" for number, name in known if not bounding >> number & 1]
