"""What a node's agent carries from its start: nothing that it does not use, or only where it is asked to."""

from __future__ import annotations

import subprocess
import sys

import pytest

NEVER = ("aiohttp", "asyncio", "bcc", "jinja2", "kubernetes", "requests", "sensor.receiver", "yaml")
"""Not in the agent of a node in a cluster, whatever it is told to do."""
LATE = ("google.protobuf", "grpc", "prometheus_client", "sentry_sdk", "sensor.snyk.grpc_form")
"""Loaded where they are asked for."""


def loaded(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {program}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_start_of_a_node_is_lean() -> None:
    program = "import sensor.cli.command, sensor.cli.node, sensor.telemetry.logs, sensor.node.main"
    found = loaded(program)
    assert "sensor.node.main" in found
    assert not found & {*NEVER, *LATE, "sensor.node.enrichment.pods", "urllib3"}


@pytest.mark.parametrize(
    "use",
    [
        "import sensor.node.enrichment.pods, sensor.kube.in_cluster",
        "import sensor.telemetry.server, prometheus_client",
        "from sensor.snyk.grpc_channel import load_grpc; load_grpc(); import sensor.snyk.grpc_form",
        "from sensor.node.identify.cri import channel; channel._load_grpc()",
    ],
)
def test_nothing_that_it_may_use_brings_along_what_it_never_does(use: str) -> None:
    assert not loaded(f"import sensor.node.main; {use}") & set(NEVER)
