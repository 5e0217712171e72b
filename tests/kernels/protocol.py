"""What a guest tells the machine: one JSON object a line. Used on both sides."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

CHECKS, COST, APPLICATIONS = "checks", "cost", "applications"
KINDS = (CHECKS, COST, APPLICATIONS)


@dataclass(frozen=True)
class Order:
    """What a guest is to do.

    ``what`` is one of KINDS. The kernel must have ``hooks`` and not ``absent``. ``chosen``: the first of
    ``hooks`` must be the sensor's own choice. ``cgroup_v1``: hooks that are tried under cgroup v1 too.
    ``without``: checks of what the architecture has not got.
    """

    what: str
    hooks: tuple[str, ...]
    absent: tuple[str, ...]
    chosen: bool
    cgroup_v1: tuple[str, ...]
    without: tuple[str, ...] = ()

    def text(self) -> str:
        """For the guest's start."""
        return json.dumps(asdict(self))


def order(text: str) -> Order:
    """The reverse of :meth:`Order.text`."""
    fields = json.loads(text)
    return Order(
        what=fields["what"],
        hooks=tuple(fields["hooks"]),
        absent=tuple(fields["absent"]),
        chosen=fields["chosen"],
        cgroup_v1=tuple(fields["cgroup_v1"]),
        without=tuple(fields["without"]),
    )


def line(kind: str, **values: Any) -> str:
    """``kind`` is booted, check, figure or done."""
    return json.dumps({"kind": kind, **values})


def parsed(text: str) -> dict[str, Any]:
    """The reverse of :func:`line`; ``{}`` of anything else that stands in the guest's port."""
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) and "kind" in values else {}
