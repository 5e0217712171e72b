"""Containers that run, whatever the kernel has shown of them: as the runtime or the API server tells.

Usually the kernel shows each of them first, and this adds nothing. Where no process of a container can be
seen (a sandboxed runtime such as gVisor or Kata, or events that were lost), it is deployed all the same,
and its coverage says that nothing is known of its packages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from sensor.model.container import ContainerIdentity
from sensor.node.describe import Describer
from sensor.node.identify.containers import ContainerRegistry
from sensor.node.inventory import Inventory

NO_PROCESS_SEEN = "no_process_seen"
"""Coverage reason of a container that runs, by what others say, without a process that we can see."""
PATIENCE = 10.0
"""Seconds for which a process of it may still show up before that is said."""
MOST = 2048

Teller = Callable[[], Collection[ContainerIdentity] | None]
"""Tells the containers that run now; ``None`` where it cannot tell."""


class Deployed:
    """Of ``tellers`` the first that can tell is believed. One thread calls. ``clock`` is in seconds,
    monotonic."""

    def __init__(
        self,
        inventory: Inventory,
        registry: ContainerRegistry,
        describer: Describer,
        tellers: Sequence[Teller],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inventory = inventory
        self._registry = registry
        self._describer = describer
        self._tellers = tuple(tellers)
        self._clock = clock
        self._unseen: dict[str, tuple[ContainerIdentity, float]] = {}

    @property
    def unseen(self) -> int:
        """Containers that others tell of and of which no process was seen."""
        return len(self._unseen)

    def round(self) -> None:
        """Compare what others tell with what is known; to be called every second or so."""
        running = next((told for teller in self._tellers if (told := teller()) is not None), None)
        if running is None:
            return
        seen = self._registry.container_ids()
        by_id = {container.id: container for container in running}
        for name, (container, since) in tuple(self._unseen.items()):
            if name in seen:  # the registry ends it, too
                del self._unseen[name]
                self._inventory.covered(container, NO_PROCESS_SEEN)
            else:
                self._follow(container, since, name in by_id)
        for name, container in by_id.items():
            if name not in self._unseen and name not in seen and len(self._unseen) < MOST:
                self._add(container)

    def _add(self, container: ContainerIdentity) -> None:
        # At 0.0 older than any end: late news of one that has ended does not start it anew.
        if self._inventory.seen(container, 0.0):
            self._unseen[container.id] = container, self._clock()
            self._describer.add(container)

    def _follow(self, container: ContainerIdentity, since: float, runs: bool) -> None:
        if not runs:
            del self._unseen[container.id]
            self._inventory.ended(container, time.time())
            self._describer.forget(container)
        elif self._clock() - since >= PATIENCE:
            self._inventory.partial(container, NO_PROCESS_SEEN)
