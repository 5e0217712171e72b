"""What is known of containers: their mount namespaces, their roots, and who goes when there is no room."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from sensor.model.container import ContainerIdentity
from sensor.node.identify.roots import HeldRoot
from sensor.node.identify.sighting import Sighting

ContainerKey = tuple[str, str]
"""Runtime and id. The pod's uid is missing where the upper part of a cgroup path is."""

_NAMESPACES_PER_CONTAINER = 16  # one container must not crowd out the others


def key_of(identity: ContainerIdentity) -> ContainerKey:
    """Return what makes an identity the same container's."""
    return identity.runtime, identity.id


@dataclass(slots=True, eq=False)
class Container:
    """One life of a container, from its start to its end; a restart is a further one.

    ``cgroup_path`` ends at the component that names the container; ``ended_at`` is None while it runs.
    """

    identity: ContainerIdentity
    cgroup_path: str
    namespaces: list[Namespace] = field(default_factory=list)
    ended_at: float | None = None
    is_counted: bool = False

    @property
    def key(self) -> ContainerKey:
        return key_of(self.identity)

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(namespace.number for namespace in self.namespaces)


@dataclass(slots=True, eq=False)
class Namespace:
    """A mount namespace of a container. ``number`` is its inode's, ``id`` the kernel's, 0 if not known.

    ``last_seen`` is ns of CLOCK_BOOTTIME; ``gone_at`` is when no process was left in it.
    """

    number: int
    id: int
    container: Container
    identity: ContainerIdentity
    root: HeldRoot | None
    last_seen: int
    gone_at: float | None = None


@dataclass(frozen=True, slots=True)
class Released:
    containers: int
    namespaces: tuple[int, ...]


class Holdings:
    """At most ``limit`` namespaces, and as many containers. Not thread-safe; the owner locks.

    ``by_id`` and ``by_number`` may be read without the lock. A number names the latest namespace that
    was given it, an id the same one for ever.
    """

    def __init__(self, limit: int) -> None:
        self.by_id: dict[int, Namespace] = {}
        self.by_number: dict[int, Namespace] = {}
        self._limit = limit
        self._namespaces: set[Namespace] = set()
        self._containers: dict[ContainerKey, Container] = {}
        self._former: list[Container] = []
        self._ended: list[ContainerIdentity] = []
        self._let_go: deque[HeldRoot] = deque()

    def __len__(self) -> int:
        return len(self._namespaces)

    @property
    def held_roots(self) -> int:
        return sum(namespace.root is not None for namespace in self._namespaces)

    def container(self, identity: ContainerIdentity, path: str) -> Container:
        """Return the present or latest life of a container, made now if there was none."""
        found = self._containers.get(key_of(identity))
        if found is None:
            found = self._containers[key_of(identity)] = Container(identity, _up_to(path, identity.id))
        return found

    def restart(self, ended: Container) -> Container:
        """Return a new life of a container; what the old one holds is released in its time."""
        self._former.append(ended)
        self._containers[ended.key] = Container(ended.identity, ended.cgroup_path)
        return self._containers[ended.key]

    def add(self, container: Container, seen: Sighting, root: HeldRoot | None) -> Namespace:
        """Add the mount namespace of a sighting to a container."""
        namespace = Namespace(
            seen.mount_namespace, seen.mount_namespace_id, container, container.identity, root, seen.time
        )
        container.namespaces.append(namespace)
        self._namespaces.add(namespace)
        self.by_number[namespace.number] = namespace
        self.learn_id(namespace, seen.mount_namespace_id)
        return namespace

    def learn_id(self, namespace: Namespace, namespace_id: int) -> None:
        """Take note of the kernel's id of a namespace; 0 tells nothing."""
        if namespace_id:
            namespace.id = namespace_id
            self.by_id[namespace_id] = namespace

    def drop(self, namespace: Namespace) -> None:
        """Forget a mount namespace. Its container stays until it has ended and is released."""
        self._namespaces.discard(namespace)
        if namespace.root is not None:
            self._let_go.append(namespace.root)
            if len(self._let_go) > self._limit:
                self._let_go.popleft()
        if namespace in namespace.container.namespaces:
            namespace.container.namespaces.remove(namespace)
        if self.by_number.get(namespace.number) is namespace:
            del self.by_number[namespace.number]
        if self.by_id.get(namespace.id) is namespace:
            del self.by_id[namespace.id]

    def make_room(self, container: Container, now: float) -> list[ContainerKey]:
        """Make room for one more namespace of ``container``; return the containers that had to go."""
        if len(container.namespaces) >= _NAMESPACES_PER_CONTAINER:
            self.drop(min(container.namespaces, key=_worth))
        gone: list[ContainerKey] = []
        while len(self._namespaces) >= self._limit:
            victim = min(self._namespaces, key=_worth)
            self.drop(victim)
            gone += self._discard_empty(victim.container, container, now)
        # Containers may outlive their namespaces until the next look at their processes.
        for empty in [c for c in self._containers.values() if not c.namespaces]:
            if len(self._containers) > self._limit:
                gone += self._discard_empty(empty, container, now)
        return gone

    def live(self) -> list[Container]:
        """Return the containers that have not ended."""
        return [container for container in self._containers.values() if container.ended_at is None]

    def numbers(self, identity: ContainerIdentity) -> tuple[int, ...]:
        """Return the numbers of a container's mount namespaces."""
        found = self._containers.get(key_of(identity))
        return () if found is None else found.numbers

    def container_ids(self) -> frozenset[str]:
        """Return the ids of the containers that are known, whatever their runtimes."""
        return frozenset(container_id for _, container_id in self._containers)

    def end(self, container: Container, now: float) -> None:
        """A container has ended; :meth:`take_ended` tells of it."""
        container.ended_at = now
        self._ended.append(container.identity)

    def take_ended(self) -> tuple[ContainerIdentity, ...]:
        """Return the containers that ended since the last call."""
        ended, self._ended = tuple(self._ended), []
        return ended

    def survived_by(self, container: Container, numbers: frozenset[int], now: float) -> None:
        """Take note of which mount namespaces the processes left in a container are in."""
        for namespace in container.namespaces:
            current = namespace.number in numbers and self.by_number.get(namespace.number) is namespace
            namespace.gone_at = None if current else namespace.gone_at or now

    def release(self, before: float) -> Released:
        """Forget the containers that ended, and the namespaces that were left, at ``before`` or earlier."""
        over = [c for c in (*self._containers.values(), *self._former) if _is_past(c.ended_at, before)]
        left = [n for n in self._namespaces if _is_past(n.gone_at, before)]
        left += [namespace for container in over for namespace in container.namespaces]
        for namespace in left:
            self.drop(namespace)
        for container in over:
            if self._containers.get(container.key) is container:
                del self._containers[container.key]
        self._former = [container for container in self._former if container not in over]
        return Released(len(over), tuple({namespace.number for namespace in left}))

    def take_let_go(self) -> deque[HeldRoot]:
        """Return the roots of what was forgotten since the last call, to be closed where nobody waits.

        The last descriptor of an ended container's root unmounts its file system: that takes the kernel 1 to
        20 ms each, and far longer on a busy machine.
        """
        let_go, self._let_go = self._let_go, deque()
        return let_go

    def clear(self) -> None:
        """Forget everything."""
        for namespace in tuple(self._namespaces):
            self.drop(namespace)
        self._containers.clear()
        self._former.clear()
        self._let_go.clear()

    def _discard_empty(self, container: Container, spared: Container, now: float) -> list[ContainerKey]:
        if container.namespaces or container is spared:
            return []
        if container in self._former:
            self._former.remove(container)
            return []
        if container.ended_at is None:
            self.end(container, now)
        self._containers.pop(container.key, None)
        return [container.key]


def _worth(namespace: Namespace) -> tuple[float, int]:
    """The least goes first: the one over for longest, then the one not seen for longest."""
    ended_at, gone_at = namespace.container.ended_at, namespace.gone_at
    over_at = min(math.inf if ended_at is None else ended_at, math.inf if gone_at is None else gone_at)
    return over_at, namespace.last_seen


def _is_past(at: float | None, before: float) -> bool:
    return at is not None and at <= before


def _up_to(path: str, container_id: str) -> str:
    """Return the cgroup path of the container itself, without what is nested in it."""
    components = path.split("/")
    for depth in range(len(components) - 1, -1, -1):
        if container_id in components[depth]:
            return "/".join(components[: depth + 1])
    return path
