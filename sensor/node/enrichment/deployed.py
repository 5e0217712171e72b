"""Containers that run, whatever the kernel has shown of them: as the runtime or the API server tells.

Usually the kernel shows each of them first, and this adds nothing. Where no process of a container can be
seen (a sandboxed runtime such as gVisor or Kata, or events that were lost), it is deployed all the same,
and its coverage says that nothing is known of its packages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from sensor.model.container import ContainerIdentity
from sensor.node.enrichment.describe import Describer
from sensor.node.identify.containers import ContainerRegistry
from sensor.node.inventory import Inventory

NO_PROCESS_SEEN = "no_process_seen"
"""Coverage reason of a container that runs, by what others say, without a process that we can see."""
PATIENCE = 10.0
"""Seconds for which a process of it may still show up before that is said."""
MOST = 2048
SHOWN_MAX = 4096

Teller = Callable[[], Collection[ContainerIdentity] | None]
"""Tells the containers that run now; ``None`` where it cannot tell."""


class Deployed:
    """Of ``tellers`` the first that can tell is believed, else ``hearsay``, which may be minutes old: not of
    a container whose processes were seen, and with them its end. One thread calls. ``clock`` is in
    seconds, monotonic."""

    def __init__(  # noqa: PLR0913 - called where everything is wired
        self,
        inventory: Inventory,
        registry: ContainerRegistry,
        describer: Describer,
        tellers: Sequence[Teller],
        clock: Callable[[], float] = time.monotonic,
        *,
        hearsay: Teller | None = None,
    ) -> None:
        self._inventory = inventory
        self._registry = registry
        self._describer = describer
        self._tellers = tuple(tellers)
        self._hearsay = hearsay
        self._shown: dict[str, None] = {}  # the first first
        self._clock = clock
        self._unseen: dict[str, tuple[ContainerIdentity, float]] = {}

    @property
    def unseen(self) -> int:
        """Containers that others tell of and of which no process was seen."""
        return len(self._unseen)

    def round(self) -> None:
        """Compare what others tell with what is known; to be called every second or so."""
        running, is_hearsay = self._told()
        seen = self._registry.container_ids()
        self._remember(seen)
        if running is None:
            return
        by_id = {container.id: container for container in running}
        for name, (container, since) in tuple(self._unseen.items()):
            if name in seen:  # the registry ends it, too
                del self._unseen[name]
                self._inventory.covered(container, NO_PROCESS_SEEN)
            else:
                self._follow(container, since, name in by_id)
        for name, container in by_id.items():
            is_known = name in seen or name in self._unseen or (is_hearsay and name in self._shown)
            if not is_known and len(self._unseen) < MOST:
                self._add(container)

    def _told(self) -> tuple[Collection[ContainerIdentity] | None, bool]:
        """What runs, and whether by hearsay."""
        for teller in self._tellers:
            told = teller()
            if told is not None:
                return told, False
        return None if self._hearsay is None else self._hearsay(), True

    def _remember(self, seen: Collection[str]) -> None:
        self._shown.update(dict.fromkeys(seen))
        while len(self._shown) > SHOWN_MAX:
            del self._shown[next(iter(self._shown))]

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
