"""What was asked of the API server, and what came of it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class KubeCounters:
    """Since the start. ``requests`` is by verb (``list``, ``watch``, ``get``), plural of the resource and
    result: a status, or the reason of an error; what fails after its answer began counts as both.

    ``bytes_received`` are bodies as they came over the wire. ``dropped`` is by what was left out:
    ``pod``, ``container``, ``label``, ``owner`` (of a form that Kubernetes does not have), ``line`` (too
    long).
    """

    requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    bytes_received: int = 0
    watch_restarts: int = 0
    relists: int = 0
    events: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    """Defects of ours at a loop's edge; the log says which."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def asked(self, verb: str, resource: str, result: str) -> None:
        with self._lock:
            self.requests[verb, resource, result] += 1

    def received(self, size: int) -> None:
        with self._lock:
            self.bytes_received += size
