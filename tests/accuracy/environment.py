"""On what a run took place."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Sequence

_ASKED: dict[str, Sequence[str]] = {
    "CPython": ("/usr/bin/python3", "--version"),
    "Node.js": ("node", "--version"),
    "OpenJDK": ("java", "-version"),
    "Go": ("go", "version"),
    "Mono": ("mono", "--version"),
    "runc": ("runc", "--version"),
}
_VERSION = re.compile(r"\d+(?:\.\d+)+(?:\+\d+)?")


def environment() -> dict[str, str]:
    """Kernel, distribution, and the machine's runtimes by name; an application may bring its own."""
    found = {
        # Without what the builder of the kernel added to its version.
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "architecture": platform.machine(),
        "distribution": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
    }
    return found | {name: version for name, command in _ASKED.items() if (version := _version(command))}


def _version(command: Sequence[str]) -> str:
    """The first number with dots in what the program says of itself; empty where it is not installed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except OSError:
        return ""
    match = _VERSION.search(done.stdout + done.stderr)
    return match[0] if match else ""
