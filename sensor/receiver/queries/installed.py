"""What an image holds, beside what its containers have loaded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from sensor.receiver.queries.details import image_digests
from sensor.receiver.queries.selection import ECOSYSTEMS, IMAGE
from sensor.receiver.sbom import purl
from sensor.receiver.sbom.reference import names_of


@dataclass(frozen=True, slots=True)
class Installed:
    """A component of the SBOM, or a loaded package that it lacks."""

    ecosystem: str
    name: str
    version: str
    purl: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """``others`` counts components of ecosystems that the sensor does not look at, as ``deb``.

    ``bundled`` are installed, and known to be inside something opened; whether they are used is not known.
    """

    image: str
    format: str
    received_at: float
    components: int
    others: int
    loaded: tuple[Installed, ...]
    bundled: tuple[Installed, ...]
    never_loaded: tuple[Installed, ...]
    not_in_sbom: tuple[Installed, ...]


def sbom_of(connection: sqlite3.Connection, image: str) -> sqlite3.Row | None:
    """The SBOM that belongs to the image, by digest before name."""
    digests = image_digests(connection, image)
    names = [name for digest in digests or ("",) for name in names_of(image, digest)]
    for name in dict.fromkeys(names):
        row: sqlite3.Row | None = connection.execute("SELECT * FROM sbom WHERE image = ?", (name,)).fetchone()
        if row is not None:
            return row
    return None


def compare(connection: sqlite3.Connection, image: str) -> Comparison | None:
    """``None`` where no SBOM was given for the image."""
    sbom = sbom_of(connection, image)
    if sbom is None:
        return None
    sql = """SELECT purl, ecosystem, name, version FROM sbom_component WHERE sbom = ?
        ORDER BY ecosystem, name, version"""
    every = [_installed(row) for row in connection.execute(sql, (sbom["id"],))]
    components = [one for one in every if one.ecosystem in ECOSYSTEMS]
    used = _loaded(connection, image)
    proven = {key for key, (_, evidence) in used.items() if evidence}
    keys = [(key_of(one.purl), one) for one in components]
    held = {key for key, _ in keys}
    return Comparison(
        image=sbom["image"],
        format=sbom["format"],
        received_at=sbom["received_at"],
        components=len(every),
        others=len(every) - len(components),
        loaded=tuple(one for key, one in keys if key in proven),
        bundled=tuple(one for key, one in keys if key in used and key not in proven),
        never_loaded=tuple(one for key, one in keys if key not in used),
        not_in_sbom=_sorted(package for key, (package, _) in used.items() if key not in held),
    )


def _loaded(connection: sqlite3.Connection, image: str) -> dict[tuple[str, str, str], tuple[Installed, bool]]:
    """By key: the package, and whether more than ``bundled`` is known of it."""
    sql = f"""SELECT p.purl, p.ecosystem, p.name, p.version, max(m.evidence <> 'bundled') AS proven
        FROM package p JOIN member m ON m.package = p.id
        WHERE m.package_set IN (SELECT package_set FROM container c WHERE {IMAGE} = ?) GROUP BY p.id"""
    found: dict[tuple[str, str, str], tuple[Installed, bool]] = {}
    for row in connection.execute(sql, (image,)):
        key = key_of(row["purl"])
        known = found.get(key)
        found[key] = (known[0] if known else _installed(row), bool(row["proven"]) or bool(known and known[1]))
    return found


def key_of(text: str) -> tuple[str, str, str]:
    parts = purl.parse(text)
    return parts.key if parts else ("", text, "")


def _installed(row: sqlite3.Row) -> Installed:
    return Installed(row["ecosystem"], row["name"], row["version"] or "", row["purl"])


def _sorted(found: Iterable[Installed]) -> tuple[Installed, ...]:
    return tuple(sorted(found, key=lambda one: (one.ecosystem, one.name.casefold(), one.version)))
