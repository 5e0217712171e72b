"""Packages -> files -> an ext4 image, without chroot and without the packages' own scripts."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.archive import Archive
from tests.kernels.problem import KernelsError

_RECIPE = "1"
"""To be changed with anything below that changes what an image holds."""

_MERGED = ("bin", "sbin", "lib", "lib64")
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian")
_FOLDERS = ("proc", "sys", "dev", "tmp", "run", "root", "mnt", "etc", "var/tmp")
_SPARE_MIB = 160


@dataclass(frozen=True)
class RootImage:
    """An ext4 image, a static busybox from it, and which bcc it holds (``0.26.0``)."""

    image: Path
    busybox: Path
    bcc: str


def root_image(archive: Archive, packages: Sequence[str], folder: Path) -> RootImage:
    """An image of ``packages`` (busybox-static and python3-bpfcc among them) and all they need.

    Built where it is missing.
    """
    archive.update()
    names = archive.closure(packages)
    # By what was asked for, then by what that means today: only an older one of the same is forgotten.
    asked = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:6]
    home = folder / f"root-{archive.suite}-{archive.architecture}-{asked}-{_key(names)}"
    with archive.alone():
        if not home.is_dir():
            _build(archive, packages, home)
    return RootImage(home / "root.ext4", home / "busybox", _version(names, "python3-bpfcc"))


def _build(archive: Archive, packages: Sequence[str], home: Path) -> None:
    debs = archive.fetch_closure(packages)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        root, unfinished = Path(scratch, "root"), Path(scratch, "home")
        unfinished.mkdir()
        _fill(root, debs, archive.architecture)
        pack(root, unfinished / "root.ext4")
        shutil.copy(root / "usr/bin/busybox", unfinished / "busybox")
        _forget(home)
        unfinished.rename(home)
    archive.clean()


def kernel_tree(archive: Archive, folder: Path) -> Path:
    """A folder with the unpacked kernel of the suite, made where it is missing."""
    archive.update()
    packages = archive.kernel()
    names = archive.files(packages)
    tree = folder / f"kernel-{archive.suite}-{archive.architecture}-{_key(names)}"
    with archive.alone():
        if tree.is_dir():
            return tree
        debs = archive.fetch(packages)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            unfinished = Path(scratch, "tree")
            _unpack(unfinished, debs)
            _forget(tree)
            unfinished.rename(tree)
        archive.clean()
    return tree


def busybox(archive: Archive, folder: Path) -> Path:
    """A static busybox, fetched where it is missing."""
    archive.update()
    names = archive.files(["busybox-static"])
    home = folder / f"busybox-{archive.suite}-{archive.architecture}-{_key(names)}"
    with archive.alone():
        if not home.is_dir():
            debs = archive.fetch(["busybox-static"])
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                _unpack(Path(scratch, "tree"), debs)
                _forget(home)
                Path(scratch, "tree").rename(home)
            archive.clean()
    return next(path for path in (home / "bin/busybox", home / "usr/bin/busybox") if path.is_file())


def _version(names: Sequence[str], package: str) -> str:
    """Upstream's version of ``package`` in a list of file names."""
    found = next(name for name in names if name.startswith(f"{package}_"))
    return re.split(r"[-+]", found.split("_")[1].rpartition("%3a")[2])[0]


def _fill(root: Path, debs: Sequence[Path], architecture: str) -> None:
    for name in _MERGED if architecture == "amd64" else _MERGED[:3]:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    _unpack(root, debs)
    for name in _LEFT_OUT:
        shutil.rmtree(root / name, ignore_errors=True)
    for name in _FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for link, target in (("sh", "dash"), ("python3", _python(root))):
        if not (root / "usr/bin" / link).exists():
            (root / "usr/bin" / link).symlink_to(target)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nwww-data:x:33:\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")


def _python(root: Path) -> str:
    found = sorted(path.name for path in (root / "usr/bin").glob("python3.*"))
    return found[0] if found else "python3"


def _unpack(target: Path, debs: Sequence[Path]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as source:
            _run(
                ["tar", "-C", str(target), "-x", "--keep-directory-symlink", "--no-same-owner"],
                source.stdout,
            )
            _, told = source.communicate()
        if source.returncode:
            raise KernelsError(f"{deb.name} cannot be unpacked: {told.decode(errors='replace').strip()}")


def pack(root: Path, image: Path) -> None:
    """The folder ``root`` as an ext4 file system in ``image``, with room to spare. Raises KernelsError."""
    size = sum(path.lstat().st_size + 4096 for path in root.rglob("*")) >> 20
    command = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-E", "root_owner=0:0"]
    _run([*command, "-d", str(root), str(image), f"{size * 11 // 10 + _SPARE_MIB}M"])


def _run(command: Sequence[str], stdin: object = None) -> None:
    try:
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)  # type: ignore[call-overload]
    except FileNotFoundError as error:
        raise KernelsError(f"found no {command[0]}: apt-get install e2fsprogs tar dpkg") from error
    if done.returncode:
        raise KernelsError(f"{command[0]} failed: {done.stderr.strip()[-500:]}")


def _key(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join((_RECIPE, *names)).encode()).hexdigest()[:12]


def _forget(newer: Path) -> None:
    """Remove what an older list of packages made."""
    for old in newer.parent.glob(f"{newer.name.rpartition('-')[0]}-*"):
        shutil.rmtree(old)
