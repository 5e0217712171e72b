"""When the first file of a folder speaks for the rest, and where it must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensor.model.events import EventFlag
from tests.kernel.conftest import Observer

pytestmark = pytest.mark.kernel

LARGE, SMALL = 4096, 300


def opened(observer: Observer, folder: Path, files: list[tuple[str, int]]) -> list[str]:
    """Make and open the files (name, size) in order; return those that were reported."""
    script = f"""
for name, size in {files!r}:
    make({str(folder)!r} + "/" + name, size)
for name, size in {files!r}:
    touch({str(folder)!r} + "/" + name)
"""
    prefix = f"{folder}/"
    return [path.removeprefix(prefix) for path in observer.run(script).opened if path.startswith(prefix)]


def test_an_init_of_substance_speaks_for_its_package(observer: Observer, tmp_path: Path) -> None:
    files = [("p/__init__.py", LARGE), ("p/a.py", 10), ("p/b.pyc", 10)]
    assert opened(observer, tmp_path, files) == ["p/__init__.py"]


def test_byte_code_speaks_for_the_folder_above(observer: Observer, tmp_path: Path) -> None:
    files = [
        ("p/__pycache__/__init__.cpython-311.pyc", LARGE),
        ("p/__pycache__/a.cpython-311.pyc", 10),
        ("p/a.py", 10),
    ]
    assert opened(observer, tmp_path, files) == ["p/__pycache__/__init__.cpython-311.pyc"]


def test_the_event_says_that_it_speaks_for_a_folder(observer: Observer, tmp_path: Path) -> None:
    path = str(tmp_path / "p" / "__init__.py")
    observed = observer.run(f"make({path!r}, {LARGE}); touch({path!r})")
    assert observed.event(path).flags == EventFlag.FOLDER


def test_the_stub_of_a_namespace_package_does_not(observer: Observer, tmp_path: Path) -> None:
    """pkgutil and pkg_resources namespaces: several distributions put modules beside one stub."""
    files = [("google/__init__.py", SMALL), ("google/a.py", 10), ("google/b.py", 10)]
    assert opened(observer, tmp_path, files) == [name for name, _ in files]


def test_inside_a_regular_package_any_init_speaks(observer: Observer, tmp_path: Path) -> None:
    files = [("p/__init__.py", LARGE), ("p/sub/__init__.py", 0), ("p/sub/a.py", 10)]
    assert opened(observer, tmp_path, files) == ["p/__init__.py", "p/sub/__init__.py"]


def test_a_sub_package_does_not_speak_for_the_folder_above(observer: Observer, tmp_path: Path) -> None:
    files = [("ns/__init__.py", SMALL), ("ns/sub/__init__.py", LARGE), ("ns/sub/a.py", 10), ("ns/a.py", 10)]
    assert opened(observer, tmp_path, files) == ["ns/__init__.py", "ns/sub/__init__.py", "ns/a.py"]


@pytest.mark.parametrize(
    "folder",
    [
        "site-packages",
        "dist-packages",
        "site-packages/__pycache__",
        "target",
        "target/__pycache__",
        "namespace",
    ],
)
def test_folders_of_single_file_packages_are_told_file_by_file(
    observer: Observer, tmp_path: Path, folder: str
) -> None:
    files = [
        (f"{folder}/six.py", LARGE),
        (f"{folder}/typing_extensions.py", LARGE),
        (f"{folder}/py.py", LARGE),
    ]
    assert opened(observer, tmp_path, files) == [name for name, _ in files]


def test_an_init_in_site_packages_itself_silences_nobody(observer: Observer, tmp_path: Path) -> None:
    files = [("site-packages/__init__.py", LARGE), ("site-packages/six.py", 10)]
    assert opened(observer, tmp_path, files) == [name for name, _ in files]


def test_the_standard_library_is_told_once(observer: Observer, tmp_path: Path) -> None:
    files = [("lib/python3.12/os.py", 10), ("lib/python3.12/abc.py", 10), ("lib64/python3.13t/abc.py", 10)]
    assert opened(observer, tmp_path, files) == ["lib/python3.12/os.py", "lib64/python3.13t/abc.py"]


def test_a_folder_that_is_only_called_like_it_is_not(observer: Observer, tmp_path: Path) -> None:
    files = [("deps/python3.12/six.py", 10), ("deps/python3.12/py.py", 10), ("lib/python/six.py", 10)]
    assert opened(observer, tmp_path, files) == [name for name, _ in files]


def test_natives_stand_for_themselves(observer: Observer, tmp_path: Path) -> None:
    files = [("p/__init__.py", LARGE), ("p/_a.so", 10), ("p/_b.so", 10), ("p/_c.node", 10)]
    assert opened(observer, tmp_path, files) == [name for name, _ in files]


def test_the_first_script_of_a_node_folder_speaks_for_it(observer: Observer, tmp_path: Path) -> None:
    files = [
        ("node_modules/a/index.js", 10),
        ("node_modules/a/other.mjs", 10),
        ("node_modules/a/lib/x.js", 10),
        ("node_modules/b/index.cjs", 10),
    ]
    expected = ["node_modules/a/index.js", "node_modules/a/lib/x.js", "node_modules/b/index.cjs"]
    assert opened(observer, tmp_path, files) == expected


@pytest.mark.parametrize("folder", ["node_modules", "nodejs"])
def test_module_folders_are_told_file_by_file(observer: Observer, tmp_path: Path, folder: str) -> None:
    files = [(f"{folder}/abbrev.js", 10), (f"{folder}/ini.js", 10)]
    assert opened(observer, tmp_path, files) == [name for name, _ in files]


def test_data_beside_scripts_stands_for_itself(observer: Observer, tmp_path: Path) -> None:
    files = [("node_modules/a/index.js", 10), ("node_modules/a/db.json", 10), ("node_modules/a/x.wasm", 10)]
    assert opened(observer, tmp_path, files) == [name for name, _ in files]


def test_another_program_does_not_speak_for_this_one(observer: Observer, tmp_path: Path) -> None:
    init, module = str(tmp_path / "p/__init__.py"), str(tmp_path / "p/a.py")
    script = f"""
import subprocess
make({init!r}, {LARGE}); make({module!r})
subprocess.run(["cat", {init!r}], stdout=subprocess.DEVNULL, check=True)
touch({module!r})
"""
    assert module in observer.run(script).opened
