"""From a load in a container to the row on the receiver's page, with the sensor's default settings."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from tests.containers.packages import PYTHON, Distribution, environment, image
from tests.fleet.figures import percentile
from tests.ground import Container, Ground, Sensor
from tests.receiver_process import Receiver

pytestmark = pytest.mark.containers

SAMPLES = 72
AT_MOST = 10.0
EVERY = 0.1
DEFAULT_DEBOUNCE = 2.0
FRESH = [Distribution(f"fresh{number:03}", "1.0") for number in range(SAMPLES)]
# A load every 0.1 to 1.5 s: some fall into a report that is due anyway, some begin one.
PROGRAM = """
import importlib, json, random, sys, time
dice = random.Random(5)
for name in sys.argv[1:]:
    time.sleep(dice.choice((0.1, 0.4, 0.8, 1.5)))
    importlib.import_module(name)
    print(json.dumps([name, time.monotonic()]), flush=True)
time.sleep(600)
"""
_NAME = re.compile(r"\bfresh\d{3}\b")


class Page(threading.Thread):
    """Asks for the page again and again; ``appeared``: package -> when it was on it first."""

    def __init__(self, receiver: Receiver, path: str) -> None:
        super().__init__(name="page", daemon=True)
        self._receiver = receiver
        self._path = path
        self._done = threading.Event()
        self.appeared: dict[str, float] = {}
        self.looks = 0
        self.wrong: tuple[int, bytes] | None = None

    def run(self) -> None:
        while not self._done.wait(EVERY):
            status, body = self._receiver.call("GET", self._path)
            now = time.monotonic()
            if status != 200:
                self.wrong = status, body
                return
            self.looks += 1
            for name in _NAME.findall(body.decode()):
                self.appeared.setdefault(name, now)

    def stop(self) -> None:
        self._done.set()
        self.join()


def loaded(container: Container) -> Mapping[str, float]:
    """Package -> when its import was done."""
    lines = [line for line in container.output().splitlines(keepends=True) if line.endswith("\n")]
    return dict(json.loads(line) for line in lines)


def test_a_load_is_on_the_page_within_seconds(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    certificate, ca = tmp_path / "server.pem", tmp_path / "ca.pem"
    server.private_key_and_cert_chain_pem.write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(ca))
    of = image(ground, "latency", FRESH)
    names = [each.name for each in FRESH]
    random.Random(5).shuffle(names)

    with Receiver(tmp_path / "data", certificate=certificate, key=certificate, authority=ca) as receiver:
        monkeypatch.setenv("SNYK_TOKEN", receiver.token)
        options = ["--upstream", receiver.grpc_address, "--ca-bundle", str(ca)]
        options += ["--state-dir", str(tmp_path / "state")]
        page = Page(receiver, "/?sort=-first")
        sensor = Sensor(*options, debounce=DEFAULT_DEBOUNCE, log=tmp_path / "sensor.log")
        command = [*PYTHON, PROGRAM, *names]
        with sensor, ground.container(of, command, name="latency", env=environment()) as container:
            page.start()
            deadline = time.monotonic() + 120
            while len(page.appeared) < SAMPLES and time.monotonic() < deadline and page.wrong is None:
                time.sleep(0.2)
            page.stop()
            done, memory = loaded(container), sensor.resident_kib() / 1024
            assert page.wrong is None, page.wrong
            missing = sorted(set(names) - page.appeared.keys())
            assert not missing, f"not on the page: {missing}; the sensor said:\n{sensor.log()[-2000:]}"
    seconds = [page.appeared[name] - done[name] for name in names]
    p50, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
    print(
        f"from a load to the page: {len(seconds)} samples, p50 {p50:.2f} s, p99 {p99:.2f} s, "
        f"worst {max(seconds):.2f} s; {page.looks} looks at the page; "
        f"the agent, delivering by TLS: {memory:.1f} MiB"
    )
    assert p99 < AT_MOST
    assert min(seconds) > 0, "the page cannot have it before the load"
