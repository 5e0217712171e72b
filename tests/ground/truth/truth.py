"""What this interpreter has loaded, by its own account: sys.modules mapped to distributions.

Runs inside the container, in the application's own process; standard library only.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import sys
from typing import Any


def loaded_files() -> list[str]:
    """The files of all modules. Never touches a module's attributes: lazy ones would load more."""
    files = set()
    for module in list(sys.modules.values()):
        try:
            names: dict[str, Any] = object.__getattribute__(module, "__dict__")
        except AttributeError:
            continue
        spec = names.get("__spec__")
        for file in (names.get("__file__"), getattr(spec, "origin", None)):
            if isinstance(file, str) and os.path.isabs(file):
                files.add(_real(file))
    return sorted(files)


def packages() -> dict[str, list[str]]:
    """``packages`` as purls, and ``unowned``: files in site-packages that no distribution claims."""
    files = loaded_files()  # first of all: what follows may load modules itself
    owners = _owners()
    return {
        "packages": sorted({purl for file in files for purl in owners.get(file, ())}),
        "unowned": [file for file in files if "-packages/" in file and file not in owners],
    }


def _owners() -> dict[str, set[str]]:
    owners: dict[str, set[str]] = {}
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()  # PEP 503
        purl = f"pkg:pypi/{name}@{distribution.version}"
        for file in distribution.files or ():
            owners.setdefault(_real(str(distribution.locate_file(file))), set()).add(purl)
    return owners


def _real(file: str) -> str:
    """Without symbolic links in the folders: lib64 of a virtual environment is one."""
    folder, name = os.path.split(os.path.normpath(file))
    return os.path.join(_real_folder(folder), name)


@functools.cache
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)
