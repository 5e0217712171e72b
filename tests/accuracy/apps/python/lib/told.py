"""The truth of a Python process, by its own account: ``sys.modules`` mapped to distributions.

Runs inside the container; standard library only. Who owns a file is told by importlib.metadata's
listing of each distribution's files, by dpkg's where Debian took that listing away, and by the folder
in direct_url.json for an editable install. Metadata that is itself a file of another distribution is
that of a vendored copy: its files are the host's.
"""

from __future__ import annotations

import functools
import glob
import importlib.metadata
import json
import os
import re
import sys
import time
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

DPKG_LISTS = "/var/lib/dpkg/info/*.list"
_EXECUTED = "_executed_files"
"""An attribute of sys: files whose module code ran since :func:`watch`. Of them, sys.modules may have lost
some, this module too.
"""


def watch() -> None:
    """Note every module whose code runs from now on, also when its import fails in the end (PEP 578)."""

    executed: set[str] = set()
    setattr(sys, _EXECUTED, executed)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "exec":
            name = getattr(arguments[0], "co_filename", "")
            if arguments[0].co_name == "<module>" and os.path.isabs(name):
                executed.add(name)

    sys.addaudithook(hook)


def files() -> set[str]:
    """The files of all modules. Never touches a module's attributes: lazy ones would load more."""
    found = set(getattr(sys, _EXECUTED, ()))
    for module in list(sys.modules.values()):
        try:
            names: dict[str, Any] = object.__getattribute__(module, "__dict__")
        except AttributeError:
            continue
        spec = names.get("__spec__")
        for file in (names.get("__file__"), getattr(spec, "origin", None)):
            if isinstance(file, str) and file.endswith((".py", ".pyc", ".so")):
                found.add(os.path.abspath(file))
    return found


def packages() -> dict[str, list[str]]:
    """``packages`` as purls, and ``unowned``: files in site directories that nobody claims."""
    loaded = {_real(file) for file in files()}  # first of all: what follows loads modules itself
    owners, editable = _owners()
    told: set[str] = set()
    unowned = []
    for file in sorted(loaded):
        mine = owners.get(file) or owners.get(_source(file))
        if mine is None:
            mine = {purl for folder, purl in editable if file.startswith(folder + "/")}
        told |= mine
        if not mine and "-packages/" in file and not any(file in lines for lines in _dpkg_lists()):
            unowned.append(file)  # Debian has modules without a distribution: python3-cffi-backend
    return {"packages": sorted(told), "unowned": unowned}


def tell(*others: dict[str, list[str]]) -> NoReturn:
    """Print the truth of this process and of ``others``, then wait to be killed."""
    told = [packages(), *others]
    union = {key: sorted({each for one in told for each in one[key]}) for key in ("packages", "unowned")}
    print("TRUTH " + json.dumps(union), flush=True)
    while True:
        time.sleep(3600)


def _owners() -> tuple[dict[str, set[str]], list[tuple[str, str]]]:
    owners: dict[str, set[str]] = {}
    editable: list[tuple[str, str]] = []
    found = [_described(each) for each in importlib.metadata.distributions()]
    listed: dict[str, str] = {}  # file -> the first distribution that lists it
    for one in found:
        for file in one["files"]:
            listed.setdefault(file, one["metadata"])
    for one in found:
        host = listed.get(one["metadata"] + "/METADATA", one["metadata"])
        if host != one["metadata"]:
            continue
        for file in one["files"]:
            owners.setdefault(file, set()).add(one["purl"])
        if one["project"]:
            editable.append((one["project"], one["purl"]))
    return owners, editable


def _described(distribution: importlib.metadata.Distribution) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()  # PEP 503
    metadata = _real(str(distribution._path))  # type: ignore[attr-defined]  # no public name for it
    listed = [_real(str(distribution.locate_file(file))) for file in distribution.files or ()]
    if not any(file.endswith((".py", ".so", ".pyc")) for file in listed):
        listed += _dpkg(metadata)
    return {
        "purl": f"pkg:pypi/{name}@{distribution.version}",
        "metadata": metadata,
        "files": listed,
        "project": _project(distribution),
    }


def _project(distribution: importlib.metadata.Distribution) -> str | None:
    document = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not document.get("dir_info", {}).get("editable"):
        return None
    return _real_folder(unquote(urlsplit(document["url"]).path).rstrip("/"))


def _dpkg(metadata: str) -> list[str]:
    """What Debian's package manager installed together with a metadata folder or file."""
    for lines in _dpkg_lists():
        if metadata in lines:
            return [line for line in lines if line.startswith(os.path.dirname(metadata) + "/")]
    return []


@functools.cache
def _dpkg_lists() -> tuple[frozenset[str], ...]:
    lists = []
    for name in glob.glob(DPKG_LISTS):
        with open(name, encoding="utf-8") as file:
            lists.append(frozenset(file.read().splitlines()))
    return tuple(lists)


def _source(file: str) -> str:
    return file[:-1] if file.endswith(".pyc") else file


def _real(file: str) -> str:
    """Without symbolic links in the folders: lib64 of a virtual environment is one."""
    folder, name = os.path.split(os.path.abspath(file))
    return os.path.join(_real_folder(folder), name)


@functools.cache
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)
