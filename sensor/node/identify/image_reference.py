"""Image references as container runtimes write them."""

from __future__ import annotations

import re
from typing import Any

from sensor.model.container import Image
from sensor.node.identify.untrusted import text

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


def image_name(reference: Any) -> str | None:
    """Return a reference as written, None for a bare image id: that names no image."""
    name = text(reference)
    return None if name is None or _IMAGE_ID.fullmatch(name) else name


def manifest_digest(reference: Any) -> str | None:
    """Return the digest after ``@``, None without one. An image id is no manifest digest."""
    _, at, digest = (text(reference) or "").rpartition("@")
    return digest if at and _DIGEST.fullmatch(digest) else None


def image(name: Any, *references: Any) -> Image:
    """Return the image that ``name`` names, with the first digest found in it or in ``references``."""
    digests = (manifest_digest(reference) for reference in (name, *references))
    return Image(image_name(name), next((digest for digest in digests if digest), None))


def repository(reference: str) -> str:
    """Return a reference without tag and digest. A colon before the last slash is that of a port."""
    bare = reference.partition("@")[0]
    head, slash, last = bare.rpartition("/")
    return head + slash + last.partition(":")[0]
