"""The sensor's end of delivery, whole, against a real receiver: what is written, said, tried and held."""

from __future__ import annotations

import itertools
import json
import logging
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensor.config.texts import Address
from sensor.config.upstream import UpstreamSettings
from sensor.delivery.destination import Batch, DeliveryError, Destination, Receipt
from sensor.delivery.outbox import Outbox, Routed
from sensor.delivery.upload_counts import UploadCounts
from sensor.delivery.uploader import Uploader
from sensor.model.container import ContainerIdentity, ContainerMetadata, Image, Workload
from sensor.model.report import ContainerReport, LoadedPackage
from sensor.snyk.connect import connect
from sensor.snyk.token import Token
from tests.clock import PATIENCE
from tests.receiver_process import Receiver
from tests.unit.reports import report, use

TRANSPORTS = ("grpc", "https")
HOST = "127.0.0.1"
REGISTRY, DIGEST = "registry.example/shop", "sha256:" + "c4" * 32

_versions = itertools.count(1)
_secrets: set[str] = set()

Row = tuple[str, bool, tuple[tuple[str, str], ...]]
"""Key, whether it has ended, and purl with evidence of each package, as the receiver holds a container."""


def secret() -> str:
    """A token that must not be found in any log."""
    one = f"s3cret-{uuid.uuid4().hex}"
    _secrets.add(one)
    return one


def leaked(text: str) -> bool:
    return any(one in text for one in _secrets)


@dataclass(frozen=True, slots=True)
class Holder:
    """Of one token, as ``--tokens`` of the receiver has it."""

    token: str = field(default_factory=secret, repr=False)
    permissions: tuple[str, ...] = ("AppRisk edit", "Publish Kubernetes Resources", "view", "control")
    groups: tuple[str, ...] | None = None


def write_tokens(path: Path, *holders: Holder) -> Path:
    listed = [
        {"token": one.token, "permissions": list(one.permissions)}
        | ({} if one.groups is None else {"groups": list(one.groups)})
        for one in holders
    ]
    replace_text(path, json.dumps({"tokens": listed}))
    return path


def replace_text(path: Path, text: str) -> None:
    """As secrets are rotated: nobody sees half of it."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


@dataclass(frozen=True, slots=True)
class Container:
    """One container, all of whose attributes are called ``name``, and what it has loaded so far."""

    name: str
    packages: tuple[str, ...] = ("requests",)
    ended: bool = False

    @property
    def id(self) -> str:
        return self.name.encode().hex().ljust(64, "0")

    def report(self, now: float) -> ContainerReport:
        """Its state at ``now``, seconds since the epoch by the node's clock."""
        return report(
            container=ContainerIdentity(self.id, "containerd", f"uid-of-{self.name}"),
            metadata=ContainerMetadata(
                name=self.name,
                image=Image(f"{REGISTRY}/{self.name}:1", DIGEST),
                namespace="shop",
                pod_name=f"{self.name}-5d9c",
                workload=Workload("Deployment", self.name),
            ),
            observed_at=now,
            first_seen=now - 60,
            deployed=not self.ended,
            ended_at=now if self.ended else None,
            packages=tuple(LoadedPackage(use(one), now - 50, now - 1) for one in self.packages),
        )

    def row(self, transport: str) -> Row:
        """What the receiver is to hold of it; https knows neither ends nor evidence."""
        purls = sorted(f"pkg:pypi/{one}@2.31.0" for one in self.packages)
        if transport == "grpc":
            return self.id, self.ended, tuple((purl, "opened") for purl in purls)
        name = self.name
        key = f"https/shop/Deployment/{name}/{name}/{REGISTRY}/{name}@{DIGEST}"
        return key, False, tuple((purl, "") for purl in purls)


def containers(*names: str) -> tuple[Container, ...]:
    return tuple(Container(name) for name in names)


@dataclass(frozen=True, slots=True)
class Try:
    """One request: ``asked`` and ``answered`` are seconds of the monotonic clock."""

    batch: Batch
    asked: float
    answered: float
    outcome: Receipt | DeliveryError | None


class Watched:
    """The real destination, and what it was asked for. ``patience`` is the longest that a request may take,
    in seconds: the uploader's own would be too long for a test. ``looks`` counts those for another token."""

    def __init__(self, destination: Destination, patience: float) -> None:
        self._destination = destination
        self.patience = patience
        self.tries: list[Try] = []
        self.looks = 0

    def send(self, batch: Batch, timeout: float) -> Receipt:
        asked = time.monotonic()
        outcome: Receipt | DeliveryError | None = None
        try:
            outcome = receipt = self._destination.send(batch, min(timeout, self.patience))
        except DeliveryError as error:
            outcome = error
            raise
        finally:
            self.tries.append(Try(batch, asked, time.monotonic(), outcome))
        return receipt

    def credentials_changed(self) -> bool:
        self.looks += 1
        return self._destination.credentials_changed()

    def close(self) -> None:
        self._destination.close()


class _NoJitter(random.Random):
    """The least of what chance may give: no test waits for longer than the sensor has to."""

    def uniform(self, a: float, b: float) -> float:
        return a


@dataclass(slots=True)
class Time:
    """Seconds of both clocks of a node; ``ahead`` is by how much its wall clock is wrong, ``passed`` is time
    that a test need not wait for."""

    ahead: float = 0.0
    passed: float = 0.0

    def wall(self) -> float:
        return time.time() + self.ahead + self.passed

    def monotonic(self) -> float:
        return time.monotonic() + self.passed


@dataclass(frozen=True, slots=True)
class Plan:
    """How a sensor is set up; what is not said is as it has to be for everything to work. ``port`` is that of
    the receiver unless something is in between."""

    transport: str
    state_dir: Path | None
    token_file: Path
    ca_bundle: Path | None
    plaintext: bool = False
    patience: float = 5.0
    time: Time = field(default_factory=Time)
    port: int | None = None


def port_of(receiver: Receiver, transport: str) -> int:
    return receiver.grpc_port if transport == "grpc" else receiver.http_port


class World:
    """One sensor's outbox and uploader, with a group of its own at ``receiver``."""

    def __init__(self, receiver: Receiver, plan: Plan, log: LogRecords) -> None:
        self.receiver = receiver
        self.plan = plan
        self.log = log
        self.time = plan.time
        self.group = f"group-{uuid.uuid4()}"
        self.states: dict[str, Container] = {}
        self.outbox = self._outbox()
        self.destination, self.uploader = self._uploader()

    @property
    def transport(self) -> str:
        return self.plan.transport

    @property
    def address(self) -> str:
        return f"{HOST}:{self._port}"

    @property
    def tries(self) -> list[Try]:
        return self.destination.tries

    @property
    def counts(self) -> UploadCounts:
        return self.uploader.counts()

    def write(self, *changed: Container) -> None:
        """As the sensor does when it has seen a change."""
        self.states |= {one.name: one for one in changed}
        now = self.time.wall()
        self.outbox.write([Routed(self.group, one.id, one.report(now)) for one in changed])

    def start(self) -> None:
        self.uploader.start()

    def use_token(self, token: str) -> None:
        replace_text(self.plan.token_file, token + "\n")

    def fault(
        self, fault: Mapping[str, Any], *, times: int | None = None, retry_info: float | None = None
    ) -> None:
        self.receiver.faults([{"times": times, "fault": fault, "retry_info_s": retry_info}])

    def heal(self) -> None:
        self.receiver.faults([])

    def end(self) -> None:
        """As the sensor does, without a last try."""
        if self.uploader.is_alive():
            self.uploader.stop(0.0)
        else:
            self.destination.close()
        self.outbox.close()

    def restart(self) -> None:
        """A new process of the sensor finds the same files. The one before was ended."""
        self.outbox = self._outbox()
        self.destination, self.uploader = self._uploader()

    def said(self, *words: str, level: int = logging.WARNING) -> str:
        """Wait for one line that has all ``words``, and return it."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [one for one in self.lines(level) if all(word in one for word in words)]
            return bool(found)

        self.until(look, f"a line with {words}")
        return found[0]

    def lines(self, level: int = logging.WARNING) -> list[str]:
        """What the sensor has logged."""
        return [
            one.getMessage()
            for one in list(self.log.records)
            if one.name.startswith("sensor.") and one.levelno >= level
        ]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        ends = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > ends:
                raise AssertionError(f"waited for {what} in vain; {self.counts}; {self.lines(logging.INFO)}")
            time.sleep(0.005)

    def settle(self) -> None:
        """Return once the uploader, whose token is refused, has looked for another twice."""
        looks = self.destination.looks
        self.until(lambda: self.destination.looks >= looks + 2, "another token to be looked for")

    def failed(self, reason: str, times: int = 1) -> None:
        """Wait until so many requests have failed for ``reason``."""
        self.until(lambda: self.counts.batches.get(reason, 0) >= times, f"{reason} x {times}")

    def arrived(self, *but: str) -> None:
        """Wait until nothing is left to be sent, and check that the receiver holds exactly what was written;
        of the containers named in ``but`` it is to hold nothing."""
        self.until(lambda: not self.outbox.unsent(self.group), "everything to be sent")
        expected = sorted(one.row(self.transport) for one in self.states.values() if one.name not in but)
        assert self.held() == expected

    def held(self) -> list[Row]:
        return sorted(
            (
                str(row["key"]),
                row["ended_at"] is not None,
                tuple((member["purl"], member["evidence"]) for member in row["packages"]),
            )
            for row in self.receiver.containers()
            if row["group_id"] == self.group
        )

    def is_durable(self) -> bool:
        return self.outbox.durable

    def close(self) -> None:
        self.end()
        assert not self.counts.batches.get("failed"), self.lines()

    def _outbox(self) -> Outbox:
        return Outbox(self.plan.state_dir, clock=self.time.wall, monotonic=self.time.monotonic)

    @property
    def _port(self) -> int:
        return self.plan.port or port_of(self.receiver, self.transport)

    def _uploader(self) -> tuple[Watched, Uploader]:
        settings = UpstreamSettings(
            address=Address(HOST, self._port),
            transport=self.transport,
            token_file=self.plan.token_file,
            group_id=self.group,
            ca_bundle=self.plan.ca_bundle,
            plaintext=self.plan.plaintext,
            batch_interval=0.0,
            requests_per_minute=6000,
        )
        token = Token(file=self.plan.token_file)
        # What is known of an upstream is kept for all its destinations of one version; not from test to test.
        real = connect(settings, self.group, token, f"0.0.{next(_versions)}")
        watched = Watched(real, self.plan.patience)
        uploader = Uploader(
            *(self.group, self.outbox, watched, settings),
            cluster="east",
            node="node-1",
            clock=self.time.wall,
            monotonic=self.time.monotonic,
            chance=_NoJitter(),
        )
        return watched, uploader


class LogRecords(logging.Handler):
    """Everything that is logged within ``with``, by whichever library."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._level = logging.NOTSET

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def text(self) -> str:
        """With tracebacks."""
        return "\n".join(self.format(one) for one in self.records)

    def __enter__(self) -> LogRecords:
        root = logging.getLogger()
        self._level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._level)
