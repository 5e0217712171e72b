"""A sensor that has a root of its own, as in a pod, sees the node's through process 1."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sensor.node.capture.host import host_mount_namespace
from sensor.node.identify.node_root import open_node_root

# unshare(2), chroot(2): what a container runtime does, as far as it matters here.
_IN_A_CONTAINER = """
import ctypes, json, os, sys
from sensor.node import privileges
from sensor.node.capture.host import host_mount_namespace
from sensor.node.identify.cgroup_tree import CgroupTree
from sensor.node.identify.node_root import AUTO, open_node_root
folder, capabilities = sys.argv[1], frozenset(map(int, sys.argv[2:]))
node = host_mount_namespace()
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), name)
CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_BIND = 0x20000, 0x4000, 0x40000, 0x1000
call("unshare", CLONE_NEWNS)
call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
call("mount", b"/proc", f"{folder}/proc".encode(), None, MS_BIND | MS_REC, None)
os.chroot(folder)
os.chdir("/")
privileges.drop(capabilities)
root = open_node_root(AUTO, node)
groups = CgroupTree(f"{root.path.rstrip('/')}/sys/fs/cgroup").processes("/")
print(json.dumps([root.is_node, sorted(os.listdir(root.path)), groups is not None]))
"""
_SYS_PTRACE = 19


def _seen_from_a_container(folder: Path, *capabilities: int) -> tuple[bool, list[str], bool]:
    (folder / "proc").mkdir()
    command = [sys.executable, "-c", _IN_A_CONTAINER, str(folder), *map(str, capabilities)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    is_node, names, has_groups = json.loads(done.stdout)
    return is_node, names, has_groups


def test_a_container_sees_the_nodes_files_and_cgroups(real_kernel: None, tmp_path: Path) -> None:
    is_node, names, has_groups = _seen_from_a_container(tmp_path, _SYS_PTRACE)
    assert is_node and has_groups
    assert {"usr", "etc", "sys"} <= set(names)


def test_without_the_capability_it_says_that_it_sees_its_own(real_kernel: None, tmp_path: Path) -> None:
    is_node, names, has_groups = _seen_from_a_container(tmp_path)
    assert (is_node, names, has_groups) == (False, ["proc"], False)


def test_outside_of_containers_it_is_the_root(real_kernel: None) -> None:
    root = open_node_root("auto", host_mount_namespace())
    assert (root.path, root.is_node) == ("/", True)


def test_a_folder_that_is_named_is_taken(tmp_path: Path) -> None:
    assert open_node_root(str(tmp_path), 0).path == str(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_node_root(str(tmp_path / "none"), 0)
