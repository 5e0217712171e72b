"""Counting what was checked, for people and for the last line."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.cluster.client import ApiError
from tests.ground.problem import GroundError
from tests.kubernetes.problem import KubernetesError

_FAILURES = (AssertionError, ApiError, GroundError, KubernetesError)


class Checks:
    """Each is named by what holds if it passes. What fails does not keep the next from being looked at."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed: list[str] = []

    @contextmanager
    def check(self, claim: str) -> Iterator[Callable[[str], None]]:
        """Passes if nothing within raises one of what says that a claim does not hold; all else is a bug.

        What is given to the function that it yields, such as a figure, stands beside the claim.
        """
        begun = time.monotonic()
        told: list[str] = []
        try:
            yield told.append
        except _FAILURES as error:
            self.failed.append(claim)
            where = traceback.extract_tb(error.__traceback__)[-1]
            found = str(error) or f"{where.filename}:{where.lineno}: {where.line}"
            print(f"FAILED  {claim}\n        " + found.replace("\n", "\n        "), flush=True)
        else:
            self.passed += 1
            beside = ", ".join([*told, f"{time.monotonic() - begun:.1f} s"])
            print(f"passed  {claim} ({beside})", flush=True)

    def summary(self) -> str:
        return f"e2e: {self.passed} passed, {len(self.failed)} failed"
