"""The pinned helms: ``scripts/helm`` builds them once, here they are run."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHARTS = (ROOT / "helm/runtime-sensor",)
NEWEST, OLD = "v3_19", "v3_8"
"""The newest that Go 1.24 builds, and the one that AWS looks at add-ons with."""
RELEASE, NAMESPACE = "my-runtime-sensor", "snyk-runtime-sensor"


class HelmError(Exception):
    """What helm wrote to standard error; it ended with another status than 0."""


@functools.cache
def program(name: str = NEWEST) -> Path:
    """Path of a helm, which is built first where it is missing (minutes, with progress on standard error)."""
    done = subprocess.run([ROOT / "scripts/helm", name], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise HelmError(f"scripts/helm {name}: exit status {done.returncode}; it says above what is missing")
    return Path(done.stdout.strip())


def run(arguments: Sequence[str | Path], name: str = NEWEST) -> str:
    """Standard output of helm, which sees nothing of this user's own settings. Raises :class:`HelmError`."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    command = [program(name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise HelmError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def template(
    chart: Path,
    values: Mapping[str, Any] | None = None,
    *more: str,
    name: str = NEWEST,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
) -> str:
    """The manifests of a release as YAML. ``values`` may be nested; ``more`` are options of helm template."""
    given = [f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()]
    return run(["template", release, chart, "--namespace", namespace, *given, *more], name)
