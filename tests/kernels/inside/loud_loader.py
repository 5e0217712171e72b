"""The loader child, and what the verifier says of each program that it takes.

For kernels before 5.16, which do not keep it. ``python3 -I -m tests.kernels.inside.loud_loader FD`` is the
sensor's own loader with the verifier's statistics turned on, which go to :data:`SAID`.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SAID = Path("/run/verifier")
_PROGRAM = Path("/run/loud-python")
_LOG_STATISTICS = 4  # BPF_LOG_STATS of include/linux/bpf_verifier.h, Linux 5.2


@contextmanager
def in_place() -> Iterator[None]:
    """While it lasts, captures are loaded by this program."""
    _PROGRAM.write_text(f'#!/bin/sh\nexec {sys.executable} -I -m {__spec__.name} "$4"\n')
    _PROGRAM.chmod(0o700)
    SAID.unlink(missing_ok=True)
    usual, sys.executable = sys.executable, str(_PROGRAM)
    try:
        yield
    finally:
        sys.executable = usual


def instructions(function: str) -> int:
    """What the verifier went through for the last program of that name; raises AssertionError."""
    found = re.findall(
        rf"^{re.escape(function[:15])} .*processed (\d+) insns", SAID.read_text(), re.MULTILINE
    )
    assert found, f"the verifier said nothing of {function}: {SAID.read_text()[-300:]}"
    return int(found[-1])


class _Loud:
    """libbpf, with statistics asked for at each load."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def bpf_prog_load(self, kind: int, name: bytes, *rest: Any) -> int:
        """As libbpf's, which writes the log where the options, its last argument, say."""
        options = rest[-1]._obj
        options.log_level = _LOG_STATISTICS
        descriptor = int(self._library.bpf_prog_load(kind, name, *rest))
        number = ctypes.get_errno()
        log = ctypes.string_at(options.log_buf).decode("utf-8", "replace")
        with SAID.open("a") as said:
            said.write(f"{name.decode()} {' '.join(log.split())}\n")
        ctypes.set_errno(number)
        return descriptor


if __name__ == "__main__":
    from sensor.node.capture import libbpf, loader

    usual = libbpf.load
    libbpf.load = lambda: _Loud(usual())  # type: ignore[assignment,return-value]
    loader.main(int(sys.argv[1]))
    os._exit(1)
