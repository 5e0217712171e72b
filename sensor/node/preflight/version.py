"""Versions of kernels."""

from __future__ import annotations

import re


def version(release: str) -> tuple[int, int]:
    """``5.10.0-30-amd64`` is (5, 10); (0, 0) of what is no version."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)
