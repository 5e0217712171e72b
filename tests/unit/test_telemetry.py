"""Logs, metrics and health, over a real socket."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sensor.telemetry import endpoint, logs
from sensor.telemetry.health import ALIVE_FOR, Health
from sensor.telemetry.metrics import Kind, Telemetry
from sensor.telemetry.server import MetricsServer, ServerError
from tests.clock import HANGS, PATIENCE, until


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health("heartbeat", "scan", clock=clock)


@pytest.fixture
def served(telemetry: Telemetry, health: Health) -> Iterator[MetricsServer]:
    metrics = MetricsServer("127.0.0.1", 0, telemetry, health)
    yield metrics
    metrics.close()


def get(served: MetricsServer, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type") or "", response.read().decode()
    finally:
        connection.close()


def scraped(served: MetricsServer) -> dict[str, float]:
    status, content_type, body = get(served, "/metrics")
    assert status == 200
    assert content_type.startswith("text/plain")
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def test_metrics_are_read_at_the_scrape(telemetry: Telemetry, served: MetricsServer) -> None:
    lost = 0
    telemetry.register("events_lost", "Lost.", lambda: lost)
    telemetry.register("containers", "Held.", lambda: 7, kind=Kind.GAUGE)
    telemetry.register("skipped", "Skips.", lambda: {"too_large": 2, "vanished": 3}, labels=("reason",))
    telemetry.register("cells", "Two.", lambda: {("a", "b"): 1}, labels=("x", "y"))
    assert scraped(served)["runtime_sensor_events_lost_total"] == 0
    lost = 41
    values = scraped(served)
    assert values["runtime_sensor_events_lost_total"] == 41
    assert values["runtime_sensor_containers"] == 7
    assert values["runtime_sensor_skipped_total[vanished]"] == 3
    assert values["runtime_sensor_cells_total[a][b]"] == 1
    assert values["process_resident_memory_bytes"] > 1e6


def test_a_metric_that_cannot_be_read_hides_no_other(
    telemetry: Telemetry, served: MetricsServer, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry.register("good", "Good.", lambda: 1)
    telemetry.register("bad", "Bad.", lambda: 1 / 0)
    values = scraped(served)
    assert values["runtime_sensor_good_total"] == 1
    assert "runtime_sensor_bad_total" not in values
    assert values["runtime_sensor_unreadable_metrics_total[bad]"] == 1
    assert "cannot read metric runtime_sensor_bad" in caplog.text


@pytest.mark.parametrize("name", ["Bad", "x-y", "lost_total", "", "taken"])
def test_a_wrong_name_is_refused(telemetry: Telemetry, name: str) -> None:
    telemetry.register("taken", "", lambda: 0)
    with pytest.raises(ValueError, match="malformed"):
        telemetry.register(name, "", lambda: 0)


def test_ready_means_every_stage_said_so(health: Health, served: MetricsServer) -> None:
    status, content_type, body = get(served, "/readyz")
    assert (status, content_type) == (503, "application/json")
    assert json.loads(body) == {
        "ready": False,
        "reasons": ["heartbeat: has not started", "scan: has not started"],
    }
    health.set("scan", True)
    health.set("heartbeat", False, "no echo of our own open for 15 s: the ring or hook is silent")
    assert health.ready().reasons == (
        "heartbeat: no echo of our own open for 15 s: the ring or hook is silent",
    )
    assert get(served, "/readyz")[0] == 503
    health.set("heartbeat", True)
    assert get(served, "/readyz") == (200, "application/json", '{"ready": true, "reasons": []}\n')
    health.set("scan", False)
    assert get(served, "/readyz")[0] == 503


def test_alive_means_the_main_loop_turns(health: Health, clock: Clock, served: MetricsServer) -> None:
    clock.now += ALIVE_FOR - 1
    assert get(served, "/healthz")[0] == 200
    clock.now += 1
    status, _, body = get(served, "/healthz")
    assert status == 503
    assert json.loads(body)["reasons"] == ["the main loop is stuck for 30 s"]
    health.beat()
    assert get(served, "/healthz")[0] == 200


def test_nothing_else_is_served(served: MetricsServer) -> None:
    assert get(served, "/")[0] == 404
    assert get(served, "/metrics/../etc/passwd")[0] == 404
    assert get(served, "/metrics", "POST")[0] == 501
    assert get(served, "/healthz?verbose", "HEAD")[::2] == (200, "")


def test_clients_that_hold_on_are_bounded(served: MetricsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_SECONDS", HANGS)
    held = [socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) for _ in range(8)]
    try:
        for one in held:
            one.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        refused = socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE)
        assert refused.recv(1) == b""
        refused.close()
        monkeypatch.setattr(endpoint, "_SECONDS", 1.0)

        def dripped() -> bool:
            for one in held:  # which does not extend the time
                with contextlib.suppress(OSError):
                    one.sendall(b"x")
            return get_or_zero(served) == 200

        until(dripped, pause=0.1)
    finally:
        for one in held:
            one.close()


def get_or_zero(served: MetricsServer) -> int:
    try:
        return get(served, "/healthz")[0]
    except OSError:
        return 0


def test_an_address_in_use_says_so(served: MetricsServer, telemetry: Telemetry, health: Health) -> None:
    with pytest.raises(ServerError, match=rf"127.0.0.1 port {served.port}: .*in use; choose another"):
        MetricsServer("127.0.0.1", served.port, telemetry, health)


def test_ipv6_is_served(telemetry: Telemetry, health: Health) -> None:
    metrics = MetricsServer("::1", 0, telemetry, health)
    try:
        with socket.create_connection(("::1", metrics.port), timeout=PATIENCE) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.0 200"
    finally:
        metrics.close()


def test_closing_frees_the_port(telemetry: Telemetry, health: Health) -> None:
    first = MetricsServer("127.0.0.1", 0, telemetry, health)
    first.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", first.port), timeout=PATIENCE)
    MetricsServer("127.0.0.1", first.port, telemetry, health).close()


def test_prometheus_client_is_not_loaded_until_something_is_served() -> None:
    code = (
        "import sys, sensor.cli, sensor.telemetry.metrics, sensor.telemetry.health, sensor.telemetry.server\n"
        "sys.exit(bool({'prometheus_client', 'http.server'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], _, logging.raiseExceptions = before
    root.setLevel(before[1])


@pytest.mark.usefixtures("restored_logging")
def test_text_logs_are_a_line_each_and_escaped() -> None:
    stream = io.StringIO()
    logs.set_up("info", "text", stream)
    logging.getLogger("sensor.node.capture").warning("odd path %s", "/x\n\x1b[2J")
    logging.getLogger("sensor").debug("not shown")
    line = stream.getvalue()
    assert line.endswith(" warning capture: odd path /x\\n\\x1b[2J\n")
    assert line.count("\n") == 1


@pytest.mark.usefixtures("restored_logging")
def test_json_logs_carry_the_exception() -> None:
    stream = io.StringIO()
    logs.set_up("debug", "json", stream)
    try:
        raise KeyError("gone")
    except KeyError:
        logging.getLogger("sensor.x").exception("failed")
    logs.set_up("error", "json", stream)
    logging.getLogger("sensor.x").warning("not shown")
    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("error", "sensor.x", "failed")
    assert line["exception"].endswith("KeyError: 'gone'")
    assert line["time"].endswith("Z")
