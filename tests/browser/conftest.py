"""A browser that reports everything it asks for and complains about, and a page to look at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver

from tests import receiver_seed
from tests.clock import PATIENCE
from tests.receiver_page_server import PageServer


class Browser:
    """A window of chromium; each test gets a new one."""

    def __init__(self, driver: WebDriver) -> None:
        self.driver = driver

    def complaints(self) -> list[str]:
        """Errors of the console, violations of the policy and uncaught exceptions among them."""
        entries: list[dict[str, Any]] = self._log("browser")
        return [str(entry["message"]) for entry in entries if entry["level"] != "INFO"]

    def requests(self) -> set[str]:
        """Every address that was asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        sent = (m["params"] for m in messages if m["method"] == "Network.requestWillBeSent")
        return {params["request"]["url"] for params in sent}

    def _log(self, name: str) -> list[dict[str, Any]]:
        return list(self.driver.get_log(name))  # type: ignore[no-untyped-call]

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def emulate(self, command: str, **parameters: Any) -> None:
        self.driver.execute_cdp_cmd(f"Emulation.{command}", parameters)

    def width(self, pixels: int, height: int = 800) -> None:
        self.emulate(
            "setDeviceMetricsOverride", width=pixels, height=height, deviceScaleFactor=1, mobile=False
        )

    def scheme(self, name: str) -> None:
        self.emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])


@pytest.fixture(scope="module")  # not of the session: no child of ours may live beside other tests
def _chromium() -> Iterator[WebDriver]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture
def browser(_chromium: WebDriver) -> Iterator[Browser]:
    first = _chromium.current_window_handle
    _chromium.switch_to.new_window("tab")
    found = Browser(_chromium)
    found.complaints()
    found.requests()
    yield found
    _chromium.close()
    _chromium.switch_to.window(first)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[PageServer, Path]]:
    path = tmp_path / "receiver.db"
    receiver_seed.seed(path, containers=130, images=10, packages=200)
    with PageServer(path) as server:
        yield server, path


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], tuple[PageServer, Path]]]:
    """An empty database, served."""
    servers = []

    def start() -> tuple[PageServer, Path]:
        path = tmp_path / "empty.db"
        receiver_seed.create(path).close()
        servers.append(PageServer(path).__enter__())
        return servers[-1], path

    yield start
    for server in servers:
        server.__exit__(None, None, None)
