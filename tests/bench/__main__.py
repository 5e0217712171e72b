"""``python -m tests.bench``: exit 0 when the bars are met, 1 when not, 2 when it could not measure."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench import api_requests, pods
from tests.bench.container import container
from tests.bench.environment import environment
from tests.bench.load import install_opener, run_load
from tests.bench.packages import install
from tests.bench.probe import Amount, compile_probe
from tests.bench.process import BUILD, BenchError, end_in_order_on_signals, progress, split_processors
from tests.bench.report import RESOLVERS, LoadResult, Report, as_json, bars, resolvers_json
from tests.bench.resolvers import measure
from tests.bench.rounds import Rounds, Stage
from tests.bench.table import resolver_table, table
from tests.fleet import figures as fleet_figures
from tests.fleet import fleet
from tests.receiver_process import Receiver

INTERRUPTED = 130
FLEET = "fleet"
KUBERNETES = "kubernetes"
FLEET_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    amount: Amount
    warm_up: float
    load_seconds: float
    resolver_rounds: int
    patience: float
    """Seconds to wait, in all, for foreign tracing programs to end."""


WHOLE = Plan(
    rounds=6,
    amount=Amount(milliseconds=1_200, opens=2_500, calls=10_000),
    warm_up=5,
    load_seconds=60,
    resolver_rounds=5,
    patience=60,
)
# For the tests: the same way through, figures too coarse to quote.
QUICK = Plan(
    rounds=1,
    amount=Amount(milliseconds=300, opens=1_000, calls=5_000),
    warm_up=2,
    load_seconds=3,
    resolver_rounds=1,
    patience=0,
)


def main() -> int:
    arguments = _arguments()
    end_in_order_on_signals()
    try:
        if arguments.only:
            return _only(arguments.only, arguments.json)
        report = _run(arguments.quick, arguments.silent_peers)
    except (BenchError, fleet.FleetError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return INTERRUPTED
    found = None if arguments.quick else fleet.run(FLEET_SECONDS, say=progress)
    document = as_json(report) | ({} if found is None else {FLEET: found.as_json()})
    kubernetes = None if arguments.quick else _kubernetes()
    document |= {} if kubernetes is None else kubernetes.document
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    print(table(report))
    if found is not None:
        print("\n".join(["", *fleet_figures.lines(found)]))
    all_bars = bars(report) | ({} if found is None else fleet_figures.bars(found))
    if kubernetes is not None:
        print("\n".join(["", *kubernetes.lines]))
        all_bars |= kubernetes.bars
    return _verdict(all_bars)


@dataclass(frozen=True, slots=True)
class _Kubernetes:
    document: dict[str, object]
    lines: list[str]
    bars: dict[str, tuple[float, float, bool]]


def _kubernetes() -> _Kubernetes:
    """What the API server is asked for, and the memory of deployment mode: on a real API server."""
    progress("what a node asks of the API server")
    asked = api_requests.run()
    progress(f"deployment mode with {pods.PODS:,} pods")
    deployed = pods.run()
    return _Kubernetes(
        {api_requests.KEY: asked.as_json(), pods.KEY: deployed.as_json()},
        [*api_requests.lines(asked), *pods.lines(deployed)],
        pods.bars(deployed),
    )


def _verdict(found: dict[str, tuple[float, float, bool]]) -> int:
    over = [f"{name} {figure:.4g} > {bar:g}" for name, (figure, bar, met) in found.items() if not met]
    print(f"bench: over the bar: {', '.join(over)}" if over else "bench: all bars met")
    return 1 if over else 0


def _only(what: str, path: Path) -> int:
    """Measure one thing alone, and leave the other figures of the file as they are."""
    verdict = 0
    if what == FLEET:
        found = fleet.run(FLEET_SECONDS, say=progress)
        news: dict[str, object] = {FLEET: found.as_json()}
        lines = fleet_figures.lines(found)
        verdict = _verdict(fleet_figures.bars(found))
    elif what == KUBERNETES:
        kubernetes = _kubernetes()
        news, lines = kubernetes.document, kubernetes.lines
        verdict = _verdict(kubernetes.bars)
    else:
        costs = measure(WHOLE.resolver_rounds)
        news, lines = {RESOLVERS: resolvers_json(costs)}, resolver_table(costs)
    document = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document | news, indent=2) + "\n")
    print("\n".join(lines))
    return verdict


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about 20 s: one round, short loads, no fleet")
    parser.add_argument(
        "--silent-peers",
        action="store_true",
        help="peers that drop the probe's opens in the kernel, unprinted",
    )
    parser.add_argument("--only", choices=("resolvers", FLEET, KUBERNETES), help="no root: these alone")
    parser.add_argument("--json", type=Path, default=BUILD / "bench.json", help="where the figures go")
    return parser.parse_args()


def _run(quick: bool, silent_peers: bool) -> Report:
    plan = QUICK if quick else WHOLE
    if os.geteuid() != 0:
        raise BenchError("not root; expected root, for eBPF, cgroups and mount namespaces: sudo make bench")
    processor = split_processors()
    facts = environment(processor)
    with contextlib.ExitStack() as stack:
        BUILD.mkdir(exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix="bench-run-", dir=BUILD))
        stack.callback(shutil.rmtree, directory)
        stage = _stage(stack, directory, processor)
        rounds = Rounds(stage, plan.amount, silent_peers, plan.patience)
        rounds.run(plan.rounds)
        load = run_load(stage, plan.warm_up, plan.load_seconds)
        delivering = _delivering(stage, plan)
    progress("the resolvers by themselves")
    resolvers = measure(plan.resolver_rounds)
    return Report(
        samples=tuple(rounds.samples),
        load=load,
        delivering=delivering,
        events_lost=rounds.events_lost + load.events_lost + delivering.events_lost,
        peers=rounds.peers,
        disturbed=rounds.disturbed,
        quick=quick,
        silent_peers=silent_peers,
        environment=facts,
        resolvers=resolvers,
    )


def _delivering(stage: Stage, plan: Plan) -> LoadResult:
    with Receiver() as receiver:
        options = [
            "--upstream",
            receiver.grpc_address,
            "--plaintext",
            "--token-file",
            str(receiver.token_file),
        ]
        state = ["--state-dir", str(stage.directory / "state")]
        return run_load(stage, plan.warm_up, plan.load_seconds / 2, *options, *state)


def _stage(stack: contextlib.ExitStack, directory: Path, processor: int) -> Stage:
    progress("compiling the probe, starting the container")
    layer, scratch = directory / "layer", directory / "scratch"
    layer.mkdir()
    scratch.mkdir()
    files = install(layer)
    compile_probe(layer)
    install_opener(layer)
    return Stage(stack.enter_context(container(layer, scratch)), files, processor, directory)


if __name__ == "__main__":
    sys.exit(main())
