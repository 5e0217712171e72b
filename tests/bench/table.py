"""The figures of a run for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.report import (
    Case,
    LoadResult,
    Report,
    Sample,
    Spread,
    absolute,
    added,
    added_fastest,
    bars,
    ratio,
    tools,
)
from tests.bench.resolver_cost import ResolverCost, rows
from tests.bench.text import columns

_TITLES = {
    Case.OPEN_OTHER: "open+close, no package",
    Case.OPEN_SEEN: "open+close, package seen",
    Case.OTHER_SYSCALL: "getppid",
    Case.EXEC: "vfork+exec+exit, seen",
}


def table(report: Report) -> str:
    """What each tool adds, the ratios, and the bars with PASS or OVER."""
    lines = ["ns of CPU for one operation: median over the rounds (lowest to highest round)"]
    lines += columns([_heading(report.samples), *(_costs(report.samples, case) for case in Case)])
    lines += ["", "the same between the fastest rounds: what neighbours on the hardware slow down least"]
    lines += columns([_heading(report.samples), *(_fastest(report.samples, case) for case in Case)])
    lines += ["", "the sensor against its peers, by what each adds; and against no tool at all"]
    lines += columns(
        [["", *(f"sensor/{peer}" for peer in tools(report.samples)[1:]), "sensor/base"]]
        + [_ratios(report.samples, case) for case in Case]
    )
    lines += ["", *_added_bars(report), "", *_peers(report), *_agent(report)]
    if report.resolvers:
        lines += ["", *resolver_table(report.resolvers)]
    if report.load.disturbed:
        lines.append(f"beware: the agent also took {report.load.events:,} events of other containers")
    if report.disturbed:
        lines.append(f"beware: {report.disturbed} measurements ran beside foreign tracing programs")
    return "\n".join(lines)


def resolver_table(costs: dict[str, ResolverCost]) -> list[str]:
    """What a file costs each language's resolver."""
    return [
        "resolver cost: us for one file, the first time it is seen (its package looked up) and seen before",
        *columns(rows(costs)),
    ]


def _heading(samples: Sequence[Sample]) -> list[str]:
    return ["", "base", *(f"{tool} adds" for tool in tools(samples))]


def _costs(samples: Sequence[Sample], case: Case) -> list[str]:
    base = absolute(samples, case, "base")
    return [
        _TITLES[case],
        _spread(base, ""),
        *(_spread(added(samples, case, tool), "+") for tool in tools(samples)),
    ]


def _fastest(samples: Sequence[Sample], case: Case) -> list[str]:
    added_by = (f"{added_fastest(samples, case, tool):+.0f}" for tool in tools(samples))
    return [_TITLES[case], f"{absolute(samples, case, 'base').low:.0f}", *added_by]


def _spread(spread: Spread, sign: str) -> str:
    return f"{spread.median:{sign}.0f} ({spread.low:.0f} to {spread.high:.0f})"


def _ratios(samples: Sequence[Sample], case: Case) -> list[str]:
    found = [ratio(samples, case, peer) for peer in tools(samples)[1:]]
    whole = absolute(samples, case, "sensor").median / absolute(samples, case, "base").median
    return [_TITLES[case], *("-" if each is None else f"{each:.2f}" for each in found), f"{whole:.2f}"]


def _added_bars(report: Report) -> list[str]:
    """Of what the sensor adds, between the fastest rounds."""
    of_load = ("agent_", "delivering_agent_")
    rows = [
        [name, f"{figure:.4g}", f"{bar:g}", "PASS" if met else "OVER"]
        for name, (figure, bar, met) in bars(report).items()
        if not name.startswith(of_load)
    ]
    return columns([[f"bars, by the hook {report.hook}", "figure", "bar", ""], *rows])


def _peers(report: Report) -> list[str]:
    refused = [f"{name}: not at work; {reason}" for name, reason in report.refused.items()]
    return refused + [
        f"{name}: {tally.opens:,} opens, {tally.printed:,} printed, {tally.lost:,} lost by its own count"
        for name, tally in report.peers.items()
    ]


def _agent(report: Report) -> list[str]:
    lines = [f"sensor: {report.events_lost:,} events lost", *_load("agent", report.load, report)]
    if report.delivering:
        lines += _load("delivering_agent", report.delivering, report)
    return lines


def _load(name: str, load: LoadResult, report: Report) -> list[str]:
    marks = {
        name: ("PASS" if met else "OVER") + f", bar {bar:g}" for name, (_, bar, met) in bars(report).items()
    }
    what = "agent" if name == "agent" else "agent that delivers by gRPC"
    return [
        f"{what}, {load.seconds:.0f} s of {load.opens_per_second:,.0f} repeated package-file opens a second:",
        f"  memory resident after it {load.rss_mib:.1f} MiB ({marks[f'{name}_rss_mib']})",
        f"  memory at its highest    {load.peak_rss_mib:.1f} MiB",
        f"  CPU {load.cpu_cores:.4f} cores ({marks[f'{name}_cpu_cores']})",
    ]
