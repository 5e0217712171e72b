"""What containers of one image share by the identity of its files, and what they must not: real overlays."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sensor.model.package import Skipped
from sensor.node.resolve.python.resolver import PythonResolver
from sensor.node.rootfs import RootFilesystem

pytestmark = pytest.mark.kernel

SITE = "app/site-packages"
NAMES = ("mine", "yours")
TRIES = 200


@contextmanager
def container(folder: Path, lower: Path) -> Iterator[tuple[Path, RootFilesystem]]:
    """An overlay over ``lower``, as a runtime makes one; its mount point and what the sensor sees of it."""
    parts = {name: folder / name for name in ("upper", "work", "root")}
    for part in parts.values():
        part.mkdir(parents=True)
    options = f"lowerdir={lower},upperdir={parts['upper']},workdir={parts['work']}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", str(parts["root"])], check=True)
    root = os.open(parts["root"], os.O_PATH | os.O_DIRECTORY)
    try:
        yield parts["root"], RootFilesystem(root)
    finally:
        os.close(root)
        subprocess.run(["umount", str(parts["root"])], check=True)


def install(root: Path, name: str) -> None:
    site = root / SITE
    for folder in (site / name, site / f"{name}-1.0.dist-info"):
        folder.mkdir()
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    (site / f"{name}-1.0.dist-info/METADATA").write_text(text)
    (site / f"{name}-1.0.dist-info/RECORD").write_text(f"{name}/__init__.py,,\n")
    (site / name / "__init__.py").write_text("")


def purls(resolver: PythonResolver, root: RootFilesystem, module: str) -> set[str]:
    found = resolver.resolve(root, f"/{SITE}/{module}/__init__.py")
    return set() if isinstance(found, Skipped) else {use.package.purl for use in found}


def test_a_layer_is_read_once_for_all_its_containers(real_kernel: None, tmp_path: Path) -> None:
    (tmp_path / "image" / SITE).mkdir(parents=True)
    install(tmp_path / "image", "steady")
    with ExitStack() as stack:
        roots = [
            stack.enter_context(container(tmp_path / name, tmp_path / "image"))[1] for name in ("one", "two")
        ]
        resolver = PythonResolver()
        assert [purls(resolver, root, "steady") for root in roots] == [{"pkg:pypi/steady@1.0"}] * 2
        assert resolver.folders.sites.hits == 1


def test_two_that_install_in_one_tick_of_the_clock_keep_their_own(real_kernel: None, tmp_path: Path) -> None:
    (tmp_path / "image" / SITE).mkdir(parents=True)
    for number in range(TRIES):
        with ExitStack() as stack:
            places = [
                stack.enter_context(container(tmp_path / f"{number}-{name}", tmp_path / "image"))
                for name in ("one", "two")
            ]
            for (mounted, _), name in zip(places, NAMES, strict=True):
                install(mounted, name)
            sites = [mounted / SITE for mounted, _ in places]
            for site in sites:  # what both have in common, one right after the other
                (site / "last").mkdir()
            first, second = (os.stat(site) for site in sites)
            assert first.st_ino == second.st_ino
            if first.st_ctime_ns != second.st_ctime_ns:
                continue
            resolver = PythonResolver()
            found = [purls(resolver, root, name) for (_, root), name in zip(places, NAMES, strict=True)]
            assert found == [{"pkg:pypi/mine@1.0"}, {"pkg:pypi/yours@1.0"}]
            return
    pytest.fail(f"{TRIES} times no two site directories changed within one tick: nothing is shown")
