"""What ends a build."""

from __future__ import annotations


class ImageError(Exception):
    """The message says what was found, what was expected, and what to do next."""
