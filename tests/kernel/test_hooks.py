"""Hooks for opens: what this kernel takes is found by trying, and what it refuses is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from sensor.node.capture import handover, hooks, programs
from sensor.node.capture.btf import KernelTypes
from sensor.node.capture.capture import Capture, CaptureSettings, probe
from sensor.node.capture.errors import CaptureError
from sensor.node.capture.programs import RefusedError
from tests.kernel.test_loader import broken_copy, request

pytestmark = pytest.mark.kernel

LABELS = [hook.label for hook in hooks.HOOKS]


def taken(name: str) -> tuple[str, str]:
    """The hook in use when ``name`` is asked for, or ``""`` with what was said."""
    try:
        capture = Capture(CaptureSettings(ring_bytes=1 << 20, open_hook=name), lambda _record: None)
    except CaptureError as error:
        return "", str(error)
    capture.close()
    return capture.hook, ""


def test_auto_takes_the_first_that_the_kernel_takes_alone(real_kernel: None) -> None:
    alone = {hook.label: taken(hook.name) for hook in hooks.HOOKS}
    able = [label for label in LABELS if alone[label][0] == label]
    used, refusals = probe()
    assert used == able[0]
    assert list(refusals) == LABELS[: LABELS.index(used)]
    for label in refusals:
        assert f"the kernel refused every hook tried: {label}: {refusals[label]}" in alone[label][1]
        assert "--open-hook auto" in alone[label][1]


def test_a_trial_leaves_nothing_open(real_kernel: None) -> None:
    types, before = KernelTypes(), os.listdir("/proc/self/fd")
    refused = []
    for hook in hooks.HOOKS:
        try:
            hooks.trial(hook, types)
        except RefusedError as error:
            refused.append((error.number > 0, bool(hooks.reason(hook, error))))
    assert all(told == (True, True) for told in refused)
    assert len(refused) < len(hooks.HOOKS)
    assert os.listdir("/proc/self/fd") == before


def test_what_the_verifier_says_comes_with_the_refusal(real_kernel: None) -> None:
    endless = bytes((0x05, 0, 0xFF, 0xFF, 0, 0, 0, 0)) + programs.NOTHING  # goto -1
    with pytest.raises(RefusedError, match=r"program endless: E\w+") as raised:
        programs.load(programs.RAW_TRACEPOINT, "endless", endless)
    assert "unreachable insn" in raised.value.log or "back-edge" in raised.value.log


def test_a_tracepoint_that_does_not_exist(real_kernel: None) -> None:
    program = programs.load(programs.RAW_TRACEPOINT, "nothing", programs.NOTHING)
    try:
        with pytest.raises(RefusedError, match="raw tracepoint no_such: ENOENT"):
            programs.attach_raw_tracepoint(program, "no_such")
    finally:
        os.close(program)


def test_a_function_that_does_not_exist(real_kernel: None) -> None:
    assert KernelTypes().function("no_such_function") == 0
    assert KernelTypes().function(hooks.FUNCTION) > 0


# Runs the loader with hooks of its own before the real ones: what the first does wrong is told, and the
# last is used. In a process of its own, for it imports bcc.
_FALLBACK = """
import json, sys
from dataclasses import replace
from pathlib import Path
from sensor.node.capture import hooks, loader, programs
real = hooks.HOOKS[-1]
unknown = replace(real, label="unknown", attach=lambda p: programs.attach_raw_tracepoint(p, "no_such"))
attaches = iter((real.attach, unknown.attach))
hooks.HOOKS = (unknown, replace(real, label="late", attach=lambda p: next(attaches)(p)), real)
answer, descriptors = loader._load(json.loads(sys.argv[1]))
print(json.dumps(answer))
"""


def test_a_hook_that_fails_at_any_step_gives_way_to_the_next(real_kernel: None) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FALLBACK, json.dumps(asdict(request()))],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert answer["hook"] == "raw_tracepoint"
    assert list(answer["refusals"]) == ["unknown", "late"]  # at the trial, and when it was attached for good
    assert all("ENOENT" in reason for reason in answer["refusals"].values())


def test_a_program_that_no_hook_may_load_is_told_with_the_log(real_kernel: None, tmp_path: Path) -> None:
    endless = "\twhile (bpf_ktime_get_ns()) {}\n"
    broken_copy(tmp_path, "file_open.h", "\tif (dropped", endless + "\tif (dropped")
    text = (tmp_path / "open_sys_exit.c").read_text()
    (tmp_path / "open_sys_exit.c").write_text(text.replace("\tif (dropped", endless + "\tif (dropped", 1))
    with pytest.raises(CaptureError, match="the kernel refused every hook tried: ") as raised:
        handover.load(request(bpf_folder=str(tmp_path)))
    assert "raw_tracepoint: program on_sys_exit: E" in str(raised.value)
    assert raised.value.log, "the verifier's last lines"
