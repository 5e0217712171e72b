"""Which archive each loaded class came from. The VM knows, but keeps it where it cannot be read.

A class that stands in one archive came from there, which proves that its loader looks into that archive.
Of several archives the class's loader decides; each of these goes before the next:

1. An archive that is proven for this loader, or that is searched in the same order with one that is: the
   class path, and the libraries inside one fat jar. The first in the order wins, as for the VM.
2. An archive beside one that is proven for this loader: the same WEB-INF/lib, the same folder of plugins.
3. One that no other loader has had this class from, and that is not on the class path: what is there would
   have been loaded by the application's own loader. So two versions in two loaders are both found.
4. The first, in the order of the class path and then of the opens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from sensor.node.backfill.hotspot import ClassScan, ClassState, LoadedClass
from sensor.node.resolve.java.origins import Origin

_NESTED = "!/"
_CLASS_PATH = ":"
# Packages of the JDK, 8 to 25. Libraries bring copies of some (xml-apis, jta, jaxb), so that a name
# alone does not tell; of java, jdk and sun nobody does.
_JDK = (
    "java/", "javax/", "jdk/", "sun/", "com/sun/", "com/oracle/", "oracle/", "org/graalvm/", "netscape/",
    "org/w3c/dom/", "org/xml/sax/", "org/ietf/jgss/", "org/jcp/xml/", "org/omg/",
)  # fmt: skip
_ONLY_THE_JDK = ("java/", "jdk/", "sun/")


def classes_of_the_application(scan: ClassScan) -> list[LoadedClass]:
    """Return the classes that may come from archives, which is all but the JDK's own.

    What the boot loader has that is not of the JDK was put there by an agent. A loader with nothing but
    packages of the JDK is the platform's (the extension loader of JDK 8).
    """
    platform = _platform_loaders(scan.classes) | {scan.boot_loader}
    return [
        loaded
        for loaded in scan.classes
        if not loaded.name.startswith(_JDK if loaded.loader in platform else _ONLY_THE_JDK)
    ]


def _platform_loaders(classes: Iterable[LoadedClass]) -> set[int]:
    jdk: set[int] = set()
    others: set[int] = set()
    for loaded in classes:
        if not loaded.name.startswith(_JDK):
            others.add(loaded.loader)
        elif loaded.name.startswith(_ONLY_THE_JDK):
            jdk.add(loaded.loader)
    return jdk - others


@dataclass(slots=True)
class _Place:
    origin: Origin
    group: str
    """Of archives that stand together; ``ordered`` where they are searched in our order."""
    ordered: bool
    on_class_path: bool


@dataclass(slots=True)
class _Join:
    places: list[_Place]
    states: dict[int, ClassState] = field(default_factory=dict)
    proven: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    groups: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    taken: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def claim(self, loaded: LoadedClass, number: int) -> None:
        if self.states.get(number, 0) < loaded.state:
            self.states[number] = loaded.state

    def rank(self, loaded: LoadedClass, number: int) -> tuple[int, int]:
        place = self.places[number]
        beside = place.group in self.groups[loaded.loader]
        if number in self.proven[loaded.loader] or (place.ordered and beside):
            return 0, number
        if beside:
            return 1, number
        free = number not in self.taken[loaded.name] and not place.on_class_path
        return 2 if free else 3, number


def join(
    classes: Sequence[LoadedClass], origins: Sequence[Origin], class_path: Collection[str]
) -> list[tuple[Origin, ClassState]]:
    """Return the archives that classes came from, each with how far the furthest of its classes got.

    ``origins`` are in the order of the class path, then of the opens; ``class_path`` holds the archives on
    it. ``classes``: oldest loader first.
    """
    joined = _Join([_place(origin, class_path) for origin in origins])
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for number, origin in enumerate(origins):
        for name in origin.classes:
            holders[name].append(number)
    unclear: list[LoadedClass] = []
    for loaded in classes:
        found = holders.get(loaded.name)
        if found is None:
            continue
        if len(found) > 1:
            unclear.append(loaded)
            continue
        joined.claim(loaded, found[0])
        joined.proven[loaded.loader].add(found[0])
        joined.groups[loaded.loader].add(joined.places[found[0]].group)
    for loaded in unclear:
        best = min(holders[loaded.name], key=lambda number: joined.rank(loaded, number))
        joined.claim(loaded, best)
        joined.taken[loaded.name].add(best)
    return [(origins[number], joined.states[number]) for number in sorted(joined.states)]


def _place(origin: Origin, class_path: Collection[str]) -> _Place:
    outer, nested, inside = origin.location.rpartition(_NESTED)
    if nested:
        folder = inside.rpartition("/")[0]
        return _Place(origin, f"{outer}{_NESTED}{folder}", ordered=True, on_class_path=False)
    if origin.location in class_path:
        return _Place(origin, _CLASS_PATH, ordered=True, on_class_path=True)
    return _Place(origin, origin.location.rpartition("/")[0], ordered=False, on_class_path=False)
