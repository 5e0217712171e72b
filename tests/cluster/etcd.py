"""A real etcd on loopback, with what the tests do to it behind the API server's back."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import urllib3

from tests.clock import HANGS, PATIENCE
from tests.cluster.daemon import ClusterError, Daemon, wait_until

_START_SECONDS = HANGS


class Etcd:
    """The distribution's etcd with its data in ``folder``; speaks its JSON gateway (``/v3/kv/...``)."""

    def __init__(self, folder: Path, client_port: int, peer_port: int) -> None:
        self.url = f"http://127.0.0.1:{client_port}"
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(PATIENCE))
        peer = f"http://127.0.0.1:{peer_port}"
        self._daemon = Daemon(
            "etcd",
            [
                "etcd",
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls={self.url}",
                f"--advertise-client-urls={self.url}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                # So that resource versions of quiet resources move on as they do in a busy cluster.
                "--experimental-watch-progress-notify-interval=5s",
            ],
            folder / "etcd.log",
        )

    def start(self) -> None:
        """Returns when it answers; ClusterError where it is not installed or does not."""
        if shutil.which("etcd") is None:
            raise ClusterError("found no etcd; install the distribution's etcd-server")
        self._daemon.start()
        wait_until(self._healthy, _START_SECONDS, self._daemon)

    def stop(self) -> None:
        """SIGTERM; the data stay."""
        self._pool.clear()
        self._daemon.stop()

    def revision(self) -> int:
        """etcd's present revision, which the API server calls resourceVersion."""
        return int(self._call("range", {"key": _text("/"), "limit": 1})["header"]["revision"])

    def write(self, key: str, value: str) -> int:
        """Puts one key and returns the new revision."""
        return int(self._call("put", {"key": _text(key), "value": _text(value)})["header"]["revision"])

    def compact(self) -> int:
        """Forgets all history before the present revision, which is returned."""
        revision = self.revision()
        self._call("compaction", {"revision": revision, "physical": True})
        return revision

    def _healthy(self) -> bool:
        try:
            return bool(self._pool.request("GET", f"{self.url}/health").json() == {"health": "true"})
        except (urllib3.exceptions.HTTPError, ValueError):
            return False

    def _call(self, method: str, message: dict[str, Any]) -> Any:
        answer = self._pool.request("POST", f"{self.url}/v3/kv/{method}", body=json.dumps(message))
        if answer.status != 200:
            raise ClusterError(f"etcd: {method}: HTTP {answer.status}: {answer.data[:300]!r}")
        return answer.json()


def _text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()
