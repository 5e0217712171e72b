"""Images: layers above the machine's own root, built once like the steps of a Dockerfile."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.ground.problem import run

# Raised when a build step changes, so that layers of the former one are not taken for it.
_RECIPE = "1"

PYTHON_BUILD = (
    "/usr/bin/python3 -m venv /app/venv"
    " && /app/venv/bin/pip install --no-input --disable-pip-version-check -r /app/requirements.txt"
)
NODE_BUILD = "cd /app && npm ci --omit=dev --no-audit --no-fund --loglevel=error"

# Settings of pip, npm and of certificates come from whoever builds; nothing of them stays in the layer.
_PASSED = ("pip_", "npm_config_", "node_extra_ca_certs", "ssl_cert_", "requests_ca_bundle", "curl_ca_bundle")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class Image:
    """``name`` is what the runtime calls it; ``layers`` are its own, topmost first."""

    name: str
    layers: tuple[Path, ...]


def build_settings() -> dict[str, str]:
    """The environment's settings for package managers."""
    wanted = (*_PASSED, *_PROXIES)
    return {name: value for name, value in os.environ.items() if name.lower().startswith(wanted)}


def python_version() -> str:
    return run(["/usr/bin/python3", "--version"]).strip()


def node_version() -> str:
    return run(["node", "--version"]).strip()


def key(kind: str, *parts: str | bytes) -> str:
    """A short name for the layer that is made of ``parts``."""
    digest = hashlib.sha256(f"{_RECIPE} {kind} {platform.machine()}".encode())
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(content) + content)
    return f"{kind}-{digest.hexdigest()[:16]}"


def contents(files: Mapping[str, Path]) -> tuple[str | bytes, ...]:
    """Names and contents of ``files``, for a layer's key."""
    return tuple(part for name in sorted(files) for part in (name, files[name].read_bytes()))


def copy(files: Mapping[str, Path]) -> Callable[[Path], None]:
    """A layer with ``files``: absolute path in the image -> source."""

    def build(layer: Path) -> None:
        for name, source in files.items():
            target = layer / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    return build


def keep_only(layer: Path, name: str) -> None:
    """Drops what package managers wrote elsewhere: caches, logs."""
    for entry in layer.iterdir():
        if entry.name == name:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
