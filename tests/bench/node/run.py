"""Two agents, one that prints and one that delivers, beside the same node at the same time."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import metrics
from tests.bench.agent import Agent, Usage, agent
from tests.bench.node.crowd import Crowd, Image, churn, crowd, images
from tests.bench.node.figures import AgentFigures, Memory, NodeFigures, Span, memory
from tests.bench.node.reports import Reports
from tests.bench.process import BUILD, BenchError, progress, wait_until
from tests.receiver_process import Receiver

PRINTING, DELIVERING = "printing", "delivering"
REPORT_SECONDS = 180.0
PROGRESS_SECONDS = 30.0
# Memory that start-up needed once is given back; what was reported is delivered. Before it every container
# opens all its files once more: one file is enough for a package to be reported, the others are still new.
SETTLE_SECONDS = 5.0
# After the last container of the churn has ended: the debounced report of it.
CHURN_REPORT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Of the issue's node; a shorter one is for development."""

    containers: int = 250
    images: int = 50
    rate: float = 1000.0
    seconds: float = 600.0
    churn_rate: float = 10.0
    churn_seconds: float = 60.0
    open_hook: str | None = None


@dataclass(slots=True)
class _Watched:
    """An agent and what was read of it so far."""

    agent: Agent
    usages: dict[str, Usage] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)

    def read(self, moment: str) -> None:
        """Memory first: answering /metrics takes some."""
        self.memories[moment] = memory(self.agent.pid)
        self.times[moment] = time.monotonic()
        self.usages[moment] = self.agent.usage()
        self.counters[moment] = self.agent.counters()

    def span(self, begin: str, end: str) -> Span:
        seconds = self.times[end] - self.times[begin]
        before, after = self.counters[begin], self.counters[end]
        used = self.usages[end].cpu_seconds - self.usages[begin].cpu_seconds
        return Span(
            seconds=seconds,
            cpu_cores=used / seconds,
            opens=after.get("seen", 0) - before.get("seen", 0),
            events=sum(after.get(name, 0) - before.get(name, 0) for name in metrics.REACHED),
            events_lost=metrics.lost(after) - metrics.lost(before),
        )


def run(plan: Plan) -> NodeFigures:
    """Raises BenchError."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-node-", dir=BUILD) as name:
        directory = Path(name)
        made = images(directory, plan.images)
        progress(f"starting {plan.containers} containers")
        with crowd(made, plan.containers, plan.rate, directory) as running, _agents(directory, plan) as both:
            return _measure(plan, directory, made, running, both)


@contextlib.contextmanager
def _agents(directory: Path, plan: Plan) -> Iterator[dict[str, _Watched]]:
    """Started one after the other on a node that runs already, as an update of the sensor is."""
    hook = ["--open-hook", plan.open_hook] if plan.open_hook else []
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        destination = ["--output", "none", "--upstream", receiver.grpc_address, "--plaintext"]
        destination += ["--token-file", str(receiver.token_file), "--state-dir", str(directory / "state")]
        found: dict[str, _Watched] = {}
        for name, options in ((PRINTING, hook), (DELIVERING, [*destination, *hook])):
            files = directory / f"{name}.jsonl", directory / f"{name}.log"
            found[name] = _Watched(stack.enter_context(agent(*files, *options)))
            found[name].read("ready")
            progress(f"agent {name}: ready with {found[name].memories['ready'].resident:.1f} MiB")
        yield found


def _measure(
    plan: Plan, directory: Path, made: Sequence[Image], running: Crowd, both: dict[str, _Watched]
) -> NodeFigures:
    reports = Reports(directory / f"{PRINTING}.jsonl")
    _wait_for_reports(reports, running.packages, both)
    time.sleep(plan.containers * len(made[0].files.modules) / plan.rate + SETTLE_SECONDS)
    _read(both, "start")
    _sleep(plan.seconds, both)
    _read(both, "end")
    progress(f"churn: {plan.churn_rate:g} containers a second")
    _read(both, "churn")
    short = churn(made, plan.churn_rate, plan.churn_seconds, directory)
    count = len(short.packages)
    wait_until(lambda: reports.complete(short.packages) == count, CHURN_REPORT_SECONDS)
    _read(both, "churned")
    reported = reports.complete(short.packages)
    rate = running.end()
    if rate < 0.95 * plan.rate:
        raise BenchError(f"the machine managed {rate:.0f} opens a second; expected {plan.rate:.0f}")
    return NodeFigures(
        containers=plan.containers,
        images=plan.images,
        opens_per_second=rate,
        churn_per_second=short.rate,
        churned=count,
        agents={name: _figures(each, reported if name == PRINTING else None) for name, each in both.items()},
    )


def _figures(watched: _Watched, reported: int | None) -> AgentFigures:
    return AgentFigures(
        ready=watched.memories["ready"],
        start=watched.memories["start"],
        end=watched.memories["end"],
        churned=watched.memories["churned"],
        peak_mib=watched.usages["churned"].peak_rss_mib,
        load=watched.span("start", "end"),
        churn=watched.span("churn", "churned"),
        churn_reported=reported,
    )


def _read(both: Mapping[str, _Watched], moment: str) -> None:
    for each in both.values():
        each.read(moment)


def _sleep(seconds: float, both: Mapping[str, _Watched]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        now = ", ".join(f"{name} {memory(each.agent.pid).resident:.1f} MiB" for name, each in both.items())
        progress(f"node: {left:.0f} s to go; {now}")
        time.sleep(min(left, PROGRESS_SECONDS))


def _wait_for_reports(
    reports: Reports, packages: Mapping[str, Sequence[str]], both: Mapping[str, _Watched]
) -> None:
    if not wait_until(lambda: reports.complete(packages) == len(packages), REPORT_SECONDS):
        lost = {name: metrics.lost(each.agent.counters()) for name, each in both.items()}
        raise BenchError(f"not reported whole: {reports.missing(packages)}; events lost: {lost}")
    progress("all containers are reported")
