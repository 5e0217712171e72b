"""Owner of everything the ground makes; it leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.ground import image
from tests.ground.container import Container, Pod, Specification, discard
from tests.ground.image import Image
from tests.ground.mounts import mounts_below, unmount
from tests.ground.problem import GroundError
from tests.ground.store import Store

PROJECT = Path(__file__).resolve().parents[2]
STATE = PROJECT / "build" / "ground"


def _silent(_: str) -> None:
    return


class Ground:
    """``with Ground() as ground``: one at a time on a state folder.

    ``say`` is told of steps that may take over two seconds.
    """

    def __init__(self, state: Path = STATE, say: Callable[[str], None] = _silent) -> None:
        self._state = state
        self._say = say
        self._bundles = state / "containers"
        self._store = Store(state, PROJECT)
        self._containers: list[Container] = []
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise GroundError("not root: containers need it; run this as root, for example with sudo")
        self._state.mkdir(parents=True, exist_ok=True)
        self._take()
        try:
            self.sweep()
            self._store.mount()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what still runs and lets the next one in. The layers that were built stay."""
        try:
            for container in self._containers:
                container.remove()
            self.sweep()
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def sweep(self) -> None:
        """Removes all containers, mounts and control groups of this state folder, whoever made them."""
        if self._bundles.is_dir():
            for bundle in self._bundles.iterdir():
                discard(bundle, self._writable / bundle.name)
        if os.path.ismount(self._store.folder):
            shutil.rmtree(self._writable, ignore_errors=True)
        for target in mounts_below(self._state.resolve()):
            unmount(target)

    def container(
        self,
        of: Image,
        args: Sequence[str],
        *,
        name: str,
        pod: Pod | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
    ) -> Container:
        """A container that starts when it is entered: ``with ground.container(…) as container``."""
        specification = Specification(
            image_name=of.name,
            lower=(*of.layers, *self._store.machine()),
            args=args,
            name=name,
            pod=pod or Pod(name),
            env=env or {},
            cwd=cwd,
        )
        container = Container(self._bundles, self._writable, specification)
        self._containers.append(container)
        return container

    def machine_image(self, name: str = "ground/machine:1") -> Image:
        """The machine's own root with no layer above it."""
        return Image(name, ())

    def layer_image(self, name: str, key: str, build: Callable[[Path], None]) -> Image:
        """An image with one layer that ``build`` fills; cached under ``key``."""
        return Image(name, (self._store.layer(key, build),))

    def python_image(self, name: str, requirements: Path, files: Mapping[str, Path]) -> Image:
        """``requirements`` in the virtual environment /app/venv; ``files``: path in the image -> source."""
        manifest = {"/app/requirements.txt": requirements}
        return self._application(name, "python", image.PYTHON_BUILD, image.python_version(), manifest, files)

    def node_image(self, name: str, package: Path, files: Mapping[str, Path]) -> Image:
        """What package.json and package-lock.json of the folder ``package`` ask for in /app/node_modules."""
        manifest = {f"/app/{file}": package / file for file in ("package.json", "package-lock.json")}
        return self._application(name, "node", image.NODE_BUILD, image.node_version(), manifest, files)

    def _application(  # noqa: PLR0917
        self,
        name: str,
        kind: str,
        command: str,
        version: str,
        manifest: Mapping[str, Path],
        files: Mapping[str, Path],
    ) -> Image:
        base = self._store.layer(image.key("manifest", *image.contents(manifest)), image.copy(manifest))
        dependencies_key = image.key(kind, command, version, base.name)
        if not self._store.has(dependencies_key):
            self._say(f"building the layer of {name}: {command}")
        dependencies = self._store.layer(
            dependencies_key, lambda layer: self._run_in_build(command, base, layer)
        )
        own = self._store.layer(image.key("files", *image.contents(files)), image.copy(files))
        return Image(name, (own, dependencies, base))

    def _run_in_build(self, command: str, base: Path, layer: Path) -> None:
        """Like RUN of a Dockerfile. The machine's private folders show: its settings and caches are used."""
        specification = Specification(
            image_name="ground/build:1",
            lower=(base, Path("/")),
            args=("/bin/sh", "-ec", command),
            name="build",
            pod=Pod("build"),
            env=image.build_settings(),
            upper=layer,
        )
        begun = time.monotonic()
        with Container(self._bundles, self._writable, specification) as build:
            status = build.wait(timeout=600)
            if status != 0:
                last = "\n".join(build.output().strip().splitlines()[-20:])
                raise GroundError(f"building a layer failed with status {status}: {command}\n{last}")
        image.keep_only(layer, "app")
        self._say(f"layer built in {time.monotonic() - begun:.1f} s")

    @property
    def _writable(self) -> Path:
        return self._store.folder / "writable"

    def _take(self) -> None:
        self._lock = (self._state / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            owner = self._lock.read().strip() or "unknown"
            self._lock.close()
            self._lock = None
            raise GroundError(
                f"the test ground is in use by process {owner}: wait for it to end, or end it"
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
