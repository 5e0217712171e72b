"""The real kubectl, at work on the cluster as its administrator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.ground.problem import run
from tests.kubernetes.cluster import Cluster

_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Kubectl:
    """``folder`` keeps what kubectl would keep in the user's own."""

    cluster: Cluster
    folder: Path

    def __call__(self, *arguments: str) -> str:
        """Its standard output. Raises GroundError with its last lines."""
        program = str(self.cluster.layout.programs / "kubectl")
        where = (f"--kubeconfig={self.cluster.kubeconfig}", f"--cache-dir={self.folder / 'kubectl'}")
        return run([program, *where, *arguments], timeout=_SECONDS)
