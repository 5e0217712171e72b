"""``python -m tests.delivery.small_files``: a sensor lives through a disk that is full for it.

RLIMIT_FSIZE bounds the size of each file that a process writes, so it is set in a process of its own. The
receiver's address and the files are in JSON on standard input. Ends with 0 where all went well.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from contextlib import closing
from pathlib import Path

from tests.delivery.disks import live_through_a_full_disk
from tests.delivery.world import LogRecords, Plan, World
from tests.receiver_process import Receiver


class FileLimit:
    """No file may grow beyond what the outbox's WAL is now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self) -> None:
        largest = max(path.stat().st_size for path in self._folder.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def main() -> None:
    given = json.load(sys.stdin)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error of write() instead; Python does it, too
    receiver = Receiver(
        Path(given["data_dir"]),
        certificate=Path(given["certificate"]),
        key=Path(given["key"]),
        authority=Path(given["authority"]),
        tokens=Path(given["tokens"]),
    )
    receiver.grpc_port = given["grpc_port"]
    receiver.http_port = given["http_port"]
    folder = Path(given["folder"])
    plan = Plan("grpc", folder / "state", folder / "token", Path(given["authority"]))
    with LogRecords() as log, closing(World(receiver, plan, log)) as world:
        live_through_a_full_disk(world, FileLimit(folder / "state"), given["cause"], given["cure"])
    assert (folder / "token").read_text() not in log.text


if __name__ == "__main__":
    main()
