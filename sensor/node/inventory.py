"""Container -> loaded packages: the state that is reported.

A container is created by :meth:`Inventory.seen` or :meth:`Inventory.loaded`, changes, ends, and is
forgotten :data:`GRACE` seconds after its end was reported. The grace is as long as a container's root
is held open, so a fact that was still in a queue at the end joins the full state instead of
starting a new one that claims to be deployed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sensor.model.container import ContainerIdentity, ContainerMetadata
from sensor.model.package import PackageUse, SnykIdentity
from sensor.model.report import ContainerReport, Coverage, LoadedPackage
from sensor.node.admission import Admission
from sensor.node.shared_uses import SharedUses

GRACE = 60.0
"""Seconds for which an ended container is kept for facts that come late."""
TOO_MANY_PACKAGES = "too_many_packages"
"""Coverage reason of a container with more packages than the inventory holds for one."""
_REASONS = 32

# The purl carries the ecosystem as its type.
_Key = tuple[str, SnykIdentity]


@dataclass(slots=True)
class _Loaded:
    use: PackageUse
    first_seen: float
    last_seen: float


@dataclass(slots=True)
class _Container:
    identity: ContainerIdentity
    first_seen: float
    metadata: ContainerMetadata = field(default_factory=ContainerMetadata)
    packages: dict[_Key, _Loaded] = field(default_factory=dict)
    reasons: set[str] = field(default_factory=set)
    ended_at: float | None = None
    is_reported: bool = False


@dataclass(frozen=True, slots=True)
class InventoryCounts:
    """What is held now; and since the start: what was dropped for want of room, what was excluded, and what
    ended before it was known whether it is to be reported."""

    containers: int
    packages: int
    dropped_containers: int
    dropped_packages: int
    excluded_containers: int
    unanswered_containers: int


class Inventory:
    """The state of every container of this node. Every method may be called from any thread.

    ``clock`` gives seconds since the epoch, UTC, and decides only when a change began; the times in
    reports are the callers'. At ``max_containers`` a new container takes the place of an ended one
    that was reported and did not come back undelivered, or is dropped and counted; at ``max_packages``
    of one container a further package is dropped, counted, and turns the container's coverage partial.
    ``hold`` is how long a new container waits for :meth:`admit`, with ``must_pass`` from :meth:`passed` on;
    see :class:`Admission`.
    """

    def __init__(  # noqa: PLR0913 - bounds, by name only
        self,
        cluster: str | None = None,
        node: str | None = None,
        *,
        max_containers: int = 2048,
        max_packages: int = 20_000,
        hold: float = 0.0,
        must_pass: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._node = node
        self._max_containers = max_containers
        self._max_packages = max_packages
        self._clock = clock
        self._admission = Admission(hold, must_pass=must_pass)
        self._lock = threading.Lock()
        self._containers: dict[str, _Container] = {}
        self._pending: dict[str, float] = {}  # id -> when its first unreported change came
        self._leaving: dict[str, None] = {}  # ended and reported, in the order of their reports
        self._reporting: frozenset[str] = frozenset()  # given out last: may come back undelivered
        self._uses = SharedUses()
        self._package_count = 0
        self._dropped_containers = 0
        self._dropped_packages = 0

    def seen(self, identity: ContainerIdentity, at: float | None = None) -> bool:
        """The container ran at ``at`` (default: now); a container that had ended before starts anew.

        Returns whether the inventory did not hold it.
        """
        with self._lock:
            if self._admission.is_excluded(identity.id):
                return False
            container = self._containers.get(identity.id)
            at = self._clock() if at is None else at
            if container is not None and container.ended_at is not None and at > container.ended_at:
                self._forget(identity.id)
                container = None
            return container is None and self._create(identity) is not None

    def restore(self, report: ContainerReport) -> None:
        """Take a container as an earlier run reported it, to be reported anew. One that is held stays."""
        with self._lock:
            if report.container.id in self._containers:
                return
            container = self._create(report.container)
            if container is None:
                return
            self._admission.admit(report.container.id)  # it was reported; what excludes it now ends it
            container.is_reported = True
            container.first_seen, container.metadata = report.first_seen, report.metadata
            container.reasons.update(report.coverage_reasons[:_REASONS])
            for loaded in report.packages:
                self._add(container, loaded.use, loaded.first_seen, loaded.last_seen)

    def loaded(self, identity: ContainerIdentity, use: PackageUse, at: float) -> None:
        """A package was seen loaded at ``at``. The strongest evidence stays, with its first path."""
        key = (use.package.purl, use.package.snyk)
        with self._lock:
            container = self._containers.get(identity.id) or self._create(identity)
            if container is None:
                return
            known = container.packages.get(key)
            if known is None:
                self._add(container, use, at, at)
                return
            known.first_seen = min(known.first_seen, at)
            known.last_seen = max(known.last_seen, at)
            if use.evidence.strength > known.use.evidence.strength:
                self._uses.release(known.use)
                known.use = self._uses.share(use)
                self._touch(identity.id)

    def describe(self, identity: ContainerIdentity, metadata: ContainerMetadata) -> None:
        """Set what the runtime or Kubernetes says of a container that is held; else nothing.

        What is not known (any more, as a runtime may be away) leaves what was known."""
        with self._lock:
            container = self._containers.get(identity.id)
            if container is None:
                return
            metadata = metadata.or_else(container.metadata)
            if container.metadata != metadata:
                container.metadata = metadata
                self._touch(identity.id)

    def admit(self, identity: ContainerIdentity) -> None:
        """The container is to be reported: it waits no longer."""
        with self._lock:
            self._admission.admit(identity.id)

    def passed(self, identity: ContainerIdentity) -> None:
        """The filters let the container pass: it waits for its name alone, and not for ever."""
        with self._lock:
            self._admission.passed(identity.id, self._clock())

    def admit_the_last(self) -> None:
        """No more will be learnt: what waits for the rest of its names is reported with those it has. Not a
        pod's container without any, which may be its sandbox."""
        with self._lock:
            for name in self._admission.held():
                container = self._containers[name]
                is_known = container.metadata.name is not None or container.identity.pod_uid is None
                if is_known and self._admission.waits_for_its_name(name):
                    self._admission.admit(name)

    def keep(self, identity: ContainerIdentity, *, kept: bool = True) -> None:
        """The container is not to be reported before it is admitted; without ``kept`` it waits as others."""
        with self._lock:
            self._admission.keep(identity.id, None if kept else self._clock())

    def exclude(self, identity: ContainerIdentity) -> None:
        """The container is not to be reported, now and later. If it was, its end is reported."""
        with self._lock:
            container = self._containers.get(identity.id)
            is_ended = container is not None and container.ended_at is not None
            self._admission.exclude(identity.id, ended=is_ended)
            if container is None:
                return
            if not container.is_reported:
                self._forget(identity.id)
            elif container.ended_at is None:
                container.ended_at = self._clock()
                self._touch(identity.id)

    def is_excluded(self, container_id: str) -> bool:
        """Takes no lock: it is asked for every event."""
        return self._admission.is_excluded(container_id)

    def identity(self, container_id: str) -> ContainerIdentity | None:
        """Return the container of an id, if it is held."""
        with self._lock:
            container = self._containers.get(container_id)
            return None if container is None else container.identity

    def containers_of(self, pod_uid: str) -> tuple[ContainerIdentity, ...]:
        """Return the containers that are held of a pod."""
        with self._lock:
            return tuple(
                container.identity
                for container in self._containers.values()
                if pod_uid in (container.identity.pod_uid, container.metadata.pod_uid)
            )

    def partial(self, identity: ContainerIdentity, reason: str) -> None:
        """Packages of the container may be missing, because of ``reason``, until :meth:`covered`."""
        with self._lock:
            container = self._containers.get(identity.id)
            if container is not None:
                self._add_reason(container, reason)

    def covered(self, identity: ContainerIdentity, reason: str) -> None:
        """Take back a reason: what was missing has been found."""
        with self._lock:
            container = self._containers.get(identity.id)
            if container is not None and reason in container.reasons:
                container.reasons.discard(reason)
                self._touch(identity.id)

    def ended(self, identity: ContainerIdentity, at: float) -> None:
        """The container is gone since ``at``."""
        with self._lock:
            self._admission.ended(identity.id)
            container = self._containers.get(identity.id)
            if container is not None and container.ended_at is None:
                container.ended_at = at
                self._touch(identity.id)

    def changed(self, now: float, debounce: float) -> tuple[ContainerReport, ...]:
        """The containers to report now: ended ones at once, others ``debounce`` seconds after
        their first unreported change. They count as reported; see :meth:`undelivered`."""
        with self._lock:
            self._forget_left(now)
            due = [name for name, since in self._pending.items() if self._due(name, since, now, debounce)]
            self._reporting = frozenset(due)
            for name in due:
                del self._pending[name]
                self._containers[name].is_reported = True
                if self._containers[name].ended_at is not None:
                    self._leaving[name] = None
            return self._reports(due, now)

    def undelivered(self, reports: Iterable[ContainerReport]) -> None:
        """These reports reached nobody: the latest state of their containers is due again."""
        with self._lock:
            for report in reports:
                if report.container.id in self._containers:
                    self._touch(report.container.id)

    def snapshot(self, now: float) -> tuple[ContainerReport, ...]:
        """Every container held, the ended ones of the grace included; changes nothing."""
        with self._lock:
            return self._reports(self._containers, now)

    def counts(self) -> InventoryCounts:
        with self._lock:
            return InventoryCounts(
                len(self._containers),
                self._package_count,
                self._dropped_containers,
                self._dropped_packages,
                self._admission.exclusions,
                self._admission.unanswered,
            )

    # All below: the lock is held.

    def _create(self, identity: ContainerIdentity) -> _Container | None:
        if self._admission.is_excluded(identity.id):
            return None
        if len(self._containers) >= self._max_containers:
            oldest = next((name for name in self._leaving if name not in self._reporting), None)
            if oldest is None:
                self._dropped_containers += 1
                return None
            self._forget(oldest)
        container = self._containers[identity.id] = _Container(identity, self._clock())
        self._admission.arrived(identity.id, self._clock())
        self._touch(identity.id)
        return container

    def _add(self, container: _Container, use: PackageUse, first: float, last: float) -> None:
        if len(container.packages) >= self._max_packages:
            self._dropped_packages += 1
            self._add_reason(container, TOO_MANY_PACKAGES)
            return
        shared = self._uses.share(use)
        # The key of the one object, too: that of ``use`` would hold a package of its own in each container.
        package = shared.package
        container.packages[package.purl, package.snyk] = _Loaded(shared, first, last)
        self._package_count += 1
        self._touch(container.identity.id)

    def _add_reason(self, container: _Container, reason: str) -> None:
        if reason not in container.reasons and len(container.reasons) < _REASONS:
            container.reasons.add(reason)
            self._touch(container.identity.id)

    def _touch(self, name: str) -> None:
        self._pending.setdefault(name, self._clock())
        self._leaving.pop(name, None)

    def _due(self, name: str, since: float, now: float, debounce: float) -> bool:
        if not self._admission.may_report(name, now):
            return False
        # A wall clock set back must not silence a container: a change from the future is due.
        return self._containers[name].ended_at is not None or not 0 <= now - since < debounce

    def _forget_left(self, now: float) -> None:
        for name in (*self._leaving, *self._admission.held()):
            if self._is_over(self._containers[name], now):
                self._forget(name)

    def _is_over(self, container: _Container, now: float) -> bool:
        ended_at = container.ended_at
        return ended_at is not None and not 0 <= now - ended_at < GRACE

    def _forget(self, name: str) -> None:
        container = self._containers.pop(name)
        self._admission.forget(name)
        self._pending.pop(name, None)
        self._leaving.pop(name, None)
        self._package_count -= len(container.packages)
        for loaded in container.packages.values():
            self._uses.release(loaded.use)

    def _reports(self, names: Iterable[str], now: float) -> tuple[ContainerReport, ...]:
        return tuple(self._report(self._containers[name], now) for name in names)

    def _report(self, container: _Container, now: float) -> ContainerReport:
        packages = sorted(container.packages.items(), key=lambda item: item[0][0])
        return ContainerReport(
            observed_at=now,
            cluster=self._cluster,
            node=self._node,
            container=container.identity,
            metadata=container.metadata,
            deployed=container.ended_at is None,
            first_seen=container.first_seen,
            ended_at=container.ended_at,
            coverage=Coverage.PARTIAL if container.reasons else Coverage.COMPLETE,
            coverage_reasons=tuple(sorted(container.reasons)),
            packages=tuple(LoadedPackage(p.use, p.first_seen, p.last_seen) for _, p in packages),
        )
