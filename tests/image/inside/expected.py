"""What a guest is ordered and has to tell. Used on both sides."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

DOCTOR, NODE = "doctor", "node"


@dataclass(frozen=True)
class Order:
    """The kernel has ``hooks``, in the order in which the sensor tries them, and not ``absent``.

    ``chosen``: ``doctor`` must find the first of them.
    """

    hooks: tuple[str, ...]
    absent: tuple[str, ...]
    chosen: bool = True

    def text(self) -> str:
        """For the guest's start."""
        return json.dumps(asdict(self))

    def results(self) -> list[tuple[str, str]]:
        """Every (hook, check) of which there must be a line."""
        doctor = [(self.hooks[0], DOCTOR)] if self.chosen else []
        return doctor + [(hook, NODE) for hook in self.hooks]


def order(text: str) -> Order:
    """The reverse of :meth:`Order.text`."""
    fields = json.loads(text)
    return Order(tuple(fields["hooks"]), tuple(fields["absent"]), fields["chosen"])
