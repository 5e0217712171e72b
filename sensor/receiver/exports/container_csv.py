"""A line for each package of each container, RFC 4180. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from sensor.receiver.exports.container_json import moment
from sensor.receiver.exports.walk import Exported
from sensor.receiver.queries.rows import LoadedRow

HEADINGS = (
    "cluster", "namespace", "workload_kind", "workload_name", "pod", "container", "container_id",
    "image", "image_digest", "node", "deployed", "public_facing", "coverage", "coverage_reasons", "ecosystem",
    "package", "version", "purl", "snyk_type", "snyk_name", "snyk_version", "evidence",
    "first_seen", "last_seen", "path",
)  # fmt: skip


def pieces(pages: Iterable[list[Exported]]) -> Iterator[str]:
    """The heading, then a piece for each page. A container without packages has one line."""
    yield _lines([HEADINGS])
    for page in pages:
        yield _lines(line for found in page for line in _of_container(found))


def harmless(text: str) -> str:
    """``text`` so that a spreadsheet does not calculate it.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text


def _lines(rows: Iterable[Iterable[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows([harmless(text) for text in row] for row in rows)
    return written.getvalue()


def _of_container(found: Exported) -> Iterator[tuple[str, ...]]:
    row = found.container
    deployed = "true" if row.ended_at is None else "false"
    container = (
        row.cluster, row.namespace, row.workload_kind, row.workload_name, row.pod_name, row.container_name,
        row.container_id, row.image_name, row.image_digest, row.node, deployed, "; ".join(found.public),
        row.coverage, " ".join(row.coverage_reasons),
    )  # fmt: skip
    for package in found.packages:
        yield (*container, *_of_package(package))
    if not found.packages:
        yield (*container, *[""] * (len(HEADINGS) - len(container)))


def _of_package(package: LoadedRow) -> tuple[str, ...]:
    return (
        package.ecosystem, package.name, package.version, package.purl, package.snyk_type, package.snyk_name,
        package.snyk_version, package.evidence, moment(package.first_seen) or "",
        moment(package.last_seen) or "", package.path,
    )  # fmt: skip
