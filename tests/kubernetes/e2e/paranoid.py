"""A node whose kernel keeps perf events from unprivileged programs, as those of Debian and Ubuntu do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.release import Release

_SETTING = Path("/proc/sys/kernel/perf_event_paranoid")
_STRICT = "3"


def check_paranoid_node(release: Release, checks: Checks) -> None:
    """One setting for the whole machine; it is put back."""
    with checks.check(f"with perf_event_paranoid at {_STRICT} it starts anew, and doctor speaks of it"):
        with _paranoid():
            release.restart()
            said = release.doctor()
        line = next((line for line in said.splitlines() if "perf_event_paranoid" in line), "")
        assert _STRICT in line, f"doctor says of it: {line!r}"


@contextmanager
def _paranoid() -> Iterator[None]:
    before = _SETTING.read_text()
    _SETTING.write_text(_STRICT)
    try:
        yield
    finally:
        _SETTING.write_text(before)
