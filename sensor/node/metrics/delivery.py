"""The numbers of the outbox and of delivery. See docs/metrics.md for what each means."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sensor.delivery.outbox import Outbox, OutboxCounts
from sensor.delivery.upload_counts import UploadCounts
from sensor.delivery.uploader import Uploader
from sensor.node.deliver import Delivery
from sensor.telemetry.metrics import Kind, Telemetry

_Pair = tuple[str, str]


def register(telemetry: Telemetry, delivery: Delivery) -> None:
    """Add the metrics of what there is: nothing without an outbox, the outbox's alone without an upstream."""
    if delivery.outbox is not None:
        _register_outbox(telemetry, delivery.outbox)
    if delivery.uploaders:
        _register_uploads(telemetry, delivery.uploaders)


def _register_outbox(telemetry: Telemetry, outbox: Outbox) -> None:
    telemetry.register(
        "outbox_states",
        "Containers' states in the outbox.",
        lambda: _states(outbox.counts()),
        kind=Kind.GAUGE,
        labels=("state",),
    )
    telemetry.register("outbox_bytes", "Size of the outbox.", lambda: outbox.counts().bytes, kind=Kind.GAUGE)
    telemetry.register(
        "outbox_durable",
        "1 while the outbox is on the disk, 0 in memory.",
        lambda: int(outbox.durable),
        kind=Kind.GAUGE,
    )
    telemetry.register(
        "outbox_dropped",
        "States that the outbox had no room for.",
        lambda: _dropped(outbox.counts()),
        labels=("state",),
    )
    telemetry.register(
        "outbox_failures",
        "Times that the disk or the file failed the outbox; the log says how.",
        lambda: _failures(outbox.counts()),
        labels=("kind",),
    )


# Counting asks the database: once for each metric.


def _states(counts: OutboxCounts) -> Mapping[str, float]:
    return {"running": counts.running, "ended": counts.ended, "set_aside": counts.set_aside}


def _dropped(counts: OutboxCounts) -> Mapping[str, float]:
    return {"ended": counts.dropped_ended, "running": counts.refused}


def _failures(counts: OutboxCounts) -> Mapping[str, float]:
    return {"fallback": counts.fallbacks, "damaged": counts.damaged}


def _register_uploads(telemetry: Telemetry, uploaders: tuple[Uploader, ...]) -> None:
    def by_destination(read: Callable[[UploadCounts], float]) -> Callable[[], Mapping[str, float]]:
        return lambda: {uploader.destination_name: read(uploader.counts()) for uploader in uploaders}

    def by_reason(read: Callable[[UploadCounts], Mapping[str, int]]) -> Callable[[], Mapping[_Pair, float]]:
        return lambda: {
            (uploader.destination_name, reason): count
            for uploader in uploaders
            for reason, count in read(uploader.counts()).items()
        }

    one = ("destination",)
    for name, help_text, count in (
        ("upload_states", "Containers' states that arrived.", lambda counts: counts.states),
        (
            "upload_bytes",
            "Sent, compressed, of requests that were accepted.",
            lambda counts: counts.sent_bytes,
        ),
        ("upload_retries", "Requests made once more.", lambda counts: counts.retries),
        ("upload_splits", "Batches halved, as they were not taken whole.", lambda counts: counts.splits),
        ("upload_snapshots", "Full snapshots sent.", lambda counts: counts.snapshots),
    ):
        telemetry.register(name, help_text, by_destination(count), labels=one)
    telemetry.register(
        "upload_batches",
        "Requests, by what came of them.",
        by_reason(lambda counts: counts.batches),
        labels=("destination", "result"),
    )
    telemetry.register(
        "upload_set_aside",
        "States that the other side does not take as they are.",
        by_reason(lambda counts: counts.set_aside),
        labels=("destination", "reason"),
    )
    telemetry.register(
        "upload_refused",
        "1 while the token is refused and nothing is sent.",
        by_destination(lambda counts: counts.refused),
        kind=Kind.GAUGE,
        labels=one,
    )
    telemetry.register(
        "oldest_unsent_seconds",
        "Age of the oldest change that has not arrived.",
        lambda: {uploader.destination_name: uploader.oldest_unsent_age() for uploader in uploaders},
        kind=Kind.GAUGE,
        labels=one,
    )
