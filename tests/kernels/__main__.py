"""``make kernels``: every kernel, every hook. Ends with 1 when one failed, 2 when none could be."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.cluster.build import cache_folder
from tests.kernels import document, qemu, report
from tests.kernels.archive import machine_mirror
from tests.kernels.initramfs import REPOSITORY
from tests.kernels.matrix import guests
from tests.kernels.problem import KernelsError
from tests.kernels.protocol import KINDS
from tests.kernels.results import counts
from tests.kernels.run import Runner

DOCUMENT = REPOSITORY / "docs" / "kernels.md"


def main(arguments: list[str] | None = None) -> int:
    """Runs what is asked for and says how it went."""
    options = _options(arguments)
    progress = report.Progress(time.monotonic())
    try:
        specs = guests(quick=options.quick, what=options.what, only=options.only)
        for architecture in sorted({spec.architecture for spec in specs}):
            qemu.require(architecture)
        folder = cache_folder() / "kernels"
        runner = Runner(
            folder, options.mirror or machine_mirror(), options.jobs, progress, verbose=options.verbose
        )
        told = runner.run(specs)
    except KernelsError as error:
        print(f"kernels: {error}", file=sys.stderr)
        return 2
    for line in report.failures(told):
        print(line)
    for line in report.summary(told):
        print(line)
    passed, failed = counts(told)
    if not (options.quick or options.only or options.what or failed):
        _write(document.document(told))
    print(f"kernels: {passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make kernels", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5.10 and the newest on amd64, without costs")
    for what in KINDS:
        parser.add_argument(f"--{what}", dest="what", action="append_const", const=what, help=f"{what} only")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="WHAT",
        help="a kernel (6.1), an architecture (arm64) or a hook (kprobe); may be given several times",
    )
    parser.add_argument("--verbose", action="store_true", help="a line for each check as it is made")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="guests at a time")
    parser.add_argument("--mirror", help="of Debian; usual: the one of this machine's apt")
    return parser.parse_args(arguments)


def _write(text: str, path: Path = DOCUMENT) -> None:
    path.write_text(text, encoding="utf-8")
    print(f"kernels: wrote {path.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    sys.exit(main())
