"""TLS that is wrong on one of both sides, and what a node's clock has to do with it."""

from __future__ import annotations

import datetime
import http.client
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.clock import PATIENCE
from tests.delivery.certificates import Authority
from tests.delivery.conftest import Sensor
from tests.delivery.way import Ways
from tests.delivery.world import Container, Holder, World, containers, port_of, replace_text, write_tokens
from tests.receiver_process import Receiver

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


def written(when: datetime.datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


class Trusting(Receiver):
    """Asked by this test whatever its certificate is."""

    def connection(self, timeout: float = PATIENCE) -> http.client.HTTPConnection:
        if self._tls is None:
            return super().connection(timeout)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.http_port, timeout=timeout, context=context)


@dataclass(frozen=True, slots=True)
class Bad:
    """A certificate and what is said of it."""

    reason: str
    words: tuple[str, ...]
    names: tuple[str, ...] = ()
    dates: tuple[tuple[str, datetime.datetime], ...] = ()
    tls: bool = True


BAD = (
    Bad(
        "certificate_expired",
        (
            f"has expired at {written(NOW - DAY)}, and this node's clock says",
            "renew the certificate, or set this node's clock if that is wrong",
        ),
        dates=(("not_before", NOW - 9 * DAY), ("not_after", NOW - DAY)),
    ),
    Bad(
        "certificate_not_yet_valid",
        (
            f"is not valid before {written(NOW + DAY)}, and this node's clock says",
            "set this node's clock, or look at the certificate",
        ),
        dates=(("not_before", NOW + DAY), ("not_after", NOW + 9 * DAY)),
    ),
    Bad(
        "certificate_wrong_name",
        (
            "is not for '127.0.0.1' but for other.example, another.example",
            "name the host in --upstream as the certificate does",
        ),
        names=("other.example", "another.example"),
    ),
)


PLAINTEXT = Bad("no_tls", ("does not speak TLS", "name the port that does", "--plaintext"), tls=False)

Make = Callable[[Bad], Receiver]


@pytest.fixture(scope="module")
def make_receiver(
    authority: Authority, holder: Holder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Make]:
    """Receivers with bad certificates, by certificate; they last for both transports."""
    with ExitStack() as receivers:

        @cache
        def make(bad: Bad) -> Receiver:
            folder = tmp_path_factory.mktemp("bad")
            certificate, key = (
                authority.files(folder, *bad.names, **dict(bad.dates)) if bad.tls else (None, None)
            )
            tokens = write_tokens(folder / "tokens.json", holder)
            return receivers.enter_context(Trusting(folder, certificate=certificate, key=key, tokens=tokens))

        yield make


@pytest.mark.parametrize("bad", [*BAD, PLAINTEXT], ids=lambda bad: bad.reason)
def test_bad_server(
    *, sensor: Sensor, receiver: Receiver, make_receiver: Make, way: Ways, transport: str, bad: Bad
) -> None:
    between = way(port_of(make_receiver(bad), transport))
    world = sensor(receiver, transport, port=between.port)
    line = fails(world, bad.reason, *bad.words)
    for told in re.findall(r"clock says (\S+):", line):
        assert abs(datetime.datetime.fromisoformat(told) - NOW) < DAY

    between.to = port_of(receiver, transport)
    recovers(world, line)


def test_unknown_authority(
    sensor: Sensor, receiver: Receiver, authority: Authority, transport: str, tmp_path: Path
) -> None:
    bundle = Authority(tmp_path).bundle
    world = sensor(receiver, transport, ca_bundle=bundle)
    line = fails(
        world,
        "unknown_authority",
        "is by an authority that is not trusted here",
        "give that authority's certificate with --ca-bundle",
    )
    replace_text(bundle, authority.bundle.read_text())
    recovers(world, line)


def test_plaintext_client(
    sensor: Sensor, receiver: Receiver, make_receiver: Make, way: Ways, transport: str
) -> None:
    plain = make_receiver(PLAINTEXT)
    between = way(port_of(receiver, transport))
    world = sensor(plain, transport, port=between.port, plaintext=True)
    assert "--plaintext: the token and all reports go to" in world.lines()[0]
    line = fails(world, "tls_expected", "it speaks TLS", "leave out --plaintext")
    between.to = port_of(plain, transport)
    recovers(world, line)


def fails(world: World, reason: str, *words: str) -> str:
    world.write(*containers("a", "b"))
    world.start()
    line = world.said("cannot deliver to", world.address, *words)
    world.failed(reason, times=2)
    world.write(Container("a", ended=True), Container("c"))
    assert world.held() == []
    return line


def recovers(world: World, said: str) -> None:
    world.arrived()
    world.said("states arrive again", level=20)
    assert world.counts.retries >= 1 and not world.counts.set_aside
    assert world.lines()[-1] == said  # once
