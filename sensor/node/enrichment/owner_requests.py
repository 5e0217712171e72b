"""Asks the API server for pods' owners, a few at a time, so that who names containers never waits for it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from sensor.kube.owners import Owners
from sensor.model.pod import Pod

log = logging.getLogger(__name__)

AT_ONCE = 3
WAITING = 2048


class OwnerRequests:
    """``on_known`` is called, by a thread of this, with a pod whose workload is at hand now.

    What has no room is left out, and so is what the API server did not answer: whoever needs it asks again.
    """

    def __init__(self, owners: Owners, on_known: Callable[[Pod], object]) -> None:
        self._owners = owners
        self._on_known = on_known
        self._queue: queue.Queue[Pod | None] = queue.Queue(WAITING)
        self._queued: set[str] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.dropped = 0
        self.failures = 0

    def start(self) -> None:
        for _ in range(AT_ONCE):
            thread = threading.Thread(target=self._run, name="owners", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout: float) -> None:
        """End after the requests under way, which take up to 5 s; the threads are daemons."""
        for _ in self._threads:
            try:
                self._queue.put_nowait(None)
            except queue.Full:
                return
        for thread in self._threads:
            thread.join(timeout / AT_ONCE)

    def ask(self, pod: Pod) -> None:
        """Never waits."""
        with self._lock:
            if pod.uid in self._queued:
                return
            try:
                self._queue.put_nowait(pod)
            except queue.Full:
                self.dropped += 1
                return
            self._queued.add(pod.uid)

    def _run(self) -> None:
        while (pod := self._queue.get()) is not None:
            with self._lock:
                self._queued.discard(pod.uid)
            try:
                if self._owners.workload(pod) is not None:
                    self._on_known(pod)
            except Exception:  # the edge of the loop: one owner must not cost the others theirs
                self.failures += 1
                log.exception("cannot ask for the owner of pod %s/%s", pod.namespace, pod.name)
