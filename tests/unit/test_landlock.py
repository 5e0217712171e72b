"""The loader without /proc: what it can read still, and that bcc's text means the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sensor.node.capture.landlock import PROLOGUE, hide_proc

PROGRAM = """
import sys
from sensor.node.capture.landlock import hide_proc
held = open('/proc/self/status')
assert open('/proc/kallsyms').readline()
if not hide_proc({root}):
    sys.exit('refused')
try:
    open('/proc/kallsyms')
    sys.exit('still there')
except PermissionError:
    pass
assert held.read(), 'what was open'
import subprocess
assert all(open(path).read() for path in ('/sys/devices/system/cpu/possible', '/etc/passwd', sys.argv[1]))
open(sys.argv[1] + '.new', 'w').write('written')
print(subprocess.run(['cat', '/proc/self/status'], capture_output=True).returncode)
"""


def offered() -> bool:
    """Landlock is a security module that a kernel may be without."""
    found = Path("/sys/kernel/security/lsm")
    return not found.exists() or "landlock" in found.read_text()


def test_only_proc_is_hidden_and_from_children_too(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    command = [sys.executable, "-c", PROGRAM.format(root=""), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stderr.strip() == "refused":
        assert not offered()
        return
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert (tmp_path / "file.new").read_text() == "written"


def test_a_root_that_is_not_there_changes_nothing() -> None:
    assert not hide_proc("/nowhere")
    assert Path("/proc/self/status").read_text()


def test_it_is_taken_back_what_bcc_defines(tmp_path: Path) -> None:
    defined = "".join(f"#define bpf_probe_read_{name} bpf_probe_read\n" for name in ("kernel", "kernel_str"))
    source = f"{defined}{PROLOGUE}bpf_probe_read_kernel bpf_probe_read_kernel_str\n"
    told = subprocess.run(["cpp", "-P"], input=source, capture_output=True, text=True, check=True).stdout
    assert told.split() == ["bpf_probe_read_kernel", "bpf_probe_read_kernel_str"]
