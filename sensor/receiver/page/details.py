"""One container, image or package out of the database."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from sensor.receiver.page.lists import ROWS
from sensor.receiver.queries import details, installed, packages
from sensor.receiver.queries.cells import fold
from sensor.receiver.queries.containers import container, containers, loaded_by
from sensor.receiver.queries.exposure import Exposures
from sensor.receiver.queries.rows import ContainerRow, LoadedRow, Order, PackageRow, Part, Totals
from sensor.receiver.queries.selection import UNKNOWN, Selection, of_containers
from sensor.receiver.queries.totals import totals

_MOST_PACKAGES = 2000
_MOST_CONTAINERS = 20


@dataclass(frozen=True, slots=True)
class ContainerPage:
    """``packages`` are its first 2,000."""

    row: ContainerRow
    packages: Part[LoadedRow]
    bundled: int
    public: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImagePage:
    """``packages`` are its first 2,000, ``containers`` the 20 seen last."""

    image: str
    digests: tuple[str, ...]
    totals: Totals
    packages: Part[PackageRow]
    containers: Part[ContainerRow]
    comparison: installed.Comparison | None


@dataclass(frozen=True, slots=True)
class PackagePage:
    purl: str
    names: tuple[details.PackageNames, ...]
    spread: Part[details.Spread]
    sightings: Part[details.Sighting]
    number: int

    @property
    def first(self) -> int:
        return (self.number - 1) * ROWS + 1

    @property
    def last(self) -> int:
        return self.first + len(self.sightings.rows) - 1


def container_page(connection: sqlite3.Connection, row_id: int, exposures: Exposures) -> ContainerPage | None:
    row = container(connection, row_id)
    if row is None:
        return None
    workload = (row.cluster, row.namespace, row.workload_kind, row.workload_name)
    every = loaded_by(connection, row_id)
    bundled = sum(package.evidence == "bundled" for package in every)
    packages = Part(every[:_MOST_PACKAGES], len(every))
    return ContainerPage(row, packages, bundled, exposures.get(workload, ()))


def image_page(connection: sqlite3.Connection, image: str) -> ImagePage | None:
    """``None`` where nothing is known of it, no SBOM either."""
    wanted = Selection(image=image or UNKNOWN)
    fold(connection, wanted)
    counted, chosen = totals(connection, wanted), of_containers(wanted)
    comparison = installed.compare(connection, image)
    if not counted.running and not counted.ended and comparison is None:
        return None
    return ImagePage(
        image=image,
        digests=details.image_digests(connection, image),
        totals=counted,
        packages=packages.packages(connection, wanted, chosen, Order("package", limit=_MOST_PACKAGES)),
        containers=containers(connection, chosen, Order("last", descending=True, limit=_MOST_CONTAINERS)),
        comparison=comparison,
    )


def package_page(connection: sqlite3.Connection, purl: str, number: int) -> PackagePage | None:
    names = details.package_names(connection, purl)
    if not names:
        return None
    order = Order("", offset=(number - 1) * ROWS, limit=ROWS)
    found = details.sightings(connection, purl, order)
    return PackagePage(purl, names, details.spread(connection, purl), found, number)
