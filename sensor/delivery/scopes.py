"""Which containers are reported to which group: by their namespaces.

A destination is named by its group. A container of a pod whose namespace is not known yet (the runtime was
not asked, the API server did not answer) may belong to any of them: its states are written for the default
group at once, but not sent for :data:`HOLD` seconds after it was first seen. If its namespace turns out to be
another group's within that time, the default group never hears of it; after it, the default group is told
that the container ended. What is in no pod has no namespace and waits for none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sensor.config.texts import SettingsError
from sensor.config.upstream import Scope
from sensor.delivery.outbox_rows import HOLD_MOST
from sensor.model.report import ContainerReport

HOLD = HOLD_MOST
DEFAULT = "default"
"""Name of the destination where no group is named."""


class Router:
    """Routes by the first scope that matches. Pure: any thread may ask."""

    def __init__(self, scopes: Sequence[Scope], group_id: str = "") -> None:
        self.default = group_id or DEFAULT
        self._scopes = tuple(
            (re.compile("|".join(pattern(one) for one in scope.namespaces), re.ASCII), scope.group_id)
            for scope in scopes
        )

    def __call__(self, report: ContainerReport) -> str:
        """Return the name of the destination."""
        namespace = report.metadata.namespace
        if namespace is None:
            return self.default
        matching = (name for pattern, name in self._scopes if pattern.fullmatch(namespace))
        return next(matching, self.default)

    def held_until(self, report: ContainerReport) -> float | None:
        """Return until when the state is not to be sent, in seconds since the epoch."""
        in_pod = report.container.pod_uid or report.metadata.pod_uid
        if not self._scopes or report.metadata.namespace is not None or not in_pod:
            return None
        return report.first_seen + HOLD


def destinations(scopes: Sequence[Scope], group_id: str = "") -> Mapping[str, str | None]:
    """Return the names of all destinations, each with its own token, ``None`` for the common one.

    A group is one destination however many scopes name it: a snapshot says what runs, so two that
    speak for the same group would end each other's containers. Raises :class:`SettingsError` where a group
    is given two tokens.
    """
    tokens: dict[str, str | None] = {group_id or DEFAULT: None}
    for scope in scopes:
        known = tokens.get(scope.group_id)
        if known is not None and scope.token is not None and known != scope.token:
            raise SettingsError(
                f"GROUPS_SCOPES: found two tokens for the group {scope.group_id!r}, expected one: "
                "put its namespaces into one entry"
            )
        tokens[scope.group_id] = scope.token or known
    return tokens


def pattern(text: str) -> str:
    """Return the regular expression of a pattern in which ``*`` and ``?`` are wild; it takes linear time."""
    first, *rest = ("".join(map(_one, part)) for part in re.split(r"\*+", text))
    if not rest:
        return first
    # Each part between stars is looked for once (?>): else some stars would take for ever to find none.
    return first + "".join(f"(?>.*?{part})" for part in rest[:-1]) + f".*{rest[-1]}"


def _one(character: str) -> str:
    return "." if character == "?" else re.escape(character)
