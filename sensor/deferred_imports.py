"""Parts of libraries that their own code imports at once and that we never use: 4 MiB on every node.

gRPC imports its interface for asyncio, and that asyncio itself. Protobuf imports its implementation in Python
beside the one in C that it uses (``google.protobuf.internal.python_message``, found with 7.36).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

UNUSED = ("asyncio", "grpc.aio", "google.protobuf.internal.python_message")


@contextmanager
def deferred(*names: str) -> Iterator[None]:
    """Who imports the modules ``names`` meanwhile gets a stand-in, which imports the real one at its first
    use.

    Those that are there already stay. Other threads may import meanwhile.
    """
    placed = [_StandIn(name) for name in names if name not in sys.modules]
    sys.modules.update({each.__name__: each for each in placed})
    try:
        yield
    finally:
        for each in placed:
            each.step_aside()


class _StandIn(ModuleType):
    def step_aside(self) -> None:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def __getattr__(self, name: str) -> Any:
        self.step_aside()  # or the import would find us
        return getattr(importlib.import_module(self.__name__), name)
