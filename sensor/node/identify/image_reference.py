"""Image references as container runtimes write them: the rules of :mod:`sensor.model.image_reference`."""

from __future__ import annotations

from typing import Any

from sensor.model import image_reference as rules
from sensor.model.container import Image


def image_name(reference: Any) -> str | None:
    """Return the normalised name, what is no reference as written, None for a bare image id."""
    return rules.image_name(reference)


def manifest_digest(reference: Any) -> str | None:
    """Return the digest after ``@``, None without one. An image id is no manifest digest."""
    return rules.digest_of(reference)


def image(name: Any, *sources: Any) -> Image:
    """Return the image that ``name`` names, with the first digest found in it or in ``sources``."""
    return rules.image(name, *sources)


def repository(reference: str) -> str:
    """Return a reference without tag and digest, normalised where it is one, so that ``app`` and
    ``docker.io/library/app`` are the same."""
    parsed = rules.ImageReference.parse(reference)
    if parsed is not None:
        return parsed.repository
    bare = reference.partition("@")[0]
    head, slash, last = bare.rpartition("/")
    return head + slash + last.partition(":")[0]
