"""The figures of a run as JSON. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tests.bench.report import (
    RESOLVERS,
    Case,
    Measure,
    Report,
    Sample,
    absolute,
    added,
    added_fastest,
    bars,
    ratio,
    ratio_fastest,
    tools,
)
from tests.bench.resolver_cost import ResolverCost


def as_json(report: Report) -> dict[str, object]:
    """The content of ``build/bench.json``; docs/performance.md explains each key."""
    samples = report.samples
    document: dict[str, object] = {f"{case}_ns": _medians(samples, case, "cpu_ns") for case in Case}
    document |= {
        "agent_rss_mib": round(report.load.rss_mib, 2),
        "agent_cpu_cores": round(report.load.cpu_cores, 5),
        "events_lost": report.events_lost,
        "wall": {f"{case}_ns": _medians(samples, case, "wall_ns") for case in Case},
        "added": {f"{case}_ns": _added(samples, case, "cpu_ns") for case in Case},
        "typical": {f"{case}_ns": _medians(samples, case, "typical_ns") for case in Case},
        "added_wall": {f"{case}_ns": _added(samples, case, "wall_ns") for case in Case},
        "added_fastest": {
            f"{case}_ns": {tool: round(added_fastest(samples, case, tool), 1) for tool in tools(samples)}
            for case in Case
        },
        "ratio": {f"{case}_ns": _ratios(samples, case) for case in Case},
        "bars": bars_json(bars(report)),
        "load": {
            "seconds": round(report.load.seconds, 2),
            "opens_per_second": round(report.load.opens_per_second, 1),
            "peak_rss_mib": round(report.load.peak_rss_mib, 2),
            "events": report.load.events,
        },
        "peer_events": {
            name: {"opens": tally.opens, "printed": tally.printed, "lost": tally.lost}
            for name, tally in report.peers.items()
        },
        "rounds": len({sample.round for sample in samples}),
        "peers_not_at_work": report.refused,
        "hook": report.hook,
        "disturbed_samples": report.disturbed,
        "quick": report.quick,
        "silent_peers": report.silent_peers,
        "environment": report.environment,
        RESOLVERS: resolvers_json(report.resolvers),
    }
    if delivering := report.delivering:
        document["delivering_agent_rss_mib"] = round(delivering.rss_mib, 2)
        document["delivering_agent_cpu_cores"] = round(delivering.cpu_cores, 5)
    return document


def bars_json(found: Mapping[str, tuple[float, float, bool]]) -> dict[str, object]:
    """Name -> figure, bar and whether it was met; a figure that could not be told is null."""
    return {
        name: {"figure": figure if math.isfinite(figure) else None, "bar": bar, "met": met}
        for name, (figure, bar, met) in found.items()
    }


def resolvers_json(costs: dict[str, ResolverCost]) -> dict[str, object]:
    """Under :data:`RESOLVERS` in the JSON: language -> microseconds for a file."""
    return {language: cost.as_json() for language, cost in costs.items()}


def _medians(samples: Sequence[Sample], case: Case, measure: Measure) -> dict[str, float]:
    return {
        name: round(absolute(samples, case, name, measure).median, 1) for name in ("base", *tools(samples))
    }


def _added(samples: Sequence[Sample], case: Case, measure: Measure) -> dict[str, dict[str, float]]:
    return {tool: added(samples, case, tool, measure).as_json() for tool in tools(samples)}


def _ratios(samples: Sequence[Sample], case: Case) -> dict[str, float | None]:
    base = absolute(samples, case, "base").median
    ratios: dict[str, float | None] = {
        f"{tool}_to_base": round(absolute(samples, case, tool).median / base, 3) for tool in tools(samples)
    }
    for peer in tools(samples)[1:]:
        found = ratio(samples, case, peer)
        ratios[f"sensor_to_{peer}_added"] = None if found is None else round(found, 3)
        fastest = ratio_fastest(samples, case, peer)
        ratios[f"sensor_to_{peer}_added_fastest"] = None if fastest is None else round(fastest, 3)
    return ratios
