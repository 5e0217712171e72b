"""The small figures: base, sensor and the peers in turn, round after round."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.bench import metrics
from tests.bench.agent import agent
from tests.bench.container import Container
from tests.bench.packages import PackageFiles
from tests.bench.peers import MAY_REFUSE, PeerRefusedError, commands, peer
from tests.bench.probe import Amount, run_probe
from tests.bench.process import BenchError, progress, wait_until
from tests.bench.quiet import tracing_programs
from tests.bench.report import CONTENDERS, TOOLS, PeerTally, Reading, Sample, samples_of

# Of what the probe did, the part that a tool must have noticed for its figure to count.
NOTICED_BY_SENSOR = 0.99
NOTICED_BY_PEER = 0.5
# The sensor's figures are small against the drift of a machine, the peers' are not: they need fewer rounds.
ROUNDS_TO_EACH_OF_PEERS = 2


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything runs."""

    container: Container
    files: PackageFiles
    processor: int
    directory: Path
    agent_options: tuple[str, ...] = ()


class Rounds:
    """Runs the rounds and keeps what they found."""

    def __init__(self, stage: Stage, amount: Amount, silent_peers: bool, patience: float) -> None:
        self.samples: list[Sample] = []
        self.events_lost = 0
        self.disturbed = 0
        self.hook = "unknown"
        self.refused: dict[str, str] = {}
        """Peer that does not work here -> what it said of it."""
        self._alone = True
        self._patience = patience
        self._stage = stage
        self._amount = amount
        self._silent_peers = silent_peers
        self._commands = commands(silent_peers)
        self._opens: Counter[str] = Counter()
        self._printed: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()

    @property
    def peers(self) -> dict[str, PeerTally]:
        return {
            name: PeerTally(self._opens[name], self._printed[name], self._lost[name])
            for name in self._commands
            if name not in self.refused
        }

    def run(self, count: int) -> None:
        """Measure base and sensor ``count`` times, each peer in every second round; raises BenchError."""
        for number in range(1, count + 1):
            for contender in CONTENDERS:
                if contender in self.refused:
                    continue
                if contender in TOOLS[1:] and (number - 1) % ROUNDS_TO_EACH_OF_PEERS:
                    continue
                self._measure(number, count, contender)

    def _measure(self, number: int, count: int, contender: str) -> None:
        try:
            samples = samples_of(number, contender, self._undisturbed(contender))
        except PeerRefusedError as error:
            if contender not in MAY_REFUSE:
                raise BenchError(f"{contender} {error}") from error
            self.refused[contender] = str(error)
            progress(f"{contender} is left out, it {error}")
            return
        self.samples += samples
        figures = ", ".join(f"{sample.case} {sample.cpu_ns:.0f}" for sample in samples)
        progress(f"round {number} of {count}, {contender}: {figures} ns")

    def _undisturbed(self, contender: str) -> list[Reading]:
        """Readings taken while no foreign tracing program was loaded, as long as patience lasts."""
        while True:
            self._alone = self._wait_for_quiet()
            readings = self._beside(contender)
            if self._alone:
                return readings
            progress(f"{contender}: foreign tracing programs ran beside it")
            if self._patience <= 0:
                self.disturbed += 1
                return readings

    def _wait_for_quiet(self) -> bool:
        if wait_until(
            lambda: not tracing_programs(), 1.0
        ):  # ours are unloaded a moment after their owner's end
            return True
        if self._patience <= 0:
            return False
        progress(f"waiting up to {self._patience:.0f} s for foreign tracing programs to go")
        start = time.monotonic()
        quiet = wait_until(lambda: not tracing_programs(), self._patience)
        self._patience = max(0.0, self._patience - (time.monotonic() - start))
        return quiet

    def _beside(self, contender: str) -> list[Reading]:
        match contender:
            case "base":
                return self._probe()
            case "sensor":
                return self._beside_sensor()
            case _:
                return self._beside_peer(contender)

    def _probe(self) -> list[Reading]:
        stage, before = self._stage, tracing_programs()
        readings = run_probe(stage.container, stage.files, stage.processor, self._amount)
        self._alone = self._alone and tracing_programs() == before
        return readings

    def _beside_sensor(self) -> list[Reading]:
        directory = self._stage.directory
        files = directory / "sensor.jsonl", directory / "sensor.log"
        with agent(*files, *self._stage.agent_options) as running:
            self.hook = metrics.open_hook(running.exposition()) or self.hook
            before = running.counters()
            readings = self._probe()
            opens = int(NOTICED_BY_SENSOR * self._amount.opens_of_each_file(readings))
            execs = int(NOTICED_BY_SENSOR * self._amount.execs_in_all(readings))
            least = {"not_wanted": opens, "seen": opens, "exec_seen": execs}
            after = running.wait_for(least, since=before)
        self.events_lost += metrics.lost(after)
        return readings

    def _beside_peer(self, name: str) -> list[Reading]:
        with peer(name, self._commands[name], self._stage.directory / f"{name}.log") as running:
            readings = self._probe()
            running.wait_for_silence()
        opens = 2 * self._amount.opens_of_each_file(readings)
        noticed = running.printed + running.lost
        if not self._silent_peers and noticed < NOTICED_BY_PEER * opens:
            raise BenchError(f"{name} noticed {noticed} of {opens} opens: it was not at work while timed")
        self._opens[name] += opens
        self._printed[name] += running.printed
        self._lost[name] += running.lost
        return readings
