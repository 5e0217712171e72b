"""Builds the receiver and runs it; no logic."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import resource
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import grpc.aio
from aiohttp import web

from sensor.config.receiver import ReceiverSettings
from sensor.config.texts import Address
from sensor.receiver import auth, grpc_service
from sensor.receiver.access import Access, Rate, is_loopback
from sensor.receiver.auth import Tokens, TokensError
from sensor.receiver.changed import Changed
from sensor.receiver.connector import Connector
from sensor.receiver.control import Control
from sensor.receiver.expiry import Expiry
from sensor.receiver.faults import Faults
from sensor.receiver.grpc_service import ReportService
from sensor.receiver.heads import Heads
from sensor.receiver.packages import Packages
from sensor.receiver.page.routes import routes as page_routes
from sensor.receiver.rest import Rest
from sensor.receiver.store import Store, StoreError
from sensor.receiver.upstream import Upstream
from sensor.receiver.web import application

log = logging.getLogger(__name__)

DATABASE = "receiver.db"
STOP_WITHIN = 1.0
"""Seconds for calls that run when it is told to end."""
KEEP_ALIVE = 75.0
"""Seconds a connection over HTTP may wait for its next request."""
LONGEST_LINE = 64 << 10
"""Bytes of a request's first line: links of the page name packages of up to 4 KiB, each byte quoted."""


class StartError(Exception):
    """The text is for people."""


def run(settings: ReceiverSettings) -> int:
    """Run the receiver until a signal ends it. Returns the exit code of ``runtime-sensor receiver``."""
    try:
        asyncio.run(_serve(settings))
    except (StartError, StoreError, TokensError) as error:
        print(f"runtime-sensor receiver: {error}", file=sys.stderr)  # noqa: T201 - for people
        return 1
    return 0


async def _serve(settings: ReceiverSettings) -> None:
    _allow_connections()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tokens = Tokens(settings.tokens or auth.own_token(settings.data_dir))
    changed, packages, faults = Changed(), Packages(), Faults()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone(settings.data_dir))
        store = Store(settings.data_dir / DATABASE, changed.grow, packages.forget)
        stack.enter_context(contextlib.closing(store))
        store.start()
        service = ReportService(store, packages, tokens, faults)
        access = Access(settings.http_address.host, tokens, Rate(settings.requests_per_minute))
        rooms = Upstream(store, packages), Connector(store), Rest(store), Control(store, faults)
        routes = [route for room in rooms for route in room.routes()]
        heads = Heads()
        app = application(access, faults, heads, [*routes, *page_routes(store.path, changed, store.write)])
        async with _listening(settings, service, app, heads):
            _settle()
            expiry = asyncio.create_task(Expiry(store, packages, settings.expire_after).run())
            await stop.wait()
            log.info("ending")
            expiry.cancel()


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """What one receiver remembers of the rows would be wrong with another beside it."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (directory / "lock").open("w")
    except OSError as error:
        raise StartError(f"cannot use {str(directory)!r}: {error}; give another --data-dir") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"another receiver uses {str(directory)!r}: end that, or give another --data-dir"
            ) from None
        yield


@contextlib.asynccontextmanager
async def _listening(
    settings: ReceiverSettings, service: ReportService, app: web.Application, heads: Heads
) -> AsyncIterator[None]:
    server = grpc.aio.server(options=grpc_service.options())
    service.add_to(server)
    runner = web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        handle_signals=False,
        shutdown_timeout=STOP_WITHIN,
        keepalive_timeout=KEEP_ALIVE,
        max_line_size=LONGEST_LINE,
    )
    await runner.setup()
    sweep = asyncio.create_task(heads.run(lambda: runner.server.connections if runner.server else ()))
    try:
        grpc_port = _add_grpc_port(server, settings)
        await server.start()
        http_port = await _start_http(runner, settings)
        _announce(settings, grpc_port, http_port)
        yield
    finally:
        sweep.cancel()
        await asyncio.gather(server.stop(STOP_WITHIN), runner.cleanup())


def _add_grpc_port(server: grpc.aio.Server, settings: ReceiverSettings) -> int:
    address = _text(settings.grpc_address)
    try:
        if settings.tls_certificate is None or settings.tls_key is None:
            return server.add_insecure_port(address)
        _tls_context(settings.tls_certificate, settings.tls_key)  # gRPC does not say what is wrong with them
        pair = settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes()
        return server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    except RuntimeError:
        raise _cannot_listen(
            "gRPC", "--grpc-address", address, "it is in use, or is none of this machine"
        ) from None


async def _start_http(runner: web.AppRunner, settings: ReceiverSettings) -> int:
    context = None
    if settings.tls_certificate is not None and settings.tls_key is not None:
        context = _tls_context(settings.tls_certificate, settings.tls_key)
    host, port = settings.http_address
    site = web.TCPSite(runner, host, port, ssl_context=context, reuse_address=True)
    try:
        await site.start()
    except OSError as error:
        raise _cannot_listen("HTTP", "--http-address", _text(settings.http_address), str(error)) from None
    return int(runner.addresses[0][1])


def _cannot_listen(what: str, option: str, address: str, why: str) -> StartError:
    return StartError(
        f"cannot listen on {address} for {what}: {why}; end what uses it, or give another {option}"
    )


def _tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise StartError(
            f"cannot use the certificate {str(certificate)!r} with the key {str(key)!r}: {error};"
            " expected a PEM chain, and the key of its first certificate, without a password"
        ) from None
    return context


def _announce(settings: ReceiverSettings, grpc_port: int, http_port: int) -> None:
    secure = settings.tls_certificate is not None
    grpc_address = _text(settings.grpc_address._replace(port=grpc_port))
    http_address = _text(settings.http_address._replace(port=http_port))
    lines = (
        f"receiver: gRPC on {grpc_address}",
        f"receiver: page and REST on {'https' if secure else 'http'}://{http_address}/",
        f"receiver: token in {settings.tokens or settings.data_dir / 'token'}",
    )
    print("\n".join(lines), flush=True)  # noqa: T201 - what the command says when it is ready
    for address in (settings.grpc_address, settings.http_address):
        if not secure and not is_loopback(address.host):
            log.warning(
                "%s is open to the network without TLS: tokens and reports can be read on the way; "
                "give --tls-certificate and --tls-key, or listen on 127.0.0.1",
                _text(address),
            )


def _text(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def _allow_connections() -> None:
    """A connection of each node is a descriptor; a shell's usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _settle() -> None:
    """What is there from the start stays; and messages are trees, which need no search for cycles often."""
    # The writer gives the interpreter up at each statement, and would wait 5 ms to have it back.
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
