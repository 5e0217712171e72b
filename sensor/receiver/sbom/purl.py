"""Package URLs, https://github.com/package-url/purl-spec, as far as comparing needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

LONGEST = 4096
_TYPE = re.compile(r"[a-z][a-z0-9.+-]*")


@dataclass(frozen=True, slots=True)
class Purl:
    """``name`` holds the namespace, divided by ``/``; qualifiers and subpath are left out."""

    type: str
    name: str
    version: str

    @property
    def text(self) -> str:
        version = f"@{quote(self.version, safe='.-_~:')}" if self.version else ""
        return f"pkg:{self.type}/{quote(self.name, safe='/.-_~:')}{version}"

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal where two tools mean the same package, however each wrote it."""
        name, version = self.name, self.version
        if self.type == "pypi":  # PEP 503
            name = re.sub(r"[-_.]+", "-", name).lower()
        elif self.type in ("golang", "nuget"):  # both look names up without regard to case
            name = name.lower()
        if self.type == "golang":  # Snyk and some scanners leave the v away
            version = version.removeprefix("v")
        return self.type, name, version


def parse(text: str) -> Purl | None:
    """Return the parts of ``pkg:type/namespace/name@version?…#…``, ``None`` where it is none."""
    if len(text) > LONGEST or text[:4].lower() != "pkg:":
        return None
    rest = text[4:].split("#", 1)[0].split("?", 1)[0].lstrip("/")
    kind, _, path = rest.partition("/")
    # The @ of an npm scope may be written as it is; that of the version comes after the last slash.
    at = path.rfind("@")
    name, version = (path[:at], path[at + 1 :]) if at > max(path.rfind("/"), 0) else (path, "")
    name = "/".join(filter(None, unquote(name).split("/")))
    if not _TYPE.fullmatch(kind.lower()) or not name:
        return None
    return Purl(kind.lower(), name, unquote(version))
