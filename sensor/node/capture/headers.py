"""What BCC needs instead of kernel headers: a tiny tree of files.

BCC takes the tree from ``BCC_KERNEL_SOURCE`` and recognises it by ``include/linux/kconfig.h``.
No kernel struct is named in our C, so the tree holds only what BCC's own ``bpf.h`` leaves
undefined (found with bcc 0.26, LLVM 14); member offsets come as macros from ``offsets``.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path

_TYPES = """\
typedef unsigned char u8, __u8;
typedef unsigned short u16, __u16, __be16, __le16, __sum16;
typedef unsigned int u32, __u32, __be32, __le32, __wsum;
typedef unsigned long long u64, __u64, __be64, __le64;
typedef signed char s8, __s8;
typedef short s16, __s16;
typedef int s32, __s32, pid_t;
typedef long long s64, __s64;
typedef unsigned long size_t, uintptr_t;
typedef _Bool bool;
#define NULL ((void *)0)
"""

_BPF_COMMON = """\
#define BPF_CLASS(code) ((code) & 0x07)
#define BPF_ALU 0x04
#define BPF_JMP 0x05
#define BPF_W 0x00
#define BPF_H 0x08
#define BPF_B 0x10
#define BPF_K 0x00
"""

_ALIGNED = """\
#define __aligned_u64 __u64 __attribute__((aligned(8)))
#define __aligned_be64 __be64 __attribute__((aligned(8)))
"""


def kernel_version() -> tuple[int, int, int]:
    """Return (major, minor, patch). Debian's release says x.y.0; its version string knows better."""
    for text in (*re.findall(r"Debian (\d+\.\d+\.\d+)", platform.version()), platform.release()):
        numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
        if numbers:
            major, minor, patch = numbers.groups(default="0")
            return int(major), int(minor), min(int(patch), 255)
    return 0, 0, 0


def write_header_tree(folder: Path) -> None:
    """Write the tree that ``BCC_KERNEL_SOURCE`` names into ``folder``, about 2 KB in 8 files."""
    major, minor, patch = kernel_version()
    version = (
        f"#define LINUX_VERSION_CODE {(major << 16) + (minor << 8) + patch}\n"
        "#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))\n"
    )
    files = {
        "linux/kconfig.h": "#define CONFIG_BPF_SYSCALL 1\n" + _TYPES,
        "linux/types.h": _ALIGNED,
        "linux/bpf_common.h": _BPF_COMMON,
        "linux/version.h": version,
        "linux/log2.h": "",
        "asm/page.h": "#define PAGE_SIZE 4096\n",
        "uapi/linux/bpf.h": "",
        "uapi/linux/if_packet.h": "",
    }
    for name, text in files.items():
        path = folder / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
