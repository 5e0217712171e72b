"""``python -m tests.image``: the image under every kernel that ``tests.kernels`` has.

Ends with 1 when something failed, 2 when nothing could be tried.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.image import guests
from tests.image.guests import Spec, Told
from tests.image.storage import PROJECT, archive_of
from tests.kernels.matrix import ARCHITECTURES, KERNELS
from tests.kernels.problem import KernelsError
from tests.kernels.report import Progress


def main(arguments: list[str] | None = None) -> int:
    """Builds the images, boots the guests, and says how it went."""
    options = _options(arguments)
    progress = Progress(time.monotonic())
    architectures = [
        name for name in ARCHITECTURES[::-1] if name in options.architecture
    ]  # the slowest first
    try:
        roots = {name: _root(name, progress) for name in architectures}
        specs = [spec for name in architectures for spec in guests.specs(options.kernel, name)]
        told = _run(specs, roots, options.jobs, progress)
    except (KernelsError, subprocess.CalledProcessError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 2
    problems = [problem for each in told for problem in each.problems()]
    print(*problems, sep="\n", end="\n" * bool(problems))
    checks = sum(len(spec.order.results()) for spec in specs)
    failed = sum(len(each.failed()) for each in told)
    print(f"image: {checks - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    for name, known in (("kernel", tuple(KERNELS)), ("architecture", ARCHITECTURES)):
        parser.add_argument(
            f"--{name}", nargs="+", choices=known, default=known, help=f"only these of {', '.join(known)}"
        )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="guests at a time")
    return parser.parse_args(arguments)


def _root(architecture: str, progress: Progress) -> Path:
    progress.say(f"building the image for {architecture} …")
    subprocess.run([PROJECT / "scripts/image", "--arch", architecture], check=True, stdout=subprocess.DEVNULL)
    return guests.root_image(archive_of(architecture))


def _run(specs: Sequence[Spec], roots: dict[str, Path], jobs: int, progress: Progress) -> list[Told]:
    stop = threading.Event()

    def run(spec: Spec) -> Told:
        root = roots[spec.architecture]
        return guests.run(spec, root, lambda told: progress.say(f"{spec}: {told}"), stop)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            return list(pool.map(run, specs))
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


if __name__ == "__main__":
    sys.exit(main())
