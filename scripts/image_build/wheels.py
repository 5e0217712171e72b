"""Installs the locked wheels and the sensor for the target's platform, and compiles byte code for both."""

from __future__ import annotations

import compileall
import fnmatch
import os
import py_compile
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.image_build.problem import ImageError

SITE = Path("usr/local/lib/python3.11/dist-packages")
"""Debian's python3 looks here for what is no package of Debian's, in isolated mode too."""

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_NEWEST_GLIBC = 36  # Debian 12 has glibc 2.36; wheels name the oldest that they run with
_START = """\
#!/usr/bin/python3 -I
import sys

from sensor.cli import main

sys.exit(main())
"""


def install(lock: Path, layer: Path, architecture: str, without: Sequence[str]) -> None:
    """Every wheel of ``lock``, by its checksum, without the paths that match ``without``."""
    if sys.version_info[:2] != (3, 11):
        raise ImageError(
            f"found Python {sys.version.split()[0]} in the build stage, expected 3.11: Debian 12"
        )
    site = layer / SITE
    machine = _MACHINES[architecture]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(_NEWEST_GLIBC, 16, -1)]
    target = [f"--platform={platform}" for platform in (*platforms, f"manylinux2014_{machine}")]
    target += ["--implementation=cp", "--python-version=3.11", "--abi=cp311", "--abi=abi3", "--abi=none"]
    _pip(
        "install",
        "--require-hashes",
        "--only-binary=:all:",
        *target,
        f"--target={site}",
        f"--requirement={lock}",
    )
    _prune(site, without)


def install_sensor(source: Path, layer: Path, scratch: Path) -> None:
    """The sensor from its sources, with the setuptools that requirements-dev.lock pins."""
    tools, wheels = scratch / "setuptools", scratch / "wheels"
    requirement = scratch / "setuptools.lock"
    lock = (source / "requirements-dev.lock").read_text()
    pinned = re.search(r"^setuptools==(?:.*\\\n)*.*\n", lock, re.MULTILINE)
    if pinned is None:
        raise ImageError(
            "requirements-dev.lock: found no setuptools, expected it: the sensor is built with it"
        )
    scratch.mkdir(parents=True, exist_ok=True)
    requirement.write_text(pinned[0])
    _pip("install", "--require-hashes", f"--target={tools}", f"--requirement={requirement}")
    _pip("wheel", "--no-build-isolation", f"--wheel-dir={wheels}", str(source), path=tools)
    [wheel] = wheels.glob("*.whl")
    site = layer / SITE
    _pip("install", f"--target={site}", str(wheel))
    programs = layer / "usr/share/runtime-sensor"  # sys.prefix is /usr: sensor.config.bpf_directory
    programs.parent.mkdir(parents=True)
    (site / "share/runtime-sensor").rename(programs)
    (site / "share").rmdir()
    _prune(site, ["bin/*"])
    start = layer / "usr/local/bin/runtime-sensor"
    start.parent.mkdir(parents=True)
    start.write_text(_START)
    start.chmod(0o755)


def compile_all(layer: Path) -> None:
    """Byte code for every module, which is never held against the time of its source: that one is always
    the same, and a root file system that is read-only takes no other."""
    for folder in (layer / "usr/lib/python3.11", layer / "usr/lib/python3/dist-packages", layer / SITE):
        if folder.is_dir():
            done = compileall.compile_dir(
                folder,
                maxlevels=50,
                quiet=1,
                stripdir=str(layer),
                prependdir="/",
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
                workers=1,
            )
            if not done:
                raise ImageError(f"{folder}: some modules do not compile, see above")


def _prune(site: Path, without: Sequence[str]) -> None:
    for path in sorted(path for path in site.rglob("*") if not path.is_dir()):
        if any(fnmatch.fnmatchcase(str(path.relative_to(site)), pattern) for pattern in without):
            path.unlink()
    for folder in sorted((path for path in site.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _pip(command: str, *arguments: str, path: Path | None = None) -> None:
    environment = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    common = ["--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"]
    compile_later = ["--no-compile"] if command == "install" else []
    line = [sys.executable, "-m", "pip", command, *common, *compile_later, *arguments]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"pip {command}: {done.stderr.strip()[-1500:]}")
