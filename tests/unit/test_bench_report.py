"""The pure parts of the benchmark: what becomes of readings, counters and printed lines."""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import container, metrics, peers, probe
from tests.bench.container import hierarchies
from tests.bench.document import as_json, bars_json
from tests.bench.load import reported
from tests.bench.report import (
    ADDED_BARS_NS,
    CPU_BAR_CORES,
    OPENSNOOP_RATIO_BAR,
    RSS_BAR_MIB,
    Case,
    LoadResult,
    PeerTally,
    Reading,
    Report,
    Sample,
    Spread,
    absolute,
    added,
    added_fastest,
    bars,
    quiet,
    ratio,
    ratio_fastest,
    samples_of,
    tools,
)
from tests.bench.table import table

LOAD = LoadResult(
    seconds=60.0, opens_per_second=1000.0, rss_mib=30.0, peak_rss_mib=31.5, cpu_cores=0.002, events_lost=3
)
COSTS = {"base": 800.0, "sensor": 1000.0, "opensnoop": 1800.0, "bpftrace": 1200.0}
REFUSED = {"bcc_opensnoop": "it said: unable to find kernel headers"}
# The machine itself gets slower from round to round; what the tools add stays.
DRIFT = (0.0, 500.0, 2000.0)


def _samples() -> tuple[Sample, ...]:
    return tuple(
        Sample(number, contender, case, COSTS[contender] + drift, COSTS[contender] + drift + 1, 5000.0)
        for number, drift in enumerate(DRIFT, start=1)
        for contender in COSTS
        for case in Case
    )


def _report() -> Report:
    return Report(
        samples=_samples(),
        load=LOAD,
        events_lost=3,
        peers={"opensnoop": PeerTally(1000, 990, 10)},
        refused=REFUSED,
        hook="raw_tracepoint",
    )


def test_quiet_takes_the_lower_decile_and_no_lone_outlier() -> None:
    assert quiet([float(number) for number in range(101)]) == 10
    assert quiet([5.0]) == 5
    assert quiet([1.0, *[900.0] * 20]) == 900


def test_quiet_refuses_a_run_without_batches() -> None:
    with pytest.raises(ValueError, match="no batch"):
        quiet([])


def test_samples_of_keeps_the_cases_apart() -> None:
    readings = [Reading(case, 100.0 * place, 7.0) for place, case in enumerate(Case, start=1)]
    samples = samples_of(4, "sensor", readings)
    assert [(sample.case, sample.cpu_ns) for sample in samples] == [
        (Case.OPEN_OTHER, 100.0),
        (Case.OPEN_SEEN, 200.0),
        (Case.OTHER_SYSCALL, 300.0),
        (Case.EXEC, 400.0),
    ]
    assert {(sample.round, sample.contender, sample.wall_ns) for sample in samples} == {(4, "sensor", 7.0)}


def test_samples_of_refuses_a_case_that_was_not_timed() -> None:
    with pytest.raises(ValueError, match="no batch"):
        samples_of(1, "base", [Reading(Case.OPEN_OTHER, 1.0, 1.0)])


def test_added_pairs_each_round_with_its_own_base() -> None:
    assert added(_samples(), Case.OPEN_SEEN, "sensor") == Spread(200.0, 200.0, 200.0)
    assert absolute(_samples(), Case.OPEN_SEEN, "base") == Spread(1300.0, 800.0, 2800.0)


def test_added_fastest_survives_a_slow_round_of_either_side() -> None:
    slow = {("base", 1), ("sensor", 2), ("sensor", 3)}
    samples = [
        replace(
            sample, cpu_ns=COSTS[sample.contender] * (3 if (sample.contender, sample.round) in slow else 1)
        )
        for sample in _samples()
    ]
    assert added_fastest(samples, Case.OPEN_SEEN, "sensor") == 200.0


def test_ratio_compares_what_is_added() -> None:
    assert ratio(_samples(), Case.OPEN_OTHER, "opensnoop") == pytest.approx(0.2)
    assert ratio(_samples(), Case.OPEN_OTHER, "bpftrace") == pytest.approx(0.5)


def test_ratio_is_unknown_beside_a_peer_that_adds_nothing() -> None:
    samples = [
        replace(sample, cpu_ns=1.0) if sample.contender in {"base", "bpftrace"} else sample
        for sample in _samples()
    ]
    assert ratio(samples, Case.OPEN_OTHER, "bpftrace") is None


def test_spread_needs_a_value() -> None:
    with pytest.raises(statistics.StatisticsError):
        Spread.of([])


@pytest.mark.parametrize(
    ("load", "met"),
    [
        (replace(LOAD, rss_mib=RSS_BAR_MIB, cpu_cores=CPU_BAR_CORES), (True, True)),
        (replace(LOAD, rss_mib=RSS_BAR_MIB + 0.1), (False, True)),
        (replace(LOAD, cpu_cores=CPU_BAR_CORES + 0.0001), (True, False)),
    ],
)
def test_bars(load: LoadResult, met: tuple[bool, bool]) -> None:
    found = bars(replace(_report(), load=load, delivering=load))
    assert (found["agent_rss_mib"][2], found["agent_cpu_cores"][2]) == met
    assert (found["delivering_agent_rss_mib"][2], found["delivering_agent_cpu_cores"][2]) == met


def test_the_bars_are_the_required_ones() -> None:
    assert (RSS_BAR_MIB, CPU_BAR_CORES, OPENSNOOP_RATIO_BAR) == (64.0, 0.01, 0.08)
    assert [ADDED_BARS_NS.get(case) for case in Case] == [100.0, 200.0, 30.0, None]


def _costing(sensor: float, opensnoop: float = 1800.0) -> Report:
    costs = COSTS | {"sensor": sensor, "opensnoop": opensnoop}
    samples = tuple(replace(sample, cpu_ns=costs[sample.contender]) for sample in _samples())
    return replace(_report(), samples=samples)


@pytest.mark.parametrize(
    ("added_ns", "met"),
    [
        (30.0, (True, True, True)),
        (31.0, (True, True, False)),
        (101.0, (False, True, False)),
        (201.0, (False, False, False)),
    ],
)
def test_bars_of_what_is_added(added_ns: float, met: tuple[bool, bool, bool]) -> None:
    found = bars(_costing(COSTS["base"] + added_ns))
    names = ("added_open_other_ns", "added_open_seen_ns", "added_other_syscall_ns")
    assert tuple(found[name][2] for name in names) == met
    assert found["added_open_seen_ns"][:2] == (added_ns, 200.0)


@pytest.mark.parametrize(("opensnoop", "met"), [(1000.0, True), (999.0, False), (0.0, False), (-5.0, False)])
def test_the_bar_of_the_ratio_to_opensnoop(opensnoop: float, met: bool) -> None:
    """An opensnoop that adds nothing gives no ratio: that is no bar met."""
    found = bars(_costing(COSTS["base"] + 80.0, COSTS["base"] + opensnoop))
    assert found["open_other_to_opensnoop"][2] is met
    assert found["open_seen_to_opensnoop"][2] is met
    assert bars_json(found)["open_other_to_opensnoop"] == {
        "figure": pytest.approx(80.0 / opensnoop) if opensnoop > 0 else None,
        "bar": 0.08,
        "met": met,
    }


def test_peers_that_hand_nothing_over_are_no_bar() -> None:
    found = bars(replace(_report(), silent_peers=True))
    assert "added_open_other_ns" in found
    assert not [name for name in found if name.endswith("_to_opensnoop")]


def test_tools_are_those_that_were_measured() -> None:
    assert tools(_samples()) == ("sensor", "opensnoop", "bpftrace")
    assert ratio_fastest(_samples(), Case.EXEC, "bpftrace") == pytest.approx(0.5)


def test_json_has_the_required_keys_and_survives_a_round_trip() -> None:
    document = json.loads(json.dumps(as_json(_report()), allow_nan=False))
    for key in ("open_other_ns", "open_seen_ns", "other_syscall_ns", "exec_ns"):
        assert document[key] == {"base": 1300.0, "sensor": 1500.0, "opensnoop": 2300.0, "bpftrace": 1700.0}
        assert document["wall"][key]["base"] == 1301.0
        assert document["typical"][key]["base"] == 5000.0
        assert document["added_fastest"][key] == {"sensor": 200.0, "opensnoop": 1000.0, "bpftrace": 400.0}
        assert document["added"][key]["opensnoop"] == {"median": 1000.0, "low": 1000.0, "high": 1000.0}
    assert document["agent_rss_mib"] == 30.0
    assert document["agent_cpu_cores"] == 0.002
    assert document["events_lost"] == 3
    assert document["rounds"] == len(DRIFT)
    assert document["peers_not_at_work"] == REFUSED
    assert document["hook"] == "raw_tracepoint"
    assert document["bars"]["added_open_seen_ns"] == {"figure": 200.0, "bar": 200.0, "met": True}
    assert document["ratio"]["exec_ns"]["sensor_to_opensnoop_added_fastest"] == 0.2
    assert document["ratio"]["open_seen_ns"]["sensor_to_opensnoop_added"] == 0.2
    assert document["peer_events"]["opensnoop"] == {"opens": 1000, "printed": 990, "lost": 10}


def test_table_shows_additions_ratios_and_passes() -> None:
    text = table(_costing(830.0))
    assert "+30 (30 to 30)" in text
    assert "+1000 (1000 to 1000)" in text
    assert "0.03" in text
    assert text.count("PASS") == 7
    assert "bars, by the hook raw_tracepoint" in text
    assert "bcc_opensnoop: not at work; it said: unable to find kernel headers" in text
    assert "OVER" not in text
    assert "beware" not in text


def test_table_marks_what_is_over_the_bar_and_what_was_disturbed() -> None:
    text = table(replace(_costing(900.0), load=replace(LOAD, rss_mib=80.0), disturbed=2))
    assert "80.0 MiB (OVER, bar 64)" in text
    assert re.search(r"^added_other_syscall_ns +100 +30  OVER$", text, re.MULTILINE)
    assert re.search(r"^added_open_other_ns +100 +100  PASS$", text, re.MULTILINE)
    assert text.count("OVER") == 4
    assert "beware: 2 measurements" in text


def test_table_warns_of_a_load_that_was_not_alone() -> None:
    assert "beware" not in table(replace(_report(), load=replace(LOAD, events=100)))
    text = table(replace(_report(), load=replace(LOAD, events=50_000)))
    assert "50,000 events of other containers" in text


def test_table_columns_line_up() -> None:
    heading, *rows = table(_report()).splitlines()[1:6]
    assert len(rows) == len(Case)
    assert len({len(row) for row in (heading, *rows)}) == 1


def test_probe_output_is_parsed() -> None:
    readings = probe.parse("open_other 865.10 866.00\nother_syscall 103.20 103.30\n")
    assert readings == [
        Reading(Case.OPEN_OTHER, 865.1, 866.0),
        Reading(Case.OTHER_SYSCALL, 103.2, 103.3),
    ]


@pytest.mark.parametrize("text", ["open_other 865.10\n", "something 1 2\n", "open_seen fast 2\n"])
def test_other_probe_output_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (three conversions, three texts)
        probe.parse(text)


def test_opens_of_a_probe_run_include_the_silent_batch() -> None:
    readings = [Reading(case, 1.0, 1.0) for case in Case] * 4 + [Reading(Case.EXEC, 1.0, 1.0)] * 2
    amount = probe.Amount(milliseconds=1, opens=100, calls=1, execs=10)
    assert (amount.opens_of_each_file(readings), amount.execs_in_all(readings)) == (500, 70)


EXPOSITION = """\
# HELP runtime_sensor_kernel_events_total Events by way out.
# TYPE runtime_sensor_kernel_events_total counter
runtime_sensor_kernel_events_total{outcome="seen"} 1.5e+06
runtime_sensor_kernel_events_total{hook="open",outcome="ring_full"} 4.0
runtime_sensor_kernel_events_total{outcome="fault"} 3.0
runtime_sensor_other_total{outcome="seen"} 9.0
runtime_sensor_hook_info{hook="raw_tracepoint"} 1.0
process_cpu_seconds_total 0.5
"""


def test_the_hook_is_read_from_the_exposition() -> None:
    assert metrics.open_hook(EXPOSITION) == "raw_tracepoint"
    assert metrics.open_hook("process_cpu_seconds_total 0.5\n") is None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"", "nothing"),
        (
            b"Tracing...\nUnable to find headers\nTraceback\nException: Failed\n",
            "Unable to find headers; Exception: Failed",
        ),
        (b"one\n\ntwo\nthree\n", "one; two"),
    ],
)
def test_a_peer_that_does_not_start_says_why(words: bytes, reason: str) -> None:
    assert peers.reason(words) == reason


def test_kernel_events_are_read_from_the_exposition() -> None:
    counters = metrics.kernel_events(EXPOSITION)
    assert counters == {"seen": 1_500_000, "ring_full": 4, "fault": 3}
    assert metrics.lost(counters) == 7


def test_losses_of_peers_are_summed() -> None:
    text = b"lost 12 events on CPU #3!\nLost 30 events\n1 cat /tmp/lost\n"
    assert peers._sum_lost(text) == 42


def test_only_old_and_empty_pods_are_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = tmp_path / "kubepods" / "besteffort" / f"{container.POD_PREFIX}1"
    other = pod.with_name("pod-of-a-kubelet")
    for each in (pod, other):
        (each / "id").mkdir(parents=True)
    container.remove_leftovers([tmp_path])
    assert (pod / "id").exists(), "another run may have made it a moment ago"
    monkeypatch.setattr(container, "NEW_SECONDS", 0.0)
    container.remove_leftovers([tmp_path])
    assert not pod.exists()
    assert (other / "id").exists()


MOUNTINFO = """\
24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 25 0:26 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
31 25 0:27 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
32 25 0:28 / /sys/fs/cgroup/systemd rw shared:9 master:2 - cgroup cgroup rw,xattr,name=systemd
33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
"""


def test_hierarchies_of_a_hybrid_machine() -> None:
    names = [path.name for path in hierarchies(MOUNTINFO)]
    assert names == ["memory", "systemd", "unified"]


def test_hierarchy_of_a_version_2_machine() -> None:
    line = "33 25 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    assert hierarchies(line) == (Path("/sys/fs/cgroup"),)


def test_reported_packages_skip_a_half_written_line() -> None:
    packages = [{"name": "alpha", "version": "1.2.3"}, {"name": "beta", "version": "9"}]
    line = json.dumps({"type": "container", "packages": packages})
    assert reported(f'{line}\n{{"type": "heartbeat"}}\n{{"packages": [{{') == {"alpha"}
