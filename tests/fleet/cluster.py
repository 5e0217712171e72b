"""The nodes of a simulated cluster and how they change. Pure: a seed gives the same cluster again.

Figures of a busy cluster: 300 images, of which few make up most containers (Zipf); an image's program loads
35 packages in the middle (:data:`MIDDLE`), 15 to 90 mostly, out of 4,000; a start is reported as it begins
and again when all is loaded.
"""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sensor.delivery.destination import Batch, OutgoingState
from sensor.model.container import ContainerIdentity, ContainerMetadata, Image, Workload
from sensor.model.package import Ecosystem, Evidence, Package, PackageUse, SnykIdentity
from sensor.model.report import ContainerReport, Coverage, LoadedPackage

IMAGES = 300
PACKAGES = 4000
MIDDLE = 35
_START_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What containers are made of; ``weights`` are the images' shares of all containers."""

    images: tuple[tuple[PackageUse, ...], ...]
    weights: tuple[float, ...]


def catalogue(seed: int = 1, middle: int = MIDDLE) -> Catalogue:
    """``middle`` is the median of packages that an image's program loads."""
    dice = random.Random(seed)
    uses = [_use(number) for number in range(PACKAGES)]
    sizes = [min(400, max(3, round(dice.lognormvariate(math.log(middle), 0.7)))) for _ in range(IMAGES)]
    images = tuple(tuple(dice.sample(uses, size)) for size in sizes)
    return Catalogue(images, tuple(1 / (rank + 2) for rank in range(IMAGES)))


def _use(number: int) -> PackageUse:
    name, version = f"package-{number:04}", f"{number % 7}.{number % 31}.{number % 13}"
    package = Package(
        Ecosystem.PYPI, name, version, f"pkg:pypi/{name}@{version}", SnykIdentity("pip", name, version)
    )
    folder = name.replace("-", "_")
    return PackageUse(
        package, Evidence.OPENED, f"/app/venv/lib/python3.11/site-packages/{folder}/__init__.py"
    )


@dataclass(slots=True)
class _Container:
    id: str
    image: int
    started: float
    generation: int
    loaded: int
    ended: float | None = None


class Node:
    """One simulated node of ``containers``; every method gives the batch that its sensor would send."""

    def __init__(self, number: int, containers: int, made_of: Catalogue, now: float) -> None:
        self.name = f"node-{number:05}"
        self._dice = random.Random(number)
        self._made_of = made_of
        self._sender_id = self._uuid()
        self._generation = 0
        self._containers = [self._new(now - self._dice.uniform(60, 86_400), 1.0) for _ in range(containers)]
        self._starting: _Container | None = None

    def snapshot(self, now: float) -> Batch:
        """Everything that runs."""
        running = tuple(container.id for container in self._containers)
        return self._batch(self._containers, now, running)

    def change(self, now: float) -> Batch:
        """In turn: a container is replaced by a new one; the new one has loaded all it will."""
        if self._starting is not None:
            started, self._starting = self._starting, None
            started.loaded, started.generation = len(self._made_of.images[started.image]), self._next()
            return self._batch([started], now)
        place = self._dice.randrange(len(self._containers))
        gone = self._containers[place]
        gone.ended, gone.generation = now - 1.0, self._next()
        self._starting = self._containers[place] = self._new(now - 1.0, 0.3)
        return self._batch([gone, self._starting], now)

    def replace(self, now: float) -> Batch:
        """A container is replaced by a new one that has loaded all it will."""
        place = self._dice.randrange(len(self._containers))
        gone = self._containers[place]
        gone.ended, gone.generation = now - 1.0, self._next()
        new = self._containers[place] = self._new(now - _START_SECONDS - 1.0, 1.0)
        return self._batch([gone, new], now)

    def _new(self, started: float, share: float) -> _Container:
        image = self._dice.choices(range(IMAGES), self._made_of.weights)[0]
        loaded = max(1, round(share * len(self._made_of.images[image])))
        return _Container(f"{self._dice.getrandbits(256):064x}", image, started, self._next(), loaded)

    def _next(self) -> int:
        self._generation += 1
        return self._generation

    def _batch(
        self, containers: Sequence[_Container], now: float, running: tuple[str, ...] | None = None
    ) -> Batch:
        states = tuple(
            OutgoingState(each.id, each.generation, self._report(each, now)) for each in containers
        )
        return Batch(self._uuid(), self._sender_id, now, "fleet", self.name, states, running)

    def _report(self, container: _Container, now: float) -> ContainerReport:
        image = self._made_of.images[container.image]
        first = container.started
        return ContainerReport(
            observed_at=now,
            cluster="fleet",
            node=self.name,
            container=ContainerIdentity(container.id, "containerd"),
            metadata=_metadata(container),
            deployed=container.ended is None,
            first_seen=first,
            ended_at=container.ended,
            coverage=Coverage.COMPLETE,
            coverage_reasons=(),
            packages=tuple(
                LoadedPackage(use, moment := first + number * _START_SECONDS / len(image), moment)
                for number, use in enumerate(image[: container.loaded])
            ),
        )

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))


def _metadata(container: _Container) -> ContainerMetadata:
    name = f"service-{container.image:03}"
    return ContainerMetadata(
        name=name,
        image=Image(f"registry.example/shop/{name}:1.4.2", f"sha256:{container.image:064x}"),
        namespace=f"team-{container.image % 40}",
        pod_name=f"{name}-{container.id[:10]}-{container.id[10:15]}",
        pod_uid=f"{container.id[:8]}-{container.id[8:12]}-4{container.id[13:16]}-8{container.id[17:20]}"
        f"-{container.id[20:32]}",
        workload=Workload("Deployment", name),
    )
