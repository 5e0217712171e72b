"""Changed pods -> sink. What did not arrive is tried again."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from sensor.delivery.sink import Sink, SinkClosed, SinkError
from sensor.model.report import ContainerReport
from sensor.node.deployment.ledger import Ledger, Look
from sensor.telemetry.health import Health

log = logging.getLogger(__name__)

PERIOD = 0.25
RETRY_FIRST = 1.0
RETRY_MOST = 30.0
ASK_AGAIN = 5.0
"""Seconds after which the workload of a pod is asked for again that nobody could tell."""
_CHUNK = 128  # pods that are looked at and delivered together
_Item = TypeVar("_Item")


class PodReporter:
    """Of the main thread. ``failures`` counts deliveries that did not arrive, ``debounce`` is seconds."""

    def __init__(self, ledger: Ledger, sink: Sink, health: Health, debounce: float) -> None:
        self._ledger = ledger
        self._sink = sink
        self._health = health
        self._debounce = debounce
        self._lock = threading.Lock()
        self._due: dict[str, float] = {}  # uid -> when, by the monotonic clock
        self._listed = self._whole = False
        self._retry_at = 0.0
        self._retry_after = RETRY_FIRST
        self._closed = False
        self.failures = 0
        self.is_listed: Callable[[], bool] = lambda: False
        """Asked whether every pod was once told by :meth:`changed`."""
        self.remembered: Callable[[], Iterable[ContainerReport]] = lambda: ()
        """Asked for what an earlier run left running."""
        self.lost: Callable[[], bool] = lambda: False
        """Asked whether the sink has lost what was delivered to it."""
        self.on_whole: Callable[[], object] = lambda: None
        """Called once all that runs has been delivered: after the first list, and after a loss."""
        self.on_round: Callable[[], object] = lambda: None
        """Called a few times a second."""

    def changed(self, uid: str) -> None:
        """The pod of this uid is new, another or gone. May be called from any thread."""
        self._look_after(self._debounce, [uid])

    def run(self, stop: threading.Event, duration: float | None) -> None:
        """Report until ``stop`` is set, ``duration`` seconds have passed or nobody reads any more."""
        self._ledger.restore(report.container.id for report in self.remembered())
        end = None if duration is None else time.monotonic() + duration
        while not stop.is_set() and not self._closed:
            left = PERIOD if end is None else min(PERIOD, end - time.monotonic())
            if left <= 0:
                return
            stop.wait(left)
            self._health.beat()
            self.on_round()
            if time.monotonic() >= self._retry_at:
                self.round(stop)

    def finish(self, within: float) -> int:
        """Report what is left, for at most ``within`` seconds; return the exit code: 1 if something did
        not arrive."""
        if self._closed:
            return 0
        until = time.monotonic() + within
        arrived = self._deliver_due(math.inf, lambda: time.monotonic() > until)
        try:
            self._sink.close()
        except SinkClosed:
            return 0
        except SinkError as error:
            log.error("the report is not complete: %s", error)
            return 1
        return 0 if arrived or self._closed else 1

    def round(self, stop: threading.Event) -> None:
        """Deliver what is due, and what runs whole where that is."""
        if self.lost():
            self._look_after(0.0, self._ledger.forget())
            self._whole = self._listed
        if not self._listed and self.is_listed():
            self._listed = self._whole = True
        if not self._deliver_due(math.inf if self._whole else time.monotonic(), stop.is_set):
            return
        if self._whole and self._deliver_ended_meanwhile():
            self._whole = False
            self.on_whole()

    def _look_after(self, seconds: float, uids: Iterable[str]) -> None:
        at = time.monotonic() + seconds
        with self._lock:
            for uid in uids:
                self._due[uid] = min(at, self._due.get(uid, at))

    def _deliver_due(self, now: float, leave: Callable[[], bool]) -> bool:
        """Return whether everything that was due by ``now`` has arrived; ``leave`` is asked all along."""
        with self._lock:
            due = [uid for uid, at in self._due.items() if at <= now]
        return all(self._deliver_pods(uids, leave) for uids in _chunks(due))

    def _deliver_pods(self, uids: Sequence[str], leave: Callable[[], bool]) -> bool:
        looks = list(self._looks(uids, leave))
        if not self._deliver([report for look in looks for report in look.reports]):
            self._look_after(0.0, (look.uid for look in looks))
            return False
        for look in looks:
            self._ledger.keep(look)
        self._look_after(ASK_AGAIN, (look.uid for look in looks if look.is_open))
        return len(looks) == len(uids)

    def _looks(self, uids: Sequence[str], leave: Callable[[], bool]) -> Iterator[Look]:
        """Each may ask for a workload, which takes seconds where the API server is slow."""
        for uid in uids:
            if leave():
                return
            self._health.beat()
            with self._lock:  # first: what changes while we look is looked at again
                self._due.pop(uid, None)
            yield self._ledger.look(uid, time.time())

    def _deliver_ended_meanwhile(self) -> bool:
        gone = list(self._ledger.ended_meanwhile(self.remembered(), time.time()))
        if not all(self._deliver(part) for part in _chunks(gone)):
            return False
        self._ledger.forget_left()
        return True

    def _deliver(self, reports: Sequence[ContainerReport]) -> bool:
        if not reports:
            return True
        try:
            self._sink.deliver(reports)
        except SinkClosed:
            log.info("ending: nobody reads the output any more")
            self._closed = True
            return False
        except SinkError as error:
            self.failures += 1
            self._retry_at = time.monotonic() + self._retry_after
            log.error("%s (next try in %.0f s)", error, self._retry_after)
            self._retry_after = min(self._retry_after * 2, RETRY_MOST)
            return False
        self._retry_after = RETRY_FIRST
        return True


def _chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
