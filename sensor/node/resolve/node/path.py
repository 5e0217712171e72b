"""Where Node.js packages lie, told from a path alone.

The layouts:

- npm and everything that copies it: ``node_modules/<name>``, ``node_modules/@scope/<name>``;
- the stores that pnpm, Bun and Deno keep in node_modules, pnpm's also elsewhere:
  ``.pnpm/<name>@<version>/node_modules/<name>``;
- Yarn's store, ``node_modules/.store/<slug>/package``, and Yarn Plug'n'Play: archives in ``.yarn/cache``,
  folders in ``.yarn/unplugged/<slug>/node_modules/<name>``. Virtual paths (``__virtual__``, ``$$virtual``)
  exist inside the interpreter alone;
- Debian's packaged modules, ``/usr/share/nodejs/<name>``, found there by Debian's patched ``require``;
- caches that are run from as they are: Deno's ``npm/<registry>/<name>/<version>`` (cli, NpmCacheDir),
  Bun's ``<name>@<version>@@@1`` (PackageManager, cachedNPMPackageFolderName), Corepack's
  ``corepack/v1/<name>/<version>``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SUFFIXES = (".js", ".cjs", ".mjs", ".ts", ".mts", ".cts", ".json", ".node", ".wasm", ".zip")
_DECLARATIONS = (".d.ts", ".d.mts", ".d.cts")
# Read by tools and by module resolution itself: opened without anything being loaded.
_NEVER = frozenset(
    {
        "package.json",
        "package-lock.json",
        ".package-lock.json",
        "npm-shrinkwrap.json",
        "tsconfig.json",
    }
)
_MODULES = "/node_modules/"
_STORE = ".store/"
_SHARED_LIBRARY = re.compile(r"\.so(?:\.[0-9.]+)?\Z")
_DEBIAN_FOLDERS = re.compile(r"/usr/(?:share|lib|lib/[^/]+)/nodejs/")
_YARN_CACHE = re.compile(r"/\.yarn/(?:berry/)?cache/[^/]+\Z")
# <slug>-npm-<version>-<ten digits of the locator's hash>-<checksum or cache key>.zip: Yarn's cacheFolder
# setting may put these anywhere.
_YARN_ARCHIVE = re.compile(r"[^/]+-npm-[^/]+-[0-9a-f]{10}-[0-9a-z]+\.zip\Z", re.IGNORECASE)


_CACHES = re.compile(
    r"/npm/(?:[^/]+/){1,4}?(?:@[^/]+/)?[^/@]+/\d+\.\d+\.\d+[^/]*/"
    r"|/[^/]+@@@\d+[^/]*/"
    r"|/corepack/(?:v\d+/)?(?:npm|pnpm|yarn)/\d+\.\d+\.\d+[^/]*/"
)


@dataclass(frozen=True, slots=True)
class InstallFolder:
    """The folder a package manager unpacked one package into.

    ``name`` is what the folder says the package is called, ``None`` where it says nothing. It need
    not be a package's name: ``.cache`` is the tools' own.
    """

    path: str
    name: str | None


def is_claimed(path: str) -> bool:
    """Whether a file of this name can be code or data that Node.js loads. Case does not matter.

    Shared libraries are those that a native module brings along.
    """
    name = path[path.rfind("/") + 1 :].lower()
    if name.endswith(_SUFFIXES):
        return name not in _NEVER and not name.endswith(_DECLARATIONS)
    if "." not in name:
        return _MODULES in path or _DEBIAN_FOLDERS.match(path) is not None
    return ".so" in name and _MODULES in path and _SHARED_LIBRARY.search(name) is not None


def is_yarn_archive(path: str) -> bool:
    """Whether ``path``, a zip, lies where Yarn keeps packages or is named as Yarn names them."""
    return _YARN_CACHE.search(path) is not None or _YARN_ARCHIVE.search(path) is not None


def install_folder(path: str) -> InstallFolder | None:
    """Return the innermost install folder that holds ``path``, or None for an application's own file.

    A file directly in ``modules`` belongs to no package either.
    """
    start = path.rfind(_MODULES)
    if start >= 0:
        return _in_modules(path, start + len(_MODULES))
    debian = _DEBIAN_FOLDERS.match(path)
    if debian:
        return _first_folder(path, debian.end(), names_its_package=False)
    cache = _CACHES.search(path)
    return InstallFolder(path[: cache.end() - 1], None) if cache else None


def _in_modules(path: str, start: int) -> InstallFolder | None:
    if path.startswith(_STORE, start):
        end = path.find("/package/", start + len(_STORE))
        return InstallFolder(path[: end + len("/package")], None) if end > 0 else None
    return _first_folder(path, start, names_its_package=True)


def _first_folder(path: str, start: int, *, names_its_package: bool) -> InstallFolder | None:
    end = path.find("/", start)
    if end > 0 and path[start] == "@":  # a scope is a folder of packages
        end = path.find("/", end + 1)
    if end <= start:
        return None
    return InstallFolder(path[:end], path[start:end] if names_its_package else None)
