"""An archive and all the archives inside of it, each with what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from sensor.model.package import SkipReason
from sensor.node.resolve.archive import Archive, BadArchive, Budget
from sensor.node.resolve.inflate import Readable
from sensor.node.resolve.java.contents import Contents, read_contents
from sensor.node.resolve.java.identity import Identity, identify

ENTRIES = 2_000_000
DIRECTORY_BYTES = 256 << 20
EXPANDED_BYTES = 1 << 30
SECONDS = 10.0
ARCHIVES = 5_000
PACKAGES = 5_000


@dataclass(frozen=True, slots=True)
class Layer:
    """One archive, the ``number``-th. ``inside`` is empty for the outermost, else ``!/lib/x.jar``."""

    number: int
    inside: str
    contents: Contents
    identity: Identity


def read_tree(
    file: Readable, path: str, on_class: Callable[[int, bytes], None] | None = None
) -> Iterator[Layer]:
    """Yield an archive and those inside, each before its own, in the order of the class path.

    ``on_class`` gets the number of the layer and each class in it, before the layer is yielded. A damaged
    archive inside is passed over: no class comes from it. Raises BadArchive.
    """
    budget = Budget(entries=ENTRIES, directory=DIRECTORY_BYTES, expanded=EXPANDED_BYTES, seconds=SECONDS)
    return _Walk(path, on_class).layers(Archive(file, budget), "")


class _Walk:
    def __init__(self, path: str, on_class: Callable[[int, bytes], None] | None) -> None:
        self._path = path
        self._on_class = on_class
        self._count = 0
        self._packages = 0

    def layers(self, archive: Archive, inside: str) -> Iterator[Layer]:
        number = self._count
        self._count += 1
        contents = read_contents(archive, self._collector(number))
        identity = identify(contents.evidence(inside or self._path))
        self._packages += len(identity.shaded) + 1
        if self._count > ARCHIVES or self._packages > PACKAGES + ARCHIVES:
            raise BadArchive(SkipReason.ARCHIVE_BOUNDS, "more archives or packages inside than are read")
        yield Layer(number, inside, contents, identity)
        for member in contents.nested:
            try:
                nested = archive.nested(member)
                yield from self.layers(nested, f"{inside}!/{member.name.decode('utf-8', 'replace')}")
            except BadArchive as error:
                if error.reason is not SkipReason.MALFORMED:
                    raise

    def _collector(self, number: int) -> Callable[[bytes], None] | None:
        collect = self._on_class
        if collect is None:
            return None
        return partial(collect, number)
