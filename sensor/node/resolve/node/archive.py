"""The package.json inside an archive of Yarn Plug'n'Play, read within bounds."""

from __future__ import annotations

import re

from sensor.model.package import SkipReason
from sensor.node.resolve.archive import Archive, BadArchive, Budget
from sensor.node.resolve.inflate import Readable

__all__ = ["BadArchive", "read_manifest"]

ENTRIES = 50_000
DIRECTORY_BYTES = 4 << 20  # no package has as much
SECONDS = 1.0

_MANIFEST = re.compile(rb"node_modules/(?:@[^/]+/)?[^/@][^/]*/package\.json")


def read_manifest(file: Readable, limit: int) -> bytes:
    """Return ``node_modules/<name>/package.json`` of the archive, at most ``limit`` bytes.

    Raises BadArchive.
    """
    archive = Archive(file, Budget(entries=ENTRIES, directory=DIRECTORY_BYTES, seconds=SECONDS))
    for member in archive.members():
        if _MANIFEST.fullmatch(member.name):
            size = max(member.packed, member.unpacked)
            if size > limit:
                raise BadArchive(SkipReason.ARCHIVE_BOUNDS, f"package.json of {size} bytes")
            return archive.head(member, limit)
    raise BadArchive(SkipReason.MALFORMED, "no node_modules/<name>/package.json inside")
