"""Containers that come, import one package after another, and go."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.truth import Life, Load, Watch, known_until
from tests.containers.packages import PYTHON, Distribution, environment
from tests.containers.packages import image as synthetic_image
from tests.ground import Container, Ground, GroundError, Image
from tests.ground.image import contents, copy, key

PROGRAM = Path(__file__).with_name("program.py")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
TRUTH = Path(__file__).parents[1] / "ground" / "truth" / "truth.py"

MADE = [Distribution(f"chaos{number:03}", f"1.{number}", modules=2) for number in range(240)]
REAL = (
    "blinker certifi charset_normalizer click dateutil.parser flask idna itsdangerous jaraco.context "
    "jaraco.functools jinja2 markupsafe more_itertools requests six tabulate typing_extensions urllib3 "
    "waitress werkzeug yaml"
)
AT_ONCE = 8
YOUNGEST = 6.0
"""Seconds for which a container runs at least."""
_STEP = (0.8, 2.6)  # seconds between one coming or going and the next


class WorkloadError(Exception):
    """The containers did not do what they are for; nothing can be said of the sensor."""


@dataclass(frozen=True, slots=True)
class Kind:
    """An image and how its program is run. ``made`` where every import loads the distribution of its name."""

    image: Image
    command: Sequence[str]
    environment: Mapping[str, str]
    made: bool


def kinds(ground: Ground) -> tuple[Kind, Kind]:
    """The image of made distributions, and that of real ones; built where they are not there yet."""
    listed = " ".join(each.name for each in MADE)
    files = {"/app/program.py": PROGRAM, "/app/truth.py": TRUTH}

    def program(modules: str) -> Path:
        def build(layer: Path) -> None:
            copy(files)(layer)
            (layer / "app/modules").write_text(modules)

        named = key("chaos", modules, *contents(files))
        return ground.layer_image("chaos/program:1", named, build).layers[0]

    made = synthetic_image(ground, "chaos", MADE)
    real = ground.python_image("chaos/real:1", REQUIREMENTS, {})
    return (
        Kind(
            Image("chaos/made:1", (program(listed), *made.layers)),
            [*PYTHON[:2], "/app/program.py"],
            environment(),
            made=True,
        ),
        Kind(
            Image("chaos/real:1", (program(REAL), *real.layers)),
            ["/app/venv/bin/python", "/app/program.py"],
            {"PYTHONDONTWRITEBYTECODE": "1"},
            made=False,
        ),
    )


class Tenant:
    """One container and what it says."""

    def __init__(self, container: Container, kind: Kind) -> None:
        self.container = container
        self._kind = kind
        self._started = time.monotonic()
        self.ended: float | None = None
        self._said: str | None = None  # all of it, once it has ended

    def end(self, number: signal.Signals) -> None:
        """Ends it and takes away what it was made of. Raises WorkloadError, GroundError."""
        self.ended = time.monotonic()
        self.tell(number)
        self.container.wait(15)
        self._said = self.container.output()
        self.container.remove()
        if number == signal.SIGTERM:
            self._check()

    def tell(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.container.pid, number)

    def life(self) -> Life:
        """As far as it has said."""
        lines = self._lines()
        loads = tuple(
            Load(purl, line["begun"], line["done"])
            for line in lines
            if "holds" in line
            for purl in line["holds"]
        )
        begun = [line["begins"] for line in lines if "begins" in line]
        return Life(
            id=self.container.id,
            name=self.container.specification.name,
            started=self._started,
            ended=self.ended,
            loads=loads,
            begun=frozenset(f"pkg:pypi/{name}@1.{int(name[5:])}" for name in begun if self._kind.made),
        )

    @property
    def broken(self) -> bool:
        """It ended by itself."""
        return self.ended is None and not self.container.running

    def _lines(self) -> list[dict[str, Any]]:
        said = self.container.output() if self._said is None else self._said
        whole = [line for line in said.splitlines(keepends=True) if line.endswith("\n")]
        try:
            return [json.loads(line) for line in whole]
        except ValueError as error:
            raise WorkloadError(f"{self.container.specification.name} wrote:\n{said[-2000:]}") from error

    def _check(self) -> None:
        """What it wrote down step by step is what the interpreter held in the end."""
        ends = [set(line["truth"]) for line in self._lines() if "truth" in line]
        told = {load.purl for load in self.life().loads}
        if ends != [told]:
            raise WorkloadError(
                f"{self.container.specification.name}: {ends} in the end, {told} step by step"
            )


class Workload(threading.Thread):
    """Starts and ends containers until :meth:`rest`; ``problem`` is why it could not.

    A container is ended, in order or by SIGKILL, only once somebody must know of it. ``watches`` gives the
    times in which a sensor was ready, until now.
    """

    def __init__(
        self, ground: Ground, of: Sequence[Kind], seed: int, watches: Callable[[], Sequence[Watch]]
    ) -> None:
        super().__init__(name="workload", daemon=True)
        self._ground = ground
        self._kinds = of
        self._dice = random.Random(seed)
        self._watches = watches
        self._lock = threading.Lock()
        self._tenants: list[Tenant] = []
        self._resting = threading.Event()
        self.problem: Exception | None = None

    def run(self) -> None:
        try:
            while not self._resting.wait(self._dice.uniform(*_STEP) if len(self._alive()) > 2 else 0):
                self._step()
        except (GroundError, WorkloadError, OSError) as error:
            self.problem = error

    def rest(self) -> None:
        """Nothing comes or goes any more, and nothing is imported. Raises WorkloadError."""
        self._resting.set()
        self.join(60)
        if self.problem is not None:
            raise WorkloadError(f"the containers: {self.problem}") from self.problem
        for tenant in self._alive():
            tenant.tell(signal.SIGUSR1)

    def end_all(self) -> None:
        """Each is asked a last time what it holds. Raises WorkloadError, GroundError."""
        for tenant in self._alive():
            tenant.end(signal.SIGTERM)

    def lives(self) -> list[Life]:
        with self._lock:
            tenants = list(self._tenants)
        return [tenant.life() for tenant in tenants]

    def _alive(self) -> list[Tenant]:
        with self._lock:
            return [tenant for tenant in self._tenants if tenant.ended is None]

    def _step(self) -> None:
        alive = self._alive()
        for tenant in alive:
            if tenant.broken:
                raise WorkloadError(f"{tenant.container.specification.name} ended by itself")
        if len(alive) < AT_ONCE or self._dice.random() < 0.3:  # now and then one more than that
            self._start()
        elif ready := [tenant for tenant in alive if self._may_end(tenant)]:
            tenant = self._dice.choice(ready)
            rude = tenant.life().begun and self._dice.random() < 0.5
            tenant.end(signal.SIGKILL if rude else signal.SIGTERM)

    def _start(self) -> None:
        with self._lock:
            number = len(self._tenants)
        kind = self._kinds[number % 3 == 2]  # every third has the real ones
        pause = self._dice.uniform(0.15, 0.6) if kind.made else self._dice.uniform(0.8, 2.0)
        container = self._ground.container(
            kind.image,
            kind.command,
            name=f"chaos-{number}",
            env={**kind.environment, "SEED": str(self._dice.random()), "PAUSE": f"{pause:.3f}"},
        )
        tenant = Tenant(container, kind)
        container.start()
        with self._lock:
            self._tenants.append(tenant)

    def _may_end(self, tenant: Tenant) -> bool:
        life = tenant.life()
        return time.monotonic() - life.started >= YOUNGEST and known_until(life, self._watches()) is not None
