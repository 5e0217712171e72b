"""What a fuzz target is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Target:
    """A parser under its name. ``run`` must return for any bytes: an exception of any kind is a crash.

    ``module`` is what is instrumented for coverage. Seeds are the files of ``corpus/<name>/``.
    """

    name: str
    module: str
    run: Callable[[bytes], object]

    @property
    def seeds(self) -> Path:
        return CORPUS / self.name
