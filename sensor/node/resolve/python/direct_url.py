"""Where a distribution was installed from (PEP 610)."""

from __future__ import annotations

import json
from urllib.parse import unquote, urlsplit

from sensor.node.rootfs import RootFilesystem, Unreadable

_URL_BYTES = 1 << 16


def project_of(root: RootFilesystem, direct_url: str) -> str | None:
    """Return the folder that the direct_url.json at ``direct_url`` says is installed for development."""
    try:
        document = json.loads(root.read(direct_url, _URL_BYTES))
        url = urlsplit(document["url"])
        editable = document["dir_info"]["editable"] is True and url.scheme == "file"
    except (Unreadable, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    source = unquote(url.path, errors="surrogateescape").rstrip("/")
    return source if editable and source.startswith("/") else None
