"""An event of a container -> the packages it proves, by the resolver whose runtime opened the file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from sensor.model.events import EventFlag, EventKind, KernelEvent
from sensor.model.package import Ecosystem, PackageUse, Skipped, SkipReason
from sensor.node.resolve.interface import ProgramResolver, Resolution, Resolver
from sensor.node.resolve.openers import Openers
from sensor.node.resolve.runtimes import named
from sensor.node.rootfs import RootFilesystem, Unreadable

log = logging.getLogger(__name__)

NOTHING = Skipped(SkipReason.NOT_A_PACKAGE)

_Asked = tuple[Ecosystem, Callable[[RootFilesystem, str], Resolution]]

# A program without a name in the container's root: memfd_create(2), or unlinked since.
_NAMELESS = EventFlag.DELETED | EventFlag.DETACHED


class Dispatcher:
    """Asks who opened the file, then the resolvers that claim it; of programs, those for programs.

    One thread at a time. Counts every outcome: :attr:`resolved` per ecosystem, :attr:`skipped` per reason.
    """

    def __init__(
        self, resolvers: Sequence[Resolver], openers: Openers, programs: Sequence[ProgramResolver] = ()
    ) -> None:
        self._resolvers = tuple(resolvers)
        self._programs = tuple(programs)
        self._openers = openers
        # One may be both.
        everyone: tuple[Resolver | ProgramResolver, ...] = (*resolvers, *programs)
        self._all = {id(resolver): resolver for resolver in everyone}
        self.resolved: dict[Ecosystem, int] = {resolver.ecosystem: 0 for resolver in self._all.values()}
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
        for resolver in self._all.values():
            resolver.sweep()

    def may_prove(self, event: KernelEvent) -> bool:
        """Whether ``event`` could prove a package, as far as names tell: for a root that is gone.

        A container's first process opens libraries too, as the runtime's, before it has its root.
        """
        if event.kind is EventKind.EXEC:
            return bool(self._programs)
        hosted = named(event.executable_name)
        return event.kind is EventKind.OPEN and any(
            (resolver.ecosystem in hosted or not resolver.opener_matters) and resolver.claims(event.path)
            for resolver in self._resolvers
        )

    def _resolve(self, event: KernelEvent, root: RootFilesystem) -> Resolution:
        self._openers.observe(event)
        if event.kind is EventKind.EXEC:
            return self._program(event, root)
        claiming = [resolver for resolver in self._resolvers if resolver.claims(event.path)]
        if event.kind is not EventKind.OPEN or not claiming:
            return NOTHING
        asked = self._with_opener(claiming, event, root)
        if not asked:
            return Skipped(SkipReason.FOREIGN_OPENER, event.executable_name)
        if event.flags & EventFlag.PATH_TRUNCATED:
            # Any library of any program hardly ever holds packages.
            matters = any(resolver.opener_matters for resolver in asked)
            return Skipped(SkipReason.PATH_TRUNCATED, event.path) if matters else NOTHING
        result = self._ask([(resolver.ecosystem, resolver.resolve) for resolver in asked], root, event.path)
        if _is_of_nobody(result):
            result = _unless_removed(result, root, event)
        if _has_vanished(result) and not any(resolver.opener_matters for resolver in asked):
            return NOTHING  # a native that its program unpacked, mapped and unlinked: JNI does so
        return result

    def _with_opener(
        self, claiming: list[Resolver], event: KernelEvent, root: RootFilesystem
    ) -> list[Resolver]:
        """Those of ``claiming`` to which the opener is as good as their own runtime."""
        if not any(resolver.opener_matters for resolver in claiming):
            return claiming
        hosted = self._openers.ecosystems(event, root)
        return [
            resolver for resolver in claiming if not resolver.opener_matters or resolver.ecosystem in hosted
        ]

    def _program(self, event: KernelEvent, root: RootFilesystem) -> Resolution:
        if not self._programs:
            return NOTHING
        if event.flags & EventFlag.PATH_TRUNCATED:
            return Skipped(SkipReason.PATH_TRUNCATED, event.path)
        if event.flags & _NAMELESS:
            return Skipped(SkipReason.ASK_PROCESS, event.path)
        asked = [(resolver.ecosystem, resolver.resolve_program) for resolver in self._programs]
        return self._ask(asked, root, event.path)

    def _ask(self, asked: Iterable[_Asked], root: RootFilesystem, path: str) -> Resolution:
        uses: list[PackageUse] = []
        skipped = NOTHING
        for ecosystem, resolve in asked:
            result = resolve(root, path)
            if not isinstance(result, Skipped):
                uses += result
                self.resolved[ecosystem] += len(result)
            elif _tells_more(result.reason, skipped.reason):
                skipped = result
        return tuple(uses) or skipped


def _is_of_nobody(result: Resolution) -> bool:
    return isinstance(result, Skipped) and result.reason is SkipReason.NOT_A_PACKAGE


def _unless_removed(result: Resolution, root: RootFilesystem, event: KernelEvent) -> Resolution:
    """Nobody's file that is no longer there may have been somebody's: what says whose went before it.

    A container that was removed at once (`docker run --rm`) loses the upper layer of its overlay while we
    hold its root. Its files are then found no more, or, as long as the overlay remembers them, without links.
    """
    if event.flags & EventFlag.DELETED:
        return result  # it was so when it was opened
    try:
        links = root.stat(event.path).links
    except Unreadable as error:
        return error.skipped() if error.reason is SkipReason.VANISHED else result
    return result if links else Skipped(SkipReason.VANISHED, event.path)


def _has_vanished(result: Resolution) -> bool:
    return isinstance(result, Skipped) and result.reason is SkipReason.VANISHED


def _tells_more(reason: SkipReason, than: SkipReason) -> bool:
    """Whether of two resolvers' reasons this one is to be reported: a loss, then an open question."""
    return _weight(reason) > _weight(than)


def _weight(reason: SkipReason) -> int:
    if reason.loses_facts:
        return 2
    return 1 if reason is SkipReason.ASK_PROCESS else 0
