"""Wires what keeps and delivers reports: the outbox, an uploader for each group, and what is printed."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable

from sensor.config.node import NodeSettings
from sensor.config.upstream import UpstreamSettings
from sensor.delivery.jsonl import JsonLinesSink
from sensor.delivery.outbox import Outbox, Remembered
from sensor.delivery.outbox_sink import OutboxSink
from sensor.delivery.scopes import Router, destinations
from sensor.delivery.sink import Sink
from sensor.delivery.table import TableSink
from sensor.delivery.tee import Tee
from sensor.delivery.uploader import Uploader
from sensor.model.report import ContainerReport
from sensor.snyk.connect import connect
from sensor.snyk.token import Token

log = logging.getLogger(__name__)

_NOWHERE = ""
"""The destination of what is kept and not delivered: a state directory without an upstream."""


class Delivery:
    """Everything between the reporter and the network.

    ``outbox`` is there with an upstream or a state directory, ``uploaders`` with an upstream: one per group.
    Raises :class:`sensor.delivery.sink.SinkError` or :class:`sensor.config.texts.SettingsError`.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self.outbox: Outbox | None = None
        self.uploaders: tuple[Uploader, ...] = ()
        self.sink: Sink = _printed(settings.output)
        if settings.upstream is None and settings.state_dir is None:
            return
        self.outbox = Outbox(settings.state_dir, max_bytes=settings.state_bytes)
        try:
            self.sink = Tee(self._deliver_to(settings.upstream, settings), self.sink)
        except BaseException:
            self.outbox.close()
            raise

    def _deliver_to(self, upstream: UpstreamSettings | None, settings: NodeSettings) -> OutboxSink:
        assert self.outbox is not None
        if upstream is None:
            self.outbox.retain([_NOWHERE])
            return OutboxSink(self.outbox, lambda report: _NOWHERE)
        if settings.cluster is None:
            log.warning(
                "found no --cluster-name and no CLUSTER_NAME, expected one: nodes of the same name in "
                "several clusters are one node to the upstream"
            )
        self.uploaders = _uploaders(upstream, self.outbox, settings)
        self.outbox.retain([uploader.destination_name for uploader in self.uploaders])
        router = Router(upstream.scopes, upstream.group_id)
        return OutboxSink(self.outbox, router, router.held_until)

    def remembered(self) -> Iterable[Remembered]:
        """What an earlier run left in the outbox."""
        return self.outbox.remembered() if self.outbox else ()

    def take_lost(self) -> bool:
        """Whether the outbox lost what was in it since the last call: then all that runs is to be written."""
        return self.outbox is not None and self.outbox.take_lost()

    def start(self) -> None:
        for uploader in self.uploaders:
            uploader.start()

    def snapshot(self) -> None:
        """Everything that runs is in the outbox, unless that was lost meanwhile (:meth:`take_lost`)."""
        sender = self.outbox.whole_sender() if self.outbox else ""
        if not sender:
            return
        for uploader in self.uploaders:
            uploader.snapshot_now(sender)

    @property
    def keeps(self) -> bool:
        """Whether what has not arrived outlives the sensor."""
        return self.outbox is not None and self.outbox.durable

    def close(self, timeout: float) -> bool:
        """Send what is left for at most ``timeout`` seconds, to all groups at the same time. Returns whether
        everything has arrived; what has not is kept where the outbox is durable (:attr:`keeps`)."""
        arrived: list[bool] = []
        enders = [
            threading.Thread(target=lambda one=uploader: arrived.append(one.stop(timeout)), daemon=True)
            for uploader in self.uploaders
        ]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join(timeout + 2)  # an uploader gives its own thread a second more
        if self.outbox is not None:
            self.outbox.close()
        return len(arrived) == len(enders) and all(arrived)


class _Nothing:
    """Prints nothing."""

    def deliver(self, reports: Iterable[ContainerReport]) -> None:
        pass

    def close(self) -> None:
        pass


def _uploaders(upstream: UpstreamSettings, outbox: Outbox, settings: NodeSettings) -> tuple[Uploader, ...]:
    common = Token(upstream.token, file=upstream.token_file)
    return tuple(
        Uploader(
            name,
            outbox,
            connect(upstream, _group(name, upstream), Token(own) if own else common),
            upstream,
            cluster=settings.cluster,
            node=settings.node,
        )
        for name, own in destinations(upstream.scopes, upstream.group_id).items()
    )


def _group(name: str, upstream: UpstreamSettings) -> str:
    """Return the group of a destination, which has a name where no group is set as well."""
    return name if name in {upstream.group_id, *(scope.group_id for scope in upstream.scopes)} else ""


def _printed(output: str) -> Sink:
    if output == "none":
        return _Nothing()
    descriptor = sys.stdout.fileno()
    return JsonLinesSink(descriptor) if output == "jsonl" else TableSink(descriptor)
