"""Which batch is due: changes, gathered for a while, and now and then a snapshot of all that runs."""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from sensor.config.upstream import UpstreamSettings
from sensor.delivery.destination import Batch, OutgoingState
from sensor.delivery.outbox import Outbox

SPREAD = 0.1
TRY_AGAIN = 60.0
"""Seconds after which a snapshot that the outbox did not let begin is tried again."""


class Batches:
    """Makes the batches of the destination ``name``; all but :meth:`snapshot_now` by one thread.

    ``origin`` is cluster and node, ``now`` seconds of a clock that never goes back, ``clock`` gives
    seconds since the epoch.
    """

    def __init__(  # noqa: PLR0913 - called in one place
        self,
        name: str,
        outbox: Outbox,
        settings: UpstreamSettings,
        *,
        origin: tuple[str | None, str | None],
        clock: Callable[[], float],
        chance: random.Random,
    ) -> None:
        self._name = name
        self._outbox = outbox
        self._settings = settings
        self._origin = origin
        self._clock = clock
        self._chance = chance
        self._most_states = settings.batch_containers
        self._snapshot_at = math.inf
        self._up_to: int | None = None  # the last generation of the snapshot that is being sent
        self._scanned = ""  # the sender whose outbox has all that runs

    def snapshot_now(self, sender: str) -> None:
        """Everything that runs is in the outbox of the id ``sender``: the next batches are a snapshot."""
        self._scanned = sender
        self._snapshot_at = -math.inf

    def next(self, now: float, flush: bool) -> Batch | None:
        """Return the batch that is due; with ``flush`` whatever is unsent is."""
        if self._up_to is None and now >= self._snapshot_at and not flush:
            self._begin_snapshot(now)
        if not (flush or self._up_to is not None or self._is_due()):
            return None
        states = self._outbox.pending(self._name, self._most_states, self._settings.batch_bytes)
        running = self._running(states)
        if not states and running is None:
            return None
        return Batch(
            id=_new_id(),
            sender_id=self._outbox.sender_id,
            sent_at=self._clock(),
            cluster=self._origin[0],
            node=self._origin[1],
            states=states,
            running=running,
        )

    def _begin_snapshot(self, now: float) -> None:
        self._snapshot_at = math.inf  # first, as another thread may ask for a further one meanwhile
        self._most_states = self._settings.batch_containers
        try:
            self._up_to = self._outbox.resend(self._name)
        except BaseException:
            self._snapshot_at = min(self._snapshot_at, now + TRY_AGAIN)
            raise

    def too_large(self, batch: Batch) -> None:
        """Make smaller ones, until the next snapshot."""
        self._most_states = max(1, len(batch.states) // 2)

    def end_snapshot(self, now: float) -> None:
        """What runs was told, or never will be: the next one is due after the interval, more or less."""
        self._up_to = None
        interval = self._settings.snapshot_interval * self._chance.uniform(1 - SPREAD, 1 + SPREAD)
        self._snapshot_at = min(self._snapshot_at, now + interval)

    def _is_due(self) -> bool:
        oldest = self._outbox.oldest_unsent(self._name)
        if oldest is None:
            return False
        # A change that comes from the future was written before the clock was set back.
        if not 0 <= self._clock() - oldest < self._settings.batch_interval:
            return True
        return self._outbox.is_batch(self._name, self._most_states, self._settings.batch_bytes)

    def _running(self, states: Sequence[OutgoingState]) -> tuple[str, ...] | None:
        """Return what runs if a batch of ``states`` is the last of a snapshot.

        What is not named has ended, for the other side: so nothing is said where the outbox was made anew and
        not everything is in it yet.
        """
        if self._up_to is None:
            return None
        last = self._up_to
        if self._outbox.unsent_running(self._name, last) > sum(
            one.generation <= last and one.report.deployed for one in states
        ):
            return None
        running = self._outbox.running(self._name)
        if self._outbox.sender_id == self._scanned:
            return running
        self._up_to = None
        return None


def halves(batch: Batch) -> tuple[Batch, ...]:
    """Which containers run goes with the second half; a single state and that list go apart."""
    if not batch.states or (len(batch.states) == 1 and batch.running is None):
        return ()
    half = (len(batch.states) + 1) // 2
    first, second = batch.states[:half], batch.states[half:]
    return (
        replace(batch, id=_new_id(), states=first, running=None),
        replace(batch, id=_new_id(), states=second),
    )


def _new_id() -> str:
    return str(uuid.uuid4())
