"""Images of the Node.js applications: built by npm, pnpm, Yarn and Next.js, of pinned versions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.ground import Ground, Image
from tests.ground.ground import PROJECT
from tests.ground.image import build_settings, contents, copy, key, node_version
from tests.ground.problem import run

APPS = Path(__file__).parents[1] / "apps" / "node"
BUILD = PROJECT / "build" / "node"
"""Package managers, kept between runs."""

PNPM = "pnpm@9.15.9"
YARN = "@yarnpkg/cli-dist@4.9.2"

_MANIFESTS = ("package.json", "package-lock.json")
_NPM_CI = ("npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error")
_SECONDS = 600
_NOT_PASSED = ("NODE_OPTIONS", "NODE_ENV")
_QUIET = {"NEXT_TELEMETRY_DISABLED": "1", "CI": "1"}


def npm(name: str) -> Callable[[Ground], Image]:
    """What the lock file asks for, installed by npm in the container that the image is made for."""

    def build(ground: Ground) -> Image:
        own = {path: file for path, file in _files(name).items() if Path(path).name not in _MANIFESTS}
        return ground.node_image(f"accuracy/node-{name}:1", APPS / name, own)

    return build


def workspaces(name: str) -> Callable[[Ground], Image]:
    """npm's workspaces: their package.json files are needed by the installation."""
    return _layer(name, lambda app: _run(app, *_NPM_CI))


def next_js(name: str) -> Callable[[Ground], Image]:
    """The output ``standalone`` of ``next build``: the server with the packages that it may need."""

    def install(app: Path) -> None:
        _run(app, *_NPM_CI)
        _run(app, "node", "node_modules/next/dist/bin/next", "build")
        for kept in ("truth", "start.js"):
            shutil.move(app / kept, app / ".next" / "standalone" / kept)
        standalone = app.parent / "standalone"
        shutil.move(app / ".next" / "standalone", standalone)
        shutil.rmtree(app)
        standalone.rename(app)

    return _layer(name, install)


def pnpm(name: str) -> Callable[[Ground], Image]:
    """The store lies on the image's own file system, as where pnpm ran in a build: equal files are one."""

    def install(app: Path) -> None:
        store = app.parent / "store"
        program = _tool(PNPM) / "node_modules" / "pnpm" / "bin" / "pnpm.cjs"
        options = ("--frozen-lockfile", "--prod", "--package-import-method=hardlink", f"--store-dir={store}")
        _run(app, "node", str(program), "install", *options)
        shutil.rmtree(store)

    return _layer(name, install, PNPM)


def yarn(name: str) -> Callable[[Ground], Image]:
    """Plug'n'Play with a cache beside the application, as it is committed or copied into images."""

    def install(app: Path) -> None:
        program = _tool(YARN) / "node_modules" / "@yarnpkg" / "cli-dist" / "bin" / "yarn.js"
        registry = run(["npm", "config", "get", "registry"]).strip().splitlines()[-1]
        env = {"YARN_NPM_REGISTRY_SERVER": registry, **_certificates()}
        _run(app, "node", str(program), "install", "--immutable", env=env)

    return _layer(name, install, YARN)


def _layer(name: str, install: Callable[[Path], None], *tools: str) -> Callable[[Ground], Image]:
    """The application's own files in /app, then whatever ``install`` does there, on this machine."""

    def build(ground: Ground) -> Image:
        files = _files(name)

        def fill(layer: Path) -> None:
            copy(files)(layer)
            install(layer / "app")

        content = key(f"node-{name}", node_version(), *tools, *contents(files))
        return ground.layer_image(f"accuracy/node-{name}:1", content, fill)

    return build


def _files(name: str) -> dict[str, Path]:
    """Path in the image -> source, with what tells the truth."""
    found = {}
    for source, target in ((APPS / name, "/app"), (APPS / "truth", "/app/truth")):
        for file in sorted(source.rglob("*")):
            if file.is_file():
                found[f"{target}/{file.relative_to(source)}"] = file
    return found


def _tool(package: str) -> Path:
    """A folder with ``package`` in its node_modules, installed once."""
    folder = BUILD / package.replace("/", "+")
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        command = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
        _run(partial, *command, "--prefix", str(partial), package)
        partial.rename(folder)
    return folder


def _certificates() -> dict[str, str]:
    """Yarn takes certificates from a setting of its own."""
    extra = build_settings().get("NODE_EXTRA_CA_CERTS")
    return {"YARN_HTTPS_CA_FILE_PATH": extra} if extra else {}


def _run(folder: Path, *command: str, env: Mapping[str, str] | None = None) -> None:
    settings = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED}
    run(["env", "-C", str(folder), *command], timeout=_SECONDS, env={**settings, **_QUIET, **(env or {})})
