"""Templates, and the headers of every answer."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from sensor.receiver.page import wording
from sensor.receiver.page.columns import VIEWS

_HERE = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # With no-referrer a browser would send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    body: bytes
    kind: str
    version: str
    """Of its content; part of its address, so that a browser may keep it for ever."""


STATIC = {
    path.name: StaticFile(body, _KINDS[path.suffix], hashlib.sha256(body).hexdigest()[:16])
    for path in sorted((_HERE / "static").iterdir())
    if path.suffix in _KINDS
    for body in (path.read_bytes(),)
}


def page(template: str, status: int = 200, **values: Any) -> web.Response:
    """An answer with the template, which sees ``values`` and ``now``."""
    text = _ENVIRONMENT.get_template(template).render(now=time.time(), **values)
    return web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)


def problem(status: int, heading: str, text: str) -> web.Response:
    """What went wrong, for people."""
    return page("problem.html", status, heading=heading, text=text)


def static(name: str) -> web.Response:
    found = STATIC.get(name)
    if found is None:
        return problem(404, "Not here", "There is no such file.")
    headers = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return web.Response(body=found.body, content_type=found.kind, charset="utf-8", headers=headers)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=wording.visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ago=wording.ago,
        utc=wording.utc,
        iso=wording.iso,
        count=wording.count,
        reason=wording.reason,
        # For a form's own value, which has to come back as it was.
        as_is=lambda text: Markup(escape(text)),
    )
    environment.globals.update(
        views=VIEWS,
        evidence_words=wording.EVIDENCE,
        risk_words=wording.RISKS,
        asset=lambda name: f"/static/{name}?v={STATIC[name].version}",
        query=lambda **pairs: urlencode(pairs),
        quoted=lambda text: quote(text, safe=""),
    )
    return environment


_ENVIRONMENT = _environment()
