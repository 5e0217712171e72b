"""Which containers and packages are asked for: a few texts that stand in an address, and the same as SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

UNKNOWN = "-"
"""Asks for what has no such name."""
STATES = ("running", "ended")
COVERAGES = ("complete", "partial")
EVIDENCES = ("executed", "mapped", "opened", "bundled")
ECOSYSTEMS = ("golang", "maven", "npm", "nuget", "pypi")
RISKS = ("deployed", "loaded", "public")
_LONGEST = 512
_CHOICES = {"state": STATES, "coverage": COVERAGES, "evidence": EVIDENCES, "ecosystem": ECOSYSTEMS}

Workload = tuple[str, str, str, str]
"""Cluster, namespace, kind, name."""


@dataclass(frozen=True, slots=True)
class Selection:
    """An empty text asks for all. ``workload`` is ``KIND/NAME`` or ``NAME``; ``q`` is searched for in
    packages' names and purls, and in images, workloads and pods."""

    q: str = ""
    cluster: str = ""
    namespace: str = ""
    workload: str = ""
    image: str = ""
    ecosystem: str = ""
    evidence: str = ""
    coverage: str = ""
    state: str = ""
    risk: tuple[str, ...] = ()

    def query(self, **more: str | int) -> str:
        """The selection as a query string, without ``?``; empty values are left out."""
        named = [(field.name, getattr(self, field.name)) for field in fields(self)]
        pairs = [
            (name, one)
            for name, value in [*named, *more.items()]
            for one in (value if isinstance(value, tuple) else (value,))
        ]
        return urlencode([(name, value) for name, value in pairs if value != ""])

    def without(self, name: str, value: str) -> Selection:
        if name == "risk":
            return replace(self, risk=tuple(risk for risk in self.risk if risk != value))
        cleared: dict[str, Any] = {name: ""}
        return replace(self, **cleared)


def selection(asked: Iterable[tuple[str, str]]) -> Selection:
    """From the pairs of a query string. What is not known or too long is not asked for."""
    found: dict[str, Any] = {}
    risks: set[str] = set()
    known = {field.name for field in fields(Selection)}
    for name, given in asked:
        value = given.replace("\0", "")  # where SQLite's LIKE would end
        if name == "risk":
            risks.update(value.split(","))
        elif name in known and value.strip():
            found[name] = value.strip()[:_LONGEST]
    for name, choices in _CHOICES.items():
        if found.get(name, "") not in choices:
            found.pop(name, None)
    return Selection(**found, risk=tuple(risk for risk in RISKS if risk in risks))


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL that is true for what is wanted, with its named parameters."""

    sql: str
    values: Mapping[str, Any]


IMAGE = "coalesce(c.image_name, c.image_digest, '')"


def of_packages(wanted: Selection) -> Condition:
    """Of ``member m JOIN package p``, the search left aside."""
    parts, values = ["1"], dict[str, Any]()
    if wanted.ecosystem:
        parts.append("p.ecosystem = :ecosystem")
        values["ecosystem"] = wanted.ecosystem
    if wanted.evidence:
        parts.append("m.evidence = :evidence")
        values["evidence"] = wanted.evidence
    if "loaded" in wanted.risk:
        parts.append("m.evidence <> 'bundled'")
    return Condition(" AND ".join(parts), values)


def search(wanted: Selection, columns: Iterable[str]) -> Condition:
    """Whether one of the columns holds what is searched for; true where nothing is."""
    if not wanted.q:
        return Condition("1", {})
    escaped = wanted.q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    likes = " OR ".join(f"{column} LIKE :q ESCAPE '\\'" for column in columns)
    return Condition(f"ifnull({likes}, 0)", {"q": f"%{escaped}%"})


def search_packages(wanted: Selection) -> Condition:
    return search(wanted, ("p.name", "p.purl", "p.snyk_name"))


def search_containers(wanted: Selection) -> Condition:
    names = ("c.image_name", "c.image_digest", "c.workload_name", "c.pod_name", "c.container_name")
    return search(wanted, [f"coalesce({name}, '')" for name in (*names, "c.container_id")])


def of_containers(wanted: Selection, public: Iterable[Workload] = ()) -> Condition:
    """Of ``container c``: those that are wanted, and have loaded a package that is."""
    parts, values = ["1"], dict[str, Any]()
    for name, column in (("cluster", "c.cluster"), ("namespace", "c.namespace"), ("image", IMAGE)):
        if value := getattr(wanted, name):
            parts.append(f"coalesce({column}, '') = :{name}")
            values[name] = "" if value == UNKNOWN else value
    if wanted.workload:
        parts.append(
            "(c.workload_name = :workload OR c.workload_kind || '/' || c.workload_name = :workload)"
            if wanted.workload != UNKNOWN
            else "c.workload_name IS NULL"
        )
        values["workload"] = wanted.workload
    if wanted.coverage:
        parts.append("c.coverage = :coverage")
        values["coverage"] = wanted.coverage
    if wanted.state or "deployed" in wanted.risk:
        parts += ["c.ended_at IS NULL"] * (wanted.state == "running" or "deployed" in wanted.risk)
        parts += ["c.ended_at IS NOT NULL"] * (wanted.state == "ended")
    if "public" in wanted.risk:
        parts.append(_PUBLIC)
        values["public"] = json.dumps(["\x1f".join(workload) for workload in public])
    sets = _sets(wanted)
    return Condition(" AND ".join([*parts, sets.sql]), {**values, **sets.values})


_PUBLIC = """c.cluster || char(31) || coalesce(c.namespace, '') || char(31) || coalesce(c.workload_kind, '')
    || char(31) || coalesce(c.workload_name, '') IN (SELECT value FROM json_each(:public))"""


def _sets(wanted: Selection) -> Condition:
    of_package, in_package = of_packages(wanted), search_packages(wanted)
    in_container = search_containers(wanted)
    holding = "c.package_set IN (SELECT m.package_set FROM member m JOIN package p ON p.id = m.package WHERE "
    parts = []
    if of_package.values or "loaded" in wanted.risk:
        parts.append(f"{holding}{of_package.sql})")
    if wanted.q:
        parts.append(f"({in_container.sql} OR {holding}{of_package.sql} AND {in_package.sql}))")
    return Condition(" AND ".join(parts) or "1", {**of_package.values, **in_package.values})
