"""What is put together for the compiler: the text, the flags, and the tree of headers."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

import pytest

from sensor.config.bpf import bpf_directory
from sensor.node.capture import headers, offsets
from sensor.node.capture.btf import BtfError
from sensor.node.capture.headers import kernel_version, write_header_tree
from sensor.node.capture.hooks import HOOKS
from sensor.node.capture.loader import assemble, compiler_flags
from sensor.node.capture.offsets import member_macros

REQUEST = {
    "host_mount_namespace": 4026531841,
    "agent_tgid": 42,
    "heartbeat_inode": 7,
    "ring_bytes": 8 << 20,
    "include_host": False,
    "cgroup_controller": "",
}


class Types:
    """Types of a kernel made up: every member at the next multiple of 8 of its struct, none in ``absent``."""

    def __init__(self, *absent: tuple[str, str], enums: dict[tuple[str, str], int] | None = None) -> None:
        self._absent = set(absent)
        self._enums = enums or {}
        self.given: dict[str, dict[str, int]] = {}

    def find(self, struct: str, *members: str) -> int | None:
        known = self.given.setdefault(struct, {})
        for member in members:
            if (struct, member) not in self._absent:
                return known.setdefault(member, 8 * (1 + len(known)))
        return None

    def offset(self, struct: str, *members: str) -> int:
        found = self.find(struct, *members)
        if found is None:
            raise BtfError(f"struct {struct} has no member {' or '.join(members)}")
        return found

    def enumerator(self, enum: str, name: str) -> int | None:
        return self._enums.get((enum, name))


def flags(types: Types, machine: str = "x86_64", **changes: object) -> list[str]:
    return compiler_flags(REQUEST | changes, types, machine)  # type: ignore[arg-type]


def macros(types: Types, machine: str = "x86_64") -> dict[str, int]:
    return member_macros(types, machine)  # type: ignore[arg-type]


def all_programs() -> str:
    return assemble(bpf_directory(), "exec.c", *(hook.source for hook in HOOKS))


def spelled_out(text: str) -> str:
    """The text, and the names that its macros put together of two."""
    members = re.findall(r"MEMBER\(\w+, (\w+), (\w+)\)", text)
    spans = re.findall(r"OPEN_STRUCT\((\w+), ", text)
    return " ".join([text, *map("_".join, members), *(f"{span}_SPAN" for span in spans)])


def test_includes_of_ours_stand_in_the_text_once(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text('#include "x.h"\nint a;\n#include "y.h"\nint b;\n')
    (tmp_path / "b.c").write_text('#include "y.h"\nint c;\n')
    (tmp_path / "x.h").write_text('#include "y.h"\nint x;\n')
    (tmp_path / "y.h").write_text("#include <linux/types.h>\nint y;\n")
    assert assemble(tmp_path, "a.c", "b.c").splitlines() == [
        '#line 1 "bpf/a.c"',
        '#line 1 "bpf/x.h"',
        '#line 1 "bpf/y.h"',
        "#include <linux/types.h>",
        "int y;",
        '#line 2 "bpf/x.h"',
        "int x;",
        '#line 2 "bpf/a.c"',
        "int a;",
        '#line 4 "bpf/a.c"',
        "int b;",
        '#line 1 "bpf/b.c"',
        '#line 2 "bpf/b.c"',
        "int c;",
    ]


def test_a_circle_of_includes_ends(tmp_path: Path) -> None:
    (tmp_path / "a.h").write_text('#include "b.h"\nint a;\n')
    (tmp_path / "b.h").write_text('#include "a.h"\nint b;\n')
    assert re.findall("int .", assemble(tmp_path, "a.h")) == ["int b", "int a"]


def test_every_line_of_the_programs_says_where_it_comes_from() -> None:
    folder = bpf_directory()
    text = all_programs()
    assert '#include "' not in text
    name, number = "", 0
    seen = set()
    for line in text.splitlines():
        marker = re.fullmatch(r'#line (\d+) "bpf/(.*)"', line)
        if marker:
            number, name = int(marker[1]), marker[2]
            continue
        assert (folder / name).read_text().splitlines()[number - 1] == line
        assert (name, number) not in seen
        seen.add((name, number))
        number += 1
    included = {name for name, _ in seen}
    assert included == {path.name for path in folder.iterdir() if path.suffix in (".c", ".h")}


def test_an_include_that_is_missing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text('#include "gone.h"\n')
    with pytest.raises(FileNotFoundError):
        assemble(tmp_path, "a.c")


def test_settings_of_the_request_become_macros() -> None:
    found = flags(Types())
    assert {"-DHOST_MOUNT_NAMESPACE=4026531841", "-DAGENT_TGID=42", "-DHEARTBEAT_INODE=7"} <= set(found)
    assert f"-DRING_PAGES={(8 << 20) // os.sysconf('SC_PAGE_SIZE')}" in found
    assert all(re.fullmatch(r"-D[A-Z0-9_]+(=-?\d+)?", flag) for flag in found)
    assert len({flag.split("=")[0] for flag in found}) == len(found)


def test_flags_that_are_set_or_not() -> None:
    optional = {"-DINCLUDE_HOST", "-DARM64", "-DHAVE_TASK_BTF"}
    assert optional.isdisjoint(flags(Types()))
    helper = {("bpf_func_id", "BPF_FUNC_get_current_task_btf"): 158}
    assert optional <= set(flags(Types(enums=helper), "aarch64", include_host=True))


def test_the_cgroup_hierarchy_is_named_by_its_number_on_this_kernel() -> None:
    types = Types(enums={("cgroup_subsys_id", "memory_cgrp_id"): 4})
    assert "-DCGROUP_SUBSYS=4" in flags(types, cgroup_controller="memory")
    for controller in ("", "pids"):
        assert not [flag for flag in flags(types, cgroup_controller=controller) if "CGROUP_SUBSYS=" in flag]


def test_every_macro_of_the_programs_is_defined() -> None:
    text = spelled_out(all_programs())
    names = set(macros(Types()))
    used = {name for name in names if re.search(rf"\b{name}\b", text)}
    # A span's size is used with the span; nothing is looked up in vain.
    assert names - used <= {name for name in names if name.endswith("_SPAN_SIZE")}
    for macro in re.findall(r"\b(?:TASK|MOUNT|FILE|INODE|DENTRY|KERNFS|CSS|SB|FDT)_[A-Z_]+\b", text):
        assert macro in names or re.search(rf"#define {macro}\b|\b{macro}\(", text), macro


def test_members_of_members_are_added_up() -> None:
    types = Types()
    found = macros(types)
    given = types.given
    assert found["FILE_PATH_MNT"] == given["file"]["f_path"] + given["path"]["mnt"]
    assert found["FILE_PATH_DENTRY"] == given["file"]["f_path"] + given["path"]["dentry"]
    assert found["DENTRY_NAME_LENGTH"] == given["dentry"]["d_name"] + given["qstr"]["len"]
    assert found["MNT_NS_INUM"] == given["mnt_namespace"]["ns"] + given["ns_common"]["inum"]


def test_the_number_of_a_mount_namespace_moved_in_linux_6_18() -> None:
    types = Types()
    assert macros(types)["MNT_NS_ID"] == types.given["mnt_namespace"]["seq"]
    newer = Types(("mnt_namespace", "seq"))
    found = macros(newer)["MNT_NS_ID"]
    assert found == newer.given["mnt_namespace"]["ns"] + newer.given["ns_common"]["ns_id"]


def test_the_system_call_lies_elsewhere_on_arm64() -> None:
    types = Types()
    assert macros(types, "aarch64")["REGS_SYSCALL"] == types.given["pt_regs"]["syscallno"]
    assert "orig_ax" not in types.given["pt_regs"]


def test_a_member_that_is_missing_is_named() -> None:
    with pytest.raises(BtfError, match="struct kernfs_node has no member __parent or parent"):
        macros(Types(("kernfs_node", "__parent"), ("kernfs_node", "parent")))
    assert macros(Types(("kernfs_node", "__parent")))["KERNFS_PARENT"] > 0


def test_a_span_holds_all_its_parts_in_words() -> None:
    at = {"FILE_MODE": 20, "FILE_INODE": 32, "FILE_PATH_MNT": 64, "FILE_PATH_DENTRY": 72}
    at |= {"DENTRY_PARENT": 24, "DENTRY_NAME": 40, "DENTRY_NAME_LENGTH": 36, "DENTRY_INODE": 48}
    at |= {"INODE_MODE": 0, "INODE_SB": 40, "INODE_INO": 64, "INODE_SIZE": 80, "INODE_NLINK": 72}
    at |= {"FILE_FLAGS": 40, "SB_DEV": 16, "SB_MAGIC": 96}
    spans = offsets._spans(at)
    assert spans == {
        "FILE_SPAN": 16,
        "FILE_SPAN_SIZE": 64,
        "DENTRY_SPAN": 24,
        "DENTRY_SPAN_SIZE": 32,
        "INODE_SPAN": 0,
        "INODE_SPAN_SIZE": 88,
        "SB_SPAN": 16,
        "SB_SPAN_SIZE": 88,
    }
    # A last part that ends within a word is held whole.
    assert offsets._spans(at | {"INODE_SIZE": 72, "INODE_NLINK": 80})["INODE_SPAN_SIZE"] == 88


@pytest.mark.parametrize(
    ("version", "release", "expected"),
    [
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.1.148-1 (2025-08-26)", "6.1.0-39-amd64", (6, 1, 148)),
        ("#45-Ubuntu SMP", "5.15.0-105-generic", (5, 15, 0)),
        ("#1 SMP", "4.14.336-253.554.amzn2.x86_64", (4, 14, 255)),  # as LINUX_VERSION_CODE clamps it
        ("#1 SMP", "6.12", (6, 12, 0)),
        ("", "unknown", (0, 0, 0)),
    ],
)
def test_the_version_of_the_kernel(
    monkeypatch: pytest.MonkeyPatch, version: str, release: str, expected: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(platform, "version", lambda: version)
    monkeypatch.setattr(platform, "release", lambda: release)
    assert kernel_version() == expected


def test_the_tree_of_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "kernel_version", lambda: (6, 1, 148))
    write_header_tree(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 8
    assert sum(path.stat().st_size for path in files) < 2048
    assert (tmp_path / "include/linux/kconfig.h").is_file(), "BCC knows the tree by this"
    assert f"#define LINUX_VERSION_CODE {0x060194}\n" in (tmp_path / "include/linux/version.h").read_text()
    write_header_tree(tmp_path)  # again over what is there


def test_the_tree_of_headers_is_c(tmp_path: Path) -> None:
    write_header_tree(tmp_path)
    source = tmp_path / "all.c"
    source.write_text(
        "#include <linux/kconfig.h>\n#include <linux/types.h>\n#include <linux/bpf_common.h>\n"
        "#include <linux/version.h>\n#include <asm/page.h>\n"
        '_Static_assert(sizeof(u64) == 8 && sizeof(u32) == 4 && sizeof(u16) == 2 && sizeof(u8) == 1, "");\n'
        '_Static_assert(LINUX_VERSION_CODE >= KERNEL_VERSION(0, 0, 0), "");\n'
    )
    command = ["gcc", "-nostdinc", f"-I{tmp_path}/include", "-Wall", "-Werror", "-fsyntax-only", str(source)]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""
