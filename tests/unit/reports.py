"""Reports as tests need them."""

from __future__ import annotations

from typing import Any

from sensor.model.container import ContainerIdentity, ContainerMetadata, Image, Workload
from sensor.model.package import Ecosystem, Evidence, Package, PackageUse, SnykIdentity
from sensor.model.report import ContainerReport, Coverage, LoadedPackage

WEB = ContainerIdentity("3f" * 32, "containerd", "0b7c8f4e-1f7a-4f6e-9c53-1c1f6f0f2a11")
DAY = 1_700_000_000.25  # 2023-11-14T22:13:20.250Z
METADATA = ContainerMetadata(
    name="web",
    image=Image("docker.io/library/shop:1", "sha256:" + "ab" * 32),
    namespace="default",
    pod_name="web-5d9c",
    workload=Workload("Deployment", "web"),
)


def use(
    name: str = "requests",
    version: str | None = "2.31.0",
    *,
    evidence: Evidence = Evidence.OPENED,
    path: str | None = None,
) -> PackageUse:
    package = Package(
        Ecosystem.PYPI, name, version, f"pkg:pypi/{name}@{version}", SnykIdentity("pip", name, version)
    )
    return PackageUse(package, evidence, path or f"/usr/lib/python3/site-packages/{name}/__init__.py")


def loaded(*uses: PackageUse) -> tuple[LoadedPackage, ...]:
    return tuple(LoadedPackage(one, DAY - 75, DAY - 1) for one in uses)


def report(*uses: PackageUse, **changes: Any) -> ContainerReport:
    fields: dict[str, Any] = {
        "observed_at": DAY,
        "cluster": "east",
        "node": "node-1",
        "container": WEB,
        "metadata": METADATA,
        "deployed": True,
        "first_seen": DAY - 90,
        "ended_at": None,
        "coverage": Coverage.COMPLETE,
        "coverage_reasons": (),
        "packages": loaded(*uses),
    }
    return ContainerReport(**fields | changes)
