"""Where the node's reports go, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensor.config import texts
from sensor.config.texts import Address, SettingsError

TRANSPORTS = ("grpc", "https")
MAX_SCOPES = 64
_KIB = 1 << 10


@dataclass(frozen=True, slots=True)
class Scope:
    """Namespaces whose containers are reported to a group of their own.

    ``namespaces`` are names, or patterns with ``*`` and ``?``. ``token`` is ``None`` where the group is
    reported to with the common one.
    """

    group_id: str
    namespaces: tuple[str, ...]
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Times are seconds, sizes bytes. Of ``token`` and ``token_file`` exactly one is set."""

    address: Address
    transport: str = "grpc"
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    group_id: str = ""
    scopes: tuple[Scope, ...] = ()
    """The first that matches takes a container; what none matches goes to ``group_id``."""
    ca_bundle: Path | None = None
    """PEM certificates trusted beside the system's."""
    plaintext: bool = False
    batch_containers: int = 200
    batch_bytes: int = 1024 * _KIB
    """Before compression."""
    batch_interval: float = 2.0
    """For how long changes are gathered before they are sent."""
    snapshot_interval: float = 3600.0
    requests_per_minute: int = 60


def upstream_settings(
    options: Mapping[str, str | bool | None], environment: Mapping[str, str]
) -> UpstreamSettings | None:
    """As :func:`sensor.config.node.node_settings`; ``None`` where no upstream is named."""

    def text(name: str, default: str) -> str:
        value = options.get(name)
        return value if isinstance(value, str) else default

    upstream = text("upstream", environment.get("SNYK_API_BASE_URL", ""))
    if not upstream:
        return None
    token_file = text("token_file", environment.get("SNYK_TOKEN_FILE", ""))
    token = environment.get("SNYK_TOKEN", "").strip()
    if not token and not token_file:
        raise SettingsError(
            "--upstream: found no token to deliver with, expected one in SNYK_TOKEN or in the file that "
            "--token-file names; Snyk's token of a service account with the permission AppRisk edit"
        )
    ca_bundle = text("ca_bundle", "")
    return UpstreamSettings(
        address=_upstream_address(upstream),
        transport=texts.choice("--transport", text("transport", "grpc"), TRANSPORTS),
        token=None if token_file else token,
        token_file=texts.file("--token-file", token_file) if token_file else None,
        group_id=text("group_id", environment.get("SNYK_GROUP_ID", "")),
        scopes=scopes(_scopes_text(text("groups_scopes_file", ""), environment)),
        ca_bundle=texts.file("--ca-bundle", ca_bundle) if ca_bundle else None,
        plaintext=options.get("plaintext") is True,
        batch_containers=texts.number(
            "--batch-containers", text("batch_containers", "200"), least=1, most=5000
        ),
        batch_bytes=texts.number("--batch-size", text("batch_size", "1024"), least=16, most=3072) * _KIB,
        batch_interval=texts.seconds("--batch-interval", text("batch_interval", "2"), least=0, most=3600),
        snapshot_interval=texts.seconds(
            "--snapshot-interval", text("snapshot_interval", "3600"), least=10, most=texts.DAY
        ),
        requests_per_minute=texts.number(
            "--requests-per-minute", text("requests_per_minute", "60"), least=1, most=6000
        ),
    )


def scopes(found: str) -> tuple[Scope, ...]:
    """``[{"groupId": "…", "namespaces": ["shop", "team-*"], "token": "…"}]``, the token optional.

    Raises :class:`SettingsError`, which never shows what was found where that may hold a token.
    """
    if not found.strip():
        return ()
    try:
        listed = json.loads(found)
    except (ValueError, RecursionError):
        raise SettingsError(f"GROUPS_SCOPES: found no JSON, expected {_SCOPES_FORM}") from None
    if not isinstance(listed, list) or len(listed) > MAX_SCOPES:
        raise SettingsError(f"GROUPS_SCOPES: expected a list of at most {MAX_SCOPES}: {_SCOPES_FORM}")
    return tuple(_scope(number, one) for number, one in enumerate(listed, 1))


_SCOPES_FORM = '[{"groupId": "…", "namespaces": ["shop", "team-*"], "token": "…"}], the token optional'


def _scope(number: int, found: Any) -> Scope:
    def wrong(what: str) -> SettingsError:
        return SettingsError(f"GROUPS_SCOPES: entry {number}: {what}, expected {_SCOPES_FORM}")

    if not isinstance(found, dict):
        raise wrong("found no object")
    if unknown := sorted(found.keys() - {"groupId", "namespaces", "token"}):
        raise wrong(f"found the unknown key {unknown[0]!r}")
    group, namespaces, token = found.get("groupId"), found.get("namespaces"), found.get("token")
    if not isinstance(group, str) or not group:
        raise wrong("found no groupId")
    if (
        not isinstance(namespaces, list)
        or not namespaces
        or not all(isinstance(n, str) and n for n in namespaces)
    ):
        raise wrong("found no list of namespaces")
    if token is not None and (not isinstance(token, str) or not token.strip()):
        raise wrong("found a token that is no text")
    return Scope(group, tuple(namespaces), token.strip() if token else None)


def _scopes_text(file: str, environment: Mapping[str, str]) -> str:
    if not file:
        return environment.get("GROUPS_SCOPES", "")
    try:
        return texts.file("--groups-scopes-file", file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--groups-scopes-file: cannot read {file!r}: {error}") from None


def _upstream_address(found: str) -> Address:
    """``api.snyk.io:443``, or as people write it: ``https://api.snyk.io``, ``api.snyk.io``."""
    host = found.removeprefix("https://").removesuffix("/")
    if "/" in host or not host:
        raise SettingsError(f"--upstream: found {found!r}, expected HOST:PORT such as api.snyk.io:443")
    if ":" not in host or host.endswith("]"):
        host += ":443"
    return texts.address("--upstream", host)
