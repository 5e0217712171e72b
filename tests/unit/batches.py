"""Batches as both forms of the wire are tested with, and the files they are compared with."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from sensor.delivery.destination import Batch, OutgoingState
from sensor.model.container import ContainerIdentity, ContainerMetadata, Image, Workload
from sensor.model.package import Ecosystem, Evidence, Package, PackageUse, SnykIdentity
from sensor.model.report import ContainerReport, Coverage
from tests.unit.reports import DAY, loaded, report, use

WIRE = Path(__file__).parents[1] / "data/wire"

PACKAGES = (
    PackageUse(
        Package(
            Ecosystem.PYPI,
            "jaraco.functools",
            "2.0",
            "pkg:pypi/jaraco-functools@2.0",
            SnykIdentity("pip", "jaraco.functools", "2.0.0"),
        ),
        Evidence.OPENED,
        "/app/venv/lib/python3.11/site-packages/jaraco/functools.py",
    ),
    PackageUse(
        Package(
            Ecosystem.NPM,
            "@babel/core",
            "7.24.0",
            "pkg:npm/%40babel/core@7.24.0",
            SnykIdentity("npm", "@babel/core", "7.24.0"),
        ),
        Evidence.OPENED,
        "/app/node_modules/@babel/core/lib/index.js",
    ),
    PackageUse(
        Package(
            Ecosystem.MAVEN,
            "ch.qos.logback:logback-classic",
            "1.2.12",
            "pkg:maven/ch.qos.logback/logback-classic@1.2.12",
            SnykIdentity("maven", "ch.qos.logback:logback-classic", "1.2.12"),
        ),
        Evidence.EXECUTED,
        "/app/app.jar!/BOOT-INF/lib/logback-classic-1.2.12.jar",
    ),
    PackageUse(
        Package(
            Ecosystem.GOLANG,
            "filippo.io/edwards25519",
            "v1.1.0",
            "pkg:golang/filippo.io/edwards25519@v1.1.0#field",
            SnykIdentity("gomodules", "filippo.io/edwards25519/field", "v1.1.0"),
        ),
        Evidence.EXECUTED,
        "/usr/bin/server",
    ),
    PackageUse(
        Package(
            Ecosystem.NUGET,
            "MathNet.Numerics",
            "4.8.1",
            "pkg:nuget/MathNet.Numerics@4.8.1",
            SnykIdentity("nuget", "MathNet.Numerics", "4.8.1"),
        ),
        Evidence.MAPPED,
        "/app/MathNet.Numerics.dll",
    ),
)


def batch(*reports: ContainerReport, **changes: Any) -> Batch:
    states = tuple(
        OutgoingState(one.container.id, generation, one) for generation, one in enumerate(reports, 7)
    )
    plain = Batch(
        id="6b1d1f0e-5c0f-4b57-9a52-0e6a4f3a7c11",
        sender_id="f3c9a4de-0f0b-4f0a-8f46-2f1f6d0f9b22",
        sent_at=DAY + 2,
        cluster="east",
        node="node-1",
        states=states,
    )
    return dataclasses.replace(plain, **changes)


def container(name: str, *uses: PackageUse, **changes: Any) -> ContainerReport:
    """One of its own pod, workload and image, all called ``name``."""
    fields: dict[str, Any] = {
        "container": ContainerIdentity(name.encode().hex().ljust(64, "0"), "containerd", f"uid-of-{name}"),
        "metadata": ContainerMetadata(
            name=name,
            image=Image(f"registry.example:5000/shop/{name}:1.4", "sha256:" + "c4" * 32),
            namespace="shop",
            pod_name=f"{name}-5d9c",
            workload=Workload("Deployment", name),
        ),
    }
    return report(*uses, **fields | changes)


BATCHES = {
    "ecosystems": batch(*(container(one.package.ecosystem.value, one) for one in PACKAGES)),
    "shared": batch(
        container("web", PACKAGES[0], PACKAGES[1]),
        container("worker", PACKAGES[1], dataclasses.replace(PACKAGES[0], evidence=Evidence.BUNDLED)),
    ),
    "ended": batch(container("job", PACKAGES[0], deployed=False, ended_at=DAY + 1)),
    "partial": batch(
        container(
            "web", use(version=None), coverage=Coverage.PARTIAL, coverage_reasons=("events_lost", "unasked")
        )
    ),
    "unknown": batch(
        report(
            use(),
            container=ContainerIdentity("ab" * 32, "unknown"),
            metadata=ContainerMetadata(),
            cluster=None,
            node=None,
        ),
        cluster=None,
        node=None,
    ),
    "snapshot": batch(container("web", PACKAGES[0]), running=("77" * 32, "88" * 32)),
    "cluster": batch(
        *(
            container(
                name,
                node=node,
                coverage=Coverage.PARTIAL,
                coverage_reasons=("packages_not_watched",),
            )
            for name, node in (("web", "node-1"), ("worker", "node-2"))
        ),
        node=None,
        running=(container("web").container.id, container("worker").container.id),
    ),
    "not_utf8": batch(
        container("web", use("caf\ud800", path=b"/app/caf\xe9.py".decode("utf-8", "surrogateescape")))
    ),
    "empty": batch(),
}


def compare(name: str, text: str) -> None:
    """Fails where the file ``name`` holds another text. ``UPDATE_GOLDEN=1`` writes it, and fails too: what
    was written is to be read by somebody first."""
    file = WIRE / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.write_text(text)
        pytest.fail(f"wrote {name}; look at what changed, then run again without UPDATE_GOLDEN")
    assert file.read_text() == text, f"{name} is another; if that is meant, run once with UPDATE_GOLDEN=1"


def hostile(one: PackageUse = PACKAGES[0]) -> ContainerReport:
    """Texts, times and lengths that no receiver should be asked to take."""
    text = "\x00\udce9\u202e" + "\U0001f600" * 100_000
    package = Package(one.package.ecosystem, text, text, text, SnykIdentity(text, text, text))
    identity = ContainerIdentity(text, text, text)
    return ContainerReport(
        observed_at=float("nan"),
        cluster=text,
        node=text,
        container=identity,
        metadata=ContainerMetadata(text, Image(text, text), text, text, text, Workload(text, text)),
        deployed=False,
        first_seen=float("-inf"),
        ended_at=1e300,
        coverage=Coverage.PARTIAL,
        coverage_reasons=(text,),
        packages=loaded(PackageUse(package, Evidence.OPENED, text)),
    )
