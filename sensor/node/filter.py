"""Whether a container is one that is reported, by the filters and by what is known of it so far. Pure."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterator

from sensor.config.filters import Filters
from sensor.delivery.scopes import pattern
from sensor.model.container import ContainerMetadata


class Verdict(enum.Enum):
    IN = "in"
    OUT = "out"
    UNKNOWN = "unknown"
    """A fact that decides is not known yet."""


def verdict(filters: Filters, metadata: ContainerMetadata, settled: bool) -> Verdict:
    """Return whether the container passes.

    A sandbox never does. Of the filters, each list that is given must hold; one that does not settles it,
    whatever is not known of the others. With ``settled`` nothing more will be learnt, and what is not
    known does not hold: an allow list is a promise of what is not reported. What is in no pod has no
    namespace, so it passes no list.
    """
    if metadata.is_sandbox:
        return Verdict.OUT
    held = tuple(_held(filters, metadata))
    if False in held:
        return Verdict.OUT
    if None in held:
        return Verdict.OUT if settled else Verdict.UNKNOWN
    return Verdict.IN


def _held(filters: Filters, metadata: ContainerMetadata) -> Iterator[bool | None]:
    """For each list that is given whether it holds, None where that is not known."""
    if filters.namespaces:
        yield _in_namespaces(filters.namespaces, metadata.namespace)
    if filters.workload_types:
        workload = metadata.workload
        yield None if workload is None else workload.kind.lower() in filters.workload_types
    if filters.pod_labels:
        labels = metadata.pod_labels
        yield (
            None if labels is None else all(labels.get(key) in allowed for key, allowed in filters.pod_labels)
        )


def _in_namespaces(patterns: tuple[str, ...], namespace: str | None) -> bool | None:
    return None if namespace is None else _compiled(patterns).fullmatch(namespace) is not None


@functools.lru_cache(maxsize=4)  # there is one set of filters in a process
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(pattern, patterns)), re.ASCII)
