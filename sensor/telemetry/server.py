"""The address of /metrics, /healthz and /readyz. Loads nothing of HTTP until there is one."""

from __future__ import annotations

import threading

from sensor.telemetry.health import Health
from sensor.telemetry.metrics import Telemetry


class ServerError(Exception):
    """The address cannot be served; the text says why and what to do."""


class MetricsServer:
    """Listens from its making until :meth:`close`, in threads of its own."""

    def __init__(self, host: str, port: int, telemetry: Telemetry, health: Health) -> None:
        """Port 0 takes a free one, see :attr:`port`. Raises :class:`ServerError`."""
        # Here, not above: 6 MiB that an agent without --metrics-address never pays.
        from sensor.telemetry.endpoint import Endpoint  # noqa: PLC0415

        try:
            self._server = Endpoint(host, port, telemetry, health)
        except (OSError, OverflowError) as error:
            raise ServerError(
                f"cannot serve metrics on {host} port {port}: {error}; "
                "choose another --metrics-address, or end what listens there"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening. Returns within a second; an answer being written is cut off."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
