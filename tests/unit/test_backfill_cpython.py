"""What a scan from outside finds is what the interpreter itself says, for real interpreters that run on."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from sensor.node.backfill.cpython import ModuleScan, Problem, loaded_modules
from sensor.node.backfill.cpython_modules import LoadedModule
from sensor.node.backfill.mappings import Region, answering_devices, parse_mappings, readable_regions
from sensor.node.backfill.memory import BadAddress, LimitReached, ProcessGone, ProcessMemory, ReadLimits
from tests.clock import LATE, at_little_cost, until

SYSTEM_PYTHON = os.path.realpath(sys.executable)
OLDEST, NEWEST = 8, 14

TELL = """
import json, sys
def _text(module, name):
    value = vars(module).get(name) if isinstance(module, type(sys)) else None
    return value if type(value) is str else None
def tell():
    loaded = [(n, m) for n, m in list(sys.modules.items()) if type(n) is str and m is not None]
    print(json.dumps([(n, _text(m, "__file__"), _text(m, "__cached__")) for n, m in loaded]), flush=True)
"""
TELL_AND_WAIT = TELL + "tell(); sys.stdin.read()\n"

Start = Callable[..., subprocess.Popen[bytes]]


@lru_cache(maxsize=1)
def interpreters() -> tuple[str, ...]:
    """The CPythons of this machine, this one first."""
    found = [SYSTEM_PYTHON]
    for minor in range(OLDEST, NEWEST + 1):
        command = shutil.which(f"python3.{minor}")
        if command is not None:
            tell = [command, "-c", "import os, sys; print(os.path.realpath(sys.executable))"]
            answer = subprocess.run(tell, capture_output=True, text=True, check=False).stdout.strip()
            found += [answer] if answer and answer not in found else []
    return tuple(found)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program that writes a line when it is ready; all are killed at the end."""
    running: list[subprocess.Popen[bytes]] = []

    def run(*command: str, code: str | None = None, **more: object) -> subprocess.Popen[bytes]:
        python = [SYSTEM_PYTHON] if not command else list(command)
        arguments = python + (["-c", code] if code is not None else [])
        process = subprocess.Popen(  # type: ignore[call-overload]
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more
        )
        running.append(process)
        return process  # type: ignore[no-any-return]

    yield run
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode("utf-8", "surrogateescape").rstrip("\n")


def truth(process: subprocess.Popen[bytes]) -> set[LoadedModule]:
    return {LoadedModule(*entry) for entry in json.loads(line(process))}


def files(scan: ModuleScan) -> dict[str, str | None]:
    return {module.name: module.file for module in scan.modules}


@pytest.mark.parametrize("python", interpreters(), ids=os.path.basename)
def test_scan_equals_the_interpreters_own_truth(python: str, start: Start) -> None:
    code = "import asyncio, email.mime.text, sqlite3, unittest.mock, xml.dom.minidom\n" + TELL_AND_WAIT
    process = start(python, code=code)
    expected = truth(process)
    began = time.perf_counter()
    scan = loaded_modules(process.pid, None)
    print(f"{len(expected)} modules in {1e3 * (time.perf_counter() - began):.1f} ms")
    assert scan == ModuleScan(scan.modules, True, Problem.NONE)
    assert set(scan.modules) == expected
    assert len(scan.modules) == len(expected) > 150
    assert list(scan.modules) == sorted(scan.modules, key=lambda module: module.name)


@pytest.mark.parametrize("python", interpreters(), ids=os.path.basename)
def test_modules_of_sub_interpreters_are_found(python: str, start: Start) -> None:
    code = """
import sys
if sys.version_info >= (3, 13):
    from _interpreters import create, exec as run
else:
    from _xxsubinterpreters import create, run_string as run
alive = [create() for _ in range(3)]
for interpreter, name in zip(alive, ("colorsys", "this_is_missing", "wave")):
    try: run(interpreter, "import " + name)
    except Exception: pass
print(flush=True); sys.stdin.read()
"""
    process = start(python, code=code, stderr=subprocess.DEVNULL)
    line(process)
    scan = loaded_modules(process.pid, None)
    found = files(scan)
    assert scan.problem == Problem.NONE
    assert (found["colorsys"] or "").endswith("/colorsys.py")
    assert (found["wave"] or "").endswith("/wave.py")
    assert "this_is_missing" not in found


@pytest.mark.parametrize("python", interpreters(), ids=os.path.basename)
def test_scan_is_exact_while_the_process_keeps_importing(python: str, start: Start, tmp_path: Path) -> None:
    count = 3000
    for number in range(count):
        (tmp_path / f"m{number}.py").write_text("a = 1\n")
    code = f"""
import sys, os, importlib, time
sys.path.insert(0, {str(tmp_path)!r}); sys.dont_write_bytecode = True
progress = os.open({str(tmp_path / "progress")!r}, os.O_RDWR | os.O_CREAT)
os.pwrite(progress, b"0000", 0); print(flush=True)
for number in range({count}):
    importlib.import_module("m%d" % number)
    os.pwrite(progress, b"%04d" % (number + 1), 0)
    if number % 10 == 0: time.sleep(0.005)  # at least 1.5 s, several scans on any machine
sys.stdin.read()
"""
    process = start(python, code=code)
    line(process)
    progress = tmp_path / "progress"
    scans = during = 0
    while (before := int(progress.read_text())) < count:
        scan = loaded_modules(process.pid, None)
        after = int(progress.read_text())
        numbered = {name: file for name, file in files(scan).items() if name[0] == "m" and name[1:].isdigit()}
        assert scan.problem == Problem.NONE
        assert before <= len(numbered) <= after + 1
        assert set(numbered) == {f"m{number}" for number in range(len(numbered))}
        assert all(file == str(tmp_path / f"{name}.py") for name, file in numbered.items())
        scans += 1
        during += after > before
    print(f"{scans} scans, {during} of them while modules came")
    assert during >= 3


@pytest.mark.parametrize("interrupted", [0.0, 0.001], ids=["at once", "interrupted"])
def test_nothing_wrong_is_reported_while_modules_come_and_go(
    interrupted: float, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Freed memory is given to other objects at once: what was read of it must not be believed.

    ``interrupted``: how often a read comes up to 30 ms after the one before, as on a busy processor.
    """
    read = ProcessMemory._read_chunk
    chance = random.Random(1)

    def later(memory: ProcessMemory, region: Region, address: int, size: int) -> bytes:
        if chance.random() < interrupted:
            time.sleep(chance.random() * 0.03)
        return read(memory, region, address, size)

    monkeypatch.setattr(ProcessMemory, "_read_chunk", later)
    for number in range(100):
        (tmp_path / f"m{number}.py").write_text(
            "a, b = [object() for _ in range(200)], {'__file__': 'wrong'}\n"
        )
    code = f"""
import sys, importlib
sys.path.insert(0, {str(tmp_path)!r}); sys.dont_write_bytecode = True
print(flush=True)
while True:
    for number in range(100): importlib.import_module("m%d" % number)
    for number in range(100): del sys.modules["m%d" % number]
    sys.modules.update([("x%d" % number, sys) for number in range(2000)])
    for number in range(2000): del sys.modules["x%d" % number]
    sys.modules |= {{}}; sys.modules.copy()
"""
    process = start(code=code)
    line(process)
    whole, seen = 0, set()
    for _ in range(150 if interrupted else 15):
        scan = loaded_modules(process.pid, None)
        coming = [module for module in scan.modules if module.name[:1] == "m" and module.name[1:].isdigit()]
        assert [(m.name, m.file) for m in coming if m.file != str(tmp_path / f"{m.name}.py")] == []
        assert all(module.name.isprintable() for module in scan.modules)
        seen |= {module.name for module in coming}
        whole += scan.whole
    print(f"{whole} scans whole, {len(seen)} of the 100 seen")
    assert seen


def test_what_else_stands_in_sys_modules(start: Start) -> None:
    code = (
        """
import sys, types
def module(name, file, kind=types.ModuleType, **before):
    made = kind(name); vars(made).update(before); made.__file__ = file; sys.modules[name] = made
class Lazy(types.ModuleType):
    pass
class Lazier(Lazy):
    __slots__ = ("more",)
class Text(str):
    pass
module("lazy", "/app/lazy.py", Lazy)
module("lazier", "/app/lazier.py", Lazier)
module("late", "/app/late.py", **{"name%d" % n: n for n in range(500)})
module("grün.日本.😀", "/app/grün/日本/😀.py")
module("undecodable", "/app/\\udcff.py")
module("long", "/" + "d" * 200 + "/" + "f" * 3000 + ".py")
module("no_text", b"/app/no_text.py")
module("subclass_of_text", Text("/app/text.py"))
module("renamed", "/app/first.py"); module("renamed", "/app/second.py")
module("removed", "/app/removed.py"); del sys.modules["removed"]
sys.modules["forbidden"] = None
sys.modules["instance"] = types.SimpleNamespace(__file__="/app/instance.py")
sys.modules["number"] = 7
sys.modules[7] = sys
"""
        + TELL_AND_WAIT
    )
    process = start(code=code)
    expected = truth(process)
    scan = loaded_modules(process.pid, None)
    found = files(scan)
    assert scan.whole
    assert set(scan.modules) == expected
    assert found["lazier"] == "/app/lazier.py"
    assert found["late"] == "/app/late.py"
    assert found["grün.日本.😀"] == "/app/grün/日本/😀.py"
    assert found["undecodable"] == os.fsdecode(b"/app/\xff.py")
    assert found["renamed"] == "/app/second.py"
    assert found["instance"] is found["number"] is found["no_text"] is None
    assert not {"removed", "forbidden"} & set(found)


def test_thousands_of_modules_stay_far_from_the_deadline(start: Start) -> None:
    made = "import sys, types\nfor n in range(10_000): sys.modules[f'm{n}'] = types.ModuleType(f'm{n}')\n"
    process = start(code=made + TELL_AND_WAIT)
    expected = truth(process)
    with at_little_cost(ReadLimits().seconds):
        scan = loaded_modules(process.pid, None)
    assert scan.whole
    assert set(scan.modules) == expected


def test_the_process_is_not_disturbed(start: Start) -> None:
    process = start(code="import ctypes, os\nos.write(1, b'\\n'); ctypes.CDLL(None).pause()")
    line(process)
    before = status(process.pid)
    time.sleep(0.05)
    while before != (before := status(process.pid)):
        time.sleep(0.05)
    assert loaded_modules(process.pid, None).whole
    assert status(process.pid) == before
    assert before["State"].startswith("S")
    assert before["TracerPid"] == "0"


def test_a_stopped_process_is_read_and_stays_stopped(start: Start) -> None:
    process = start(code=TELL_AND_WAIT)
    expected = truth(process)
    process.send_signal(signal.SIGSTOP)
    assert set(loaded_modules(process.pid, None).modules) == expected
    os.kill(process.pid, 0)


def test_a_program_whose_file_is_gone_is_read(start: Start, tmp_path: Path) -> None:
    copy = tmp_path / "server"
    shutil.copy(SYSTEM_PYTHON, copy)
    process = start(str(copy), code=TELL_AND_WAIT, env={"PYTHONHOME": sys.base_prefix})
    expected = truth(process)
    copy.unlink()
    scan = loaded_modules(process.pid, None)
    assert scan.whole
    assert set(scan.modules) == expected


def test_what_is_no_python_is_named(start: Start) -> None:
    process = start("sleep", "60")
    wait_for_program(process.pid, "sleep")
    assert loaded_modules(process.pid, None) == ModuleScan((), False, Problem.NOT_PYTHON)


def test_a_program_named_python_without_its_symbols_is_named(start: Start, tmp_path: Path) -> None:
    named = tmp_path / "python3.9"
    shutil.copy(os.path.realpath(shutil.which("sleep") or ""), named)
    process = start(str(named), "60")
    wait_for_program(process.pid, "python3.9")
    assert loaded_modules(process.pid, None).problem == Problem.SYMBOLS_NOT_FOUND


def test_another_process_under_the_pid_is_not_read(start: Start) -> None:
    process = start(code=TELL_AND_WAIT)
    truth(process)
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    ticks = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
    assert loaded_modules(process.pid, ticks * tick + tick // 2).whole
    assert loaded_modules(process.pid, (ticks - 100) * tick) == ModuleScan((), False, Problem.VANISHED)


def test_a_process_that_has_ended_is_vanished(start: Start) -> None:
    process = start("true")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert loaded_modules(process.pid, None).problem == Problem.VANISHED  # a zombie
    process.wait()
    assert loaded_modules(process.pid, None).problem == Problem.VANISHED


def test_memory_of_the_next_program_is_never_read(start: Start) -> None:
    process = start(code="import os\nprint(flush=True); input(); os.execvp('sleep', ['sleep', '60'])")
    line(process)
    with ProcessMemory(process.pid) as memory:
        address = next(m.start for m in memory.mappings if m.executable and m.inode)
        memory.word(address)
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        wait_for_program(process.pid, "sleep")
        with pytest.raises(ProcessGone):
            memory.word(address)


def test_limits_end_a_scan(start: Start) -> None:
    process = start(code=TELL_AND_WAIT)
    truth(process)
    assert loaded_modules(process.pid, None, limits=ReadLimits(size=50_000)).problem == Problem.TOO_LARGE
    assert loaded_modules(process.pid, None, limits=ReadLimits(seconds=0)).problem == Problem.DEADLINE
    with ProcessMemory(process.pid, ReadLimits(seconds=0.2)) as memory:
        time.sleep(0.25)
        with pytest.raises(LimitReached):
            memory.pause(60)


def test_no_descriptor_is_left_open(start: Start) -> None:
    process, other = start(code=TELL_AND_WAIT), start("sleep", "60")
    truth(process)
    before = len(os.listdir("/proc/self/fd"))
    for pid in (process.pid, other.pid, 2**22 + 1):
        loaded_modules(pid, None)
    loaded_modules(process.pid, None, limits=ReadLimits(seconds=0))
    assert len(os.listdir("/proc/self/fd")) == before


def test_only_private_program_memory_is_readable(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x" * 4096)
    code = f"""
import ctypes, mmap, os
def address(*arguments, **more):
    keep.append(mmap.mmap(*arguments, **more))
    if more.get("prot") != mmap.PROT_READ: keep[-1][0] = 120
    return ctypes.addressof(ctypes.py_object(keep[-1])) and ctypes.cast(id(keep[-1]) + 16, ctypes.POINTER(
        ctypes.c_size_t)).contents.value
keep = []
both = mmap.PROT_READ | mmap.PROT_WRITE
zero, data = os.open("/dev/zero", os.O_RDWR), os.open({str(tmp_path / "data")!r}, os.O_RDWR)
print(address(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=both),
    address(-1, 4096, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, prot=both),
    address(zero, 4096, flags=mmap.MAP_PRIVATE, prot=both),
    address(data, 4096, flags=mmap.MAP_PRIVATE, prot=both),
    address(data, 4096, flags=mmap.MAP_SHARED, prot=both), flush=True)
input()
"""
    process = start(code=code)
    private, *others = map(int, line(process).split())
    with ProcessMemory(process.pid) as memory:
        assert memory.read(private, 1) == b"x"
        for address in (*others, 0, 8, 2**47, 2**63, 2**64 - 8, 2**70):
            with pytest.raises(BadAddress):
                memory.read(address, 8)


POKE = """
import ctypes, os, sys, random, types
ctypes.pythonapi.PyInterpreterState_Get.restype = ctypes.c_void_p
libc = ctypes.CDLL(None); libc.pause, libc.write
words = lambda address: ctypes.cast(address, ctypes.POINTER(ctypes.c_uint64))
extra = types.ModuleType("extra"); extra.__file__ = "/app/extra.py"; name = "extra" + str(len(sys.argv))
sys.modules[name] = extra
modules = words(id(sys.modules)); keys = words(modules[4]); interpreter = words(
    ctypes.pythonapi.PyInterpreterState_Get())
runtime = words(ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime")))
module, text = words(id(extra)), words(id(name)); namespace = words(module[2]); inner = words(namespace[4])
gap = 0x10000
"""
POKE_END = "\nlibc.write(1, b'poked\\n', 6); libc.pause()"

ATTACKS = {
    "keys nowhere": "modules[4] = gap",
    "keys misaligned": "modules[4] += 1",
    "keys are the dictionary itself": "modules[4] = id(sys.modules)",
    "huge count": "keys[3] = 1 << 60",
    "huge use": "modules[2] = 1 << 60",
    "more in use than is set": "sys.modules['gone'] = extra; del sys.modules['gone']; modules[2] += 1",
    "negative use": "modules[2] = (1 << 64) - 1",
    "index of 2**255 bytes": "keys[1] |= 0xff << 8",
    "values of an instance": "modules[5] = id(sys.modules)",
    "name of 2**60 characters": "text[2] = 1 << 60",
    "name of no kind": "text[4] = 0",
    "name beyond its memory": "text[2] = 4000; text[4] = 4 << 2 | 1 << 5",
    "module's dictionary nowhere": "module[2] = gap",
    "module's keys nowhere": "namespace[4] = gap",
    "module's huge count": "inner[3] = 1 << 40",
    "module's type nowhere": "module[1] = gap",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_hostile_memory_is_an_inconsistent_scan(attack: str, start: Start) -> None:
    scan, seconds = scan_after(start, attack)
    assert not scan.whole
    assert scan.problem in (Problem.INCONSISTENT, Problem.NO_INTERPRETER)
    assert seconds < LATE
    assert LoadedModule("extra1", "/app/extra.py", None) not in scan.modules


def test_a_type_that_is_its_own_base_is_no_module(start: Start) -> None:
    attack = (
        "loop = words(libc.calloc(64, 8)); loop[1] = loop[32] = address = ctypes.addressof(loop.contents)\n"
    )
    scan, _ = scan_after(start, "libc.calloc.restype = ctypes.c_void_p\n" + attack + "module[1] = address")
    assert scan.whole
    assert files(scan)["extra1"] is None


@pytest.mark.parametrize(
    "attack", ["interpreter[0] = ctypes.addressof(interpreter.contents)", "interpreter[0] = gap"]
)
def test_a_broken_list_of_interpreters_is_no_interpreter(attack: str, start: Start) -> None:
    scan, seconds = scan_after(start, attack)
    assert scan == ModuleScan((), False, Problem.NO_INTERPRETER)
    assert seconds < LATE


@pytest.mark.parametrize("seed", range(12))
def test_random_memory_neither_crashes_nor_hangs(seed: int, start: Start) -> None:
    code = f"""
random.seed({seed})
places = [(modules, 6), (keys, 4), (text, 6), (module, 4), (namespace, 6), (inner, 5)]
somewhere = [id(sys.modules), id(extra), id(name), modules[4], gap, 0, 8, 1 << 40, 1 << 63, (1 << 64) - 1]
chance = [[random.random(), random.choice(somewhere), random.random()] for _ in range(4)]
picked = [(random.choice(places), *each) for each in chance]
for (place, size), where, value, shift in picked:
    place[int(where * size)] = value + int(shift * 3)
"""
    scan, seconds = scan_after(start, code)
    assert scan.problem in set(Problem)
    assert seconds < LATE


def scan_after(start: Start, attack: str) -> tuple[ModuleScan, float]:
    """Scan a process that has broken its own memory and then rests; return the seconds too."""
    process = start(code=POKE + attack + POKE_END)
    assert line(process) == "poked"
    began = time.perf_counter()
    return loaded_modules(process.pid, None, limits=ReadLimits()), time.perf_counter() - began


@pytest.mark.kernel
def test_a_page_fault_that_its_process_never_serves_does_not_hang(start: Start) -> None:
    """A userfaultfd whose handler never answers: process_vm_readv(2) would wait for it for ever."""
    code = """
import fcntl, mmap, struct, platform
area = mmap.mmap(-1, 1 << 16, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
address = words(id(area))[2]
fault = libc.syscall({"x86_64": 323, "aarch64": 282}[platform.machine()], 0)
assert fault >= 0
fcntl.ioctl(fault, 0xC018AA3F, struct.pack("<3Q", 0xAA, 0, 0))
fcntl.ioctl(fault, 0xC020AA00, struct.pack("<4Q", address, 1 << 16, 1, 0))
modules[4] = address
"""
    scan, seconds = scan_after(start, code)
    assert not scan.whole
    assert seconds < LATE


@pytest.mark.kernel
def test_a_process_in_a_container_is_read_by_its_own_paths(start: Start, tmp_path: Path) -> None:
    """Own mount and pid namespace, and an overlay that the host does not know."""
    mount = """
set -e
mount -t tmpfs none "$1"; mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
mkdir -p "$1/root/only/inside"; echo 'a = 1' > "$1/root/only/inside/app_of_container.py"
exec chroot "$1/root" "$2" -c "$3"
"""
    code = (
        "import sys\nsys.path.insert(0, '/only/inside')\nimport app_of_container, sqlite3\n" + TELL_AND_WAIT
    )
    shell = ["sh", "-c", mount, "sh", str(tmp_path), SYSTEM_PYTHON, code]
    outer = start("unshare", "-m", "-p", "-f", "--kill-child", *shell)
    expected = truth(outer)
    pid = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0])
    scan = loaded_modules(pid, None)
    assert scan.whole
    assert set(scan.modules) == expected
    assert files(scan)["app_of_container"] == "/only/inside/app_of_container.py"


MOUNTS = b"""\
1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:30 / /a rw shared:5 - %s x rw
3 1 0:31 / /b rw - fuse.x y rw
"""


def test_files_of_unknown_file_systems_are_read_only_where_resident() -> None:
    maps = (
        b"1000-2000 r-xp 00000000 08:01 7 /bin/server\n"
        b"2000-3000 rw-p 00000000 00:00 0 \n"
        b"3000-4000 r-xp 00000000 00:1e 8 /lib/over lay.so\n"
        b"4000-5000 r-xp 00000000 00:1f 9 /lib/fuse.so\n"
        b"5000-6000 r--p 00000000 00:1f 10 /data\n"
        b"6000-7000 rw-s 00000000 08:01 7 /bin/server\n"
        b"7000-8000 r-xp 00000000 00:06 11 /dev/card\n"
        b"8000-9000 ---p 00000000 00:00 0 [stack]\n"
        b"9000-a0"
    )
    mappings = list(parse_mappings(maps))
    assert [m.path for m in mappings][2] == "/lib/over lay.so"

    def regions(own: bytes, host: bytes) -> list[tuple[int, int, bool]]:
        found = readable_regions(mappings, answering_devices(own, host))
        return [(region.start, region.end, region.resident) for region in found]

    overlay, scratch = MOUNTS % b"overlay", MOUNTS % b"tmpfs"
    assert regions(b"", overlay) == [(0x1000, 0x4000, False), (0x4000, 0x5000, True)]
    assert regions(overlay, b"") == [(0x1000, 0x3000, False), (0x3000, 0x5000, True)]
    assert regions(scratch, b"") == [(0x1000, 0x4000, False), (0x4000, 0x5000, True)]
    assert regions(b"", b"") == [(0x1000, 0x2000, True), (0x2000, 0x3000, False), (0x3000, 0x5000, True)]


def status(pid: int) -> dict[str, str]:
    wanted = (
        "State",
        "TracerPid",
        "voluntary_ctxt_switches",
        "nonvoluntary_ctxt_switches",
        "VmRSS",
        "SigPnd",
    )
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (each.partition(":") for each in lines) if key in wanted}


def wait_for_program(pid: int, name: str) -> None:
    until(lambda: Path(f"/proc/{pid}/comm").read_text().strip() == name)
