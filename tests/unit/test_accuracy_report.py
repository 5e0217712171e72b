"""What the yardstick tells: the table, the JSON, the documents, the exit status."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.accuracy import __main__ as command
from tests.accuracy import document, names
from tests.accuracy.application import Application
from tests.accuracy.catalogue import Catalogue, catalogue, chosen
from tests.accuracy.compare import Comparison, Outcome, percent
from tests.accuracy.memory import PeakMemory
from tests.accuracy.report import as_json, table
from tests.accuracy.run import Observed, Result
from tests.ground import Container, Ground, GroundError, Image

ENVIRONMENT = {"kernel": "Linux 6.1.0", "architecture": "x86_64", "distribution": "Debian", "Go": "1.26.8"}
MISS = ("shop", "pkg:pypi/lazy@2")


def package(purl: str, name: str, version: str | None, kind: str = "pip") -> dict[str, Any]:
    return {"purl": purl, "evidence": "opened", "snyk": {"type": kind, "name": name, "version": version}}


SHOP = Outcome(
    "shop",
    "python",
    "lazy | imports",
    Comparison(frozenset({"pkg:pypi/a-b@1.2"}), frozenset({"pkg:pypi/lazy@2"}), frozenset({"pkg:pypi/x@1"})),
    None,
    "partial",
    ("skipped_too_large",),
    (package("pkg:pypi/a-b@1.2", "a_b", "1.2.0"), package("pkg:pypi/x@1", "x", "1.0.0")),
)
MILL = Outcome(
    "mill",
    "go",
    "generics",
    Comparison(frozenset({"pkg:golang/stdlib@1.26", "pkg:golang/example.org/m@v1#sub"})),
    0.25,
    "complete",
    (),
    (
        package("pkg:golang/stdlib@1.26", "stdlib", "1.26", "gomodules"),
        package("pkg:golang/example.org/m@v1#sub", "example.org/m/sub", "v1", "gomodules"),
    ),
)
RESULT = Result((SHOP, MILL), Observed({"agent": 40.26}, {"loader": 100.0, "agent": 30.0}, 1234, 0))


def test_json_has_the_promised_keys() -> None:
    told = json.loads(json.dumps(as_json(RESULT, {MISS: "because"}, ENVIRONMENT), allow_nan=False))
    assert told["languages"]["python"] == {
        "precision": 0.5,
        "recall": 0.5,
        "applications": 1,
        "packages": 2,
        "missing": 1,
        "wrong": 1,
    }
    assert told["languages"]["go"]["precision"] == told["languages"]["go"]["recall"] == 1.0
    assert told["overall"]["packages"] == 4
    assert told["applications"][0] == {
        "name": "shop",
        "language": "python",
        "exercises": "lazy | imports",
        "correct": 1,
        "missing": ["pkg:pypi/lazy@2"],
        "wrong": ["pkg:pypi/x@1"],
        "bundled": 0,
        "seconds": None,
        "coverage": "partial",
        "coverage_reasons": ["skipped_too_large"],
        "explanations": {"pkg:pypi/lazy@2": "because"},
        "failure": None,
    }
    assert told["sensor"]["peak_mib"] == {"agent": 40.26}
    assert told["sensor"]["starting_mib"] == {"agent": 30.0, "loader": 100.0}
    assert told["sensor"]["events_lost"] == 0
    assert told["environment"]["kernel"] == "Linux 6.1.0"


def test_table_names_every_difference_and_lines_up() -> None:
    lines = table(RESULT, {MISS: "because"}, 99.5, colour=False)
    assert "shop: pkg:pypi/lazy@2 missing: because" in lines
    assert "shop: pkg:pypi/x@1 wrong: unexplained" in lines
    assert lines[0].index("LANGUAGE") == lines[1].index("python") == lines[2].index("go")
    assert "beware" not in "\n".join(lines)
    lossy = replace(RESULT, sensor=replace(RESULT.sensor, events_lost=7))
    assert "7 lost" in "\n".join(table(lossy, {}, 99.5, colour=False))
    assert "beware: events were lost" in "\n".join(table(lossy, {}, 99.5, colour=False))


def test_colour_marks_what_is_wrong() -> None:
    plain = table(RESULT, {}, 99.5, colour=False)
    coloured = table(RESULT, {}, 99.5, colour=True)
    assert not any("\x1b" in line for line in plain)
    assert coloured[1].startswith("\x1b[31mshop")
    assert coloured[2].startswith("\x1b[32mmill")


def test_percent_never_rounds_a_difference_away() -> None:
    assert percent(1.0) == "100.00 %"
    assert percent(0.999999) == "99.99 %"
    assert percent(0.995) == "99.50 %"
    assert percent(0.29) == "29.00 %"


def test_document_is_the_same_for_the_same_figures() -> None:
    text = document.document(RESULT, {MISS: "because"}, ENVIRONMENT)
    assert text == document.document(RESULT, {MISS: "because"}, ENVIRONMENT)
    assert "| Python | 1 | 2 | 1 | 1 | 50.00 % | 50.00 % |" in text
    assert "| shop | `pkg:pypi/lazy@2` | missing | because |" in text
    assert "| shop | `pkg:pypi/x@1` | wrong | unexplained |" in text
    assert "| shop | lazy / imports | 2 | 1 | 1 | 0 | partial skipped_too_large |" in text
    assert "Linux 6.1.0, Debian, x86_64" in text
    assert text.endswith("|\n") and "\n\n\n" not in text


def test_document_says_when_nothing_differs() -> None:
    text = document.document(replace(RESULT, outcomes=(MILL,)), {}, ENVIRONMENT)
    assert "nothing is missing and nothing is wrong" in text


def test_names_show_both_identities_of_what_was_rightly_reported() -> None:
    text = names.document(RESULT.outcomes)
    assert "| `pkg:pypi/a-b@1.2` | pip | `a_b` | 1.2.0 |" in text
    assert "| `pkg:golang/example.org/m@v1#sub` | gomodules | `example.org/m/sub` | v1 |" in text
    assert "pkg:pypi/x@1" not in text, "it was wrong"
    assert "## Node.js" not in text, "nothing is known of it"


def test_pick_takes_the_telling_ones_first() -> None:
    plain = [names.Named(f"pkg:npm/p{n}@1", "npm", f"p{n}", "1") for n in range(20)]
    scoped = names.Named("pkg:npm/%40s/z@1", "npm", "@s/z", "1")
    picked = names.pick([*plain, scoped], [lambda each: each.name.startswith("@")])
    assert len(picked) == names.EACH
    assert scoped in picked
    assert plain[0] in picked
    assert plain[-1] in names.pick(plain[-4:], [])
    assert picked == sorted(picked, key=lambda each: each.purl)


def application(name: str, language: str = "python") -> Application:
    def build(_: Ground) -> Image:
        raise GroundError("never built")

    def truth(_: Container) -> frozenset[str]:
        return frozenset()

    return Application(name, language, "nothing", build, ["true"], truth)


def room(monkeypatch: pytest.MonkeyPatch, **languages: Sequence[Application]) -> str:
    for language, applications in languages.items():
        module = ModuleType(f"tests.unit.yardstick.{language}")
        module.__dict__["APPLICATIONS"] = applications
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return "tests.unit.yardstick"


def test_catalogue_names_what_is_missing_empty_strange_or_double(monkeypatch: pytest.MonkeyPatch) -> None:
    where = room(
        monkeypatch, python=[application("a"), application("a")], go=[], node=[application("b", "python")]
    )
    # The room itself is no package here: only what sys.modules holds can be imported.
    monkeypatch.setitem(sys.modules, where, ModuleType(where))
    found = catalogue(("python", "node", "go", "java"), where)
    assert [each.name for each in found.applications] == ["a", "a"]
    assert [problem.partition(": ")[0].rpartition(".")[2] for problem in found.problems] == [
        "node",
        "go",
        "java",
        "a",
    ]


def test_chosen_refuses_a_name_nobody_has() -> None:
    applications = [application("a"), application("b")]
    assert chosen(applications, []) == tuple(applications)
    assert [each.name for each in chosen(applications, ["b"])] == ["b"]
    with pytest.raises(ValueError, match="no application c; there are a, b"):
        chosen(applications, ["a", "c"])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The command without a ground: ``told`` is its folder, and RESULT what it measures."""

    class NoGround:
        def __init__(self, *_: object, **__: object) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(command, "Ground", NoGround)
    monkeypatch.setattr(command, "ACCURACY", tmp_path / "accuracy.md")
    monkeypatch.setattr(command, "NAMES", tmp_path / "names.md")
    monkeypatch.setattr(
        command, "catalogue", lambda _: Catalogue((application("shop"), application("mill")), ())
    )
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return tmp_path


def status(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    outcomes: Sequence[Outcome],
    *arguments: str,
    mib: float = 40,
) -> int:
    result = Result(tuple(outcomes), Observed({"agent": mib}, {}, 1, 0))
    monkeypatch.setattr(command, "run", lambda *_: result)
    return command.main(["--json", str(folder / "accuracy.json"), *arguments])


def test_exit_status_of_a_run(monkeypatch: pytest.MonkeyPatch, told: Path) -> None:
    assert status(monkeypatch, told, [MILL]) == 0
    assert status(monkeypatch, told, [SHOP, MILL]) == 1
    assert status(monkeypatch, told, [MILL], mib=128.1) == 1
    assert status(monkeypatch, told, [replace(MILL, failure="no image")]) == 1
    assert status(monkeypatch, told, [MILL], "--application", "nobody") == 2
    assert json.loads((told / "accuracy.json").read_text())["languages"]["go"]["recall"] == 1.0


def test_explained_differences_pass_below_a_lower_bar(monkeypatch: pytest.MonkeyPatch, told: Path) -> None:
    monkeypatch.setattr(command, "EXPLANATIONS", {MISS: "…", ("shop", "pkg:pypi/x@1"): "…"})
    assert status(monkeypatch, told, [SHOP]) == 1
    assert status(monkeypatch, told, [SHOP], "--bar", "50") == 0


def test_module_that_is_missing_fails_the_run(monkeypatch: pytest.MonkeyPatch, told: Path) -> None:
    monkeypatch.setattr(command, "catalogue", lambda _: Catalogue((), ("tests.….go: ImportError",)))
    assert status(monkeypatch, told, [MILL]) == 1
    assert not (told / "accuracy.md").exists()


def test_documents_are_written_when_everything_was_measured(
    monkeypatch: pytest.MonkeyPatch, told: Path
) -> None:
    status(monkeypatch, told, [MILL], "--application", "mill")
    status(monkeypatch, told, [replace(MILL, failure="no image")])
    assert not (told / "accuracy.md").exists()
    status(monkeypatch, told, [MILL], "--application", "mill", "--write")
    assert (told / "accuracy.md").read_text().startswith("# How right it is")
    assert (told / "names.md").exists()


def test_peak_memory_is_that_of_agent_and_children(tmp_path: Path) -> None:
    def process(pid: int, peak: int, command: bytes, children: str = "") -> None:
        folder = tmp_path / str(pid)
        (folder / "task" / str(pid)).mkdir(parents=True, exist_ok=True)
        (folder / "task" / str(pid) / "children").write_text(children)
        (folder / "status").write_text(f"Name:\tx\nVmHWM:\t{peak:8} kB\n")
        (folder / "cmdline").write_bytes(command)
        (folder / "comm").write_text("python\n")

    process(1, 40 << 10, b"runtime-sensor\0node", "2 3 4 9")
    process(2, 100 << 10, b"python\0-m\0sensor.node.capture.loader")
    process(3, 10 << 10, b"runtime-sensor\0node")
    process(4, 5 << 10, b"something else")
    (tmp_path / "9").mkdir()
    memory = PeakMemory(1, tmp_path)
    memory.sample()
    process(1, 20 << 10, b"runtime-sensor\0node")
    memory.sample()
    assert memory.peaks() == {"agent": 40.0, "loader": 100.0, "python": 5.0}
