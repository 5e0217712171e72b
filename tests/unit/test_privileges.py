"""What is kept of the capabilities of a real process, by thread and for its children."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sensor.config.node import NodeSettings
from sensor.config.texts import Address
from sensor.node import privileges
from sensor.node.capability import Capability

BASE = {Capability.BPF, Capability.SYS_PTRACE, Capability.DAC_READ_SEARCH}
needs_root = pytest.mark.kernel  # a process of root, with capabilities to give up


def settings(**changes: object) -> NodeSettings:
    return dataclasses.replace(NodeSettings(), **changes)  # type: ignore[arg-type]


def test_a_node_goes_on_to_need_little(tmp_path: Path) -> None:
    assert privileges.needed(settings()) == BASE
    assert privileges.needed(settings(metrics_address=Address("127.0.0.1", 9102))) == BASE
    assert privileges.needed(settings(metrics_address=Address("127.0.0.1", 80))) == BASE | {
        Capability.NET_BIND_SERVICE
    }
    assert privileges.needed(settings(state_dir=tmp_path / "to" / "be" / "made")) == BASE


@needs_root
def test_the_state_of_another_user_is_still_written_to(tmp_path: Path) -> None:
    os.chown(tmp_path, 1000, 1000)
    assert privileges.needed(settings(state_dir=tmp_path / "state")) == BASE | {Capability.DAC_OVERRIDE}


def sets(status: str) -> dict[str, int]:
    return {
        name: int(found, 16) for name, found in re.findall(r"^Cap(\w+):\s+([0-9a-f]+)$", status, re.MULTILINE)
    }


def run(program: str, *prefix: str) -> str:
    command = [*prefix, sys.executable, "-c", f"from sensor.node import privileges\n{program}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@needs_root
def test_it_is_gone_from_every_set_and_for_children() -> None:
    told = run(
        "import subprocess\n"
        "assert privileges.drop({39, 19, 2}) == {39, 19, 2}\n"
        "print(open('/proc/self/status').read())\n"
        "print(subprocess.run(['cat', '/proc/self/status'], capture_output=True, text=True).stdout)"
    )
    mask = sum(1 << bit for bit in BASE)
    own, childs = told.split("Name:")[1:]
    assert sets(own) == {"Inh": 0, "Prm": mask, "Eff": mask, "Bnd": mask, "Amb": 0}
    assert sets(childs) == sets(own)  # root's children have what the bounding set leaves
    assert re.search(r"NoNewPrivs:\s+1", own)


@needs_root
def test_sys_admin_stays_where_it_stands_for_bpf() -> None:
    old_runtime = ("setpriv", "--bounding-set=-bpf", "--inh-caps=-bpf")
    assert (
        run("print(sorted(privileges.drop({39, 19, 2})))", *old_runtime)
        == f"[2, 19, {Capability.SYS_ADMIN.value}]\n"
    )


@needs_root
def test_who_has_nothing_is_left_with_nothing() -> None:
    nobody = ("setpriv", "--reuid=65534", "--clear-groups", "--regid=65534", "--bounding-set=-all")
    program = "print(privileges.names(privileges.drop({39, 19, 2})))"
    assert run(program, *nobody) == "none\n"


def test_names_are_those_of_the_manual() -> None:
    assert (
        privileges.names({Capability.BPF, Capability.SYS_PTRACE, 40})
        == "CAP_BPF, CAP_SYS_PTRACE, capability 40"
    )
