"""Crash reports, as a server of Sentry's protocol gets them from a real process."""

from __future__ import annotations

import gzip
import http.server
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensor.telemetry.crashes import MOST_AN_HOUR, Crashes
from tests.clock import HANGS, LATE

TOKEN, CONTAINER, HOST_PATH = "7f1d-secret-token", "shop-web-container", "/var/lib/kubelet/pods/0b7c8f4e"
SECRETS = (TOKEN, CONTAINER, HOST_PATH, "kubelet", "0b7c8f4e", "hidden-argument", "hidden-environment")

CRASHING = f"""
import logging, sys, threading
from sensor.telemetry import crashes, logs
logs.set_up("debug")
crashes.set_up(sys.argv[1], "0.3.0")
namespace = {{"__name__": "__main__"}}
code = '''
class Broken(Exception):
    pass
def fail(token, container):
    path = "{HOST_PATH}/volumes"
    raise Broken(f"{{container}} sent {{token}} to {{path}}") from OSError(2, "missing", path)
'''
exec(compile(code, "{HOST_PATH}/fail.py", "exec"), namespace)
def run():
    namespace["fail"]("{TOKEN}", "{CONTAINER}")
log = logging.getLogger("sensor.node")
"""
IN_THREAD = "thread = threading.Thread(target=run, name='{container}'); thread.start(); thread.join()\n"


class Sentry:
    """Takes envelopes over HTTP, or only takes connections where ``answers`` is False."""

    def __init__(self, answers: bool) -> None:
        received = self.received = [b""][:0]
        released = self.released = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                if not answers:
                    released.wait(HANGS)
                    return
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                received.append(f"{self.requestline}\n{self.headers}".encode() + body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.dsn = f"http://public@127.0.0.1:{self.server.server_port}/1"

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(one.splitlines()[-1]) for one in self.received]


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    server = Sentry(answers=True)
    yield server
    server.close()


@pytest.fixture
def silent_sentry() -> Iterator[Sentry]:
    server = Sentry(answers=False)
    yield server
    server.close()


def run(script: str, dsn: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script, dsn, "hidden-argument"],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={"HIDDEN": "hidden-environment", "PATH": "/usr/bin"} | environment,
        timeout=30,
    )


@pytest.mark.parametrize(
    ("how", "level"),
    [
        ("run()", "fatal"),
        (IN_THREAD, "fatal"),
        (f"try: run()\nexcept Exception: log.exception('lost %s', '{CONTAINER}')", "error"),
    ],
    ids=["main thread", "thread", "logged"],
)
def test_a_crash_is_reported_by_types_and_places_alone(sentry: Sentry, how: str, level: str) -> None:
    done = run(CRASHING + how, sentry.dsn)
    assert TOKEN in done.stderr  # the crash was real, and its own handler still ran
    assert len(sentry.received) == 1
    for secret in (*SECRETS, __import__("socket").gethostname()):
        assert secret.encode() not in sentry.received[0], secret
    (event,) = sentry.events()
    assert (event["level"], event["release"]) == (level, "runtime-sensor@0.3.0")
    cause, broken = event["exception"]["values"]
    assert (cause["type"], cause["module"]) == ("FileNotFoundError", "builtins")
    assert (broken["type"], broken["module"]) == ("Broken", "__main__")
    last = broken["stacktrace"]["frames"][-1]
    assert last == {"module": "__main__", "function": "fail", "lineno": 6, "in_app": False}
    assert set(event) == {
        "event_id", "timestamp", "platform", "level", "release", "exception", "sdk",
    }  # fmt: skip


def test_the_library_keeps_breadcrumbs_and_scopes_to_itself(sentry: Sentry) -> None:
    """What other code hands to the library must not travel along."""
    script = CRASHING + (
        "import sentry_sdk\n"
        f"sentry_sdk.set_tag('container', '{CONTAINER}'); sentry_sdk.set_user({{'id': '{TOKEN}'}})\n"
        f"log.error('{CONTAINER}'); sentry_sdk.add_breadcrumb(message='{CONTAINER}')\n"
        "run()"
    )
    run(script, sentry.dsn, SENTRY_ENVIRONMENT=CONTAINER, SENTRY_DEBUG="1")
    assert len(sentry.received) == 1
    assert not any(secret.encode() in sentry.received[0] for secret in SECRETS)


def test_our_own_files_are_named_relative_to_the_package(sentry: Sentry) -> None:
    script = CRASHING + "from sensor.config.texts import seconds\nseconds('--x', None, least=0, most=1)"
    run(script, sentry.dsn)
    (event,) = sentry.events()
    frame = event["exception"]["values"][-1]["stacktrace"]["frames"][-1]
    assert (frame["filename"], frame["function"]) == ("sensor/config/texts.py", "seconds")
    assert frame["in_app"] is True
    assert str(Path(__file__).parents[2]).encode() not in sentry.received[0]


@pytest.mark.parametrize("dsn", ["", None])
def test_without_a_dsn_nothing_is_loaded_and_nothing_is_sent(sentry: Sentry, dsn: str | None) -> None:
    script = (
        "import os, sys, threading\n"
        f"os.environ['SENTRY_DSN'] = {sentry.dsn!r}\n"
        "from sensor.telemetry import crashes\n"
        f"before = sys.excepthook, threading.excepthook\ncrashes.set_up({dsn!r}, '0.3.0')\n"
        "assert before == (sys.excepthook, threading.excepthook)\n"
        "print(*(name for name in sys.modules if name.startswith(('sentry', 'urllib3'))))\n"
        "raise ValueError"
    )
    done = run(script, sentry.dsn)
    assert done.stdout == "\n"
    assert "ValueError" in done.stderr
    assert sentry.received == []


@pytest.mark.parametrize(
    "dsn",
    [
        f"https://{TOKEN}@",
        f"{TOKEN}@sentry.example/1",
        f"https://{TOKEN}@[::1/1",
        f"ftp://{TOKEN}@sentry.example/1",
        f"https://sentry.example/{TOKEN}",
        f"https://{TOKEN}@sentry.example:port/1",
    ],
)
def test_a_bad_dsn_is_a_warning_that_does_not_show_it(dsn: str) -> None:
    script = CRASHING.partition("namespace =")[0] + "print('goes on')"
    done = run(script, dsn)
    assert done.stdout == "goes on\n" and done.returncode == 0
    assert (
        "warning telemetry.crashes: SENTRY_DSN: found no DSN, expected https://KEY@HOST/PROJECT"
        in done.stderr
    )
    assert TOKEN not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_end_waits_for_what_is_not_sent_but_not_for_ever(silent_sentry: Sentry) -> None:
    script = CRASHING + "import time\nlog.info('%f', time.time())\nrun()"
    done = run(script, silent_sentry.dsn)
    ended = time.time()
    begun = float(done.stderr.partition(" info node: ")[2].split()[0])
    assert 1.0 < ended - begun < LATE


def test_a_server_that_is_not_there_changes_nothing(sentry: Sentry) -> None:
    dsn = sentry.dsn.replace("127.0.0.1", "127.9.9.9")
    done = run(CRASHING + "run()", dsn)
    assert done.returncode == 1
    assert done.stderr.count("Broken") == 1


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def broken(number: int) -> Exception:
    """Each with a type of its own, so that none is the same place twice."""
    return type(f"Broken{number}", (Exception,), {})()  # type: ignore[no-any-return]


def test_at_most_ten_an_hour() -> None:
    sent: list[Any] = []
    clock = Clock()
    crashes = Crashes(sent.append, clock)
    for number in range(100):
        crashes.report(broken(number), "error")
    assert len(sent) == MOST_AN_HOUR == 10
    clock.now = 3599.9
    crashes.report(broken(200), "error")
    assert len(sent) == 10
    clock.now = 3600.0
    for number in range(300, 400):
        crashes.report(broken(number), "error")
    assert len(sent) == 20


def test_the_same_place_is_reported_once_an_hour() -> None:
    sent: list[Any] = []
    clock = Clock()
    crashes = Crashes(sent.append, clock)
    for _ in range(100):
        crashes.report(broken(1), "error")
    assert len(sent) == 1
    clock.now = 3600.0
    crashes.report(broken(1), "error")
    assert len(sent) == 2


def test_an_end_that_was_asked_for_is_no_crash() -> None:
    sent: list[Any] = []
    for error in (KeyboardInterrupt(), SystemExit(1), GeneratorExit(), None):
        Crashes(sent.append).report(error, "fatal")
    assert sent == []


def test_a_report_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def send(_: Any) -> None:
        raise RuntimeError(TOKEN)

    with caplog.at_level(logging.WARNING):
        Crashes(send).report(broken(1), "fatal")
    assert "a crash could not be reported: RuntimeError" in caplog.text
    assert TOKEN not in caplog.text


def nested(depth: int) -> None:
    if depth == 0:
        raise ValueError
    nested(depth - 1)


def test_deep_stacks_and_long_chains_are_bounded() -> None:
    sent: list[Any] = []
    last: Exception = ValueError()
    for _ in range(50):
        try:
            raise RuntimeError from last
        except RuntimeError as error:
            last = error
    Crashes(sent.append).report(last, "fatal")
    last.__cause__ = last
    Crashes(sent.append).report(last, "fatal")
    try:
        nested(500)
    except ValueError as error:
        Crashes(sent.append).report(error, "fatal")
    values = [event["exception"]["values"] for event in sent]
    assert [len(value) for value in values] == [8, 1, 1]
    frames = values[2][0]["stacktrace"]["frames"]
    assert len(frames) == 64
    assert frames[-1]["function"] == "nested"  # the innermost are those that tell
