"""What was told of which pod, and what is to be told next. Used by one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sensor.config.filters import Filters
from sensor.model.container import ContainerMetadata, Workload
from sensor.model.pod import Pod
from sensor.model.report import ContainerReport
from sensor.node.deployment.states import Told, changes, ended, told
from sensor.node.filter import Verdict, verdict

HOLD: Final = 30.0
"""Seconds for which a new pod waits for its workload before it is reported without. Over https it would be
one of its own, which the other side keeps for two days."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a pod came to. ``verdict`` is None where the pod is gone."""

    uid: str
    verdict: Verdict | None
    after: Told | None
    reports: list[ContainerReport]

    @property
    def is_open(self) -> bool:
        """Whether its workload is still to be found."""
        return self.after is not None and self.after.workload is None


@dataclass(frozen=True, slots=True)
class Counts:
    """Pods by what the filters say, ``waiting`` where that or the workload is not known yet; containers told
    as running."""

    reported: int
    filtered_out: int
    waiting: int
    containers: int


class Ledger:
    """``pod`` returns what is known of a uid now, None once it is gone; ``workload`` what a pod belongs to,
    None where nobody can tell now. Times are seconds since the epoch."""

    def __init__(
        self,
        cluster: str | None,
        filters: Filters,
        pod: Callable[[str], Pod | None],
        workload: Callable[[Pod], Workload | None],
    ) -> None:
        self._cluster = cluster
        self._filters = filters
        self._pod = pod
        self._workload = workload
        self._told: dict[str, Told] = {}  # by uid, of the waiting ones too
        self._out: set[str] = set()
        self._waiting: set[str] = set()
        self._left: set[str] = set()
        self._open: dict[str, float] = {}  # without a workload -> since when
        self._containers = 0

    def counts(self) -> Counts:
        """May be asked from any thread."""
        waiting = len(self._waiting)
        return Counts(len(self._told) - waiting, len(self._out), waiting, self._containers)

    def restore(self, container_ids: Iterable[str]) -> None:
        """An earlier run left these running; those that no pod accounts for have :meth:`ended_meanwhile`."""
        self._left = set(container_ids)

    def ended_meanwhile(self, remembered: Iterable[ContainerReport], now: float) -> Iterator[ContainerReport]:
        """Once every pod has been looked at: the ends of what an earlier run left running."""
        return (ended(report, now) for report in remembered if report.container.id in self._left)

    def forget_left(self) -> None:
        self._left.clear()

    def forget(self) -> list[str]:
        """What was told is lost: return the uids of all pods to look at again."""
        uids = [*self._told]
        self._told.clear()
        self._waiting.clear()
        self._containers = 0
        return uids

    def look(self, uid: str, now: float) -> Look:
        """Return what is to be told of a pod. Nothing counts as told before :meth:`keep`."""
        pod, before = self._pod(uid), self._told.get(uid)
        if pod is None:
            return Look(uid, None, None, changes(self._cluster, before, None, now))
        workload = _still(pod, before) or self._workload(pod)
        after = told(pod, workload, before, now)
        passes = verdict(self._filters, _facts(pod, workload), settled=False)
        if passes is Verdict.IN and workload is None and now - self._open.setdefault(uid, now) < HOLD:
            passes = Verdict.UNKNOWN
        if passes is Verdict.IN:
            return Look(uid, passes, after, changes(self._cluster, before, after, now))
        # What is running for the other side stays so until the verdict is known, and ends with it.
        known = before or after.only(self._left)
        after = after.only(known.running)
        if passes is Verdict.OUT:
            return Look(uid, passes, None, changes(self._cluster, known, None, now))
        ends = [report for report in changes(self._cluster, known, after, now) if not report.deployed]
        return Look(uid, passes, after, ends)

    def keep(self, look: Look) -> None:
        """Its reports have arrived."""
        if not look.is_open:
            self._open.pop(look.uid, None)
        before = self._told.pop(look.uid, None)
        if before is not None:
            self._containers -= len(before.running)
        if look.after is not None:
            self._told[look.uid] = look.after
            self._containers += len(look.after.running)
            self._left.difference_update(look.after.running)
        self._left.difference_update(report.container.id for report in look.reports)
        _set(self._out, look.uid, look.verdict is Verdict.OUT)
        _set(self._waiting, look.uid, look.verdict is Verdict.UNKNOWN)


def _still(pod: Pod, before: Told | None) -> Workload | None:
    """What is known is not asked for with each change of the pod."""
    return before.workload if before is not None and before.pod.owner == pod.owner else None


def _facts(pod: Pod, workload: Workload | None) -> ContainerMetadata:
    return ContainerMetadata(namespace=pod.namespace, workload=workload, pod_labels=pod.labels)


def _set(members: set[str], one: str, belongs: bool) -> None:
    (members.add if belongs else members.discard)(one)
