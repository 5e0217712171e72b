"""Pod -> the workload that a person made: its controller, or the controller of that."""

from __future__ import annotations

import logging
import random
import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sensor.kube.api_server import ApiServer
from sensor.kube.errors import Forbidden, KubeError, NotFound
from sensor.kube.pods import owner_of
from sensor.kube.resource import Resource
from sensor.model.container import Workload
from sensor.model.pod import OwnerReference, Pod

MOST_OWNERS = 4096
# A server that has just started answers 403 until it has read its roles: a few refusals prove nothing.
_REFUSALS = 3
_NOT_YET = (1.0, 4.0)
_FORBIDDEN = (60.0, 300.0)
_AWAY = (2.0, 10.0)
_WAIT = 10.0
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # a DNS subdomain, RFC 1123
# Kinds that others make in order to make pods. The versions are those of Kubernetes 1.19 to this day;
# a reference may still say extensions/v1beta1.
_MIDDLE = {
    ("apps", "ReplicaSet"): Resource("apps", "v1", "replicasets"),
    ("extensions", "ReplicaSet"): Resource("apps", "v1", "replicasets"),
    ("batch", "Job"): Resource("batch", "v1", "jobs"),
    ("", "ReplicationController"): Resource("", "v1", "replicationcontrollers"),
}
# The label that a controller gives its pods is the end of the ReplicaSet's name.
_HASH_LABELS = {"rollouts-pod-template-hash": "Rollout", "pod-template-hash": "Deployment"}

# Who makes a pod writes its owner's name and uid: with another's uid, only that pod's owner is wrong.
_Key = tuple[Resource, str, str, str]

_Resolve = Callable[[Resource, Pod, OwnerReference], Workload | None]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Known:
    workload: Workload
    until: float | None
    """``None``: an object's controller never becomes another."""


class Owners:
    """One request for each new owner of a kind that others make, at most; metadata only. Thread-safe.

    A request takes up to 5 s: ask from a thread that may wait, never from the one that follows the watch.
    """

    def __init__(
        self,
        api: ApiServer,
        *,
        chance: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._chance = chance or random.Random()
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, _Known] = OrderedDict()
        self._asking: dict[_Key, threading.Event] = {}
        self._paused: dict[Resource | None, float] = {}
        self._refusals: Counter[Resource] = Counter()
        self._said: set[Resource] = set()
        self.guessed = 0
        """Workloads that were taken from a name and a label, because the API did not tell."""

    def workload(self, pod: Pod) -> Workload | None:
        """Return ``None`` where the API server does not answer: ask again later. Never raises."""
        return self._workload(pod, self._of)

    def at_hand(self, pod: Pod) -> Workload | None:
        """Return what is known without a request, ``None`` where it takes one. Never waits for it."""
        return self._workload(pod, self._from_cache)

    def _workload(self, pod: Pod, resolve: _Resolve) -> Workload | None:
        owner = pod.owner
        if owner is None or pod.is_mirror or owner.kind == "Node":
            return Workload("Pod", pod.name)
        resource = _MIDDLE.get((_group(owner.api_version), owner.kind))
        if resource is None:
            return Workload(owner.kind, owner.name)
        if not _NAME.fullmatch(owner.name) or not _NAME.fullmatch(pod.namespace):
            return self._guess(owner, pod.labels)
        return resolve(resource, pod, owner)

    def _from_cache(self, resource: Resource, pod: Pod, owner: OwnerReference) -> Workload | None:
        with self._lock:
            known = self._cached((resource, pod.namespace, owner.name, owner.uid))
            if known is None and self._is_paused(resource) and self._is_refused(resource):
                return self._guess(owner, pod.labels)
            return known

    def _of(self, resource: Resource, pod: Pod, owner: OwnerReference) -> Workload | None:
        """From the cache, else by a request; who comes while it is under way waits for it."""
        mine = threading.Event()
        key = (resource, pod.namespace, owner.name, owner.uid)
        while True:
            with self._lock:
                known = self._cached(key)
                if known is not None:
                    return known
                if self._is_paused(None):
                    return None
                if self._is_paused(resource):
                    return self._guess(owner, pod.labels) if self._is_refused(resource) else None
                asking = self._asking.setdefault(key, mine)
            if asking is mine:
                break
            if not asking.wait(_WAIT):
                return None
        try:
            return self._ask(resource, pod, owner)
        finally:
            with self._lock:
                del self._asking[key]
            mine.set()

    def _ask(self, resource: Resource, pod: Pod, owner: OwnerReference) -> Workload | None:
        until: float | None = None
        try:
            found = self._api.get(resource, pod.namespace, owner.name)
            workload = _controller(found, owner) or self._guess(owner, pod.labels)
        except NotFound:  # deleted by now
            workload = self._guess(owner, pod.labels)
        except Forbidden as error:
            with self._lock:
                self._refusals[resource] += 1
            if not self._is_refused(resource):
                self._pause(resource, _NOT_YET)
                return None
            until = self._pause(resource, _FORBIDDEN)
            self._say(resource, error)
            workload = self._guess(owner, pod.labels)
        except KubeError as error:
            self._pause(None, _AWAY)
            log.debug("the owner %s %s is asked for later: %s", owner.kind, owner.name, error)
            return None
        with self._lock:
            if until is None:
                self._refusals[resource] = 0
            self._known[resource, pod.namespace, owner.name, owner.uid] = _Known(workload, until)
            if len(self._known) > MOST_OWNERS:
                self._known.popitem(last=False)
        return workload

    def _cached(self, key: _Key) -> Workload | None:
        known = self._known.get(key)
        if known is None:
            return None
        if known.until is not None and known.until <= self._clock():
            del self._known[key]
            return None
        self._known.move_to_end(key)
        return known.workload

    def _is_refused(self, resource: Resource) -> bool:
        return self._refusals[resource] >= _REFUSALS

    def _is_paused(self, resource: Resource | None) -> bool:
        return self._paused.get(resource, 0.0) > self._clock()

    def _pause(self, resource: Resource | None, between: tuple[float, float]) -> float:
        """One refusal answers for all objects of the kind; a server that is away, for all kinds."""
        until = self._clock() + self._chance.uniform(*between)
        with self._lock:
            self._paused[resource] = until
        return until

    def _say(self, resource: Resource, error: Forbidden) -> None:
        with self._lock:
            if resource in self._said:
                return
            self._said.add(resource)
        log.warning("%s; until then workloads are guessed from the names of %s", error, resource.plural)

    def _guess(self, owner: OwnerReference, labels: Mapping[str, str]) -> Workload:
        """The name of a ReplicaSet is that of what made it with the pods' hash; a Job's has no such mark."""
        self.guessed += 1
        if owner.kind == "ReplicaSet":
            for label, kind in _HASH_LABELS.items():
                suffix = f"-{labels.get(label, '')}"
                if suffix != "-" and owner.name.endswith(suffix) and owner.name != suffix:
                    return Workload(kind, owner.name.removesuffix(suffix))
        return Workload(owner.kind, owner.name)


def _controller(found: object, owner: OwnerReference) -> Workload | None:
    """``None`` where the object is another of the same name."""
    metadata = found.get("metadata") if isinstance(found, dict) else None
    if not isinstance(metadata, dict) or metadata.get("uid") != owner.uid:
        return None
    above = owner_of(metadata)
    return Workload(owner.kind, owner.name) if above is None else Workload(above.kind, above.name)


def _group(api_version: str) -> str:
    group, slash, _ = api_version.partition("/")
    return group if slash else ""
