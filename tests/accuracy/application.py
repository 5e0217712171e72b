"""What an application of the yardstick is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.ground import Container, Ground, GroundError, Image

PREFIX = "TRUTH "
"""Begins the line that an application prints once it has loaded everything, lazy parts included."""


@dataclass(frozen=True, slots=True)
class Application:
    """One container. It loads what it loads, prints its truth, and then waits to be killed.

    ``exercises`` says in a few words what it is here for. ``build`` makes the image, cached by content.
    ``truth`` waits until the application has told what it loaded, in its runtime's own way, and returns
    the packages as purls.
    """

    name: str
    language: str  # python, node, java, go, dotnet
    exercises: str
    build: Callable[[Ground], Image]
    command: Sequence[str]
    truth: Callable[[Container], frozenset[str]]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/app"


def told(container: Container, timeout: float = 120) -> dict[str, object]:
    """The JSON object after ``TRUTH`` in the container's output. Raises GroundError if it never comes."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for line in container.output().splitlines(keepends=True):
            if line.startswith(PREFIX) and line.endswith("\n"):  # a part of it may be there already
                truth = json.loads(line[len(PREFIX) :])
                assert isinstance(truth, dict)
                return truth
        if not container.running:
            break
        time.sleep(0.05)
    raise GroundError(
        f"{container.specification.name} told no truth; it wrote:\n{container.output()[-4000:]}"
    )


def told_purls(container: Container) -> frozenset[str]:
    """For applications that print ``{"packages": [purl, …]}``. What no package owns is an error of theirs."""
    truth = told(container)
    packages = truth["packages"]
    assert isinstance(packages, list)
    if truth.get("unowned"):
        raise GroundError(f"{container.specification.name}: no package owns {truth['unowned']}")
    return frozenset(packages)
