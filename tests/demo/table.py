"""The demo's table: a block for each container, a line for each package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.ground.sensor import Report

_HEADINGS = ("ECOSYSTEM", "PACKAGE", "VERSION", "EVIDENCE", "PROVED BY")


def table(report: Report, verdict: str, width: int) -> Iterator[str]:
    """Lines of at most ``width`` characters; ``verdict`` ends the heading."""
    container, image, pod = report["container"], report["image"], report["pod"]
    place = "/".join(part or "?" for part in (report["namespace"], pod["name"], container["name"]))
    yield f"{place}  image {image['name'] or '?'}  container {container['id'][:12]}"
    yield f"  {len(report['packages'])} packages loaded, coverage {report['coverage']}: {verdict}"
    rows = [
        _HEADINGS,
        *sorted(map(_row, report["packages"]), key=lambda row: (row[0], row[1].lower(), row[2])),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(size) for cell, size in zip(row, widths, strict=False)]
        line = "  " + "  ".join(cells)
        yield line + "  " + _shortened(row[4], max(width - len(line) - 2, 20))


def _row(package: dict[str, Any]) -> tuple[str, ...]:
    version = package["version"] or "?"
    return package["ecosystem"], package["name"], version, package["evidence"], package["path"]


def _shortened(path: str, width: int) -> str:
    """The end of a path says more than its beginning."""
    return path if len(path) <= width else "…" + path[1 - width :]
