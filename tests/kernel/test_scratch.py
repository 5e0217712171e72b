"""The loader where no folder can be written, where one is full, and where nothing may be run from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sensor.node.capture import scratch
from tests.clock import PATIENCE

pytestmark = pytest.mark.kernel

_PROGRAM = str(Path(sys.executable).with_name("runtime-sensor"))
_READ_ONLY = "".join(
    f"mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}\n"
    for folder in scratch.candidates({})
)


def started(*arguments: str, temporary: Path | str = "", **options: str) -> subprocess.CompletedProcess[str]:
    """The sensor in a mount namespace of its own, where ``temporary`` (TMPDIR) is a tmpfs with ``options``
    and nothing else can be written. Without ``options`` nothing is mounted there."""
    mounted = ",".join(f"{name}={value}" if value else name for name, value in options.items())
    script = "set -e\n" + _READ_ONLY
    if mounted:
        script += f"mount -t tmpfs -o {mounted} none {temporary}\n"
    script += 'exec "$@"\n'
    environment = {name: value for name, value in os.environ.items() if name not in ("TMPDIR", "TEMP", "TMP")}
    return subprocess.run(
        ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh", _PROGRAM, *arguments],
        env={**environment, **({"TMPDIR": str(temporary)} if temporary else {})},
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    return {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}


def test_where_nothing_can_be_written_each_folder_is_named_and_the_cure(real_kernel: None) -> None:
    done = started("doctor", "--json", temporary="/nowhere/at/all")
    assert done.returncode == 1
    found = findings(done)
    for what in ("temporary folder", "hook"):
        assert found[what]["status"] == "fail"
        for folder in ("/tmp", "/var/tmp", "/dev/shm"):
            assert f"{folder}: Read-only file system" in found[what]["found"]
        assert "/nowhere/at/all (TMPDIR): No such file or directory" in found[what]["found"]
        assert "--tmpfs /tmp" in found[what]["cure"]
        assert "the check broke" not in found[what]["found"]


def test_node_says_the_same_and_ends(real_kernel: None) -> None:
    done = started("node", "--duration=1", "--kubernetes=off")
    assert done.returncode == 1
    assert "/dev/shm: Read-only file system" in done.stderr
    assert f"what to do: {scratch.CURE}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("full", [{"size": "4k"}, {"nr_inodes": "3"}], ids=["bytes", "inodes"])
def test_a_full_folder_is_named(real_kernel: None, tmp_path: Path, full: dict[str, str]) -> None:
    done = started("doctor", "--json", temporary=tmp_path, **full)
    assert f"{tmp_path} (TMPDIR): No space left on device" in findings(done)["temporary folder"]["found"]
    assert findings(done)["hook"]["status"] == "fail"


def test_what_the_cure_names_is_enough_though_nothing_may_be_run_from_it(
    real_kernel: None, tmp_path: Path
) -> None:
    size = f"{scratch.NEEDED_MIB}m"
    done = started("doctor", "--json", temporary=tmp_path, size=size, noexec="", nosuid="", nodev="")
    found = findings(done)
    assert found["temporary folder"]["found"] == f"{tmp_path} can be written"
    assert "our own open came back" in found["hook"]["found"]
    assert done.returncode == 0
