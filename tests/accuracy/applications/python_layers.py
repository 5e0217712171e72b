"""Images of the Python applications whose packages are not in an ordinary virtual environment."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.ground import Ground, Image
from tests.ground.image import contents, key, python_version
from tests.ground.problem import run

APPS = Path(__file__).parents[1] / "apps" / "python"
TOLD = {"/app/told.py": APPS / "lib" / "told.py"}
PYTHON = "/usr/bin/python3"
_PIP = (PYTHON, "-m", "pip", "--no-input", "--disable-pip-version-check", "install", "--no-deps", "--quiet")
PEX = "pex==2.105.2"
UV = "uv==0.13.9"
_BACKENDS = ("setuptools==80.9.0", "hatchling==1.27.0", "packaging==25.0", "pathspec==0.12.1")
_BACKENDS_TOO = ("pluggy==1.6.0", "trove-classifiers==2025.9.11.17", "editables==0.5")


def halfway(ground: Ground) -> Image:
    """Two distributions that cannot be imported, beside those of a virtual environment."""
    base = ground.python_image(
        "accuracy/python-halfway:1",
        APPS / "plain" / "requirements.txt",
        {**TOLD, "/app/app.py": APPS / "halfway" / "app.py"},
    )
    broken = {
        "broken_import": "import tabulate\nimport nowhere_to_be_found\n",
        "broken_late": "from broken_late import part\n1 / 0\n",
    }

    def build(layer: Path) -> None:
        for name, source in broken.items():
            _distribution(layer / "app/extra", name, {"__init__.py": source, "part.py": "x = 1\n"})

    extra = ground.layer_image("accuracy/python-halfway:1", key("halfway", repr(broken), "2"), build)
    return Image(base.name, (*extra.layers, *base.layers))


def versions(ground: Ground) -> Image:
    """Two ``--target`` folders."""

    def build(layer: Path) -> None:
        for age in ("old", "new"):
            _install(layer / "app" / age, APPS / "versions" / f"requirements-{age}.txt")

    return _image(ground, "versions", {"/app/app.py": APPS / "versions" / "app.py"}, build)


def system(ground: Ground) -> Image:
    """A virtual environment made with ``--system-site-packages``."""

    def build(layer: Path) -> None:
        venv = layer / "app/venv"
        run([PYTHON, "-m", "venv", "--system-site-packages", "--without-pip", str(venv)])
        _install(_site(venv), APPS / "system" / "requirements.txt")

    return _image(ground, "system", {"/app/app.py": APPS / "system" / "app.py"}, build)


def stripped(ground: Ground) -> Image:
    """A ``--target`` folder of byte code."""

    def build(layer: Path) -> None:
        deps = layer / "app/deps"
        _install(deps, APPS / "stripped" / "requirements.txt")
        # By the interpreter of the container, whose byte code it is to be.
        run([PYTHON, "-m", "compileall", "-q", "-b", "-s", str(layer), str(deps)])
        for source in deps.rglob("*.py"):
            source.unlink()

    return _image(ground, "stripped", {"/app/app.py": APPS / "stripped" / "app.py"}, build)


def zipapp(ground: Ground) -> Image:
    """A zipped application, as ``python -m zipapp --compress`` makes it."""

    def build(layer: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            content = Path(scratch) / "content"
            _install(content, APPS / "archives" / "requirements.txt")
            shutil.copyfile(APPS / "archives" / "__main__.py", content / "__main__.py")
            shutil.copyfile(TOLD["/app/told.py"], content / "told.py")
            (layer / "app").mkdir()
            run([PYTHON, "-m", "zipapp", "--compress", "-o", str(layer / "app/tool.pyz"), str(content)])

    return _image(ground, "zipapp", {}, build)


def zipped(ground: Ground) -> Image:
    """An egg, made from a wheel's content as ``bdist_egg`` lays it out, and two wheels."""

    def build(layer: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            content = Path(scratch)
            _install(content, APPS / "archives" / "requirements.txt")
            (layer / "app").mkdir()
            for name in ("idna", "tabulate"):
                _pack(content, layer / f"app/{name}.whl", name, lambda path: path)
            egg = layer / "app/attrs-26.1.0-py3.11.egg"
            _pack(content, egg, "attr", _as_egg)

    return _image(ground, "zipped", {"/app/app.py": APPS / "archives" / "path.py"}, build)


def pex(ground: Ground) -> Image:
    """A pex file as pex itself makes it.

    What the .pth files of the machine load is taken out of sys.modules again by pex (pex/pex.py,
    ``minimum_sys_modules``); so a .pth file that comes first has all code noted that runs.
    """

    def build(layer: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            tool, sources = Path(scratch) / "tool", Path(scratch) / "sources"
            run([*_PIP, "--target", str(tool), PEX])
            sources.mkdir()
            for source in (APPS / "pex" / "main.py", TOLD["/app/told.py"]):
                shutil.copy(source, sources)
            (layer / "app").mkdir()
            first = run([PYTHON, "-c", "import site; print(site.getsitepackages()[0])"]).strip()
            watch = layer / first.lstrip("/") / "a_watch.pth"
            watch.parent.mkdir(parents=True)
            watch.write_text("import sys; sys.path.append('/app'); import told; told.watch()\n")
            what = ("--requirement", str(APPS / "archives" / "requirements.txt"), "--intransitive")
            how = ("--sources-directory", str(sources), "--entry-point", "main", "--use-pip-config")
            settings = {**os.environ, "PYTHONPATH": str(tool), "PEX_ROOT": f"{scratch}/root"}
            command = [PYTHON, "-m", "pex", *what, *how, "--output-file", str(layer / "app/tool.pex")]
            run(command, env=settings, timeout=180)

    return _image(ground, "pex", {}, build, APPS / "archives")


def linked(ground: Ground) -> Image:
    """A virtual environment of uv whose files are links into uv's cache."""

    def build(layer: Path) -> None:
        cache, venv = layer / "root/.cache/uv", layer / "app/venv"
        requirements = str(APPS / "plain" / "requirements.txt")
        with tempfile.TemporaryDirectory() as scratch:
            run([*_PIP, "--target", scratch, UV])
            settings = {**os.environ, "UV_CACHE_DIR": str(cache), "UV_LINK_MODE": "symlink"}
            uv = f"{scratch}/bin/uv"
            run([uv, "venv", "--quiet", "--python", PYTHON, str(venv)], env=settings)
            target = ("--python", str(venv / "bin/python"), "--requirement", requirements)
            run([uv, "pip", "install", "--quiet", "--no-deps", *target], env=settings, timeout=180)
        for file in venv.rglob("*"):
            if file.is_symlink() and (goal := str(file.readlink())).startswith(str(layer)):
                file.unlink()
                file.symlink_to(goal.removeprefix(str(layer)))

    return _image(ground, "linked", {"/app/app.py": APPS / "plain" / "linked.py"}, build, APPS / "plain")


def editable(ground: Ground) -> Image:
    """Projects below /srv/mono, installed for development into /app/venv."""

    def build(layer: Path) -> None:
        venv, mono = layer / "app/venv", layer / "srv/mono"
        run([PYTHON, "-m", "venv", str(venv)])
        shutil.copytree(APPS / "editable" / "mono", mono)
        with tempfile.TemporaryDirectory() as scratch:
            backends = Path(scratch)
            run([*_PIP, "--target", str(backends), *_BACKENDS, *_BACKENDS_TOO])
            for project in sorted(mono.iterdir()):
                _develop(venv, project, backends)
        for file in (*_site(venv).rglob("*"), *mono.rglob("*")):
            _relocate(file, layer)

    return _image(
        ground, "editable", {"/app/app.py": APPS / "editable" / "app.py"}, build, APPS / "editable/mono"
    )


def _image(
    ground: Ground,
    name: str,
    files: Mapping[str, Path],
    build: Callable[[Path], None],
    sources: Path | None = None,
) -> Image:
    """Layers with what ``build`` makes of the files beside the application, and with ``files``."""
    folder = sources or APPS / ("archives" if name.startswith("zip") else name)
    inputs = {str(file): file for file in sorted(folder.rglob("*")) if file.is_file()}
    own = {**TOLD, **files}
    recipe = Path(__file__).read_bytes()
    of_files = ground.layer_image(name, key("files", *contents(own)), _copying(own))
    made_of = key(f"python-{name}", python_version(), recipe, *contents({**inputs, **TOLD}))
    of_packages = ground.layer_image(name, made_of, build)
    return Image(f"accuracy/python-{name}:1", (*of_files.layers, *of_packages.layers))


def _copying(files: Mapping[str, Path]) -> Callable[[Path], None]:
    def build(layer: Path) -> None:
        for name, source in files.items():
            target = layer / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    return build


def _install(target: Path, requirements: Path) -> None:
    run([*_PIP, "--target", str(target), "--requirement", str(requirements)], timeout=300)


def _site(venv: Path) -> Path:
    return next((venv / "lib").glob("python3*")) / "site-packages"


def _distribution(site: Path, name: str, files: Mapping[str, str]) -> None:
    info = site / f"{name}-1.0.dist-info"
    (site / name).mkdir(parents=True)
    info.mkdir()
    for file, source in files.items():
        (site / name / file).write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    listed = [
        *(f"{name}/{file}" for file in files),
        *(f"{info.name}/{file}" for file in ("METADATA", "RECORD")),
    ]
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in listed))


def _pack(content: Path, archive: Path, module: str, name_of: Callable[[str], str]) -> None:
    """Zip the distribution that has ``module``, its files under the names that ``name_of`` gives them."""
    (record,) = (
        each
        for each in content.glob("*.dist-info/RECORD")
        if f"\n{module}/" in f"\n{each.read_text()}" or f"\n{module}.py" in f"\n{each.read_text()}"
    )
    listed = [line.partition(",")[0] for line in record.read_text().splitlines()]
    files = sorted(file for file in listed if not file.startswith("..") and "__pycache__" not in file)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in files:
            if name_of(file):
                packed.write(content / file, name_of(file))
        if name_of is _as_egg:
            packed.writestr("EGG-INFO/SOURCES.txt", "\n".join(file for file in files if "-info/" not in file))


def _as_egg(path: str) -> str:
    _, found, name = path.partition(".dist-info/")
    if not found:
        return path
    return "EGG-INFO/PKG-INFO" if name == "METADATA" else ""


def _develop(venv: Path, project: Path, backends: Path) -> None:
    python = str(venv / "bin/python")
    settings = {"PYTHONPATH": str(backends), "PATH": "/usr/bin:/bin"}
    if (project / "setup.py").exists():
        run(
            [
                "/bin/sh",
                "-ec",
                'cd "$0" && exec "$1" setup.py --quiet develop --no-deps',
                str(project),
                python,
            ],
            env=settings,
        )
    else:
        run(
            [
                python,
                "-m",
                "pip",
                "install",
                "--no-deps",
                "--no-build-isolation",
                "--quiet",
                "--editable",
                str(project),
            ],
            env=settings,
        )


def _relocate(file: Path, layer: Path) -> None:
    """Take the layer's own path out of what the installers wrote."""
    if file.is_file() and file.suffix in {".pth", ".json", ".egg-link", ".py", ".txt"}:
        text = file.read_bytes()
        if str(layer).encode() in text:
            file.write_bytes(text.replace(str(layer).encode(), b""))
