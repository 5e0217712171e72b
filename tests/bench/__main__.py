"""``python -m tests.bench``: exit 0 when the bars are met, 1 when not, 2 when it could not measure."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench import api_requests, chart, micro, pods
from tests.bench.applications import figures as application_figures
from tests.bench.applications import run as applications
from tests.bench.applications.programs import APPLICATIONS
from tests.bench.document import bars_json, resolvers_json
from tests.bench.node import figures as node_figures
from tests.bench.node import run as node
from tests.bench.part import Part, verdict
from tests.bench.process import BUILD, ROOT, BenchError, end_in_order_on_signals, progress
from tests.bench.report import RESOLVERS
from tests.bench.resolvers import measure
from tests.bench.table import resolver_table
from tests.fleet import figures as fleet_figures
from tests.fleet import fleet

INTERRUPTED = 130
CHART = ROOT / "docs" / "performance.svg"
FLEET_SECONDS = 30.0
_NAMES = tuple(each.name for each in APPLICATIONS)


def main() -> int:
    arguments = _arguments()
    end_in_order_on_signals()
    try:
        return _run(arguments)
    except (BenchError, fleet.FleetError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    path: Path = arguments.json
    if arguments.only == "chart":
        _draw(_read(path), arguments.chart)
        return 0
    names = [arguments.only] if arguments.only else ["micro"] if arguments.quick else list(_WHOLE)
    if set(names) - {"resolvers", "fleet"}:
        micro.check_root()
    if "applications" in names:
        applications.check_needed()  # before the first minutes are spent
    # What one part alone finds leaves the other figures of the file as they are.
    before = _read(path) if arguments.only and path.exists() else {}
    document = dict(before)
    bars: dict[str, tuple[float, float, bool]] = {}
    for name in names:
        part = _PARTS[name](arguments)
        bars |= part.bars
        document |= part.document | {"bars": _object(before, "bars") | bars_json(bars)}
        _write(path, document)  # at once: a later part may fail
        print("\n".join([*part.lines, ""]), flush=True)
    if not arguments.quick and not arguments.only:
        _draw(document, arguments.chart)
    line, code = verdict(bars)
    print(line)
    return code


def _read(path: Path) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read {path}: {error}; expected what an earlier run wrote") from error
    return found


def _object(document: Mapping[str, object], key: str) -> dict[str, object]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _write(path: Path, document: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


def _draw(document: Mapping[str, object], path: Path) -> None:
    path.write_text(chart.svg(document))
    progress(f"chart: {path}")


def _micro(arguments: argparse.Namespace) -> Part:
    hook = ("--open-hook", arguments.open_hook) if arguments.open_hook else ()
    return micro.run(arguments.quick, arguments.silent_peers, hook)


def _resolvers(_: argparse.Namespace) -> Part:
    costs = measure(micro.WHOLE.resolver_rounds)
    return Part({RESOLVERS: resolvers_json(costs)}, resolver_table(costs))


def _fleet(_: argparse.Namespace) -> Part:
    found = fleet.run(FLEET_SECONDS, say=progress)
    return Part({"fleet": found.as_json()}, fleet_figures.lines(found), fleet_figures.bars(found))


def _kubernetes(_: argparse.Namespace) -> Part:
    """What the API server is asked for, and the memory of deployment mode: on a real API server."""
    progress("what a node asks of the API server")
    asked = api_requests.run()
    progress(f"deployment mode with {pods.PODS:,} pods")
    deployed = pods.run()
    return Part(
        {api_requests.KEY: asked.as_json(), pods.KEY: deployed.as_json()},
        [*api_requests.lines(asked), *pods.lines(deployed)],
        pods.bars(deployed),
    )


def _applications(arguments: argparse.Namespace) -> Part:
    names = tuple(arguments.applications.split(","))
    if arguments.quick:
        plan = applications.Plan(pairs=1, seconds=1.0, open_hook=arguments.open_hook, names=names)
    else:
        plan = applications.Plan(pairs=arguments.pairs, open_hook=arguments.open_hook, names=names)
    found = applications.run(plan, sorted(os.sched_getaffinity(0)))
    return Part(
        {application_figures.KEY: found.as_json()},
        application_figures.lines(found),
        application_figures.bars(found),
    )


def _node(arguments: argparse.Namespace) -> Part:
    whole = node.Plan(seconds=arguments.seconds, open_hook=arguments.open_hook)
    quick = node.Plan(containers=20, images=5, seconds=10, churn_seconds=5, open_hook=arguments.open_hook)
    found = node.run(quick if arguments.quick else whole)
    return Part({node_figures.KEY: found.as_json()}, node_figures.lines(found), node_figures.bars(found))


_WHOLE: dict[str, Callable[[argparse.Namespace], Part]] = {
    "micro": _micro,
    "fleet": _fleet,
    "kubernetes": _kubernetes,
    "applications": _applications,
    "node": _node,
}
_PARTS = {**_WHOLE, "resolvers": _resolvers}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="short runs, too coarse to quote; micro alone, or --only"
    )
    parser.add_argument(
        "--only", choices=(*_PARTS, "chart"), help="this alone; chart draws the figures that are there"
    )
    parser.add_argument(
        "--silent-peers",
        action="store_true",
        help="micro: peers that drop the probe's opens in the kernel, unprinted",
    )
    parser.add_argument(
        "--open-hook", choices=("auto", "fentry", "kprobe", "raw"), help="given to the sensor"
    )
    parser.add_argument(
        "--applications",
        default=",".join(_NAMES),
        metavar="NAMES",
        help=f"applications: of {','.join(_NAMES)}",
    )
    parser.add_argument("--pairs", type=int, default=applications.PAIRS, help="applications: how many pairs")
    parser.add_argument("--seconds", type=float, default=600.0, help="node: of the load")
    parser.add_argument("--json", type=Path, default=BUILD / "bench.json", help="where the figures go")
    parser.add_argument("--chart", type=Path, default=CHART, help="where the picture goes")
    arguments = parser.parse_args()
    if unknown := set(arguments.applications.split(",")) - set(_NAMES):
        parser.error(
            f"--applications: found {', '.join(sorted(unknown))}; expected some of {', '.join(_NAMES)}"
        )
    if arguments.pairs < 1:
        parser.error("--pairs: expected at least 1")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
