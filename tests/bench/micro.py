"""The small figures, the agent under a load of one container, and the resolvers by themselves."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.container import container
from tests.bench.document import as_json
from tests.bench.environment import environment
from tests.bench.load import install_opener, run_load
from tests.bench.packages import install
from tests.bench.part import Part
from tests.bench.probe import Amount, compile_probe
from tests.bench.process import BUILD, BenchError, progress, split_processors
from tests.bench.report import LoadResult, Report, bars
from tests.bench.resolvers import measure
from tests.bench.rounds import Rounds, Stage
from tests.bench.table import table
from tests.receiver_process import Receiver


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
    rounds=10,
    amount=Amount(milliseconds=1_200, opens=2_500, calls=10_000),
    warm_up=5,
    load_seconds=60,
    resolver_rounds=5,
    patience=60,
)
# For the tests: the same way through, figures too coarse to quote.
QUICK = Plan(
    rounds=1,
    amount=Amount(milliseconds=300, opens=1_000, calls=5_000, exec_milliseconds=200),
    warm_up=2,
    load_seconds=3,
    resolver_rounds=1,
    patience=0,
)


def run(quick: bool, silent_peers: bool, agent_options: tuple[str, ...] = ()) -> Part:
    """Raises BenchError."""
    report = _report(QUICK if quick else WHOLE, quick, silent_peers, agent_options)
    return Part(as_json(report), table(report).splitlines(), bars(report))


def _report(plan: Plan, quick: bool, silent_peers: bool, agent_options: tuple[str, ...]) -> Report:
    before = os.sched_getaffinity(0)
    processor = split_processors()
    facts = environment(processor)
    try:
        with contextlib.ExitStack() as stack:
            BUILD.mkdir(exist_ok=True)
            directory = Path(tempfile.mkdtemp(prefix="bench-run-", dir=BUILD))
            stack.callback(shutil.rmtree, directory)
            stage = _stage(stack, directory, processor, agent_options)
            rounds = Rounds(stage, plan.amount, silent_peers, plan.patience)
            rounds.run(plan.rounds)
            load = run_load(stage, plan.warm_up, plan.load_seconds)
            delivering = _delivering(stage, plan)
        progress("the resolvers by themselves")
        resolvers = measure(plan.resolver_rounds)
    finally:
        os.sched_setaffinity(0, before)
    return Report(
        samples=tuple(rounds.samples),
        load=load,
        delivering=delivering,
        events_lost=rounds.events_lost + load.events_lost + delivering.events_lost,
        peers=rounds.peers,
        refused=rounds.refused,
        hook=rounds.hook,
        disturbed=rounds.disturbed,
        quick=quick,
        silent_peers=silent_peers,
        environment=facts,
        resolvers=resolvers,
    )


def _delivering(stage: Stage, plan: Plan) -> LoadResult:
    with Receiver() as receiver:
        options = ["--upstream", receiver.grpc_address, "--plaintext"]
        options += ["--token-file", str(receiver.token_file)]
        state = ["--state-dir", str(stage.directory / "state")]
        return run_load(stage, plan.warm_up, plan.load_seconds / 2, *options, *state)


def _stage(
    stack: contextlib.ExitStack, directory: Path, processor: int, agent_options: tuple[str, ...]
) -> Stage:
    progress("compiling the probes, starting the container")
    layer, scratch = directory / "layer", directory / "scratch"
    layer.mkdir()
    scratch.mkdir()
    files = install(layer)
    compile_probe(layer)
    install_opener(layer)
    inside = stack.enter_context(container(layer, scratch))
    return Stage(inside, files, processor, directory, agent_options)


def check_root() -> None:
    """Raises BenchError."""
    if os.geteuid() != 0:
        raise BenchError("not root; expected root, for eBPF, cgroups and mount namespaces: sudo make bench")
