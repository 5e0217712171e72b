"""Images are built while guests run, each guest as soon as its own are there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests.kernels import qemu
from tests.kernels.archive import Archive
from tests.kernels.matrix import Spec
from tests.kernels.report import Progress
from tests.kernels.results import Told
from tests.kernels.unpack import RootImage, kernel_tree, root_image

_BUILDERS = 2
_ATTEMPTS = 2
"""A guest that tells less than it must is tried once more: emulators crash at times, checks do not."""


class Runner:
    """Runs guests, ``jobs`` at a time."""

    def __init__(
        self, folder: Path, mirror: str, jobs: int, progress: Progress, *, verbose: bool = False
    ) -> None:
        self._folder = folder
        self._mirror = mirror
        self._jobs = jobs
        self._progress = progress
        self._verbose = verbose
        self._stop = threading.Event()

    def run(self, specs: list[Spec]) -> list[Told]:
        """What each told, in the order of ``specs``. Raises KernelsError when an image cannot be built."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_BUILDERS) as builders, ThreadPoolExecutor(self._jobs) as pool:
            trees = {key: builders.submit(self._kernel, *key) for key in _kernels(specs)}
            roots = {key: builders.submit(self._root, *key) for key in dict.fromkeys(map(_root_of, specs))}
            running = [
                pool.submit(
                    self._guest,
                    spec,
                    trees[spec.suite, spec.architecture],
                    roots[_root_of(spec)],
                )
                for spec in specs
            ]
            try:
                return [future.result() for future in running]
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                builders.shutdown(wait=False, cancel_futures=True)
                raise

    def _archive(self, suite: str, architecture: str) -> Archive:
        folder = self._folder / "apt" / f"{suite}-{architecture}"
        return Archive(suite, architecture, folder, self._mirror)

    def _kernel(self, suite: str, architecture: str) -> Path:
        tree = kernel_tree(self._archive(suite, architecture), self._folder)
        self._progress.say(f"kernel of {suite} {architecture} is there")
        return tree

    def _root(self, suite: str, architecture: str, packages: tuple[str, ...]) -> RootImage:
        root = root_image(self._archive(suite, architecture), packages, self._folder)
        self._progress.say(f"user space of {suite} {architecture} is there: bcc {root.bcc}")
        return root

    def _guest(self, spec: Spec, tree: Future[Path], root: Future[RootImage]) -> Told:
        kernel, image = tree.result(), root.result()
        told = Told(spec, image.bcc)
        for attempt in range(_ATTEMPTS):
            told = self._boot(spec, kernel, image)
            missing = len(told.missing())
            if not missing or self._stop.is_set():
                break
            again = ", once more" if attempt + 1 < _ATTEMPTS else ""
            self._progress.say(f"{spec}: {missing} results missing ({told.why or 'ended early'}){again}")
        return told

    def _boot(self, spec: Spec, kernel: Path, root: RootImage) -> Told:
        told = Told(spec, root.bcc)
        guest = qemu.Guest(
            *(spec.architecture, kernel, root.image, root.busybox, spec.order.text()),
            seconds=spec.seconds,
            counted=spec.counted,
        )
        started = time.monotonic()

        def heard(line: str) -> None:
            result = told.hear(line)
            if result is not None and (self._verbose or not result.ok):
                how = f"ok, {result.detail}" if result.ok else "FAILED"
                self._progress.say(f"{spec}: {result.hook} {result.check} {how}")
            elif result is None and self._verbose:
                self._progress.say(f"{spec}: {line}")

        ended = qemu.run(guest, heard, self._stop)
        told.why, told.console = ended.why, ended.console
        told.seconds = time.monotonic() - started
        good = sum(result.ok for result in told.results())
        self._progress.say(
            f"{spec}: Linux {told.release or '?'}, {good} of {len(list(told.results()))} passed "
            f"in {told.seconds:.0f} s"
        )
        return told


def _kernels(specs: Iterable[Spec]) -> list[tuple[str, str]]:
    """(suite, architecture) in the order in which they are needed."""
    return list(dict.fromkeys((spec.suite, spec.architecture) for spec in specs))


def _root_of(spec: Spec) -> tuple[str, str, tuple[str, ...]]:
    return spec.user_space, spec.architecture, spec.packages
