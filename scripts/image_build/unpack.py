"""Unpacks Debian packages into the layers, without their scripts and what the image has no use for."""

from __future__ import annotations

import fnmatch
import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from scripts.image_build.problem import ImageError

_MERGED = re.compile(r"^(bin|sbin|lib|lib64)/")
_COPYRIGHT = re.compile(r"usr/share/doc/[^/]+/copyright$")
_CERTIFICATES = "usr/share/ca-certificates/mozilla/"
STATUS = Path("var/lib/dpkg/status.d")
"""A file for each package, as images without dpkg have it; scanners of images read it."""


def unpack(package: Path, layer: Path, without: Sequence[str]) -> None:
    """Put what is wanted of ``package`` below ``layer``, and its record into ``STATUS``.

    ``without`` are patterns of paths. Owners are root's, as in every package used here; set-uid bits go.
    """
    status = _control(package)
    name = re.search(r"^Package: (\S+)$", status, re.MULTILINE)
    assert name is not None
    certificates: list[tuple[str, bytes]] = []
    with tarfile.open(fileobj=io.BytesIO(_dpkg_deb("--fsys-tarfile", package))) as archive:
        for member in archive:
            path = _MERGED.sub(r"usr/\1/", member.name.removeprefix("./").rstrip("/"))
            if path.startswith(_CERTIFICATES) and member.isfile():
                certificates.append((path, _content(archive, member)))
            elif _wanted(path, member, without):
                _write(archive, member, layer / path)
    if certificates:
        _trust(layer, certificates)
    folder = layer / STATUS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name[1]).write_text(status)


def _wanted(path: str, member: tarfile.TarInfo, without: Sequence[str]) -> bool:
    if member.isdir() or not path:
        return False  # folders come with what is in them
    if path.startswith("usr/share/doc/"):
        # A link stands for a package whose texts are another's (libgcc-s1's are gcc-12-base's).
        return (member.issym() and path.count("/") == 3) or _COPYRIGHT.match(path) is not None
    return not any(fnmatch.fnmatchcase(path, pattern) for pattern in without)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        target.symlink_to(member.linkname)
    elif member.islnk():
        linked = archive.getmember(member.linkname)
        target.write_bytes(_content(archive, linked))
        target.chmod(linked.mode & 0o755)
    elif member.isfile():
        target.write_bytes(_content(archive, member))
        target.chmod(member.mode & 0o755)
    else:
        raise ImageError(f"{member.name}: found a device or the like; expected files and links only")


def _trust(layer: Path, certificates: Sequence[tuple[str, bytes]]) -> None:
    """One file of all authorities, as update-ca-certificates makes it, where OpenSSL's default finds it."""
    bundle = layer / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True)
    bundle.write_bytes(b"".join(content for _, content in sorted(certificates)))
    default = (
        layer / "usr/lib/ssl/cert.pem"
    )  # SSL_CERT_FILE of Debian's OpenSSL, whose package ships links only
    default.parent.mkdir(parents=True)
    default.symlink_to("/etc/ssl/certs/ca-certificates.crt")


def skeleton(root: Path, architecture: str) -> None:
    """What no package brings: links of the merged /usr, users, and folders that are mounted over."""
    for name in ("bin", "sbin", "lib", *(["lib64"] if architecture == "amd64" else [])):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("dev", "proc", "sys", "run", "tmp", "etc", "root", "var/tmp", "var/lib/runtime-sensor"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    (root / "root").chmod(0o700)
    home = root / "home/nonroot"
    home.mkdir(parents=True)
    home.chmod(0o700)
    shutil.chown(home, 65532, 65532)
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/usr/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnonroot:x:65532:\n")
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")


def _control(package: Path) -> str:
    """The package's control file, with the state that a scanner expects of an installed one."""
    control = _dpkg_deb("--field", package).decode()
    return control.replace("\n", "\nStatus: install ok installed\n", 1)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def _dpkg_deb(what: str, package: Path) -> bytes:
    return subprocess.run(["dpkg-deb", what, package], capture_output=True, check=True).stdout
