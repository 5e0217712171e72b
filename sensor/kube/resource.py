"""Kinds of objects as the API addresses them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """``group`` is empty for the core group; ``plural`` is the name in paths and in rules."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """The path below the server's address; all namespaces without one."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
        return "/" + "/".join(quote(part, safe="") for part in parts)


PODS = Resource("", "v1", "pods")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of RBAC that the request needed. As text it is a line for ``rules:`` of a ClusterRole."""

    group: str
    resource: str
    verbs: tuple[str, ...]

    def __str__(self) -> str:
        verbs = ", ".join(f'"{verb}"' for verb in self.verbs)
        return f'- {{apiGroups: ["{self.group}"], resources: ["{self.resource}"], verbs: [{verbs}]}}'
