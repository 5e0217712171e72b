"""An event of a container -> the packages it proves, by the resolver whose runtime opened the file."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sensor.model.events import EventFlag, EventKind, KernelEvent
from sensor.model.package import Ecosystem, PackageUse, Skipped, SkipReason
from sensor.node.resolve.interface import Resolution, Resolver
from sensor.node.resolve.openers import Openers
from sensor.node.resolve.runtimes import named
from sensor.node.rootfs import RootFilesystem

log = logging.getLogger(__name__)

NOTHING = Skipped(SkipReason.NOT_A_PACKAGE)


class Dispatcher:
    """Asks who opened the file, then the resolvers that claim it. One thread at a time.

    Counts every outcome: :attr:`resolved` per ecosystem, :attr:`skipped` per reason.
    """

    def __init__(self, resolvers: Sequence[Resolver], openers: Openers) -> None:
        self._resolvers = tuple(resolvers)
        self._openers = openers
        self.resolved: dict[Ecosystem, int] = dict.fromkeys((r.ecosystem for r in resolvers), 0)
        self.skipped: dict[SkipReason, int] = dict.fromkeys(SkipReason, 0)
        self.failures = 0

    def resolve(self, event: KernelEvent, root: RootFilesystem) -> Resolution:
        """Return what ``event`` proves. Never raises."""
        try:
            result = self._resolve(event, root)
        except Exception:  # a defect in one resolver must not cost the other containers their reports
            self.failures += 1
            log.exception("cannot resolve a file of %s", event.executable_name)
            result = Skipped(SkipReason.MALFORMED, event.path)
        if isinstance(result, Skipped):
            self.skipped[result.reason] += 1
            if result.reason.loses_facts:
                log.debug("skipped %s: %s %s", event.path, result.reason, result.detail)
        return result

    def sweep(self) -> None:
        """Drop what the caches hold and nobody used lately."""
        self._openers.sweep()
        for resolver in self._resolvers:
            resolver.sweep()

    def may_prove(self, event: KernelEvent) -> bool:
        """Whether ``event`` could prove a package, as far as names tell: for a root that is gone.

        A container's first process opens libraries too, as the runtime's, before it has its root.
        """
        hosted = named(event.executable_name)
        return event.kind is EventKind.OPEN and any(
            resolver.ecosystem in hosted and resolver.claims(event.path) for resolver in self._resolvers
        )

    def _resolve(self, event: KernelEvent, root: RootFilesystem) -> Resolution:
        self._openers.observe(event)
        if event.kind is not EventKind.OPEN:
            return NOTHING
        claiming = [resolver for resolver in self._resolvers if resolver.claims(event.path)]
        if not claiming:
            return NOTHING
        hosted = self._openers.ecosystems(event, root)
        asked = [resolver for resolver in claiming if resolver.ecosystem in hosted]
        if not asked:
            return Skipped(SkipReason.FOREIGN_OPENER, event.executable_name)
        if event.flags & EventFlag.PATH_TRUNCATED:
            return Skipped(SkipReason.PATH_TRUNCATED, event.path)
        return self._ask(asked, root, event.path)

    def _ask(self, resolvers: list[Resolver], root: RootFilesystem, path: str) -> Resolution:
        uses: list[PackageUse] = []
        skipped = NOTHING
        for resolver in resolvers:
            result = resolver.resolve(root, path)
            if not isinstance(result, Skipped):
                uses += result
                self.resolved[resolver.ecosystem] += len(result)
            elif result.reason.loses_facts or skipped is NOTHING:
                skipped = result
        return tuple(uses) or skipped
