"""What a person does with the page, done in a real browser."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests import receiver_seed
from tests.browser.conftest import Browser
from tests.clock import PATIENCE, in_time
from tests.receiver_page_server import PageServer
from tests.receiver_process import Receiver

pytestmark = pytest.mark.browser

Served = tuple[PageServer, Path]


def _until(browser: Browser, met: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    return WebDriverWait(browser.driver, seconds, poll_frequency=0.05).until(lambda _: met())


def _until_told(browser: Browser, server: PageServer, script: str) -> None:
    """Tell of a change until ``script`` finds it: nothing shows when the stream of a page is open."""

    def met() -> Any:
        server.grow()
        return browser.run(script)

    _until(browser, met)


def _press(browser: Browser, *keys: str) -> None:
    browser.driver.switch_to.active_element.send_keys(*keys)


def _tab_to(browser: Browser, script: str, most: int = 60) -> None:
    """Press the tabulator until the focused element, ``e``, is the one that is meant."""
    for _ in range(most):
        _press(browser, Keys.TAB)
        if browser.run(f"const e = document.activeElement; return {script}"):
            return
    pytest.fail(f"{most} tabs did not lead to {script}")


def _add(path: Path, number: int, **given: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(receiver_seed.INSERT_CONTAINER, receiver_seed.container(number, **given))


def _pages(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        image = connection.execute("SELECT image_name FROM container").fetchone()[0]
        purl = connection.execute(
            "SELECT purl FROM package WHERE id IN (SELECT package FROM member)"
        ).fetchone()[0]
    lists = ["/", "/workloads", "/images", "/containers", "/namespaces", "/clusters"]
    return [
        *lists,
        "/containers/1",
        f"/image?name={quote(image)}",
        f"/package?purl={quote(purl)}",
        "/containers/999",
    ]


def test_nothing_comes_from_outside_and_nothing_complains(browser: Browser, served: Served) -> None:
    server, path = served
    for page in _pages(path):
        browser.driver.get(server.address + page)
        assert browser.run("return document.styleSheets[0].cssRules.length") > 50
    hosts = {urlsplit(address).netloc for address in browser.requests() if not address.startswith("data:")}
    assert hosts == {urlsplit(server.address).netloc}
    assert [text for text in browser.complaints() if "404" not in text] == []


def test_the_policy_is_in_force(browser: Browser, served: Served) -> None:
    browser.driver.get(served[0].address)
    browser.run(
        "const s = document.createElement('script');s.textContent = 'window.ran = 1'; document.body.append(s)"
    )
    assert browser.run("return window.ran") is None
    assert any("Content Security Policy" in text for text in browser.complaints())


def test_search_and_filters_without_leaving_the_page(browser: Browser, served: Served) -> None:
    browser.driver.get(served[0].address)
    browser.run("window.stayed = true")
    search = browser.driver.find_element(By.ID, "f-q")
    search.send_keys("log4j-core")
    _until(browser, lambda: "q=log4j-core" in browser.driver.current_url)
    names = browser.run("return [...document.querySelectorAll('tbody .name')].map(e => e.textContent)")
    assert names and all("log4j-core" in name for name in names)
    assert browser.run("return document.activeElement.id") == "f-q"
    browser.driver.find_element(By.CSS_SELECTOR, "#f-cluster option[value=staging]").click()
    _until(browser, lambda: "cluster=staging" in browser.driver.current_url)
    browser.driver.find_element(By.CSS_SELECTOR, ".tick input[value=deployed]").click()
    _until(browser, lambda: "risk=deployed" in browser.driver.current_url)
    assert browser.run("return window.stayed && document.querySelectorAll('.chips [data-key]').length") == 4
    shown = browser.run("return document.querySelector('.pager p').textContent")
    browser.driver.refresh()  # the address carries it all
    assert browser.run("return document.querySelector('.pager p').textContent") == shown


def test_by_keyboard_alone(browser: Browser, served: Served) -> None:
    browser.driver.get(served[0].address + "/containers")
    _press(browser, Keys.TAB)
    assert browser.run("return document.activeElement.className") == "skip"
    _press(browser, Keys.ENTER)
    _until(browser, lambda: browser.run("return document.activeElement.id") == "main")
    _tab_to(browser, "e.id === 'f-q'")
    _press(browser, "o", "r", "d", "e", Keys.ENTER)
    _until(browser, lambda: "q=orde" in browser.driver.current_url)
    browser.driver.get(served[0].address + "/containers")
    _tab_to(browser, "e.closest('thead') && e.textContent.startsWith('Packages')")
    outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    _press(browser, Keys.ENTER)
    _until(browser, lambda: "sort=-packages" in browser.driver.current_url)
    assert browser.run("return document.querySelector('[aria-sort]').ariaSort") == "descending"
    _tab_to(browser, "e.rel === 'next'", 250)
    _press(browser, Keys.ENTER)
    _until(browser, lambda: "page=2" in browser.driver.current_url)
    _tab_to(browser, "e.rel === 'prev'", 250)
    _tab_to(browser, "e === document.body || e.className === 'skip'", 12)  # no trap: out at the end


def test_a_new_row_comes_by_itself_and_focus_stays(browser: Browser, served: Served) -> None:
    server, path = served
    browser.driver.get(server.address + "/containers?sort=container")
    browser.run("window.stayed = true; document.querySelector('.why').open = true; scrollTo(0, 300)")
    link = browser.run(
        "const a = document.querySelectorAll('tbody .name')[5]; a.focus({preventScroll: true}); return a.href"
    )
    browser.run("getSelection().selectAllChildren(document.querySelectorAll('tbody .sub')[3])")
    selected = browser.run("return getSelection().toString()")
    _until(browser, lambda: not browser.run("return document.getElementById('live').hidden"))
    with in_time():
        _add(path, 900_001, container_name="aaa-new", pod_name="aaa-new-pod")
        _until_told(browser, server, "return document.querySelector('tbody .name').textContent === 'aaa-new'")
    assert browser.run("return window.stayed && document.activeElement.href") == link
    assert browser.run("return getSelection().toString()") == selected != ""
    assert browser.run("return document.querySelector('.why').open && scrollY") == 300
    assert "fresh" in browser.run("return document.querySelector('tbody tr').className")


def test_the_first_report_replaces_the_welcome(browser: Browser, serve: Callable[[], Served]) -> None:
    server, path = serve()
    browser.driver.get(server.address)
    assert "No report yet" in browser.run("return document.body.textContent")
    _add(path, 1)
    _until_told(browser, server, "return document.getElementById('filters') !== null")


def test_paused_is_paused(browser: Browser, served: Served) -> None:
    server, path = served
    browser.driver.get(server.address + "/containers?sort=container")
    toggle = browser.driver.find_element(By.ID, "live")
    _until(browser, toggle.is_displayed)
    toggle.click()
    assert (toggle.get_attribute("aria-pressed"), toggle.text) == ("false", "Paused")
    _add(path, 900_002, container_name="aaa-new")
    server.grow()
    time.sleep(1.5)
    assert browser.run("return document.querySelector('tbody .name').textContent") != "aaa-new"
    toggle.click()
    _until(
        browser, lambda: browser.run("return document.querySelector('tbody .name').textContent") == "aaa-new"
    )


def test_a_storm_of_changes_asks_once_a_second(browser: Browser, served: Served) -> None:
    server, _ = served
    browser.driver.get(server.address + "/clusters")
    count = "return performance.getEntriesByType('resource').length"
    before, begun = browser.run(count), time.monotonic()
    _until_told(browser, server, f"{count} - {before} > 0")
    while time.monotonic() < begun + 3:
        server.grow()
        time.sleep(0.01)
    asked = browser.run(count) - before
    assert asked <= time.monotonic() - begun + 1


def test_without_javascript(browser: Browser, served: Served) -> None:
    browser.emulate("setScriptExecutionDisabled", value=True)
    driver = browser.driver
    driver.get(served[0].address)
    assert not driver.find_element(By.ID, "live").is_displayed()
    driver.find_element(By.ID, "f-q").send_keys("jackson")
    driver.find_element(By.ID, "apply").click()
    _until(browser, lambda: "q=jackson" in driver.current_url)
    names = [e.text for e in driver.find_elements(By.CSS_SELECTOR, "tbody .name")]
    assert names and all("jackson" in name for name in names)
    driver.find_element(By.LINK_TEXT, "Containers").click()
    _until(browser, lambda: "/containers?q=jackson" in driver.current_url)
    driver.find_element(By.LINK_TEXT, "Packages").click()
    driver.find_element(By.ID, "refresh").click()
    _until(browser, lambda: "q=jackson" in driver.current_url)
    driver.find_element(By.CSS_SELECTOR, "tbody .name").click()
    _until(browser, lambda: "/package?" in driver.current_url)
    browser.emulate("setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("pixels", [360, 640])  # 640 is 1280 at 200 % zoom
def test_narrow_and_zoomed_pages_do_not_scroll_sideways(
    browser: Browser, served: Served, pixels: int
) -> None:
    server, path = served
    browser.width(pixels)
    for page in _pages(path):
        browser.driver.get(server.address + page)
        width = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1] == pixels, page


def test_both_schemes(browser: Browser, served: Served) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        browser.driver.get(served[0].address)
        colours = browser.run(
            "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        )
        grounds[scheme] = [sum(map(int, colour[4:-1].split(","))) for colour in colours]
    assert grounds["light"][0] > 600 and grounds["light"][1] < 200
    assert grounds["dark"][0] < 200 and grounds["dark"][1] > 600


def test_hostile_names_do_nothing(browser: Browser, serve: Callable[[], Served]) -> None:
    server, path = serve()
    attack = '"><img src=x onerror=alert(1)><script>alert(2)</script>\u202e{{7*7}}\x1b' + "A" * 4096
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        package = receiver_seed.Package(1, "npm", attack, attack)
        receiver_seed.add_package(connection, package)
        package_set = receiver_seed.add_set(connection, [(package, "opened", attack)])
    names = ("cluster", "namespace", "workload_name", "pod_name", "container_name", "node", "image_name")
    _add(path, 1, **dict.fromkeys(names, attack), package_set=package_set)
    pages = ["/", "/workloads", "/images", "/containers", "/namespaces", "/clusters", "/containers/1"]
    for page in [*pages, f"/image?name={quote(attack)}", f"/?q={quote(attack[:400])}"]:
        browser.driver.get(server.address + page)  # an alert would make this or the next call fail
        assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), page
    browser.driver.get(server.address + "/containers")
    _add(path, 2, container_name=attack + "2")
    _until_told(browser, server, "return document.querySelectorAll('tbody tr').length === 2")
    assert browser.complaints() == []


def test_an_sbom_by_the_form(browser: Browser, served: Served, tmp_path: Path) -> None:
    server, path = served
    (tmp_path / "sbom.json").write_text(
        '{"bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/left-pad@1.3.0"}]}'
    )
    with closing(sqlite3.connect(path)) as connection:
        image = connection.execute("SELECT image_name FROM container").fetchone()[0]
    browser.driver.get(f"{server.address}/image?name={quote(image)}")
    browser.driver.find_element(By.ID, "file").send_keys(str(tmp_path / "sbom.json"))
    browser.driver.find_element(By.CSS_SELECTOR, ".upload button").click()
    _until(
        browser,
        lambda: "left-pad" in browser.run("return document.querySelector('.compared')?.textContent ?? ''"),
    )


@pytest.mark.parametrize("size", [0, 8 << 20])
def test_a_receiver_asks_for_the_token_of_an_upload(browser: Browser, tmp_path: Path, size: int) -> None:
    """The page needs none on loopback, an SBOM does: the browser is asked, and sends the form again."""
    sbom = {"bomFormat": "CycloneDX", "components": [{"purl": "pkg:npm/left-pad@1.3.0"}], "": "a" * size}
    (tmp_path / "sbom.json").write_text(json.dumps(sbom))
    image = {"namespace": "a", "workloadKind": "Deployment", "workloadName": "a", "container": "a"}
    body = {
        "target": {"userLocator": "group", "cluster": "c"},
        "facts": [{"type": "loadedPackages", "data": [{**image, "imageID": "shop:1", "packages": []}]}],
    }
    with Receiver() as receiver:
        path = "/v2/kubernetes-upstream/api/v1/runtime-results?version=2023-02-10"
        assert receiver.call("POST", path, json.dumps(body).encode())[0] == 200
        # What stands in the address is what a person would type when asked.
        browser.driver.get(f"http://any:{receiver.token}@{receiver.http_address}/image?name=shop:1")
        browser.driver.find_element(By.ID, "file").send_keys(str(tmp_path / "sbom.json"))
        browser.driver.find_element(By.CSS_SELECTOR, ".upload button").click()
        _until(browser, lambda: browser.driver.current_url.endswith("#sbom"))
        shown = "return document.querySelector('.compared')?.textContent ?? ''"
        _until(browser, lambda: "left-pad" in browser.run(shown))


def test_what_a_screen_reader_is_told(browser: Browser, served: Served) -> None:
    server, path = served
    for page in _pages(path):
        browser.driver.get(server.address + page)
        assert browser.run("return document.querySelectorAll('main, header, footer').length") == 3
        assert browser.run("return document.querySelectorAll('h1').length") == 1
        assert browser.run("return [...document.querySelectorAll('table')].every(t => t.caption.textContent)")
        assert browser.run("return [...document.querySelectorAll('th')].every(h => h.scope)")
        unnamed = """return [...document.querySelectorAll('input:not([type=hidden]), select, button, a')]
            .filter(e => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map(e => e.outerHTML)"""
        assert browser.run(unnamed) == []
        assert browser.run("return document.querySelector('[aria-live=polite]') !== null")
