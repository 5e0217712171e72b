"""A folder that can be written, for a second: BCC reads the header tree (``headers``) out of it.

Nothing is run from it or mapped from it, so a mount with noexec, nosuid and nodev will do.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sensor.node.capture.headers import write_header_tree

NEEDED_MIB = 1
"""What a folder mounted for it should have; the tree takes 15 inodes and 60 KB of blocks of 4 KB."""

CURE = (
    f"mount a writable folder of {NEEDED_MIB} MiB, noexec if you like: --tmpfs /tmp with podman and docker, "
    "an emptyDir at /tmp in a pod; or make room in one of these, or name another in TMPDIR"
)

_USUAL = ("/tmp", "/var/tmp", "/dev/shm")
"""The last is a tmpfs in nearly every container."""
_NAMED = ("TMPDIR", "TEMP", "TMP")


class ScratchError(Exception):
    """No folder can be written; the text names each that was tried, and why not. :data:`CURE` helps."""


def candidates(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Folder -> how it is told, in the order in which they are tried: Python's, and then /dev/shm.

    The working folder, Python's last resort, is not among them.
    """
    named = {os.path.abspath(environment[name]): name for name in reversed(_NAMED) if environment.get(name)}
    told = {folder: f"{folder} ({name})" for folder, name in reversed(named.items())}
    return {**told, **{folder: folder for folder in _USUAL if folder not in told}}


@contextmanager
def header_tree(folders: Mapping[str, str] | None = None) -> Iterator[Path]:
    """The header tree, in the first of ``folders`` (default: :func:`candidates`) that takes it; then it goes.

    Raises :class:`ScratchError` where none does.
    """
    refused = []
    for folder, told in (candidates() if folders is None else folders).items():
        try:
            made = _written(folder)
        except OSError as error:
            refused.append(f"{told}: {error.strerror}")
            continue
        with made:
            yield Path(made.name)
        return
    raise ScratchError(
        f"no folder for what the compiler reads can be written ({'; '.join(refused)}), "
        f"and one is needed: what is compiled for this kernel passes through it"
    )


def _written(folder: str) -> tempfile.TemporaryDirectory[str]:
    """Raises OSError, and leaves nothing then."""
    made = tempfile.TemporaryDirectory(prefix="runtime-sensor-", dir=folder)
    try:
        write_header_tree(Path(made.name))
    except BaseException:
        made.cleanup()
        raise
    return made
