"""What keeps a kernel from being tried at all."""

from __future__ import annotations


class KernelsError(Exception):
    """Says what was found, what was expected and what helps."""
