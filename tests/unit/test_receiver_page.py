"""The page over real sockets: what it shows, refuses and never says."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest

from sensor.receiver import jsonapi
from sensor.receiver.page import wording
from sensor.receiver.page.columns import VIEWS
from sensor.receiver.page.render import HEADERS, STATIC
from tests import receiver_seed
from tests.clock import PATIENCE, at_little_cost
from tests.receiver_page_server import PageServer

HOSTILE = (
    "<script>alert(1)</script>\" onmouseover='alert(2)' {{7*7}} \u202etxt.exe \x1b[31m\x00 " + "A" * 4096
)


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(
    server: PageServer, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> Answer:
    with closing(http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=PATIENCE)) as connection:
        connection.request(
            method, path, body, {name.replace("_", "-"): text for name, text in headers.items()}
        )
        return Answer(connection.getresponse())


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seeded") / "receiver.db"
    receiver_seed.seed(path, containers=130, images=10, packages=150)
    return path


@pytest.fixture(scope="module")
def server(database: Path) -> Iterator[PageServer]:
    with PageServer(database) as server:
        yield server


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[PageServer]:
    receiver_seed.create(tmp_path / "db").close()
    with PageServer(tmp_path / "db") as server:
        yield server


class Elements(HTMLParser):
    """Every start tag with its attributes; complains about what is not closed."""

    VOID = ("meta", "link", "img", "input", "br", "rect")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def links(self) -> list[str]:
        return [attributes["href"] for tag, attributes in self.found if tag == "a" and attributes["href"]]


def _a_row(database: Path, sql: str) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return str(connection.execute(sql).fetchone()[0])


def _pages(database: Path) -> list[str]:
    image = _a_row(database, "SELECT image_name FROM container")
    purl = _a_row(database, "SELECT p.purl FROM member m JOIN package p ON p.id = m.package")
    return [
        *(view.path for view in VIEWS.values()),
        "/containers/1",
        f"/image?{urlencode({'name': image})}",
        f"/package?{urlencode({'purl': purl})}",
    ]


def test_every_page_is_well_formed_and_its_links_lead_somewhere(database: Path, server: PageServer) -> None:
    seen: set[str] = set()
    for path in _pages(database):
        answer = ask(server, path)
        assert answer.status == 200, path
        elements = Elements(answer.text)
        links = [link for link in elements.links() if not link.startswith("#")]
        assert links and all(link.startswith("/") for link in links)
        kinds = {link.partition("?")[0]: link for link in links if not link.startswith("/api")}
        seen.update(kinds.values())
        ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
        assert len(ids) == len(set(ids)), path
    for link in sorted(seen)[:40]:
        assert ask(server, link).status == 200, link


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_every_heading_sorts(server: PageServer, view: object) -> None:
    path = view.path  # type: ignore[attr-defined]
    headings = re.findall(r'<th scope="col"[^>]*><a href="([^"]+)"', ask(server, path).text)
    assert len(headings) == len(view.columns)  # type: ignore[attr-defined]
    for heading in headings:
        text = ask(server, heading.replace("&amp;", "&")).text
        assert text.count("aria-sort=") == 1
        assert "<tbody>" in text


def test_headers_of_every_answer(database: Path, server: PageServer) -> None:
    for path in [
        *_pages(database),
        "/nowhere-static",
        "/static/page.css",
        "/api/containers?cluster=none",
        "/events",
    ]:
        if path == "/events":
            continue
        headers = ask(server, path if path != "/nowhere-static" else "/static/none").headers
        for name, value in HEADERS.items():
            assert headers[name] == value or name == "Cache-Control", (path, name)
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none'")


def test_nothing_inline_and_nothing_from_outside(database: Path, server: PageServer) -> None:
    for path in _pages(database):
        for tag, attributes in Elements(ask(server, path).text).found:
            assert tag not in ("style", "iframe", "base", "object")
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            for name in ("src", "href", "action"):
                assert not attributes.get(name, "").startswith(("http:", "https:", "//", "javascript:"))
            assert tag != "script" or "src" in attributes


def test_filters_and_pages_stand_in_the_address(server: PageServer) -> None:
    first = ask(server, "/containers?cluster=staging").text
    assert 'value="staging" selected' in first
    total = int(re.search(r"1–(?:\d+) of (\d+) containers", first)[1])  # type: ignore[index]
    rows = re.findall(r'<tr data-key="(\d+)"', first)
    assert 0 < len(rows) == min(50, total)
    everything = []
    path: str | None = "/containers?sort=packages"
    while path:
        text = ask(server, path.replace("&amp;", "&")).text
        everything += re.findall(r'<tr data-key="(\d+)"', text)
        found = re.search(r'rel="next" href="([^"]+)"', text)
        path = found[1] if found else None
    assert sorted(map(int, everything)) == list(range(1, 131))


@pytest.mark.parametrize("query", [
    "page=0", "page=-1", "page=x", "page=99999999999", "page=%D9%A1", "sort=nonsense", "sort=-", "risk=,,",
    "q=%00", "cluster=%ff",
])  # fmt: skip
def test_odd_questions_are_answered(server: PageServer, query: str) -> None:
    for view in VIEWS.values():
        assert ask(server, f"{view.path}?{query}").status == 200


@pytest.mark.parametrize("path", [
    "/containers/999999", "/containers/" + "9" * 18, "/image?name=none", "/image", "/package?purl=x",
    "/package",
    "/static/..%2froutes.py", "/static/none", "/api/cyclonedx/999", "/api/cyclonedx?image=no",
])  # fmt: skip
def test_what_is_not_there_is_not_found(server: PageServer, path: str) -> None:
    assert ask(server, path).status == 404


def test_an_empty_receiver_teaches(empty: PageServer) -> None:
    for view in VIEWS.values():
        text = ask(empty, view.path).text
        assert "No report yet" in text and "runtime-sensor node" in text
    assert json.loads(ask(empty, "/api/containers").body) == {"containers": []}


def test_a_filter_that_fits_nothing_says_so(server: PageServer) -> None:
    text = ask(server, "/?q=no-such-thing&risk=public").text
    assert "Nothing matches" in text and "runtime-sensor connector" in text


def test_hostile_names_are_shown_not_obeyed(tmp_path: Path) -> None:
    with closing(receiver_seed.create(tmp_path / "db")) as connection:
        package = receiver_seed.Package(1, "npm", HOSTILE, HOSTILE)
        receiver_seed.add_package(connection, package)
        package_set = receiver_seed.add_set(connection, [(package, HOSTILE, HOSTILE)])
        names = ("cluster", "namespace", "workload_kind", "workload_name", "pod_name", "container_name",
                 "node",
                 "image_name", "image_digest", "container_id", "runtime", "coverage_reasons")  # fmt: skip
        row = receiver_seed.container(
            1, **dict.fromkeys(names, HOSTILE), package_set=package_set, coverage="partial"
        )
        connection.execute(receiver_seed.INSERT_CONTAINER, row)
        connection.execute("UPDATE container SET pod_name = CAST(x'ff3c62fe' AS TEXT)")
    with PageServer(tmp_path / "db") as server:
        details = ["/containers/1", f"/image?name={quote(HOSTILE)}", f"/package?purl={quote(package.purl)}"]
        searches = [f"/?q={quote(HOSTILE)}", f"/containers?cluster={quote(HOSTILE[:100])}"]
        for path in [*(view.path for view in VIEWS.values()), *details, *searches]:
            answer = ask(server, path)
            if path.startswith("/package"):
                assert answer.status in (200, 404)
            else:
                assert answer.status == 200, path
            found = Elements(answer.text).found
            assert [a for t, a in found if t == "script"] == [
                {"src": f"/static/page.js?v={STATIC['page.js'].version}", "defer": ""}
            ]
            assert not [a for _, a in found if "onmouseover" in a]
            shown = re.sub(r'value="[^"]*"', "", answer.text)  # a form gives back what it was given
            assert "\x1b" not in shown and "\u202e" not in shown
            assert "49" not in re.findall(r"\{\{7\*7\}\}|49 ", answer.text)


def test_names_turn_no_text_around() -> None:
    assert wording.visible("a\u202eb\x00\n\u200b") == "a\\u202eb\\x00\\n\\u200b"
    assert len(wording.visible("x" * 9999)) == wording.LONGEST + 1


def test_every_reason_of_the_node_has_a_sentence() -> None:
    """Those that docs/architecture.md lists."""
    text = (Path(__file__).parents[2] / "docs/architecture.md").read_text().partition("## Coverage")[2]
    codes = [
        code
        for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
        for code in re.findall(r"`([a-z_]+)", row)
    ]
    assert len(codes) > 12
    for code in codes:
        assert "newer sensor" not in wording.reason(
            code.removesuffix("_") + ("_too_large" if code == "skipped_" else "")
        )


def test_every_skip_of_the_node_has_a_sentence() -> None:
    from sensor.model.package import SkipReason

    for skip in SkipReason:
        if skip.loses_facts:
            assert wording.reason(f"skipped_{skip.value}") != wording.reason("skipped_else"), skip


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (-5, "just now"),
        (0, "just now"),
        (10, "10 s ago"),
        (60, "1 min ago"),
        (3600, "1 h ago"),
        (200_000, "2 d ago"),
    ],
)
def test_ages(age: float, text: str) -> None:
    assert wording.ago(1000.0 - age, 1000.0) == text


def test_moments_that_no_calendar_holds() -> None:
    assert wording.utc(1e300) == wording.utc(float("nan")) == "–"
    assert wording.utc(0) == "1970-01-01 00:00:00 UTC"


# ---- exports and SBOMs over HTTP


def test_exports_have_the_filters_of_the_view(server: PageServer) -> None:
    text = ask(server, "/?cluster=staging&ecosystem=npm&risk=deployed").text
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="(/api/[^"]+)" download', text)]
    found = json.loads(ask(server, links[0]).body)["containers"]
    assert (
        found and {one["cluster"] for one in found} == {"staging"} and all(one["deployed"] for one in found)
    )
    answer = ask(server, links[1])
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="containers.csv"')


def test_bills_are_downloads(database: Path, server: PageServer) -> None:
    image = _a_row(database, "SELECT image_name FROM container")
    for path in ("/api/cyclonedx/1", f"/api/cyclonedx?image={quote(image)}"):
        answer = ask(server, path)
        assert answer.headers["Content-Type"] == "application/vnd.cyclonedx+json; version=1.6"
        assert json.loads(answer.body)["metadata"]["component"]["name"] == image


SBOM = json.dumps(
    {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"purl": "pkg:npm/never-loaded@1"}]}
).encode()


def _form(image: str, body: bytes, kind: str = "multipart/form-data") -> tuple[bytes, str]:
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + image.encode(),
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.json"\r\n\r\n' + body,
    ]
    return b"\r\n".join([*parts, b"--b--\r\n"]), f"{kind}; boundary=b"


def test_an_uploaded_sbom_is_compared(tmp_path: Path) -> None:
    path = tmp_path / "db"
    receiver_seed.seed(path, containers=20, images=3, packages=50)
    image = _a_row(path, "SELECT image_name FROM container")
    with PageServer(path) as server:
        answer = ask(server, f"/api/sboms?image={quote(image)}", "PUT", SBOM)
        assert (answer.status, json.loads(answer.body)["components"]) == (200, 1)
        text = ask(server, f"/image?name={quote(image)}").text
        assert "never-loaded" in text and "Installed, never loaded" in text
        body, kind = _form(image, SBOM)
        answer = ask(server, "/api/sboms", "POST", body, Content_Type=kind, Sec_Fetch_Site="same-origin")
        assert answer.status == 303
        assert ask(server, answer.headers["Location"].partition("#")[0]).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
def test_another_site_cannot_upload(empty: PageServer, headers: dict[str, str], status: int) -> None:
    assert ask(empty, "/api/sboms?image=a", "PUT", SBOM, **headers).status == status
    body, kind = _form("a", SBOM)
    found = ask(empty, "/api/sboms", "POST", body, Content_Type=kind, **headers).status
    assert found == (303 if status == 200 else status)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/sboms?image=a", b"", 400),
        ("/api/sboms?image=a", b"[" * 100_000, 400),
        ("/api/sboms", SBOM, 400),
        (f"/api/sboms?image={'a' * 2000}", SBOM, 400),
        ("/api/sboms?image=a", b" " * ((32 << 20) + 1), 413),
    ],
)
def test_what_is_no_sbom_is_refused(empty: PageServer, path: str, body: bytes, status: int) -> None:
    answer = ask(empty, path, "PUT", body)
    assert answer.status == status and "expected" in json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        _form("a", b"{}"),
        _form("", SBOM),
        _form("a", b""),
        _form("a", SBOM, "multipart/mixed"),
        (b"x", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data"),
        (b"image=a", "application/x-www-form-urlencoded"),
    ],
)
def test_a_form_that_cannot_be_read_is_a_page_that_says_why(
    empty: PageServer, body: bytes, kind: str
) -> None:
    answer = ask(empty, "/api/sboms", "POST", body, Content_Type=kind)
    assert answer.status == 400 and "That SBOM was not taken" in answer.text


# ---- live, and when the database does not answer


def test_an_event_comes_with_each_change(server: PageServer) -> None:
    with closing(http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=PATIENCE)) as connection:
        connection.request("GET", "/events")
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
        events: list[str] = []
        while len(events) < 2:
            line = response.readline().decode().strip()
            if line == "event: hello":
                threading.Timer(0.05, server.grow).start()
            events += [line] if line.startswith("event:") else []
        assert events == ["event: hello", "event: changed"]
        response.close()


def test_no_database_is_said(tmp_path: Path) -> None:
    with PageServer(tmp_path / "none") as server:
        for path in ("/", "/containers/1", "/api/containers"):
            answer = ask(server, path)
            assert answer.status == 503 and "database" in answer.text


def test_a_slow_question_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Path) -> None:
    from sensor.receiver.page import routes
    from sensor.receiver.queries import connection

    monkeypatch.setattr(connection, "_STEPS_BETWEEN_LOOKS", 1)
    monkeypatch.setattr(routes, "reading", lambda path: connection.reading(path, 0.0))
    with PageServer(database) as server:
        answer = ask(server, "/")
        assert answer.status == 503 and "too long" in answer.text


def test_a_page_costs_little_at_two_thousand_containers(tmp_path: Path) -> None:
    receiver_seed.seed(tmp_path / "db", containers=2000, images=60, packages=1000)
    with PageServer(tmp_path / "db") as server:
        for view in VIEWS.values():
            ask(server, view.path)
            with at_little_cost():  # 0.07 s each on an idle machine
                assert [ask(server, view.path).status for _ in range(5)] == [200] * 5


def test_a_container_with_much_shows_its_first(tmp_path: Path) -> None:
    with closing(receiver_seed.create(tmp_path / "db")) as connection:
        known = [receiver_seed.Package(n, "pypi", f"p{n:05}", "1.0") for n in range(1, 2102)]
        for package in known:
            receiver_seed.add_package(connection, package)
        members = [(package, "bundled" if package.id % 3 else "opened", "/a") for package in known]
        row = receiver_seed.container(1, package_set=receiver_seed.add_set(connection, members))
        connection.execute(receiver_seed.INSERT_CONTAINER, row)
        connection.commit()
    with PageServer(tmp_path / "db") as server:
        text = ask(server, "/containers/1").text
    assert text.count("<tr data-key") == 2000
    assert "all 2,101 are in the CycloneDX document" in text and "700 below are" in text


def test_an_sbom_may_be_gzip(empty: PageServer) -> None:
    answer = ask(empty, "/api/sboms?image=a", "PUT", gzip.compress(SBOM), Content_Encoding="gzip")
    assert (answer.status, json.loads(answer.body)["components"]) == (200, 1)


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (SBOM, "gzip", 400),
        (gzip.compress(SBOM)[:-3], "gzip", 400),
        (gzip.compress(bytes(33 << 20)), "gzip", 413),
        (SBOM, "br", 415),
    ],
)
def test_an_sbom_in_a_wrong_encoding_is_refused(
    empty: PageServer, body: bytes, encoding: str, status: int
) -> None:
    answer = ask(empty, "/api/sboms?image=a", "PUT", body, Content_Encoding=encoding)
    assert answer.status == status and "expected" in json.loads(answer.body)["error"]


def test_two_that_upload_slowly_do_not_keep_others_out(empty: PageServer) -> None:
    host, _, port = urlsplit(empty.address).netloc.partition(":")
    head = b"PUT /api/sboms?image=a HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{"
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(socket.create_connection((host, int(port)))).sendall(head)
        assert ask(empty, "/api/sboms?image=b", "PUT", SBOM).status == 200


def test_an_upload_that_takes_too_long_is_given_up(
    empty: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonapi, "BODY_WITHIN", 0.1)
    host, _, port = urlsplit(empty.address).netloc.partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as slow:
        slow.sendall(b"PUT /api/sboms?image=a HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{")
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
