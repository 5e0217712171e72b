"""Requests of reports.proto for tests of the receiver."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from sensor.snyk.proto.v1 import reports_pb2 as pb

SENDER = "11111111-1111-4111-8111-111111111111"
OTHER_SENDER = "22222222-2222-4222-8222-222222222222"


def now_ms() -> int:
    return round(time.time() * 1000)


def package(name: str, version: str = "1.0", ecosystem: str = "pypi") -> pb.Package:
    return pb.Package(
        ecosystem=ecosystem,
        name=name,
        version=version,
        purl=f"pkg:{ecosystem}/{name}@{version}",
        snyk_type="pip",
        snyk_name=name,
        snyk_version=version,
    )


def container(
    container_id: str,
    loaded: Sequence[int] = (),
    *,
    generation: int = 1,
    at_ms: int | None = None,
    **fields: Any,
) -> pb.ContainerState:
    """``loaded`` are indices into the packages of the request."""
    at = now_ms() if at_ms is None else at_ms
    return pb.ContainerState(
        container_id=container_id,
        generation=generation,
        observed_at_ms=at,
        first_seen_ms=min(at, 1_000),
        coverage=fields.pop("coverage", pb.COVERAGE_COMPLETE),
        packages=[
            pb.LoadedPackage(
                package=index,
                evidence=pb.EVIDENCE_OPENED,
                first_seen_ms=1_000 + index,
                last_seen_ms=2_000 + index,
                path=f"/app/{index}",
            )
            for index in loaded
        ],
        **fields,
    )


def request(
    *containers: pb.ContainerState, packages: Sequence[pb.Package] = (), **fields: Any
) -> pb.ReportRequest:
    defaults = {
        "batch_id": str(uuid.uuid4()),
        "sender_id": SENDER,
        "sent_at_ms": now_ms(),
        "group_id": "group",
        "cluster": "prod",
        "node": "node-1",
    }
    return pb.ReportRequest(**{**defaults, **fields}, packages=packages, containers=containers)
