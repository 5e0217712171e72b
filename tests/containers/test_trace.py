"""What an upload shows on the wire: nothing but TLS; and the token is in one header of the request only."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.containers.packages import PYTHON, Distribution, environment, image
from tests.containers.recording import Certificates, Recorded, recording_grpc, recording_https, shows
from tests.containers.trace import APPLICATION_DATA, Trace, records, segments, streams
from tests.ground import Ground, Sensor
from tests.receiver_process import Receiver

pytestmark = pytest.mark.containers

TOKEN = "trace-7f3d9b52c1e84a06-token"
ONE = Distribution("watchedonthewire", "2.7.1")
GROUP = "group-watched-on-the-wire"


def test_a_trace_that_is_not_tls_is_found() -> None:
    """The check of the check."""
    client_hello = b"\x16\x03\x01\x00\x03abc"
    assert records(client_hello) == [(22, 3)]
    for plain in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST / HTTP/1.1\r\n", client_hello + b"\x00" * 9):
        with pytest.raises(AssertionError):
            records(plain)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    found = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    authority.cert_pem.write_to_path(str(found.authority))
    server.private_key_pem.write_to_path(str(found.key))
    for blob in server.cert_chain_pems:
        blob.write_to_path(str(found.certificate), append=True)
    return found


def upload(
    ground: Ground, folder: Path, address: str, authority: Path, arrived: Callable[[], bool], *more: str
) -> None:
    """One container loads a package and a real sensor delivers it, by TLS and with :data:`TOKEN`."""
    options = [
        *("--upstream", address, "--ca-bundle", str(authority), "--group-id", GROUP),
        *("--state-dir", str(folder / "state"), "--batch-interval", "0.5", "--log-level", "debug", *more),
    ]
    of = image(ground, "trace", [ONE])
    command = [*PYTHON, f"import {ONE.name}, time; time.sleep(600)"]
    sensor = Sensor(*options, log=folder / "sensor.log")
    with sensor, ground.container(of, command, name="traced", env=environment()):
        deadline = time.monotonic() + 30
        while not arrived():
            assert time.monotonic() < deadline, f"nothing arrived; the sensor said:\n{sensor.log()[-3000:]}"
            time.sleep(0.1)
        command_line = Path(f"/proc/{sensor.process.pid}/cmdline").read_bytes()
    assert TOKEN.encode() not in command_line
    for file in [folder / "sensor.log", *(folder / "state").rglob("*")]:
        assert not file.is_file() or not shows(TOKEN, file.read_bytes()), f"the token is in {file.name}"


@pytest.mark.parametrize("transport", ["grpc", "https"])
def test_an_upload_shows_nothing_but_tls(
    ground: Ground,
    tmp_path: Path,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    transport: str,
) -> None:
    monkeypatch.setenv("SNYK_TOKEN", TOKEN)
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN + "\n")
    receiver = Receiver(
        tmp_path / "data",
        certificate=certificates.certificate,
        key=certificates.key,
        authority=certificates.authority,
        tokens=tokens,
    )

    def arrived() -> bool:
        return bool(receiver.rows("SELECT 1 FROM package WHERE name = ?", (ONE.name,)))

    with Trace() as trace, receiver:
        port = receiver.grpc_port if transport == "grpc" else receiver.http_port
        address = f"127.0.0.1:{port}"
        upload(ground, tmp_path, address, certificates.authority, arrived, "--transport", transport)
    assert trace.dropped == 0
    ours = [segment for segment in segments(trace.packets) if port in segment.flow]
    found = [(stream, records(stream)) for stream in streams(ours) if stream]
    data = sum(length for _, each in found for kind, length in each if kind == APPLICATION_DATA)
    assert len(found) >= 2 and data > 500, "an upload has two directions and some size"
    for secret in (TOKEN, ONE.name, GROUP):
        assert not any(secret.encode() in packet for packet in trace.packets), f"{secret} is on the wire"
    assert not any(shows(TOKEN, packet) for packet in trace.packets)
    amount = sum(len(stream) for stream, _ in found)
    print(f"{transport}: {len(trace.packets)} packets, {amount} bytes to and from the receiver, all TLS")


def test_the_token_is_in_the_metadata_of_a_call_only(
    ground: Ground, tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNYK_TOKEN", TOKEN)
    recorded = Recorded(TOKEN, ONE.name.encode())
    with recording_grpc(recorded, certificates) as address:
        upload(ground, tmp_path, address, certificates.authority, recorded.arrived)
    recorded.check()


def test_the_token_is_in_one_header_of_a_request_only(
    ground: Ground, tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNYK_TOKEN", TOKEN)
    recorded = Recorded(TOKEN, ONE.name.encode())
    with recording_https(recorded, certificates) as address:
        upload(ground, tmp_path, address, certificates.authority, recorded.arrived, "--transport", "https")
    recorded.check()
