"""The pods that are known, by uid and by container."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sensor.model.pod import Pod

NODE_PODS = 1024
"""A kubelet runs 110 by default, 500 at most where a provider allows it."""
CLUSTER_PODS = 20_000
KEPT_SECONDS = 120.0
"""For which what is gone is still found: a container's name may be asked for after its end."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownPod:
    """``gone_at`` is when it was deleted, seconds since the epoch, ``None`` while it is there."""

    pod: Pod
    gone_at: float | None = None


OnChange = Callable[[KnownPod], None]


class PodStore:
    """Thread-safe. When full, pods that have ended yield to others; then new ones are refused."""

    def __init__(
        self,
        most: int = NODE_PODS,
        *,
        on_change: OnChange | None = None,
        kept: float = KEPT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``on_change`` is called outside the lock, by the thread that brings the change, for each pod that
        is new, different or gone; it must not wait."""
        self.refused = 0
        self.failures = 0
        """Of ``on_change``; the log says which."""
        self.synced = False
        """Whether all pods were listed once: what is not here is not there."""
        self.updated_at: float | None = None
        """When the API server last told something, or that nothing has changed; seconds since the epoch."""
        self._most = most
        self._on_change = on_change
        self._kept = kept
        self._clock = clock
        self._lock = threading.Lock()
        self._pods: dict[str, KnownPod] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._uids: dict[str, str] = {}  # static uid -> uid
        self._containers: dict[str, KnownPod] = {}
        self._gone: OrderedDict[tuple[str, str], tuple[KnownPod, float]] = OrderedDict()

    def by_uid(self, uid: str) -> KnownPod | None:
        """``uid`` may be the one of a static pod's cgroup as well."""
        with self._lock:
            # A pod's own uid first: an annotation that any author can write makes another a static one's.
            own = self._pods.get(uid) or self._late("uid", uid)
            return own or self._pods.get(self._uids.get(uid, "")) or self._late("static uid", uid)

    def by_container(self, container_id: str) -> KnownPod | None:
        """The pod as it was when it last had this container."""
        with self._lock:
            return self._containers.get(container_id) or self._late("container", container_id)

    def pods(self) -> tuple[KnownPod, ...]:
        """Those that are there."""
        with self._lock:
            return tuple(self._pods.values())

    def __len__(self) -> int:
        return len(self._pods)

    def put(self, pod: Pod) -> None:
        with self._lock:
            known = self._pods.get(pod.uid)
            if known is not None and known.pod == pod:
                return
            if known is None and not self._has_room(pod):
                self.refused += 1
                return
            changed = self._replace(known, KnownPod(pod))
        self._tell(changed)

    def remove(self, uid: str) -> None:
        with self._lock:
            known = self._pods.pop(uid, None)
            if known is None:
                return
            self._ended.pop(uid, None)
            gone = replace(known, gone_at=self._clock())
            self._bury("uid", uid, gone)
            if known.pod.static_uid is not None:
                self._bury("static uid", known.pod.static_uid, gone)
                self._forget_static(known.pod)
            for container_id in _ids(known):
                self._bury("container", container_id, gone)
                self._forget(container_id, uid)
        self._tell(gone)

    def keep_only(self, uids: set[str]) -> None:
        """The list is whole: what is not in it is gone."""
        for uid in [known.pod.uid for known in self.pods() if known.pod.uid not in uids]:
            self.remove(uid)
        self.synced = True
        self.touch()

    def touch(self) -> None:
        self.updated_at = self._clock()

    def _replace(self, known: KnownPod | None, changed: KnownPod) -> KnownPod:
        pod, ids = changed.pod, set(_ids(changed))
        if known is not None:
            for container_id in set(_ids(known)) - ids:  # restarted: it has another now
                self._bury("container", container_id, known)
                self._forget(container_id, pod.uid)
            self._forget_static(known.pod)
        self._pods[pod.uid] = changed
        self._gone.pop(("uid", pod.uid), None)
        for container_id in ids:
            self._containers[container_id] = changed
        if pod.static_uid is not None:
            self._uids[pod.static_uid] = pod.uid
        if pod.is_ended:
            self._ended[pod.uid] = None
        else:
            self._ended.pop(pod.uid, None)
        return changed

    def _has_room(self, pod: Pod) -> bool:
        if len(self._pods) < self._most:
            return True
        if pod.is_ended or not self._ended:
            return False
        uid, _ = self._ended.popitem(last=False)
        known = self._pods.pop(uid)
        for container_id in _ids(known):
            self._forget(container_id, uid)
        self._forget_static(known.pod)
        return True

    def _forget_static(self, pod: Pod) -> None:
        if pod.static_uid is not None and self._uids.get(pod.static_uid) == pod.uid:
            del self._uids[pod.static_uid]

    def _forget(self, container_id: str, uid: str) -> None:
        """Unless it is another pod's by now: a static pod's containers outlive its mirror."""
        known = self._containers.get(container_id)
        if known is not None and known.pod.uid == uid:
            del self._containers[container_id]

    def _bury(self, kind: str, key: str, known: KnownPod) -> None:
        now = self._clock()
        self._gone[kind, key] = known, now + self._kept
        self._gone.move_to_end((kind, key))
        while self._gone:
            oldest = next(iter(self._gone))
            if len(self._gone) <= 4 * self._most and self._gone[oldest][1] > now:
                break
            del self._gone[oldest]

    def _late(self, kind: str, key: str) -> KnownPod | None:
        known, until = self._gone.get((kind, key), (None, 0.0))
        return known if until > self._clock() else None

    def _tell(self, known: KnownPod) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(known)
        except Exception:
            # One pod's consequences must not cost the others theirs.
            self.failures += 1
            log.exception("cannot follow the change of pod %s/%s", known.pod.namespace, known.pod.name)


def _ids(known: KnownPod) -> Iterator[str]:
    return (one.id for one in known.pod.containers if one.id is not None)
