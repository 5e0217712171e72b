"""What the other side wrote, made fit for our logs: short, one line, and never with our token in it."""

from __future__ import annotations

_TEXT_BOUND = 200


def quotable(text: str, secret: str, *, limit: int = _TEXT_BOUND) -> str:
    """Return ``text`` in printable characters, at most ``limit`` of them, ``secret`` blotted out.

    A server, or a proxy on the way, may answer with the headers that it was sent.
    """
    if secret:
        text = text.replace(secret, "[token]")
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[: limit * 4]).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
