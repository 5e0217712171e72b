"""Bytes that Node.js packages come in."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping


def yarn_archive(members: Mapping[str, bytes], *, deflated: bool = True) -> bytes:
    """An archive as Yarn writes it (libzip): folders first, then files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as file:
        file.writestr("node_modules/", b"")
        for name, member in members.items():
            file.writestr(name, member)
    return content.getvalue()


def asar(members: Mapping[str, bytes]) -> bytes:
    """An archive of Electron (electron/asar): a pickled size, a pickled JSON header, then the contents."""
    header: dict[str, object] = {"files": {}}
    offset = 0
    for name, member in members.items():
        folder = header
        for part in name.split("/")[:-1]:
            folder = folder["files"].setdefault(part, {"files": {}})  # type: ignore[attr-defined]
        leaf = {"size": len(member), "offset": str(offset)}
        folder["files"][name.rsplit("/", 1)[-1]] = leaf  # type: ignore[index]
        offset += len(member)
    text = json.dumps(header).encode()
    padded = text + b"\0" * (-len(text) % 4)
    pickled = struct.pack("<II", len(padded) + 4, len(text)) + padded
    return struct.pack("<II", 4, len(pickled)) + pickled + b"".join(members.values())


def shell_script() -> bytes:
    """A script as npm links it into node_modules/.bin."""
    return b"#!/usr/bin/env node\n'use strict';\nrequire('../jsesc.js');\n"
