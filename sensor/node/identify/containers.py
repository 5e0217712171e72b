"""Mount namespace -> container: every event's owner, each container's root, and when a container ends.

A mount namespace has one owner, so one look-up names the container of an event. Its inode number is
given away again the moment it is free, often within milliseconds, while events of its former owner
still queue; so the key is the kernel's own id of it, and the number only where /proc was asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sensor.model.container import HOST_CONTAINER_ID, ContainerIdentity
from sensor.model.events import KernelEvent
from sensor.node.identify.cgroup import identify_cgroup, is_cut
from sensor.node.identify.cgroup_tree import CgroupTree
from sensor.node.identify.holdings import Container, ContainerKey, Holdings, Namespace, key_of
from sensor.node.identify.ignored import Ignored
from sensor.node.identify.processes import Process, mount_namespace_of, oldest, processes_by_namespace
from sensor.node.identify.roots import Candidate, FoundRoot, open_host_root, open_root
from sensor.node.identify.sighting import Sighting, from_event, from_process
from sensor.node.identify.watch import ExitWatch
from sensor.node.rootfs import RootFilesystem

MAX_HOLD_SECONDS = 60.0
"""A held root pins its file system, and with it perhaps a volume that waits to be detached."""

_SIBLINGS_MAX = 32
_HOST = ContainerIdentity(HOST_CONTAINER_ID, HOST_CONTAINER_ID)


@dataclass(frozen=True, slots=True)
class NotAContainer:
    """An event of the host, or of a service with a mount namespace of its own.

    ``newly_found`` is true once: from now on the kernel may drop the namespace's events, until
    :meth:`ContainerRegistry.expired_ignored` names it.
    """

    mount_namespace: int
    newly_found: bool


@dataclass(slots=True)
class RegistryCounters:
    """Since the start. ``admitted`` counts containers, a restart of one again."""

    admitted: int = 0
    ended: int = 0
    released: int = 0
    root_unavailable: int = 0
    evicted: int = 0
    not_a_container: int = 0


@dataclass(frozen=True, slots=True)
class _Survival:
    """What is left of a container: its oldest process, to be watched, and its namespaces' numbers."""

    pid: int | None
    numbers: frozenset[int]


class ContainerRegistry:
    """Admits events from one thread; every other method may be called from any thread.

    At most ``max_containers`` mount namespaces are known and as many roots held. At the bound the one
    of the longest-ended container goes first, else the one not seen for longest, which counts as ended
    and is admitted anew when seen again. ``now`` is always of ``clock``, in seconds.
    """

    def __init__(  # noqa: PLR0913 - keyword only, and called where everything is wired
        self,
        *,
        host_mount_namespace: int,
        include_host: bool = False,
        max_containers: int = 1024,
        hold_seconds: float = 30.0,
        runc_ids: Callable[[str], bool] | None = None,
        cgroups: CgroupTree | None = None,
        proc: str = "/proc",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters = RegistryCounters()
        self._host = host_mount_namespace
        self._host_owner = _HOST if include_host else NotAContainer(host_mount_namespace, newly_found=False)
        self._hold_seconds = min(hold_seconds, MAX_HOLD_SECONDS)
        self._runc_ids = runc_ids
        self._cgroups = CgroupTree() if cgroups is None else cgroups
        self._proc = proc
        self._clock = clock
        self._include_host = include_host
        self._host_files = open_host_root(host_mount_namespace, proc)
        self._host_root = None if self._host_files is None else self._host_files.id
        self._holdings = Holdings(max_containers)
        self._by_id, self._by_number = self._holdings.by_id, self._holdings.by_number
        self._watch: ExitWatch[ContainerKey | int] = ExitWatch(proc)
        self._ignored = Ignored(self._watch)
        self._lock = threading.Lock()

    def admit(self, event: KernelEvent) -> ContainerIdentity | NotAContainer:
        """Return whose event it is. Never raises; takes a look-up unless something is new."""
        known = self._by_id.get(event.mount_namespace_id)
        if known is not None and known.root is not None:
            known.last_seen = event.time
            return known.identity
        if event.mount_namespace == self._host:
            return self._host_owner
        with self._lock:
            return self._admit(from_event(event))

    def admit_process(self, pid: int) -> ContainerIdentity | NotAContainer | None:
        """Return whose process it is, None if it has gone: for processes older than the sensor."""
        sighting = from_process(pid, self._proc)
        if sighting is None:
            return None
        if sighting.mount_namespace == self._host:
            return self._host_owner
        with self._lock:
            return self._admit(sighting)

    def root(self, mount_namespace: int, mount_namespace_id: int = 0) -> RootFilesystem | None:
        """Return the file system of a container, None if it could not be had ("root_unavailable").

        Give the id where the event has one: by the number alone, the root may be that of another
        container, to which the number was given since. The object stays valid for as long as it is
        referenced, so do not keep it.
        """
        if mount_namespace == self._host:
            return self._host_files if self._include_host else None
        known = self._known(mount_namespace, mount_namespace_id)
        return None if known is None else known.root

    def identity(self, mount_namespace: int) -> ContainerIdentity | None:
        """Return the container that has the number of a mount namespace now."""
        known = self._by_number.get(mount_namespace)
        return None if known is None else known.identity

    def mount_namespaces(self, identity: ContainerIdentity) -> tuple[int, ...]:
        """Return the numbers of a container's mount namespaces."""
        with self._lock:
            return self._holdings.numbers(identity)

    def container_ids(self) -> frozenset[str]:
        """Return the ids of the containers of which a process was seen, until they are released."""
        with self._lock:
            return self._holdings.container_ids()

    def poll_ended(self, now: float) -> tuple[ContainerIdentity, ...]:
        """Return the containers that ended since the last call, each once. Does not wait.

        A container has ended when no process is left in its cgroup and its mount namespaces.
        """
        with self._lock:
            self._take_exits()
            unwatched = [c for c in self._holdings.live() if c.key not in self._watch]
        survivals = self._survivals(unwatched)
        with self._lock:
            for container, survival in zip(unwatched, survivals, strict=True):
                self._survive(container, survival, now)
            ended = self._holdings.take_ended()
        self.counters.ended += len(ended)
        return ended

    def release(self, now: float) -> tuple[int, ...]:
        """Let go of the roots of containers that ended ``hold_seconds`` ago; return their namespaces."""
        with self._lock:
            released = self._holdings.release(now - self._hold_seconds)
            let_go = self._holdings.take_let_go()
        # Not under the lock: the ring's thread must not wait for file systems to be unmounted.
        let_go.clear()
        self.counters.released += released.containers
        return released.namespaces

    def expired_ignored(self, now: float) -> tuple[int, ...]:
        """Return the mount namespaces that the kernel must no longer ignore, each once.

        They expire after five minutes, or sooner when the process seen there has ended, because the
        number may be given to a container then; or when that process turns out to be in one.
        """
        with self._lock:
            self._take_exits()
            return self._ignored.expired(now, self._is_container_now)

    @property
    def held_roots(self) -> int:
        """How many descriptors of containers' roots are held."""
        with self._lock:
            return self._holdings.held_roots

    @property
    def ignored_namespaces(self) -> int:
        """How many mount namespaces the kernel was told to ignore; each costs a pidfd."""
        with self._lock:
            return len(self._ignored)

    def close(self) -> None:
        """Let go of every descriptor. Nothing else may be called afterwards."""
        with self._lock:
            self._watch.close()
            self._holdings.clear()
            self._host_files = None

    def _known(self, mount_namespace: int, mount_namespace_id: int) -> Namespace | None:
        known = self._by_id.get(mount_namespace_id)
        if known is None:
            known = self._by_number.get(mount_namespace)
            if known is not None and known.id and mount_namespace_id:
                return None
        return known

    def _admit(self, seen: Sighting) -> ContainerIdentity | NotAContainer:
        known = self._known(seen.mount_namespace, seen.mount_namespace_id)
        if known is not None and known.id and known.id == seen.mount_namespace_id:
            return self._renew(known, seen)
        if known is None and self._ignored.holds(seen.mount_namespace, seen.mount_namespace_id):
            return NotAContainer(seen.mount_namespace, newly_found=False)
        identity, path = self._identify(seen)
        if known is not None:
            # A host process that entered the namespace (nsenter), or the number's next owner?
            if (identity is not None and known.container.key == key_of(identity)) or self._still_there(known):
                return self._renew(known, seen)
            self._holdings.drop(known)
        return self._ignore(seen) if identity is None else self._admit_new(identity, path, seen)

    def _admit_new(self, identity: ContainerIdentity, path: str, seen: Sighting) -> ContainerIdentity:
        self._ignored.forget(seen.mount_namespace)
        container = self._holdings.container(identity, path)
        found = self._find_root(container, seen)
        if found is not None and container.ended_at is not None:
            container = self._holdings.restart(container)
        self._make_room(container)
        known = self._holdings.add(container, seen, found.root if found else None)
        self.counters.root_unavailable += known.root is None
        self.counters.admitted += not container.is_counted
        container.is_counted = True
        self._keep_alive(container, found)
        return known.identity

    def _make_room(self, container: Container) -> None:
        before = len(self._holdings)
        for key in self._holdings.make_room(container, self._clock()):
            self._watch.remove(key)
        self.counters.evicted += before - len(self._holdings)

    def _renew(self, known: Namespace, seen: Sighting) -> ContainerIdentity:
        """A namespace without a root yet, or one that was known by its number alone."""
        self._holdings.learn_id(known, seen.mount_namespace_id)
        known.last_seen = seen.time
        candidates = () if seen.chrooted else (Candidate(seen.pid, seen.start_boottime),)
        found = open_root(candidates, seen.mount_namespace, self._host_root, self._proc)
        root = None if found is None else found.root
        if root is not None and (known.root is None or known.root.id != root.id):
            known.root = root
        self._keep_alive(known.container, found)
        return known.identity

    def _keep_alive(self, container: Container, found: FoundRoot | None) -> None:
        """Watch the process that was found, unless another one is watched; it revives an ended container."""
        if found is None:
            return
        if container.ended_at is not None:
            container.ended_at = None
            self.counters.admitted += 1
        if container.key not in self._watch:
            self._watch.add(container.key, found.pid)

    def _ignore(self, seen: Sighting) -> NotAContainer:
        # Only while a process is known to be there: nothing else would tell when to forget it.
        lives = mount_namespace_of(seen.pid, self._proc) == seen.mount_namespace
        newly = lives and self._ignored.add(
            seen.mount_namespace, seen.mount_namespace_id, seen.pid, self._clock()
        )
        self.counters.not_a_container += newly
        return NotAContainer(seen.mount_namespace, newly_found=newly)

    def _identify(self, seen: Sighting) -> tuple[ContainerIdentity | None, str]:
        """Return the container and the cgroup path that told it."""
        path = seen.cgroup_path
        identity = identify_cgroup(path)
        if identity is not None and (identity.pod_uid is not None or not is_cut(path)):
            return identity, path
        own = self._cgroup_path(seen)
        for candidate in (own, path):
            better = identify_cgroup(candidate, self._runc_ids) if candidate else None
            if better is not None and candidate is not None:
                return better, candidate
        return identity, path

    def _cgroup_path(self, seen: Sighting) -> str | None:
        try:
            with Process(seen.pid, self._proc) as process:
                is_same = process.started_at(seen.start_boottime)
                if is_same and process.mount_namespace() == seen.mount_namespace:
                    return process.cgroup_path()
        except OSError:
            pass
        return None

    def _is_container_now(self, pid: int) -> bool:
        try:
            with Process(pid, self._proc) as process:
                return identify_cgroup(process.cgroup_path() or "", self._runc_ids) is not None
        except OSError:
            return False

    def _find_root(self, container: Container, seen: Sighting) -> FoundRoot | None:
        candidates = self._candidates(container, seen)
        return open_root(candidates, seen.mount_namespace, self._host_root, self._proc)

    def _candidates(self, container: Container, seen: Sighting) -> Iterator[Candidate]:
        own = Candidate(seen.pid, seen.start_boottime)
        if not seen.chrooted:
            yield own
        siblings = self._cgroups.processes(container.cgroup_path)
        if siblings is None:
            wanted = frozenset((seen.mount_namespace,))
            siblings = tuple(processes_by_namespace(wanted, self._proc).get(seen.mount_namespace, ()))
        # The lowest pids first: a container's first processes are the likeliest to have its own root.
        yield from (Candidate(pid) for pid in sorted(siblings)[:_SIBLINGS_MAX])
        if seen.chrooted:
            yield own

    def _still_there(self, known: Namespace) -> bool:
        pids = self._cgroups.processes(known.container.cgroup_path)
        if pids is None:
            return known.container.key in self._watch
        return any(mount_namespace_of(pid, self._proc) == known.number for pid in pids)

    def _take_exits(self) -> None:
        for key in self._watch.exited():
            if isinstance(key, int):
                self._ignored.exited(key)

    def _survivals(self, containers: Iterable[Container]) -> list[_Survival]:
        """Look for what is left of each container, without the lock."""
        pids = {c: self._cgroups.processes(c.cgroup_path) or () for c in containers}
        found = {c: _Survival(oldest(pids[c], self._proc), self._numbers(pids[c])) for c in containers}
        missing = [container for container in containers if found[container].pid is None]
        wanted = frozenset(number for container in missing for number in container.numbers)
        by_namespace = processes_by_namespace(wanted, self._proc) if wanted else {}
        for container in missing:
            left = {
                number: first
                for number in container.numbers
                if (first := oldest(by_namespace.get(number, ()), self._proc)) is not None
                and not self._is_in_another(first, container)
            }
            found[container] = _Survival(oldest(left.values(), self._proc), frozenset(left))
        return [found[container] for container in containers]

    def _is_in_another(self, pid: int, container: Container) -> bool:
        """Whether the number of a namespace that is gone was given to the container of this process."""
        try:
            with Process(pid, self._proc) as process:
                identity = identify_cgroup(process.cgroup_path() or "", self._runc_ids)
        except OSError:
            return True
        return identity is not None and identity.id != container.identity.id

    def _numbers(self, pids: Iterable[int]) -> frozenset[int]:
        return frozenset(mount_namespace_of(pid, self._proc) for pid in pids)

    def _survive(self, container: Container, survival: _Survival, now: float) -> None:
        if container.key in self._watch or container.ended_at is not None:
            return  # an event was faster
        if survival.pid is None:
            self._holdings.end(container, now)
            return
        self._holdings.survived_by(container, survival.numbers, now)
        self._watch.add(container.key, survival.pid)  # gone meanwhile: the next call looks again
