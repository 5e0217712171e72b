"""The way to a receiver, on which something else may be met."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from sensor.receiver.cutting import reset_when_closed
from tests.delivery.certificates import HOST
from tests.unit.snyk_servers import join


@dataclass(slots=True)
class Way:
    """What listens on ``port``, where the sensor delivers to, and leads on to the port ``to``; without one it
    resets whoever connects."""

    to: int | None
    port: int = 0

    def handle(self, connection: socket.socket) -> None:
        if self.to is None:
            reset_when_closed(connection)
            return
        with socket.create_connection((HOST, self.to)) as onward:
            join(connection, onward)


Ways = Callable[[int | None], Way]
