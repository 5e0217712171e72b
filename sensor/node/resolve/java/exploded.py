"""A .class file in a folder -> the package whose classes lie there.

Such a folder is the application's own code most often: Jib's /app/classes, a war that a server unpacked,
BOOT-INF/classes of an extracted jar, target/classes of a build. It counts as a package when the project's
pom.properties lies with it, as it does in the jar that was unpacked.
"""

from __future__ import annotations

from sensor.model.package import SkipReason
from sensor.node.resolve.java.pom import POM_PROPERTIES_BYTES, Coordinates, parse_pom_properties
from sensor.node.rootfs import RootFilesystem, Unreadable

_CLIMB = 32
_PROJECTS = 10
_ABSENT = frozenset({SkipReason.VANISHED, SkipReason.NOT_REGULAR, SkipReason.ESCAPES_ROOT})


def project_of(root: RootFilesystem, folder: str) -> Coordinates | None:
    """Return the project whose classes are in ``folder`` or below it, None when nothing tells.

    Looked for is META-INF upward, so that the folder of a package (org/x/y) leads to the class root, and
    from WEB-INF/classes to the root of the war. Raises Unreadable.
    """
    for _ in range(_CLIMB):
        found = set().union(*(_projects_in(root, place) for place in _places(folder)))
        if len(found) == 1:
            return found.pop()
        # Several: unpacked from a jar that others were shaded into, and which it is of is not told.
        if found or not folder or _exists(root, f"{folder}/META-INF/MANIFEST.MF"):
            return None
        folder = folder[: folder.rfind("/")]
    return None


def _places(folder: str) -> tuple[str, ...]:
    """Where pom.properties may lie for classes in ``folder``: as in a jar, or as Maven's build leaves it."""
    archiver = f"{folder[: -len('/classes')]}/maven-archiver/pom.properties"
    jar = f"{folder}/META-INF/maven"
    return (archiver, jar) if folder.endswith("/classes") else (jar,)


def _projects_in(root: RootFilesystem, place: str) -> set[Coordinates]:
    paths = [place]
    if not place.endswith(".properties"):
        paths = [
            f"{place}/{group}/{artifact}/pom.properties"
            for group in _folders(root, place)
            for artifact in _folders(root, f"{place}/{group}")
        ]
    return {project for path in paths if (project := _read(root, path)) is not None}


def _folders(root: RootFilesystem, path: str) -> list[str]:
    try:
        return [entry.name for entry in root.list(path) if entry.is_directory][:_PROJECTS]
    except Unreadable as error:
        if error.reason in _ABSENT:
            return []
        raise


def _read(root: RootFilesystem, path: str) -> Coordinates | None:
    try:
        return parse_pom_properties(root.read(path, POM_PROPERTIES_BYTES))
    except Unreadable as error:
        if error.reason in _ABSENT:
            return None
        raise


def _exists(root: RootFilesystem, path: str) -> bool:
    try:
        return root.stat(path).is_regular
    except Unreadable:
        return False
