"""Applications under load: what load generators print, who runs where, figures, bars."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.applications.figures import RAW, Applications, Phase, Result, bars, lines
from tests.bench.applications.generators import Answered, parse_redis, parse_wrk
from tests.bench.applications.places import listed, places
from tests.bench.applications.programs import APPLICATIONS, npm_lock, npm_package
from tests.bench.process import BenchError

WRK = """Running 4s test @ http://127.0.0.1:8080/
  2 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02ms    2.10ms  30.11ms   95.00%
  Latency Distribution
     50%  402.00us
     75%  612.00us
     90%    1.10ms
     99%    12.50ms
  179345 requests in 4.00s, 143.10MB read
Requests/sec:  44821.87
Transfer/sec:     35.77MB
"""
REDIS = """"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p99_latency_ms","max_latency_ms"
"SET","100000.00","0.3","0.1","0.3","0.7","2.0"
"GET","50000.00","0.3","0.1","0.3","0.9","2.0"
"""


def test_wrk_is_read() -> None:
    assert parse_wrk(WRK) == Answered(179_345, 44_821.87, 12.5)
    assert parse_wrk(WRK.replace("12.50ms", "812.00us")).p99_ms == pytest.approx(0.812)
    assert parse_wrk(WRK.replace("12.50ms", "1.20s")).p99_ms == pytest.approx(1200.0)


@pytest.mark.parametrize(
    "trouble", ["Non-2xx or 3xx responses: 12", "Socket errors: connect 0, read 3, write 0, timeout 0"]
)
def test_wrk_that_met_errors_is_no_figure(trouble: str) -> None:
    with pytest.raises(BenchError, match=trouble[:10]):
        parse_wrk(WRK.replace("Requests/sec", f"  {trouble}\nRequests/sec"))


@pytest.mark.parametrize("text", ["", WRK.replace("99%", "98%"), WRK.replace("Requests/sec", "Rate")])
def test_wrk_without_figures_is_refused(text: str) -> None:
    with pytest.raises(BenchError, match="no figures"):
        parse_wrk(text)


def test_redis_tests_count_one_after_the_other() -> None:
    found = parse_redis(REDIS, 1000)
    assert found.requests == 2000
    assert found.rate == pytest.approx(2 / (1 / 100_000 + 1 / 50_000))
    assert found.p99_ms == 0.9


@pytest.mark.parametrize("text", ["", '"SET","1.0"\n', REDIS.replace("rps", "speed")])
def test_other_output_of_redis_is_refused(text: str) -> None:
    with pytest.raises(BenchError, match="no figures"):
        parse_redis(text)


@pytest.mark.parametrize(
    ("processors", "agent", "load", "server"),
    [
        ([0, 1, 2, 3], "0", "1,2", "3"),
        ([2, 5, 3], "2", "3", "5"),
        ([0, 1], "0", "0", "1"),
        ([4], "4", "4", "4"),
    ],
)
def test_places(processors: list[int], agent: str, load: str, server: str) -> None:
    found = places(processors)
    assert (listed(found.agent), listed(found.load), listed(found.server)) == (agent, load, server)


def _result(name: str = "redis", loss: float = 0.03) -> Result:
    phases = [
        phase
        for pair, speed in enumerate([1000.0, 500.0, 2000.0, 1000.0, 900.0, 1100.0])
        for phase in (
            Phase(pair, True, speed * (1 - loss), 1.5, 10.5),
            Phase(pair, False, speed, 1.0, 10.0),
        )
    ]
    return Result(name, "what it does", "requests", tuple(phases))


def _found(hook: str, *results: Result) -> Applications:
    return Applications(results or (_result(),), hook, 0, {"agent": [0]})


def test_phases_are_paired_by_their_number() -> None:
    result = _result()
    shuffled = replace(result, phases=tuple(reversed(result.phases)))
    assert shuffled.throughput().value == pytest.approx(0.97)
    assert shuffled.cpu().value == pytest.approx(1.05)
    assert (shuffled.p99_ms(False), shuffled.p99_ms(True)) == (1.0, 1.5)


def test_a_pair_is_its_number_and_not_its_rank() -> None:
    rates = [(1000.0, 400.0), (500.0, 600.0), (800.0, 800.0)]
    phases = [
        Phase(pair, beside, both[beside], None, 1.0)
        for pair, both in enumerate(rates)
        for beside in (True, False)
    ]
    found = Result("c", "", "builds", tuple(phases)).throughput()
    assert [found.low, found.high] == pytest.approx([0.4, 1.2])


def test_the_raw_tracepoint_has_no_bar_and_its_figure_is_said() -> None:
    found = _found(RAW)
    assert bars(found) == {}
    assert (
        "raw tracepoint, which every system call passes, changes throughput by: redis -3.0 % (-3.0 to -3.0)"
        in lines(found)[-1]
    )


@pytest.mark.parametrize(("loss", "met"), [(0.0099, True), (0.0101, False), (-0.5, True)])
def test_hooks_of_opens_alone_have_one(loss: float, met: bool) -> None:
    found = _found("fentry", _result(loss=loss), _result("npm", 0.5))
    assert set(bars(found)) == {"redis_throughput_loss"}
    figure, bar, passed = bars(found)["redis_throughput_loss"]
    assert figure == pytest.approx(loss)
    assert (bar, passed) == (0.01, met)
    assert ("PASS" if met else "OVER") in lines(found)[-1]


def test_a_build_has_no_p99() -> None:
    result = replace(_result("npm"), phases=tuple(replace(each, p99_ms=None) for each in _result().phases))
    document = json.loads(json.dumps(_found(RAW, result).as_json(), allow_nan=False))
    assert document["npm"]["with_p99_ms"] is None
    assert document["npm"]["throughput_ratio"]["pairs"] == 6
    assert document["npm"]["without_per_second"] == 1000.0
    assert document["hook"] == RAW


def test_the_lock_file_holds_what_the_tarballs_are() -> None:
    packed = npm_package("one")
    assert packed == npm_package("one")
    lock = json.loads(json.dumps(npm_lock({"one": packed})))
    entry = lock["packages"]["node_modules/one"]
    digest = base64.b64decode(entry["integrity"].removeprefix("sha512-"))
    assert digest == hashlib.sha512(packed).digest()
    assert entry["resolved"] == lock["packages"][""]["dependencies"]["one"] == "file:tarballs/one.tgz"


def test_images_hold_what_their_commands_name(tmp_path: Path) -> None:
    for application in APPLICATIONS:
        layer = tmp_path / application.name
        layer.mkdir()
        application.install(layer)
        assert list((layer / "opt" / "bench").iterdir()), application.name
