"""Starts real containers at a steady rate, each of which runs :mod:`tests.endurance.program` and ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.containers.packages import PYTHON, Distribution, environment, image
from tests.ground import Ground, GroundError

STEADY = Distribution("steady", "2.7.18", modules=4)
AT_ONCE = 64
REMOVED_AFTER = 2.0
"""Seconds after its end for which a container's files stay. kubelet takes longer, `docker run --rm` not."""
_PROGRAM = Path(__file__).with_name("program.py").read_text()


def own_purl(number: int) -> str:
    """The package that only container ``number`` loads."""
    return f"pkg:pypi/lived{number}@1.{number}"


class Starter:
    """:meth:`run` until ``seconds`` have passed, ``rate`` a second, no more than :data:`AT_ONCE` at a time.

    ``ids``: number -> id of each that ran to its end; ``failed`` says why others did not.
    """

    def __init__(self, ground: Ground, rate: float) -> None:
        self._ground = ground
        self._rate = rate
        self._image = image(ground, "endurance", [STEADY])
        self._room = threading.Semaphore(AT_ONCE)
        self.ids: dict[int, str] = {}
        self.failed: list[str] = []
        self.late = 0
        """Starts that had to wait for room: the machine was too slow for the rate."""

    def run(self, seconds: float, alive: Callable[[], bool] = lambda: True) -> float:
        """Return the seconds that it took, until the last has ended; stops early once not ``alive``."""
        began = due = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for number in range(round(seconds * self._rate)):
                # A machine that stood still for a second must not start ten at once after it.
                due = max(began + number / self._rate, due + 0.5 / self._rate)
                time.sleep(max(0.0, due - time.monotonic()))
                due = time.monotonic()
                if not alive():
                    break
                if not self._room.acquire(blocking=False):
                    self.late += 1
                    self._room.acquire()
                pool.submit(self._one, number)
        return time.monotonic() - began

    def _one(self, number: int) -> None:
        env = {**environment(), "NUMBER": str(number)}
        try:
            with self._ground.container(
                self._image, [*PYTHON, _PROGRAM], name=f"endurance-{number}", env=env
            ) as container:
                if container.wait():
                    raise GroundError(f"container {number}: {container.output()}")
                self.ids[number] = container.id
                time.sleep(REMOVED_AFTER)
        except (GroundError, OSError) as error:
            self.failed.append(str(error))
        finally:
            self._room.release()
