"""A node under load: memory by kind, what was reported, bars."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.node.crowd import opened_a_second
from tests.bench.node.figures import AgentFigures, Memory, NodeFigures, Span, bars, lines, ring_mib, split
from tests.bench.node.reports import Reports
from tests.bench.packages import VERSION
from tests.bench.process import BenchError

STATUS = (
    "Name:\tx\nVmRSS:\t   45000 kB\nRssAnon:\t   20480 kB\nRssFile:\t   22528 kB\nRssShmem:\t    1024 kB\n"
)
SMAPS = """7f0000000000-7f0000001000 rw-s 00000000 00:0e 10                         anon_inode:bpf-map
Size:                  4 kB
Rss:                   4 kB
Pss:                   4 kB
VmFlags: rd wr sh
7f0000001000-7f0000802000 r--s 00001000 00:0e 10                         anon_inode:bpf-map
Rss:                8188 kB
7f0000900000-7f0000a00000 r-xp 00000000 fe:00 77                         /usr/lib/libbpf-map.so
Rss:                1024 kB
7f0000a00000-7f0000b00000 rw-p 00000000 00:00 0
Rss:                 512 kB
"""


def test_the_ring_is_what_is_mapped_of_maps_of_bpf() -> None:
    assert ring_mib(SMAPS) == 8.0
    assert ring_mib("") == 0.0


def test_memory_is_split_by_kind() -> None:
    found = split(STATUS, SMAPS)
    assert found == Memory(anonymous=20.0, file=14.0, ring=8.0, shared=1.0)
    assert found.resident == 43.0
    assert found.as_json()["rss_mib"] == 43.0


MEMORY = Memory(anonymous=20.0, file=12.0, ring=8.0)
SPAN = Span(seconds=600.0, cpu_cores=0.004, opens=600_000, events=12, events_lost=0)
AGENT = AgentFigures(MEMORY, MEMORY, MEMORY, MEMORY, 41.0, SPAN, replace(SPAN, seconds=60.0), 599)


def _node(agent: AgentFigures = AGENT) -> NodeFigures:
    return NodeFigures(250, 50, 999.6, 9.99, 600, {"printing": agent})


@pytest.mark.parametrize(
    ("agent", "over"),
    [
        (AGENT, set()),
        (replace(AGENT, load=replace(SPAN, cpu_cores=0.01)), {"cpu_cores"}),
        (replace(AGENT, start=replace(MEMORY, anonymous=44.0)), {"start_mib"}),
        (replace(AGENT, end=replace(MEMORY, anonymous=45.0)), {"end_mib"}),
        (replace(AGENT, load=replace(SPAN, events_lost=1)), {"events_lost"}),
        (replace(AGENT, churn=replace(SPAN, events_lost=1)), {"events_lost"}),
        # A bar for the load alone.
        (replace(AGENT, churn=replace(SPAN, cpu_cores=0.5), churned=replace(MEMORY, anonymous=60.0)), set()),
    ],
)
def test_bars_are_under(agent: AgentFigures, over: set[str]) -> None:
    found = bars(_node(agent))
    assert {name for name, (_, _, met) in found.items() if not met} == {
        f"node_printing_{each}" for each in over
    }
    assert len(found) == 4
    assert "\n".join(lines(_node(agent))).count("OVER") == len(over)


def test_json_and_lines_have_the_moments() -> None:
    document = json.loads(json.dumps(_node().as_json(), allow_nan=False))
    assert document["printing"]["start"]["anonymous_mib"] == 20.0
    assert document["printing"]["load"]["cpu_cores"] == 0.004
    assert document["printing"]["reported"] == 599
    text = "\n".join(lines(_node()))
    assert "600, 599 of them reported whole" in text
    assert "40.0 MiB (anonymous 20.0, file 12.0, ring 8.0) (PASS, bar 64)" in text


def test_a_load_that_was_not_alone_is_said() -> None:
    assert "beware" not in "\n".join(lines(_node()))
    busy = replace(AGENT, load=replace(SPAN, events=5_000))
    assert "beware: 5,000 events" in "\n".join(lines(_node(busy)))


def test_an_opener_that_failed_is_said() -> None:
    assert opened_a_second("2400 600.0\n") == 4.0
    with pytest.raises(BenchError, match="opener failed"):
        opened_a_second("")


def _line(container: str, *names: str, version: str = VERSION) -> str:
    packages = [{"name": name, "version": version} for name in names]
    return json.dumps({"type": "container", "container": {"id": container}, "packages": packages}) + "\n"


def test_reports_add_up_over_states_and_reads(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    packages = {"a": ("one", "two"), "b": ("one",), "c": ("one",)}
    late = _line("b", "one")
    path.write_text(_line("a", "one") + json.dumps({"type": "heartbeat"}) + "\n" + late[:20])
    reports = Reports(path)
    assert reports.complete(packages) == 0
    with path.open("a") as lines:
        lines.write(late[20:] + _line("a", "two") + _line("c", "one", version="9"))
    assert reports.complete(packages) == 2
    assert reports.complete(packages) == 2
