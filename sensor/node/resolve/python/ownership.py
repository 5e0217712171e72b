"""Which distribution a file in a site directory belongs to, in little memory.

A folder below which everything was listed by one distribution is one entry. Only in folders that
several share (namespace packages, the site directory itself) are subfolders and files kept apart.
"""

from __future__ import annotations

from sensor.node.resolve.python.record import source_path

Owners = tuple[int, ...]
"""Numbers of distributions; several when each of them lists the file."""

_SHARED = -1
_LOOK_BELOW: Owners = ()
_OWNERS_OF_FILE = 16


class Ownership:
    """The finished map. Paths are relative to the site directory."""

    __slots__ = ("_table",)

    def __init__(self, table: dict[str, Owners]) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def find(self, path: str) -> Owners:
        """Return who owns ``path``; empty when nobody does.

        A file that nobody listed goes to the owner of its folder, unless several share the folder.
        """
        table = self._table
        path = source_path(path)
        end = -1
        owners = table.get("", ())
        while not owners:
            start, end = end + 1, path.find("/", end + 1)
            if end < 0:
                return self._file(path, start)
            found = table.get(path[:end])
            if found is None:
                return ()
            owners = found
        return owners

    def _file(self, path: str, start: int) -> Owners:
        owners = self._table.get(path)
        if owners is None:  # yaml/_x.cpython-311-x86_64-linux-gnu.so, listed as the module yaml/_x
            owners = self._table.get(path[:start] + path[start:].partition(".")[0] + ".py", ())
        return owners


class OwnershipBuilder:
    """Takes all folders first; then, for the folders found shared, their files."""

    def __init__(self) -> None:
        self._folders: dict[str, int] = {"": _SHARED}
        self._files: dict[str, Owners] = {}
        self._singles: dict[int, Owners] = {}

    def add_folder(self, folder: str, owner: int) -> None:
        """Say that ``owner`` has files below ``folder``."""
        while True:
            known = self._folders.get(folder)
            if known in (owner, _SHARED):
                return  # and so is everything above it
            self._folders[folder] = owner if known is None else _SHARED
            folder = folder.rpartition("/")[0]

    def add_file(self, path: str, owner: int) -> None:
        """Say that ``owner`` has the file ``path``; ``.pyc`` stand for their source."""
        path = source_path(path)
        known = self._files.get(path, ())
        if owner not in known and len(known) < _OWNERS_OF_FILE:
            self._files[path] = (*known, owner) if known else self._alone(owner)

    def share(self, folder: str) -> None:
        """Say that ``folder`` and those above it belong to nobody as a whole: it is on sys.path."""
        while folder:
            self._folders[folder] = _SHARED
            folder = folder.rpartition("/")[0]

    def own_everything(self, owner: int) -> None:
        self._folders = {"": owner}

    def is_shared(self, folder: str) -> bool:
        return self._folders.get(folder) == _SHARED

    def knows(self, module: str) -> bool:
        """Whether anybody has a top-level folder or file of this module name."""
        return module in self._folders or f"{module}.py" in self._files

    def build(self) -> Ownership:
        table: dict[str, Owners] = {}
        for folder, owner in self._folders.items():
            if not folder or self.is_shared(folder.rpartition("/")[0]):
                table[folder] = _LOOK_BELOW if owner == _SHARED else self._alone(owner)
        for path, owners in self._files.items():
            if self.is_shared(path.rpartition("/")[0]):
                table[path] = owners
        return Ownership(table)

    def _alone(self, owner: int) -> Owners:
        """One tuple for all that a distribution owns alone."""
        return self._singles.setdefault(owner, (owner,))
