"""What an uploader counts, as plain integers: whoever exports them reads them when asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

ACCEPTED = "accepted"
FAILED = "failed"  # a defect, the log says which
REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class UploadCounts:
    """Since the start, but for ``refused``: whether the token is refused now, 1 or 0.

    ``batches`` is by result: ``accepted``, ``failed``, or the reason of a
    :class:`sensor.delivery.destination.DeliveryError`. ``states`` were accepted; ``sent_bytes`` as
    :class:`sensor.delivery.destination.Receipt` has them. ``retries`` are requests with a batch that was
    tried before, ``splits`` batches that were halved, ``set_aside`` states by reason.
    """

    requests: int
    batches: Mapping[str, int]
    states: int
    sent_bytes: int
    retries: int
    splits: int
    set_aside: Mapping[str, int]
    snapshots: int
    refused: int


class Tally:
    """Counted by the uploader's thread; :meth:`counts` may be asked from any."""

    def __init__(self) -> None:
        self.requests = self.states = self.sent_bytes = self.retries = self.splits = self.snapshots = 0
        self.batches: Counter[str] = Counter()
        self.set_aside: Counter[str] = Counter()
        self.refused = False

    def counts(self) -> UploadCounts:
        return UploadCounts(
            requests=self.requests,
            batches=self.batches.copy(),
            states=self.states,
            sent_bytes=self.sent_bytes,
            retries=self.retries,
            splits=self.splits,
            set_aside=self.set_aside.copy(),
            snapshots=self.snapshots,
            refused=int(self.refused),
        )
