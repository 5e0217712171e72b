"""``docs/package-names.md``: real packages under both of their names, as the sensor reported them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.accuracy.compare import Outcome
from tests.accuracy.document import TITLES
from tests.ground.sensor import Report

ECOSYSTEMS = {"python": "pypi", "node": "npm", "java": "maven", "go": "golang", "dotnet": "nuget"}
EACH = 9
"""Rows of an ecosystem, where its applications load as many."""
_OF_A_KIND = 3
_MADE_UP = frozenset(
    {
        "python-halfway",
        "python-editable",
        "python-versions",
        "node-monorepo",
        "java-plug-ins",
        "go-workspace",
        "go-plugins",
    }
)

_INTRODUCTION = """\
# Two names for one package

Written by `make accuracy` from what the sensor reported of real applications; do not edit.

A report gives every package twice: as a purl, which other tools understand, and as Snyk's own scan of the
image writes it, so that the two can be joined. `-` is a version that is not known.
"""

_DIFFERENCES = {
    "pypi": """\
The purl has the name as PEP 503 normalises it. Snyk lower-cases it and keeps `_` and `.`, and makes three
numbers of a version.""",
    "npm": "The `@` of a scope is `%40` in a purl (purl specification).",
    "maven": "Group and artifact are two parts of a purl, and one name with a colon for Snyk.",
    "golang": """\
Snyk names each import path of a module by itself, and the standard library too; in a purl the rest of the
path stands behind `#`.""",
    "nuget": "Names keep the case they were published in; to NuGet itself case says nothing.",
}


@dataclass(frozen=True, slots=True)
class Named:
    purl: str
    type: str
    name: str
    version: str | None

    @property
    def bare(self) -> str:
        """Name and version of the purl, without its type."""
        return self.purl.partition("/")[2]


_Kind = Callable[[Named], bool]


def _normalised(each: Named) -> bool:
    return each.bare.partition("@")[0] != each.name


def _other_version(each: Named) -> bool:
    return each.version is not None and not each.purl.partition("#")[0].endswith(f"@{each.version}")


# What makes a package worth showing, the rarest first.
_KINDS: dict[str, tuple[_Kind, ...]] = {
    "pypi": (lambda each: _normalised(each) and _other_version(each), _normalised, _other_version),
    "npm": (lambda each: each.name.startswith("@"), lambda each: "." in each.name),
    "maven": (
        lambda each: each.name.partition(":")[0] == each.name.partition(":")[2],
        lambda each: (each.version or "") > "a" or "." in each.name.partition(":")[2],
    ),
    "golang": (
        lambda each: each.name.partition("/")[0] in ("std", "stdlib"),
        lambda each: "+incompatible" in (each.version or "") or "-0." in (each.version or ""),
        lambda each: "#" in each.purl,
    ),
    "nuget": (lambda each: each.name == each.name.lower(), lambda each: "-" in (each.version or "")),
}


def document(outcomes: Sequence[Outcome]) -> str:
    """The whole page; an ecosystem without a package that was rightly reported has no part in it."""
    parts = [_INTRODUCTION]
    for language, ecosystem in ECOSYSTEMS.items():
        if rows := pick(packages(outcomes, language), _KINDS[ecosystem]):
            parts.append("\n".join(_section(TITLES[language], ecosystem, rows)))
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def packages(outcomes: Sequence[Outcome], language: str) -> list[Named]:
    """Every package that an application of ``language`` loaded and the sensor reported, by purl.

    One version of each name, and none of the applications that come with packages made for them.
    """
    found = {
        package["snyk"]["name"]: _named(package)
        for outcome in outcomes
        if outcome.language == language and outcome.name not in _MADE_UP
        for package in outcome.packages
        if package["purl"] in outcome.comparison.correct
    }
    return sorted(found.values(), key=lambda each: each.purl)


def pick(known: Sequence[Named], kinds: Sequence[_Kind], count: int = EACH) -> list[Named]:
    """``count`` of them at most: some of each kind, then plain ones, from all over the alphabet."""
    picked: dict[str, Named] = {}
    left = list(known)
    for kind in kinds:
        telling = [each for each in left if kind(each)]
        picked |= {each.purl: each for each in _spread(telling, _OF_A_KIND)}
        left = [each for each in left if each not in telling]
    picked |= {each.purl: each for each in _spread(left, count - len(picked))}
    return [picked[purl] for purl in sorted(picked)][:count]


def _spread(of: Sequence[Named], count: int) -> list[Named]:
    if len(of) <= count:
        return list(of)
    return [of[place * len(of) // count] for place in range(count)]


def _section(title: str, ecosystem: str, rows: Sequence[Named]) -> Iterator[str]:
    yield f"## {title}"
    yield _DIFFERENCES[ecosystem]
    yield ""
    yield "| purl | Snyk type | Snyk name | Snyk version |"
    yield "|---|---|---|---|"
    for each in rows:
        yield f"| `{each.purl}` | {each.type} | `{each.name}` | {each.version or '-'} |"


def _named(package: Report) -> Named:
    snyk = package["snyk"]
    return Named(package["purl"], snyk["type"], snyk["name"], snyk["version"])
