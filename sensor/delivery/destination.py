"""Where states go over a network, and how that fails.

DeliveryError            this try failed
├── Temporary            worth another try, after ``retry_after`` seconds where the other side said so
├── Invalid              these states will never be taken as they are; a smaller batch tells which
├── TooLarge             the batch is larger than the other side takes; a smaller one may pass
└── Refused              the token: nothing passes until another is there
    ├── Unauthenticated  it is not known
    └── PermissionDenied it lacks ``permission``

Every text is for people: what was found, what was expected, what to do. None holds a token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from sensor.model.report import ContainerReport


class DeliveryError(Exception):
    """``reason`` is a short name for metrics, of a bounded set: ``unavailable``, ``http_503`` …"""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Temporary(DeliveryError):
    """``retry_after`` is seconds from now, ``None`` where the other side did not say."""

    def __init__(self, message: str, *, reason: str, retry_after: float | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class Invalid(DeliveryError):
    pass


class TooLarge(DeliveryError):
    pass


class Refused(DeliveryError):
    pass


class Unauthenticated(Refused):
    pass


class PermissionDenied(Refused):
    """``permission`` is the missing one, as Snyk's role editor calls it."""

    def __init__(self, message: str, *, reason: str, permission: str) -> None:
        super().__init__(message, reason=reason)
        self.permission = permission


@dataclass(frozen=True, slots=True)
class OutgoingState:
    """The latest state of one container. ``generation`` grows with each change of it, see
    :class:`Batch.sender_id`."""

    key: str
    generation: int
    report: ContainerReport


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request carries. A further try of the same batch has the same ``id``.

    ``sender_id`` is the UUID of the outbox, within which generations are comparable. ``running`` lists
    the ids of all containers that run, and is set on the last batch of a snapshot only.
    ``sent_at`` is seconds since the epoch, UTC.
    """

    id: str
    sender_id: str
    sent_at: float
    cluster: str | None
    node: str | None
    states: tuple[OutgoingState, ...]
    running: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """One state of a batch that will never be taken as it is. ``index`` is that in ``Batch.states``."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the other side answered. ``sent_bytes`` is what went over the wire, headers aside, compressed.

    ``clock_ahead`` is by how many seconds our clock is ahead of theirs, ``None`` where they did not say.
    """

    rejected: tuple[Rejection, ...] = field(default=())
    sent_bytes: int = 0
    clock_ahead: float | None = None


class Destination(Protocol):
    """One place that takes states, with one token. Used by one thread at a time."""

    def send(self, batch: Batch, timeout: float) -> Receipt:
        """Return once the batch is stored there, or raise :class:`DeliveryError` within ``timeout``
        seconds."""
        ...

    def credentials_changed(self) -> bool:
        """Whether the token is another than that of the last :meth:`send`. Cheap: asked every second."""
        ...

    def close(self) -> None: ...
