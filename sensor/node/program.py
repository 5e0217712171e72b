"""What every way to run the node program does alike: signals, memory, the metrics' address."""

from __future__ import annotations

import ctypes
import logging
import signal
import threading
from types import FrameType

from sensor.config.node import NodeSettings
from sensor.node.deliver import Delivery
from sensor.telemetry.health import Health
from sensor.telemetry.metrics import Telemetry
from sensor.telemetry.server import MetricsServer

log = logging.getLogger(__name__)

FLUSH_WITHIN = 5.0
"""Seconds after the end for what was reported to arrive upstream; one more where a request hangs."""

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h


def stop_on_signals(stop: threading.Event) -> None:
    def handle(number: int, _frame: FrameType | None) -> None:
        log.info("ending: %s", signal.Signals(number).name)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a reader that left is an error of the write


def bound_allocator() -> None:
    """One heap for all threads, which hold the interpreter's lock anyway, and large blocks on their own.

    What a burst took goes back to the system after it: by mallopt(3) of glibc, without effect on others.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 64 << 10)


def serve(settings: NodeSettings, telemetry: Telemetry, health: Health) -> MetricsServer | None:
    """Raises :class:`sensor.telemetry.server.ServerError`."""
    if settings.metrics_address is None:
        return None
    return MetricsServer(settings.metrics_address.host, settings.metrics_address.port, telemetry, health)


def flush(settings: NodeSettings, delivery: Delivery, code: int) -> int:
    """Send what is left, and say what has not arrived; return the exit code."""
    if delivery.close(FLUSH_WITHIN):
        return code
    log.warning("not everything has arrived upstream; %s", _kept(settings, delivery))
    return code if delivery.keeps else 1


def _kept(settings: NodeSettings, delivery: Delivery) -> str:
    if settings.state_dir is None:
        return "it is lost: without --state-dir nothing outlives the sensor"
    if not delivery.keeps:
        return f"it is lost: {settings.state_dir} could not be written to, see above"
    return f"it is kept in {settings.state_dir} and follows when the sensor runs again"
