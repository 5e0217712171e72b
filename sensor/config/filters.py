"""Which workloads are reported at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sensor.config.texts import SettingsError

WORKLOAD_TYPES = (
    "deployment",
    "daemonset",
    "statefulset",
    "replicaset",
    "job",
    "cronjob",
    "pod",
    "replicationcontroller",
    "deploymentconfig",
    "rollout",
)
_MOST = 64
_NAMESPACE = re.compile(r"[a-z0-9*?]([-a-z0-9*?]{0,61}[a-z0-9*?])?")
# Kubernetes, "Labels and Selectors", syntax and character set.
_LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@dataclass(frozen=True, slots=True)
class Filters:
    """Allow lists; an empty one allows everything, and all of them must hold.

    ``workload_types`` are kinds in lower case; ``namespaces`` names, or patterns with ``*`` and ``?``;
    ``pod_labels`` maps a key to the values that are allowed for it: every key must hold.
    """

    workload_types: frozenset[str] = frozenset()
    namespaces: tuple[str, ...] = ()
    pod_labels: tuple[tuple[str, frozenset[str]], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.workload_types or self.namespaces or self.pod_labels)


EVERYTHING: Final = Filters()


def filters(options: Mapping[str, str | bool | None], environment: Mapping[str, str]) -> Filters:
    """Build the filters of options and environment. Raises :class:`SettingsError`."""

    def items(option: str, variable: str) -> tuple[str, ...]:
        given = options.get(f"filter_{option}")
        text = given if isinstance(given, str) else environment.get(variable, "")
        found = tuple(item.strip() for item in text.split(",") if item.strip())
        if len(found) > _MOST:
            name = option.replace("_", "-")
            raise SettingsError(f"--filter-{name}: found {len(found)} entries, expected at most {_MOST}")
        return found

    return Filters(
        workload_types=frozenset(map(_workload_type, items("workload_types", "FILTER_WORKLOAD_TYPES"))),
        namespaces=tuple(map(_namespace, items("namespaces", "FILTER_NAMESPACES"))),
        pod_labels=_labels(items("pod_labels", "FILTER_POD_LABELS")),
    )


def _workload_type(found: str) -> str:
    if found.lower() not in WORKLOAD_TYPES:
        raise SettingsError(
            f"--filter-workload-types: found {found!r}, expected some of {', '.join(WORKLOAD_TYPES)}"
        )
    return found.lower()


def _namespace(found: str) -> str:
    if not _NAMESPACE.fullmatch(found):
        raise SettingsError(
            f"--filter-namespaces: found {found!r}, expected a name of a namespace such as shop, or team-*"
        )
    return found


def _labels(found: tuple[str, ...]) -> tuple[tuple[str, frozenset[str]], ...]:
    allowed: dict[str, set[str]] = {}
    for label in found:
        key, equals, value = label.partition("=")
        if not equals or not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise SettingsError(f"--filter-pod-labels: found {label!r}, expected KEY=VALUE such as tier=web")
        allowed.setdefault(key, set()).add(value)
    return tuple((key, frozenset(values)) for key, values in sorted(allowed.items()))
