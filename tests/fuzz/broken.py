"""Targets with a defect each, for the test of the harness. No target of ours: not in ``targets``."""

from __future__ import annotations

import contextlib

from tests.fuzz.target import Target

_KEPT: list[bytes] = []


def crash(data: bytes) -> None:
    if len(data) > 1 and data[0] == data[1] ^ 1:
        raise ValueError("two bytes of a kind")


def deep(data: bytes) -> int:
    return deep(data) if len(data) > 3 else 0


def hang(data: bytes) -> None:
    while len(data) > 2:
        pass


def swallow(data: bytes) -> None:
    """Hangs and hides it from any watchdog that raises an ordinary exception."""
    while len(data) > 2:
        with contextlib.suppress(Exception):
            hang(data)


def memory(data: bytes) -> int:
    """Gone again before anybody looks once a second."""
    return len(b"x" * (300 << 20)) if len(data) > 2 else 0


def leak(data: bytes) -> None:
    _KEPT.append(bytes(1 << 20) + data)


def leave(data: bytes) -> None:
    if len(data) > 2:
        raise SystemExit(0)


def fine(data: bytes) -> int:
    return sum(data)


TARGETS = tuple(
    Target(f"broken-{run.__name__}", __name__, run)
    for run in (crash, deep, swallow, memory, leak, leave, fine)
)
