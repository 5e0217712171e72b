"""What the API server was asked, from its audit log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What the API server asks itself is left out, and our asking whether it is ready. A watch is logged when it
# is accepted and again when it ends.
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "None", "nonResourceURLs": ["/readyz*"]},
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was answered with the HTTP status ``status``.

    ``verb`` is Kubernetes' (``list``, ``watch``, ``get``), ``resource`` the plural's name with its
    subresource (``pods``, ``pods/status``).
    """

    user: str
    user_agent: str
    verb: str
    resource: str
    namespace: str
    uri: str
    status: int


def read(log: Path, user_agent: str = "") -> list[Request]:
    """In the order in which they were answered; those whose user agent begins with ``user_agent``."""
    if not log.is_file():
        return []
    found: dict[str, Request] = {}
    for line in log.read_bytes().split(b"\n")[:-1]:
        entry = json.loads(line)
        if entry.get("userAgent", "").startswith(user_agent):
            found.setdefault(entry["auditID"], _request(entry))
    return list(found.values())


def _request(entry: dict[str, Any]) -> Request:
    target = entry.get("objectRef", {})
    parts = (target.get("resource", ""), target.get("subresource", ""))
    return Request(
        user=entry["user"].get("username", ""),
        user_agent=entry.get("userAgent", ""),
        verb=entry["verb"],
        resource="/".join(part for part in parts if part),
        namespace=target.get("namespace", ""),
        uri=entry["requestURI"],
        status=entry.get("responseStatus", {}).get("code", 0),
    )
