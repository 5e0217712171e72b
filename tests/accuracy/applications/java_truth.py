"""What a JVM says it has loaded: its class log (``-Xlog:class+load``), and the libraries that it has mapped.

The log names a source for each class (src/hotspot/share/classfile/classLoader.cpp and
systemDictionary.cpp, ``InstanceKlass::print_class_load_logging``): the location of the class's code source
where its loader gave one. The file that stands there is an artifact by its content, as Maven resolved
it when the image was built. Classes that a program made while it ran (proxies, lambdas, accessors)
have no such source and belong to nobody.
"""

from __future__ import annotations

import functools
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from tests.accuracy.application import told
from tests.accuracy.applications.java_maven import ARTIFACTS, digest
from tests.ground import Container, GroundError

LOG = "tmp/classes.log"
OPTION = f"-Xlog:class+load=info:file=/{LOG}:none:filecount=0"
ARCHIVED = "maven/archived.log"
"""Path in an image: the class log of the run that wrote its archive of shared classes."""

_LINE = re.compile(r"^(?P<name>\S+) source: (?P<source>.*)$")
_FROM_ARCHIVE = "shared objects file (top)"
_MADE = re.compile(r"\$\$Lambda|\$Proxy\d|/0x[0-9a-f]+$|^java\.lang\.invoke\.")
# Spring Boot 3.2 and later, then what JarURLConnection and everybody else writes.
_NESTED = re.compile(r"^jar:nested:(?P<outer>/.*?)/!(?P<inner>.*?)(?:!/)?$")
_JAR_URL = re.compile(r"^jar:file:(?P<outer>/.*?)!/(?P<inner>.*?)(?:!/)?$")
_FILE = re.compile(r"^(?:file:)?(?P<outer>/.*)$")
_ARCHIVE = re.compile(r"\.(?:jar|war|ear|zip)$")
_MAPPED = re.compile(r"^(?P<range>\S+) \S+ \S+ \S+ [1-9]\d*\s+(?P<path>/tmp/\S+)")


def of_jvm(container: Container) -> frozenset[str]:
    """The packages loaded by the JVM that is the container's first process, once it says that it is done."""
    told(container)
    return loaded(container)


def loaded(container: Container) -> frozenset[str]:
    """The same without waiting. Raises GroundError for a source that is neither an artifact nor our own."""
    known: dict[str, list[str]] = json.loads((container.root / ARTIFACTS).read_text())
    files = {digest(content) for content in _contents(container.root, _sources(container.root))}
    found = {purl for content in files for purl in _named(known, content)}
    found |= {purl for content in _libraries(container.pid) for purl in known.get(content, [])}
    return frozenset(found - {""})


def _named(known: dict[str, list[str]], content: str) -> list[str]:
    purls = known.get(content)
    if purls is None or len(purls) != 1:
        raise GroundError(
            f"an archive with classes in use is {purls or 'nothing'} to Maven (sha256 {content})"
        )
    return purls


def _sources(root: Path) -> set[str]:
    archived = root / ARCHIVED
    before = dict(_classes(archived)) if archived.exists() else {}
    return {
        before[name] if source == _FROM_ARCHIVE else source
        for name, source in _classes(root / LOG)
        if not (source == _FROM_ARCHIVE and _MADE.search(name))
    }


def _classes(log: Path) -> Iterator[tuple[str, str]]:
    for line in log.read_text(errors="replace").splitlines():
        if match := _LINE.match(line):
            yield match["name"], match["source"]


def _contents(root: Path, sources: Iterable[str]) -> Iterator[bytes]:
    """Of every archive that is a source of classes; of the outer one for classes not in a nested one."""
    for outer, inner in {location for source in sources if (location := _location(source))}:
        path = root / outer.lstrip("/")
        if _ARCHIVE.search(inner):
            with zipfile.ZipFile(path) as archive:
                yield archive.read(inner)
        elif _ARCHIVE.search(outer):
            yield path.read_bytes()


@functools.cache
def _location(source: str) -> tuple[str, str] | None:
    """Path of the outer file and of what lies in it; None for what comes from no file."""
    for pattern in (_NESTED, _JAR_URL, _FILE):
        if match := pattern.match(source):
            return unquote(match["outer"]), unquote(match.groupdict().get("inner") or "")
    if re.search(r"\.(?:jar|war)(?:[!/]|$)", source):
        raise GroundError(f"a source of classes that is not understood: {source}")
    return None


def _libraries(pid: int) -> Iterator[str]:
    """Digests of what the process has mapped below /tmp: natives, extracted, and often deleted since."""
    ranges = {
        match["path"]: match["range"]
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines()
        if (match := _MAPPED.match(line))
    }
    for where in ranges.values():
        yield digest(Path(f"/proc/{pid}/map_files/{where}").read_bytes())
