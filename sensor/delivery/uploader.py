"""Outbox -> one destination: in batches, one at a time, until all has arrived."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable

from sensor.config.upstream import UpstreamSettings
from sensor.delivery.backoff import Backoff
from sensor.delivery.destination import (
    Batch,
    DeliveryError,
    Destination,
    Invalid,
    Receipt,
    Refused,
    Temporary,
    TooLarge,
)
from sensor.delivery.outbox import Outbox
from sensor.delivery.token_bucket import TokenBucket
from sensor.delivery.upload_batches import SPREAD, Batches, halves
from sensor.delivery.upload_counts import ACCEPTED, FAILED, REJECTED, Tally, UploadCounts
from sensor.delivery.upload_log import PROBE_EVERY, UploadLog

log = logging.getLogger(__name__)

TIMEOUT = 30.0
"""Seconds for one request."""
POLL = 0.25
CREDENTIALS_POLL = 1.0
SAME_FOR = 60.0
"""Seconds for which a batch is tried as it is; after that it is made anew, of the latest states."""
LONGEST_WAIT = 20.0
"""Seconds from one try to the next, unless the other side asks for more: a third of the minute within which
all has arrived after its return."""
START_SPREAD = 5.0
CATCH_UP_MINUTES = 10
"""So many minutes' requests may be caught up with at once after a quiet time: what a node gathers in
three days without its receiver goes out within a minute of its return."""


class Uploader(threading.Thread):
    """Sends what ``outbox`` has for ``name``. ``destination`` is closed when the thread ends.

    ``clock`` gives seconds since the epoch, ``monotonic`` decides when something is due.
    """

    def __init__(  # noqa: PLR0913 - keywords mostly, and called where everything is wired
        self,
        name: str,
        outbox: Outbox,
        destination: Destination,
        settings: UpstreamSettings,
        *,
        cluster: str | None = None,
        node: str | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        super().__init__(name="upload", daemon=True)
        self.destination_name = name
        self._outbox = outbox
        self._destination = destination
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._chance = chance or random.Random()
        self._backoff = Backoff(most=LONGEST_WAIT, chance=self._chance)
        rate = settings.requests_per_minute / 60
        self._bucket = TokenBucket(rate, max(1.0, rate * 60 * CATCH_UP_MINUTES), monotonic())
        self._tally = Tally()
        self._batches = Batches(
            name, outbox, settings, origin=(cluster, node), clock=clock, chance=self._chance
        )
        self._log = UploadLog(name, lambda: outbox.unsent(name))
        self._work: deque[Batch] = deque()
        self._work_since = 0.0
        self._tried = ""
        self._try_at = monotonic() + self._chance.uniform(0, START_SPREAD)
        self._probe_at = math.inf
        self._deadline: float | None = None
        self._woken = threading.Event()

    def snapshot_now(self, sender: str | None = None) -> None:
        """Everything that runs has been written to the outbox: send it all, and from now on every
        ``snapshot_interval``. May be called from any thread, and again. ``sender`` is the outbox's id when
        it was written, by default the one of now."""
        self._batches.snapshot_now(self._outbox.sender_id if sender is None else sender)
        self._woken.set()

    def stop(self, deadline_seconds: float) -> bool:
        """Send what is left for at most so many seconds, and end; return whether all has arrived."""
        self._deadline = self._monotonic() + deadline_seconds
        self._woken.set()
        if self.is_alive():
            self.join(deadline_seconds + 1.0)
        # Of all: what is held for its group to be known has not arrived either.
        return not self._outbox.counts().unsent.get(self.destination_name)

    def counts(self) -> UploadCounts:
        return self._tally.counts()

    def oldest_unsent_age(self) -> float:
        """Return for how many seconds the oldest change has been waiting; 0 where none does."""
        oldest = self._outbox.oldest_unsent(self.destination_name)
        return 0.0 if oldest is None else max(0.0, self._clock() - oldest)

    def run(self) -> None:
        try:
            while self._deadline is None:
                self._woken.wait(self.step())
                self._woken.clear()
            self._flush(self._deadline)
        finally:
            self._destination.close()

    def _flush(self, deadline: float) -> None:
        """Until all is sent or there is no use in trying."""
        self._try_at = self._monotonic()
        self._backoff.succeeded()
        while True:
            wait = min(self.step(), deadline - self._monotonic())
            if wait <= 0 and self._monotonic() >= deadline:
                return
            if self._try_at >= deadline or self._tally.refused:
                return
            if not (self._work or self._outbox.unsent(self.destination_name)):
                return
            time.sleep(wait)

    def step(self) -> float:
        """Do what is due: send at most one batch. Return after how many seconds to come again."""
        try:
            return self._step(self._monotonic())
        except Exception as error:  # the edge of the loop: a defect costs tries, not the sensor
            self._tally.batches[FAILED] += 1
            log.exception("%s: a batch could not be sent", self.destination_name)
            return self._later(error)

    def _step(self, now: float) -> float:
        if self._tally.refused and not self._may_try_again(now):
            return CREDENTIALS_POLL
        if now < self._try_at:
            return self._try_at - now
        batch = self._batch(now)
        if batch is None:
            return POLL
        wait = self._bucket.wait(now)
        if wait > 0:
            return wait
        self._bucket.take(now)
        return self._send(batch)

    def _may_try_again(self, now: float) -> bool:
        if self._destination.credentials_changed():
            self._tally.refused = False
            self._try_at = now
            return True
        return now >= self._probe_at

    def _batch(self, now: float) -> Batch | None:
        if self._work and now - self._work_since >= SAME_FOR:
            self._work.clear()
        if not self._work:
            batch = self._batches.next(now, self._deadline is not None)
            if batch is None:
                return None
            self._work.append(batch)
            self._work_since = now
        return self._work[0]

    def _send(self, batch: Batch) -> float:
        self._tally.requests += 1
        self._tally.retries += batch.id == self._tried
        self._tried = batch.id
        timeout = TIMEOUT
        if self._deadline is not None:
            timeout = min(timeout, max(0.1, self._deadline - self._monotonic()))
        try:
            receipt = self._destination.send(batch, timeout)
        except DeliveryError as error:
            self._tally.batches[error.reason] += 1
            return self._not_taken(batch, error)
        self._tally.batches[ACCEPTED] += 1
        self._taken_over(batch, receipt)
        return 0.0

    def _not_taken(self, batch: Batch, error: DeliveryError) -> float:
        if isinstance(error, Refused):
            self._tally.refused = True
            self._probe_at = self._monotonic() + PROBE_EVERY * self._chance.uniform(1 - SPREAD, 1 + SPREAD)
            self._log.refused(error)
            return CREDENTIALS_POLL
        if isinstance(error, Invalid | TooLarge):
            self._divide(batch, error)
            self._answered()
            return 0.0
        return self._later(error)

    def _later(self, error: Exception) -> float:
        wait = self._backoff.failed(error.retry_after if isinstance(error, Temporary) else None)
        now = self._monotonic()
        self._try_at = now + wait
        if self._tally.refused:
            self._probe_at = self._try_at
        self._log.failed(error, now, wait)
        return wait

    def _divide(self, batch: Batch, error: DeliveryError) -> None:
        parts = halves(batch)
        self._work.popleft()
        self._work.extendleft(reversed(parts))
        if parts:
            self._tally.splits += 1
            if isinstance(error, TooLarge):
                self._batches.too_large(batch)
        elif batch.states:
            self._set_aside(batch, 0, error.reason, str(error))
        else:
            log.error("%s: which containers run was not taken: %s", self.destination_name, error)
            self._batches.end_snapshot(self._monotonic())

    def _taken_over(self, batch: Batch, receipt: Receipt) -> None:
        rejected = {one.index: one.reason for one in receipt.rejected if 0 <= one.index < len(batch.states)}
        taken = [state for index, state in enumerate(batch.states) if index not in rejected]
        self._outbox.acknowledge(self.destination_name, [(state.key, state.generation) for state in taken])
        for index, reason in rejected.items():
            self._set_aside(batch, index, REJECTED, reason)
        self._work.popleft()
        self._tally.states += len(taken)
        self._tally.sent_bytes += receipt.sent_bytes
        if batch.running is not None:
            self._tally.snapshots += 1
            self._batches.end_snapshot(self._monotonic())
        self._answered()

    def _set_aside(self, batch: Batch, index: int, reason: str, text: str) -> None:
        state = batch.states[index]
        self._outbox.set_aside(self.destination_name, state.key, state.generation, text)
        self._tally.set_aside[reason] += 1
        self._log.set_aside(state.key, text, self._monotonic())

    def _answered(self) -> None:
        self._backoff.succeeded()
        self._tally.refused = False
        self._log.answered(self._monotonic())
