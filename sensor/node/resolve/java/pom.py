"""What Maven writes into a jar about its project: META-INF/maven/<group>/<artifact>/pom.properties, pom.xml.

pom.properties is a java.util.Properties file with groupId, artifactId and version (Maven Archiver,
"Archived Maven Files"). In pom.xml group and version may be those of the parent (POM reference,
"Inheritance").
"""

from __future__ import annotations

import contextlib
import re
from typing import NamedTuple
from xml.parsers import expat

POM_BYTES = 256 << 10
"""Read of a pom.xml: what names the project stands in front, most often."""

POM_PROPERTIES_BYTES = 16 << 10
"""Read of a pom.properties, which has some hundred bytes."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")  # Maven's DefaultModelValidator: ID_REGEX
_VERSION = re.compile(r"[A-Za-z0-9_.+~!@^=-]{1,128}")
_PROPERTY = re.compile(r"[ \t\f]*((?:[^\\:= \t\f]|\\.)+)[ \t\f]*[:=]?[ \t\f]*(.*)")
_CONTINUED = re.compile(r"\\(?:\r\n|\n|\r)[ \t\f]*")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_WANTED = frozenset(
    f"project/{path}"
    for path in (
        "groupId",
        "artifactId",
        "version",
        "parent/groupId",
        "parent/version",
    )
)
_LINES = 1000
_DEPTH = 64
_TEXT = 512


class Coordinates(NamedTuple):
    """Group and artifact are never empty; ``version`` is None when it is not known."""

    group: str
    artifact: str
    version: str | None


def coordinates(group: str, artifact: str, version: str) -> Coordinates | None:
    """Return them when a repository could have such a package. A version with ``${`` in it is unknown."""
    if _NAME.fullmatch(group) is None or _NAME.fullmatch(artifact) is None:
        return None
    return Coordinates(group, artifact, version if _VERSION.fullmatch(version) else None)


def parse_pom_properties(content: bytes) -> Coordinates | None:
    """Return what a pom.properties says, None when it names no project."""
    found: dict[str, str] = {}
    for line in _CONTINUED.sub("", content.decode("utf-8", "replace")).splitlines()[:_LINES]:
        if line.lstrip().startswith(("#", "!")):
            continue
        if match := _PROPERTY.match(line):
            found[_unescaped(match[1])] = _unescaped(match[2]).strip()
    return coordinates(found.get("groupId", ""), found.get("artifactId", ""), found.get("version", ""))


def parse_pom_xml(content: bytes) -> Coordinates | None:
    """Return what a pom.xml says, None when it names no project or is no XML.

    A document type is refused: nothing is expanded.
    """
    reader = _PomReader()
    with contextlib.suppress(expat.ExpatError, ValueError, LookupError):  # what came before damage counts
        reader.parser.Parse(content, True)
    texts = reader.texts
    return coordinates(
        texts.get("project/groupId") or texts.get("project/parent/groupId", ""),
        texts.get("project/artifactId", ""),
        texts.get("project/version") or texts.get("project/parent/version", ""),
    )


class _PomReader:
    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._path: list[str] = []
        self._wanted: str | None = None
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _start(self, name: str, _attributes: object) -> None:
        if len(self._path) >= _DEPTH:
            raise ValueError("elements nested too deep")
        self._path.append(name.rpartition(":")[2])
        path = "/".join(self._path) if len(self._path) <= 3 else ""
        self._wanted = path if path in _WANTED and path not in self.texts else None

    def _end(self, _name: str) -> None:
        self._path.pop()
        if self._wanted is not None:
            self.texts[self._wanted] = self.texts.get(self._wanted, "").strip()
        self._wanted = None

    def _text(self, text: str) -> None:
        if self._wanted is not None:
            self.texts[self._wanted] = (self.texts.get(self._wanted, "") + text)[:_TEXT]

    def _refuse(self, *_declaration: object) -> None:
        raise ValueError("a document type")


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _character(match[1]), text) if "\\" in text else text


def _character(escape: str) -> str:
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    return {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}.get(escape, escape)
