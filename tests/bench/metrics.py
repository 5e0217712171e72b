"""The sensor's counters, read from its Prometheus endpoint. Pure but for :func:`scrape`."""

from __future__ import annotations

import http.client
import re

EVENTS = "runtime_sensor_kernel_events_total"
# Ways out of the kernel programs by which an event is lost (``enum counter`` in bpf/events.h).
LOST = ("ring_full", "fault")
# Those by which it reaches the agent; heartbeats aside.
REACHED = ("submitted", "exec_submitted")

_HOOK = re.compile(r'^runtime_sensor_hook_info\{(?:[^}]*,)?hook="([^"]*)"', re.MULTILINE)
_LINE = re.compile(r'^(\w+)\{(?:[^}]*,)?outcome="([^"]*)"[^}]*\} (\S+)')


def kernel_events(exposition: str) -> dict[str, int]:
    """Outcome -> events, from a text exposition (Prometheus text format 0.0.4)."""
    matches = (_LINE.match(line) for line in exposition.splitlines())
    return {match[2]: int(float(match[3])) for match in matches if match and match[1] == EVENTS}


def open_hook(exposition: str) -> str | None:
    """The hook that sees the opens: ``fentry``, ``kprobe`` or ``raw_tracepoint``."""
    match = _HOOK.search(exposition)
    return match[1] if match else None


def lost(counters: dict[str, int]) -> int:
    """Events that never reached user space."""
    return sum(counters.get(outcome, 0) for outcome in LOST)


def scrape(port: int, path: str) -> tuple[int, str]:
    """Status and body of a GET to 127.0.0.1; raises OSError or HTTPException while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
