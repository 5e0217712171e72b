"""One object for equal package uses of all containers: most run the same few images."""

from __future__ import annotations

from dataclasses import dataclass

from sensor.model.package import PackageUse


@dataclass(slots=True)
class _Shared:
    use: PackageUse
    holders: int = 0


class SharedUses:
    """Not thread-safe; the owner locks."""

    def __init__(self) -> None:
        self._shared: dict[PackageUse, _Shared] = {}
        self._peak = 0

    def __len__(self) -> int:
        return len(self._shared)

    def share(self, use: PackageUse) -> PackageUse:
        """Return the one object that equals ``use``; to be given back by :meth:`release`."""
        shared = self._shared.get(use)
        if shared is None:
            shared = self._shared[use] = _Shared(use)
            self._peak = max(self._peak, len(self._shared))
        shared.holders += 1
        return shared.use

    def release(self, use: PackageUse) -> None:
        shared = self._shared[use]
        shared.holders -= 1
        if not shared.holders:
            del self._shared[use]
            # A dict never gives its table back; after a burst of containers it would stay for good.
            if 4 * len(self._shared) < self._peak:
                self._shared = dict(self._shared)
                self._peak = len(self._shared)
