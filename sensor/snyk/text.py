"""Texts as both forms send them: Unicode, and of a length that a receiver need not fear. Pure."""

from __future__ import annotations

from sensor.delivery.container_json import unicode_text

LONGEST = 4096
"""Characters. PATH_MAX of Linux, which no name of Kubernetes or of a registry comes near."""


def wire_text(text: str | None) -> str:
    """``text`` without half surrogate pairs, which protobuf and JSON readers refuse; ``…`` stands for
    what is beyond :data:`LONGEST`; what is not known is empty."""
    if text is None:
        return ""
    return unicode_text(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")


def wire_text_or_none(text: str | None) -> str | None:
    return None if text is None else wire_text(text)
