"""The Class-Path of a jar's manifest: the other archives and folders it is loaded with.

JAR File Specification, "Class-Path attribute": relative URLs with spaces between, resolved against the
jar's own place; absolute ``file:`` URLs are followed too, as java.net.URLClassLoader did before JDK 11.0.4.
"""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

_ENTRIES = 1000
_PATH_LENGTH = 4096


def class_path_entries(path: str, class_path: str) -> tuple[str, ...]:
    """Return the absolute paths that ``class_path`` names in the manifest of the jar ``path``.

    Those of other schemes and whatever is no path are left out; folders lose their last slash. At most
    1,000, each once.
    """
    folder = path[: path.rfind("/") + 1]
    found = (_absolute(folder, url) for url in class_path.split()[:_ENTRIES])
    return tuple(dict.fromkeys(entry for entry in found if entry))


def _absolute(folder: str, url: str) -> str:
    scheme, colon, rest = url.partition(":")
    if colon and "/" not in scheme:
        if scheme.lower() != "file":
            return ""
        url = rest
    if url.startswith("//"):
        host, slash, url = url[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            return ""
        url = f"/{url}"
    target = unquote(url.partition("?")[0].partition("#")[0], errors="surrogateescape")
    if not target or "\0" in target or len(target) > _PATH_LENGTH:
        return ""
    return posixpath.normpath(posixpath.join(folder, target).replace("//", "/"))
