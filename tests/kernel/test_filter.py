"""What the kernel programs let through, by the ways out of events.h."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sensor.config.bpf import bpf_directory
from sensor.model.events import EventKind
from sensor.node.capture.layout import Counter
from tests.kernel.conftest import Observer

pytestmark = pytest.mark.kernel

WANTED = (
    "a.py a.pyc a.so a.so.1 a.so.6.0.30 liba.so.1.2.3 a.egg a.zip a.whl a.pex a.pyz "
    "a.js a.cjs a.mjs a.ts a.mts a.cts a.json a.node a.wasm "
    "a.jar a.war a.ear a.hpi a.jpi a.par a.sar a.nar a.kar a.far a.rar a.lpkg a.zap a.jmod a.jsa a.class "
    "a.dll a.exe app.deps.json app.runtimeconfig.json "
    "A.PY A.So UPPER.JAR MiXeD.Dll ünï.py x" + "y" * 240 + ".py "
    "xpackage.json ackage.json node_modules/p/bin/run node_modules/p/LICENSE "
    "nodejs/p/bin/run lib/modules"
).split()
NOT_WANTED = (
    "a.txt a.pyx a.pyo2 apy py js so a.s a.so.x a.so1 .so.1x a.d.ts a.d.mts a.d.cts a.map a.md METADATA "
    "RECORD entry_points.txt package.json Package.JSON a.properties a.xml a.pdb bin/run modules "
    "other/modules node_modules/p/a.map node_modules/p/x.unknown nodejs2/p/bin/run nodejs/p/a.map "
    "7 a.7 passwd x" + "y" * 250
).split()


def opens(observer: Observer, folder: Path, names: list[str]) -> list[str]:
    script = f"""
for number, name in enumerate({names!r}):
    path = {str(folder)!r} + f"/{{number}}/" + name
    make(path)
    touch(path)
"""
    return observer.run(script).opened


def test_names(observer: Observer, tmp_path: Path) -> None:
    found = opens(observer, tmp_path, WANTED + NOT_WANTED)
    expected = [f"{tmp_path}/{number}/{name}" for number, name in enumerate(WANTED)]
    assert [path for path in found if path.startswith(f"{tmp_path}/")] == expected


@pytest.mark.parametrize("without", [["HAVE_CASTS"], ["HAVE_CASTS", "HAVE_TASK_BTF"]], ids=["5.11", "5.8"])
def test_names_on_kernels_that_load_less_directly(
    real_kernel: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: list[str]
) -> None:
    folder = tmp_path / "bpf"
    shutil.copytree(bpf_directory(), folder)
    source = folder / "kernel_read.h"
    source.write_text("".join(f"#undef {macro}\n" for macro in without) + source.read_text())
    monkeypatch.setenv("RUNTIME_SENSOR_BPF_DIR", str(folder))
    observer = Observer()
    try:
        test_names(observer, tmp_path)
        test_only_reading_of_regular_files_counts(observer, tmp_path)
    finally:
        observer.capture.close()


def test_only_reading_of_regular_files_counts(observer: Observer, tmp_path: Path) -> None:
    script = f"""
folder = {str(tmp_path)!r}
for name in ("written.py", "path.py", "read.py", "both.py"):
    make(f"{{folder}}/{{name}}")
os.mkdir(f"{{folder}}/folder.py")
os.mkfifo(f"{{folder}}/fifo.py")
touch(f"{{folder}}/written.py", os.O_WRONLY)
touch(f"{{folder}}/path.py", os.O_PATH)
touch(f"{{folder}}/folder.py")
touch(f"{{folder}}/fifo.py", os.O_RDONLY | os.O_NONBLOCK)
touch("/proc/self/maps")
touch(f"{{folder}}/read.py")
touch(f"{{folder}}/both.py", os.O_RDWR)
try:
    touch(f"{{folder}}/missing.py")
except FileNotFoundError:
    pass
"""
    before = observer.capture.counters()
    found = observer.run(script).opened
    after = observer.capture.counters()
    assert [path for path in found if path.startswith(str(tmp_path))] == [
        f"{tmp_path}/read.py",
        f"{tmp_path}/both.py",
    ]
    assert after[Counter.UNREADABLE] >= before[Counter.UNREADABLE] + 2
    assert after[Counter.NOT_REGULAR] >= before[Counter.NOT_REGULAR] + 2
    assert after[Counter.NOT_WANTED] > before[Counter.NOT_WANTED]


def test_pseudo_file_systems_are_dropped(observer: Observer, tmp_path: Path) -> None:
    """mqueue is the one whose files can be given a name that a resolver wants."""
    before = observer.capture.counters()[Counter.PSEUDO]
    observed = observer.run(
        f"""
import ctypes
assert ctypes.CDLL(None).mount(b"none", {str(tmp_path)!r}.encode(), b"mqueue", 0, None) == 0
os.close(os.open({str(tmp_path / "a.py")!r}, os.O_CREAT | os.O_RDWR))
"""
    )
    assert not [path for path in observed.opened if path.endswith("a.py")]
    assert observer.capture.counters()[Counter.PSEUDO] > before


def test_the_host_is_dropped(observer: Observer, tmp_path: Path) -> None:
    before = observer.capture.counters()[Counter.HOST]
    observed = observer.run(
        f"make({str(tmp_path / 'a.py')!r}); touch({str(tmp_path / 'a.py')!r})", private=False
    )
    assert observed.events == ()
    assert observer.capture.counters()[Counter.HOST] > before


def test_an_ignored_namespace_is_dropped_until_heeded(observer: Observer, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("1.py", "2.py", "3.py")]
    script = f"""
for path in {files!r}:
    make(path)
    touch(path)
    pause()
"""
    with observer.stepping(script) as step:
        first = step()
        assert observer.capture.ignore(first.event(files[0]))
        ignored = step().opened
        observer.capture.heed(first.mount_namespace)
        heeded = step().opened
    assert (files[0] in first.opened, files[1] in ignored, files[2] in heeded) == (True, False, True)


def test_a_file_seen_before_is_dropped_as_ignored_too(observer: Observer, tmp_path: Path) -> None:
    """The shortcut to what was seen last must not outlive what user space says of it."""
    path = str(tmp_path / "a.py")
    with observer.stepping(f"make({path!r})\nfor _ in range(4):\n    touch({path!r})\n    pause()") as step:
        first = step()
        step()
        step()  # by now the shortcut knows it
        before = observer.capture.counters()
        assert observer.capture.ignore(first.event(path))
        step()
        after = observer.capture.counters()
        observer.capture.heed(first.mount_namespace)
    assert after[Counter.IGNORED] > before[Counter.IGNORED]


def test_a_file_is_reported_once_for_each_executable_and_namespace(
    observer: Observer, tmp_path: Path
) -> None:
    path = tmp_path / "a.py"
    script = f"""
make({str(path)!r})
for _ in range(5):
    touch({str(path)!r})
import subprocess
subprocess.run(["cat", {str(path)!r}], check=True)
subprocess.run(["cat", {str(path)!r}], check=True)
"""
    for _ in range(2):
        observed = observer.run(script)
        openers = [event.executable_name for event in observed.events if event.path == str(path)]
        assert openers == ["python3.11", "cat"]


def test_a_program_is_reported_once_for_each_namespace(observer: Observer) -> None:
    observed = observer.run('import subprocess\nfor _ in range(3): subprocess.run(["true"], check=True)')
    executed = [event.path for event in observed.events if event.kind is EventKind.EXEC]
    assert sorted(executed) == ["/usr/bin/python3.11", "/usr/bin/true"]
    assert all(event.file == event.executable for event in observed.events if event.kind is EventKind.EXEC)


def test_forgetting_lets_a_file_through_once_more(observer: Observer, tmp_path: Path) -> None:
    path = str(tmp_path / "a.py")
    with observer.stepping(f"make({path!r})\nfor _ in range(3):\n    touch({path!r})\n    pause()") as step:
        first = step()
        second = step()
        observer.capture.forget(first.event(path))
        third = step()
    assert (path in first.opened, path in second.opened, path in third.opened) == (True, False, True)
