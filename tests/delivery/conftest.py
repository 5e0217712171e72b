"""One receiver for all tests that leave it whole, over TLS; sensors are made by ``sensor``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sensor.delivery import uploader
from tests.delivery.certificates import Authority
from tests.delivery.way import Way, Ways
from tests.delivery.world import TRANSPORTS, Holder, LogRecords, Plan, World, leaked, write_tokens
from tests.receiver_process import Receiver
from tests.unit.snyk_servers import tcp_server

Sensor = Callable[..., World]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def holder() -> Holder:
    """May do all that a sensor and these tests need."""
    return Holder()


@pytest.fixture(scope="session")
def spare() -> Holder:
    """Another one, to rotate to."""
    return Holder()


@pytest.fixture(scope="session")
def powerless() -> Holder:
    """May look, not report."""
    return Holder(permissions=("view",))


@pytest.fixture(scope="session")
def elsewhere() -> Holder:
    """May report to another group only."""
    return Holder(groups=("another-group",))


@pytest.fixture(scope="session")
def holders(holder: Holder, spare: Holder, powerless: Holder, elsewhere: Holder) -> tuple[Holder, ...]:
    return holder, spare, powerless, elsewhere


@pytest.fixture(scope="session")
def shared_receiver(
    authority: Authority, holders: tuple[Holder, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    folder = tmp_path_factory.mktemp("receiver")
    certificate, key = authority.files(folder)
    tokens = write_tokens(folder / "tokens.json", *holders)
    with Receiver(
        folder, certificate=certificate, key=key, authority=authority.bundle, tokens=tokens
    ) as receiver:
        yield receiver
        assert not leaked(receiver.log())


@pytest.fixture
def receiver(shared_receiver: Receiver) -> Iterator[Receiver]:
    """Whole at the beginning, whatever the last test asked of it."""
    shared_receiver.faults([])
    yield shared_receiver
    shared_receiver.faults([])


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sensor(
    authority: Authority,
    holder: Holder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Sensor]:
    """Makes a sensor that reports to a receiver by a transport; further arguments are those of ``Plan``.

    At the end it is closed, and no token is in anything that was logged.
    """
    monkeypatch.setattr(uploader, "POLL", 0.02)  # looked more often, nothing else
    monkeypatch.setattr(uploader, "CREDENTIALS_POLL", 0.05)
    with LogRecords() as log, ExitStack() as worlds:

        def make(receiver: Receiver, transport: str, **changes: Any) -> World:
            folder = tmp_path / "sensor"
            folder.mkdir(exist_ok=True)
            plan = Plan(transport, folder / "state", folder / "token", authority.bundle)
            plan = replace(plan, **changes)
            if not plan.token_file.exists():
                plan.token_file.write_text(holder.token)
            return worlds.enter_context(closing(World(receiver, plan, log)))

        yield make
    assert not leaked(log.text)


@pytest.fixture
def way() -> Iterator[Ways]:
    """Makes a way to a port, which can be made lead elsewhere."""
    with ExitStack() as ways:

        def to(port: int | None) -> Way:
            one = Way(port)
            one.port = ways.enter_context(tcp_server(one.handle))
            return one

        yield to
