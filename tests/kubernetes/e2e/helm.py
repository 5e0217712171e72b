"""The real helm, at work on the cluster."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.build import cache_folder
from tests.ground.problem import run
from tests.kubernetes.problem import KubernetesError

_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Helm:
    """``folder`` keeps what helm would keep in the user's own."""

    program: Path
    kubeconfig: Path
    folder: Path

    def __call__(self, *arguments: str) -> str:
        """Its standard output. Raises GroundError with its last lines."""
        places = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")
        environment = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(self.kubeconfig),
            "HOME": str(self.folder),
            **{name: str(self.folder / name.lower()) for name in places},
        }
        return run([str(self.program), *arguments], timeout=_SECONDS, env=environment)


def find_helm() -> Path:
    """``$HELM``, else the newest that was built into the cache, else that of the machine."""
    named = os.environ.get("HELM")
    built = sorted(cache_folder().glob("helm-v*/helm"), key=_version)
    installed = shutil.which("helm")
    found = [Path(named)] if named else [*built[-1:], *([Path(installed)] if installed else [])]
    if not found or not os.access(found[0], os.X_OK):
        raise KubernetesError(
            f"found no helm as {named or cache_folder() / 'helm-v*/helm'}; build the pinned one with "
            "scripts/helm, or name one with HELM=PATH"
        )
    return found[0]


def _version(program: Path) -> list[int]:
    """Of ``helm-v3.19.5-KEY/helm``, so that 3.19 is newer than 3.8."""
    return [int(part) for part in re.findall(r"\d+", program.parent.name.split("-")[1])]
