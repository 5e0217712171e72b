"""The room's front: programs in the kernel, events out of them."""

from __future__ import annotations

import ctypes
import itertools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sensor.config.bpf import bpf_directory
from sensor.config.texts import SettingsError
from sensor.model.events import EventKind, KernelEvent
from sensor.node.capture import handover, host, layout, libbpf
from sensor.node.capture.errors import CaptureError
from sensor.node.capture.layout import Counter, Timing
from sensor.node.capture.map_fill import MapFill
from sensor.node.capture.program_stats import ProgramStatistics, Timed
from sensor.node.capture.ring import Ring

DEFAULT_RING_BYTES = 4 << 20
"""About 16,000 events of ordinary size, three seconds of 5,000 first opens a second; the queue behind it
takes more. Its pages cannot be reclaimed, and count twice as resident memory."""


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """``ring_bytes`` is a power of two and a multiple of the page size.

    ``open_hook`` is ``auto`` or the name of one of ``hooks.HOOKS``.
    """

    include_host: bool = False
    ring_bytes: int = DEFAULT_RING_BYTES
    open_hook: str = "auto"


class Capture:
    """Loaded and attached programs.

    ``handler`` is called from the thread that polls, with each record (see ``layout.decode``) but
    heartbeats; it should be quick, for the ring fills meanwhile. Closing detaches everything; so
    does the end of the process, however it ends.
    """

    def __init__(self, settings: CaptureSettings, handler: Callable[[bytes], None]) -> None:
        host.require_host_pids()
        self._handler = handler
        self._library = libbpf.load()
        # The name must pass the filter of wanted names: .so does, and it is no file of any disk.
        self._heartbeat = os.memfd_create("runtime-sensor-heartbeat.so")
        self.host_mount_namespace = host.host_mount_namespace()
        self.last_echo = 0.0
        """``time.monotonic()`` of the last heartbeat that came back, 0.0 before the first."""
        try:
            self._loaded = handover.load(self._request(settings))
        except BaseException:
            os.close(self._heartbeat)
            raise
        self.hook = self._loaded.hook
        self.refusals = self._loaded.refusals
        """Hooks that were tried before :attr:`hook`, each with the kernel's reason to have none of it."""
        self.programs = dict(zip(("exec", "open"), self._loaded.programs, strict=True))
        """Descriptors of the programs."""
        self._seen = libbpf.Map(self._library, self._loaded.seen, ctypes.sizeof(layout.SeenKey), 1)
        self._losses = libbpf.Map(self._library, self._loaded.losses, ctypes.sizeof(layout.LossKey), 8)
        self._ignored = libbpf.Map(self._library, self._loaded.ignored, 8, 1)
        self._told_losses: dict[bytes, int] = {}  # no larger than the kernel's map
        self._ignored_ids: dict[int, bytes] = {}  # no larger than the kernel's map
        self._epoch = libbpf.Map(self._library, self._loaded.epoch, 4, 8)
        self._epochs = itertools.count(1)
        self._counters = libbpf.PerCpuArray(self._library, self._loaded.counters)
        self._ring = Ring(self._library, self._loaded.events, self._receive)
        self.program_statistics = ProgramStatistics(self._library, self.programs)
        self.map_fill = MapFill(
            {
                "seen": (self._seen, layout.SEEN_ENTRIES),
                "losses": (self._losses, layout.LOSS_ENTRIES),
                "ignored": (self._ignored, layout.IGNORED_ENTRIES),
            }
        )

    def _request(self, settings: CaptureSettings) -> handover.LoadRequest:
        return handover.LoadRequest(
            bpf_folder=str(_bpf_folder()),
            agent_tgid=os.getpid(),
            heartbeat_inode=os.fstat(self._heartbeat).st_ino,
            host_mount_namespace=self.host_mount_namespace,
            include_host=settings.include_host,
            ring_bytes=settings.ring_bytes,
            cgroup_controller=host.cgroup_controller(),
            open_hook=settings.open_hook,
        )

    def poll(self, timeout: float) -> int:
        """Hand events to the handler, waiting at most ``timeout`` seconds for the first."""
        return self._ring.poll(timeout)

    def beat(self) -> None:
        """Open our own file through the real hook; :attr:`last_echo` moves when it comes back."""
        os.close(os.open(f"/proc/self/fd/{self._heartbeat}", os.O_RDONLY | os.O_CLOEXEC))

    def measure(self) -> None:
        """Once a second: what our own programs and maps cost is looked at when it is time to."""
        now = time.monotonic()
        self.program_statistics.turn(now)
        self.map_fill.turn(now)

    def counters(self) -> Mapping[Counter, int]:
        """Return the kernel's counters since start, summed over CPUs."""
        return {counter: self._counters.sum(counter) for counter in Counter}

    def timed(self) -> Mapping[str, Timed]:
        """Return what handling took where it was timed, summed over CPUs: one open in 1,024, every exec.

        Of events of containers only; what the host does is dropped before.
        """
        runs = {"open": (Timing.OPENS, Timing.OPEN_NS), "exec": (Timing.EXECS, Timing.EXEC_NS)}
        return {
            what: Timed(self._counters.sum(count), self._counters.sum(ns) / 1e9)
            for what, (count, ns) in runs.items()
        }

    @property
    def malformed(self) -> int:
        """Records that could not be handled since start."""
        return self._ring.failures

    def take_losses(self) -> dict[tuple[int, int], int]:
        """Return (mount namespace, pid) -> records lost since the last call.

        At most :data:`layout.LOSS_ENTRIES` processes are told apart; the counters know every loss.
        """
        losses = {}
        keys = self._losses.keys(layout.LOSS_ENTRIES)
        for key in keys:
            count = int.from_bytes(self._losses.get(key) or b"", "little")
            new = count - self._told_losses.get(key, 0)
            if new > 0:
                loss = layout.LossKey.from_buffer_copy(key)
                losses[loss.mount_namespace, loss.pid] = new
                self._told_losses[key] = count
            elif len(keys) > layout.LOSS_ENTRIES // 2:
                # Not before, and only who lost nothing lately: what is lost between a read and a deletion
                # would be nobody's, and all containers under suspicion.
                self._losses.delete(key)
                self._told_losses.pop(key, None)
        return losses

    def forget(self, event: KernelEvent) -> None:
        """Let the kernel report this file, or its folder, at its next open."""
        self._seen.delete(event.seen_key)
        self._begin_epoch()

    def ignore(self, event: KernelEvent) -> bool:
        """Have the kernel drop the mount namespace of ``event``; ``False`` when its list is full."""
        key = event.mount_namespace_id.to_bytes(8, "little")
        if not self._ignored.set(key, b"\1"):
            return False
        former = self._ignored_ids.get(event.mount_namespace, key)
        if former != key:  # the number was given away again
            self._ignored.delete(former)
        self._ignored_ids[event.mount_namespace] = key
        self._begin_epoch()
        return True

    def heed(self, mount_namespace: int) -> None:
        """Take :meth:`ignore` back, by the namespace's inode number."""
        key = self._ignored_ids.pop(mount_namespace, None)
        if key is not None:
            self._ignored.delete(key)

    def _begin_epoch(self) -> None:
        """Have the kernel look into ``seen`` and ``ignored`` again for what it found in ``seen`` lately."""
        self._epoch.set(bytes(4), next(self._epochs).to_bytes(8, "little"))

    def close(self) -> None:
        """Detach and free; not while another thread polls."""
        self._ring.close()
        self._loaded.close()
        os.close(self._heartbeat)

    def _receive(self, record: bytes) -> None:
        if layout.peek_kind(record) == EventKind.HEARTBEAT:
            self.last_echo = time.monotonic()
        else:
            self._handler(record)


def _bpf_folder() -> Path:
    try:
        return bpf_directory()
    except SettingsError as error:
        raise CaptureError(str(error), "install the sensor anew") from error


def probe(timeout: float = 10.0) -> tuple[str, Mapping[str, str]]:
    """Load, attach and wait for an echo of our own open; return the hook and the refusals of others.

    Raises :class:`CaptureError` with the cure.
    """
    capture = Capture(CaptureSettings(ring_bytes=1 << 20), lambda _record: None)
    try:
        end = time.monotonic() + timeout
        while not capture.last_echo:
            if time.monotonic() > end:
                raise CaptureError(
                    f"the programs are loaded, but no event of our own came back within {timeout:.0f} s",
                    "the tracepoint is attached and silent: report what `runtime-sensor doctor` prints",
                )
            capture.beat()
            capture.poll(0.2)
        return capture.hook, capture.refusals
    finally:
        capture.close()
