"""What is said of a hook that the kernel refused, and which are tried."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from sensor.config.node import OPEN_HOOKS
from sensor.node.capture import hooks
from sensor.node.capture.programs import RefusedError

FENTRY, KPROBE, RAW = hooks.HOOKS


def test_the_settings_name_the_hooks() -> None:
    assert tuple(OPEN_HOOKS) == ("auto", *(hook.name for hook in hooks.HOOKS))
    assert hooks.chosen("auto") == hooks.HOOKS
    assert [hooks.chosen(hook.name) for hook in hooks.HOOKS] == [(hook,) for hook in hooks.HOOKS]


@pytest.mark.parametrize(
    ("number", "level", "said"),
    [
        (errno.EACCES, "4", "EACCES (Permission denied); kernel.perf_event_paranoid is 4, above 2 it takes"),
        (errno.EPERM, "3", "kernel.perf_event_paranoid is 3"),
        (errno.EACCES, None, "EACCES (Permission denied)"),
        (errno.EINVAL, "4", "EINVAL (Invalid argument)"),
    ],
)
def test_why_a_kprobe_was_refused(
    number: int, level: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "_PARANOID", tmp_path / "perf_event_paranoid")
    if level is not None:
        (tmp_path / "perf_event_paranoid").write_text(level + "\n")
    why = hooks.reason(KPROBE, RefusedError("perf_event_open", number))
    assert said in why
    assert ("paranoid" in why) == ("paranoid" in said)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, 524])
def test_why_fentry_was_refused(number: int) -> None:
    assert "no BPF trampolines" in hooks.reason(FENTRY, RefusedError("program", number))


def test_the_reason_of_the_last_hook_is_the_kernels() -> None:
    assert hooks.reason(RAW, RefusedError("raw tracepoint", errno.EPERM)) == (
        "raw tracepoint: EPERM (Operation not permitted)"
    )
