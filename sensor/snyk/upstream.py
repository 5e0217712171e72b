"""One address and what every destination behind it shares."""

from __future__ import annotations

from sensor.snyk.clock import ClockWatch
from sensor.snyk.diagnosis import Diagnosis
from sensor.snyk.grpc_channel import SharedChannel
from sensor.snyk.target import Target
from sensor.snyk.trust import Trust


class Upstream:
    """``version`` is the sensor's. Any thread may use what is in it."""

    def __init__(self, target: Target, trust: Trust, version: str) -> None:
        self.target = target
        self.trust = trust
        self.version = version
        self.user_agent = f"runtime-sensor/{version}"
        self.diagnosis = Diagnosis(target, trust)
        self.clock = ClockWatch(target)
        self.channel = SharedChannel(target, trust, self.user_agent)
        """Opens nothing until it is used, which it is for gRPC only."""
