"""Who may do what: tokens, their permissions, and the groups they may report to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

REPORT = "AppRisk edit"
PUBLISH = "Publish Kubernetes Resources"
READ_IMAGES = "org.container_image.read"
READ_PROJECTS = "org.project.read"
DELETE_PROJECTS = "org.project.delete"
VIEW = "view"
SBOM = "sbom"
CONTROL = "control"
PERMISSIONS = (REPORT, PUBLISH, READ_IMAGES, READ_PROJECTS, DELETE_PROJECTS, VIEW, SBOM, CONTROL)

MAX_TOKENS = 1000
MAX_FILE = 1 << 20
_LOOK_AGAIN = 1.0
"""Seconds between looks at the file."""

_FORM = '{"tokens":[{"token":"…","permissions":["AppRisk edit"],"groups":["…"]}]}, groups optional'


class TokensError(Exception):
    """The text is for people and holds no token."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Of a token. ``groups`` is ``None`` where it may report to any; ``id`` names it in our own tables."""

    id: bytes = field(repr=False)
    permissions: frozenset[str]
    groups: frozenset[str] | None = None

    def may(self, *any_of: str) -> bool:
        return not self.permissions.isdisjoint(any_of)

    def may_report_to(self, group: str) -> bool:
        return self.groups is None or group in self.groups


class Tokens:
    """Those of ``path``, which is read again when it changes. Raises :class:`TokensError`."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._seen = self._identity()
        self._holders = read(path)

    def holder(self, authorization: str) -> Holder | None:
        """Of the token in the value of an ``Authorization`` header; ``None`` is nobody."""
        token = presented(authorization)
        if token is None:
            return None
        self._look_again()
        digest = _digest(token)
        found = None
        for holder in self._holders:  # all of them: how long it takes tells nothing
            if hmac.compare_digest(holder.id, digest):
                found = holder
        return found

    def _look_again(self) -> None:
        now = self._clock()
        if now - self._looked < _LOOK_AGAIN:
            return
        self._looked = now
        identity = self._identity()
        if identity == self._seen:
            return
        self._seen = identity
        try:
            self._holders = read(self._path)
        except TokensError as error:
            log.error("%s; the tokens of before hold until it is mended", error)
        else:
            log.info("read %d tokens anew", len(self._holders))

    def _identity(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns


def presented(authorization: str) -> str | None:
    """``token VALUE``, ``Bearer VALUE``, or HTTP Basic with the token as password (RFC 7617)."""
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if scheme.lower() in ("token", "bearer"):
        return value or None
    if scheme.lower() != "basic":
        return None
    try:
        _, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return None
    return password if colon and password else None


def own_token(directory: Path) -> Path:
    """The file of the token that may do all; made where there is none. Raises :class:`TokensError`."""
    path = directory / "token"
    try:
        if path.exists():
            return path
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=directory, prefix=".token-", delete=False) as file:  # 0600
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, path)  # whole or not there: with an empty one no start would succeed
    except OSError as error:
        raise TokensError(f"cannot make {str(path)!r}: {error}; give another --data-dir") from None
    log.info("made a token that may do all: %s", path)
    return path


def read(path: Path) -> tuple[Holder, ...]:
    """Of a JSON file, or of one that holds nothing but a token. Raises :class:`TokensError`."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        text = content.decode()
    except OSError as error:
        raise TokensError(f"cannot read the tokens in {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TokensError(f"tokens {str(path)!r}: found bytes that are no UTF-8") from None
    if len(content) > MAX_FILE:
        raise TokensError(f"tokens {str(path)!r}: found more than {MAX_FILE:,} bytes")
    if not text.lstrip().startswith("{"):
        return (_sole(path, text),)
    return _listed(path, text)


def _sole(path: Path, text: str) -> Holder:
    token = text.strip()
    if not token or len(token.split()) != 1:
        raise TokensError(f"tokens {str(path)!r}: found no token, expected one, or {_FORM}")
    return Holder(_digest(token), frozenset(PERMISSIONS))


def _listed(path: Path, text: str) -> tuple[Holder, ...]:
    try:
        listed = json.loads(text)["tokens"]
    except (ValueError, RecursionError, KeyError):
        raise TokensError(f"tokens {str(path)!r}: expected {_FORM}") from None
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_TOKENS:
        raise TokensError(f"tokens {str(path)!r}: expected 1 to {MAX_TOKENS} of them: {_FORM}")
    return tuple(_holder(path, number, one) for number, one in enumerate(listed, 1))


def _holder(path: Path, number: int, found: Any) -> Holder:
    def wrong(what: str) -> TokensError:
        return TokensError(f"tokens {str(path)!r}: entry {number}: {what}, expected {_FORM}")

    if not isinstance(found, dict) or not isinstance(found.get("token"), str) or not found["token"].strip():
        raise wrong("found no token")
    permissions: Any = found.get("permissions")
    groups: Any = found.get("groups")
    if not _are_texts(permissions) or (groups is not None and not _are_texts(groups)):
        raise wrong("permissions or groups are no list of texts")
    if unknown := sorted(set(permissions) - set(PERMISSIONS)):
        raise wrong(f"found the unknown permission {unknown[0]!r}; there are {', '.join(PERMISSIONS)}")
    return Holder(
        _digest(found["token"].strip()),
        frozenset(permissions),
        frozenset(groups) if groups is not None else None,
    )


def _are_texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(one, str) and one for one in found)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
