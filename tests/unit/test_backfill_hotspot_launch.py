"""Where classes come from, off a command line, the environment and what a JVM publishes."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.node.backfill.hotspot_launch import Launch, launch, read_launch
from sensor.node.backfill.hotspot_library import perf_data_in_memory
from sensor.node.backfill.hsperf import PerfData, parse, perf_data
from sensor.node.backfill.processes import ProcessFile, ProcessTable
from sensor.node.rootfs import RootFilesystem
from tests.unit.hotspot_programs import WAIT, Start, compile_java, homes, starter, version

FILES = {"jib": "-cp\n/app/classes:/app/lib/a.jar\n", "path": '"/with space/a.jar:b.jar" # more\n'}


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        ("-cp a.jar:b.jar Main", {}, Launch(("a.jar", "b.jar"))),
        ("-classpath a.jar -Xmx1g Main -cp not.jar", {}, Launch(("a.jar",))),
        ("--class-path=a.jar Main", {}, Launch(("a.jar",))),
        ("-Djava.class.path=a.jar Main", {}, Launch(("a.jar",))),
        ("-cp a.jar -cp b.jar Main", {}, Launch(("b.jar",))),
        ("-cp a.jar -jar app.jar -cp x", {}, Launch(("app.jar",))),
        ("-jar -Xmx1g app.jar --server", {}, Launch(("app.jar",))),
        ("--add-opens java.base/java.lang=ALL-UNNAMED -jar app.jar", {}, Launch(("app.jar",))),
        ("Main", {"CLASSPATH": "a.jar:"}, Launch(("a.jar", ""))),
        ("-cp b.jar Main", {"CLASSPATH": "a.jar"}, Launch(("b.jar",))),
        ("Main", {}, Launch(None)),
        ("Main", {"JDK_JAVA_OPTIONS": "-cp 'a b.jar'"}, Launch(("a b.jar",))),
        ("-cp c.jar Main", {"JDK_JAVA_OPTIONS": "-cp a.jar"}, Launch(("c.jar",))),
        (
            "-jar a.jar",
            {"JAVA_TOOL_OPTIONS": "-javaagent:/agent.jar=x=y"},
            Launch(("a.jar",), ("/agent.jar",)),
        ),
        ("-p mods:/m -m a/b.C", {}, Launch(None, ("mods", "/m"))),
        ("-Xbootclasspath/a:x.jar -cp y.jar Main", {}, Launch(("y.jar",), ("x.jar",))),
        ("@jib Main", {}, Launch(("/app/classes", "/app/lib/a.jar"))),
        ("-cp @path Main", {}, Launch(("/with space/a.jar", "b.jar"))),
        ("-cp a.jar Main @jib", {}, Launch(("a.jar",))),
        ("--disable-@files @jib -cp a.jar Main", {}, Launch(None)),
        ("@absent -cp a.jar Main", {}, Launch(("a.jar",))),
        ("-cp", {}, Launch(None)),
        ("", {}, Launch(None)),
    ],
)
def test_the_launchers_rules(words: str, environment: dict[str, str], expected: Launch) -> None:
    assert launch(words.split(), environment, FILES.get) == expected


@pytest.fixture
def start() -> Iterator[Start]:
    with starter() as starting:
        yield starting


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_java(tmp_path_factory.mktemp("classes"), WAIT)


@pytest.fixture
def root() -> Iterator[RootFilesystem]:
    fd = os.open("/", os.O_PATH)
    yield RootFilesystem(fd)
    os.close(fd)


@pytest.mark.parametrize("home", homes(), ids=lambda home: str(version(home)))
def test_a_jvm_publishes_its_class_path_and_counters(
    home: str, start: Start, root: RootFilesystem, classes: Path
) -> None:
    process = start(home, "-cp", f"{classes}:/ä.jar", "Wait", "secret")
    published = perf_data(ProcessTable().mapped_files(process.pid), root)
    assert published is not None
    assert (published.class_path, published.command) == (f"{classes}:/ä.jar", "Wait secret")
    loaded, shared, initialised = published.counters
    assert loaded + shared > initialised > 300


def test_a_class_path_that_was_cut_is_not_believed(
    start: Start, root: RootFilesystem, tmp_path: Path
) -> None:
    path = str(compile_java(tmp_path, WAIT)) + ":/no/such.jar" * 100
    process = start(homes()[0], "-cp", path, "Wait")
    published = perf_data(ProcessTable().mapped_files(process.pid), root)
    assert published is not None and published.class_path is None
    assert read_launch(process.pid, FILES.get).class_path == tuple(path.split(":"))


@pytest.mark.parametrize("home", homes(), ids=lambda home: str(version(home)))
def test_what_is_in_no_file_is_read_from_memory(
    home: str, start: Start, root: RootFilesystem, classes: Path
) -> None:
    """A user without a name has no file: in containers that is the rule."""
    process = start(home, "-XX:+PerfDisableSharedMem", "-cp", str(classes), "Wait")
    assert perf_data(ProcessTable().mapped_files(process.pid), root) is None
    published = perf_data_in_memory(process.pid, started(process.pid))
    assert published is not None
    assert (published.class_path, len(published.counters)) == (str(classes), 3)
    assert perf_data_in_memory(process.pid, started(process.pid) + 10**9) is None
    silent = start(home, "-XX:-UsePerfData", "-cp", str(classes), "Wait")
    assert perf_data_in_memory(silent.pid, started(silent.pid)) is None
    assert perf_data_in_memory(os.getpid(), started(os.getpid())) is None


def started(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return int(stat.rpartition(")")[2].split()[19]) * (10**9 // os.sysconf("SC_CLK_TCK"))


def test_of_the_environment_only_what_java_reads_is_kept() -> None:
    environment = {"CLASSPATH": "a.jar", "PASSWORD": "-cp stolen.jar", "JDK_JAVA_OPTIONS": "-Xmx1g"}
    with subprocess.Popen(["/bin/sleep", "60"], env=environment) as process:
        # Until the exec, the environment is ours.
        while not Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(b"/bin/sleep"):
            pass
        found = read_launch(process.pid, FILES.get)
        process.kill()
    assert found == Launch(("a.jar",))
    assert read_launch(1 << 22, FILES.get) == Launch()


def data(*entries: tuple[str, bytes, str, int], order: str = "<", count: int | None = None) -> bytes:
    """A file with entries of name, value, type and length of the vector."""
    body = b""
    for name, value, kind, vector in entries:
        text = name.encode() + b"\0"
        size = 20 + len(text) + len(value)
        body += struct.pack(order + "iiic3xi", size, 20, vector, kind.encode(), 20 + len(text)) + text + value
    header = b"\xca\xfe\xc0\xc0" + bytes([order == "<", 2, 0, 1])
    number = len(entries) if count is None else count
    return header + struct.pack(order + "iiqii", len(body) + 32, 0, 0, 32, number) + body


CLASS_PATH = ("java.property.java.class.path", b"a.jar\0", "B", 6)


@pytest.mark.parametrize("order", "<>")
def test_either_byte_order_is_read(order: str) -> None:
    loaded = ("java.cls.loadedClasses", struct.pack(order + "q", 7), "J", 0)
    assert parse(data(CLASS_PATH, loaded, order=order)) == PerfData("a.jar", "", (7,))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xca\xfe\xc0\xc0",
        data()[:20],
        b"\0" * 64,
        data(CLASS_PATH).replace(b"\x02\0\x01", b"\x01\0\x01"),
    ],
)
def test_other_files_are_none(content: bytes) -> None:
    assert parse(content) is None


@pytest.mark.parametrize("at", range(24, 52))
@pytest.mark.parametrize("value", [0, 0x7F, 0xFF])
def test_what_points_out_of_the_file_ends_it(at: int, value: int) -> None:
    content = bytearray(data(CLASS_PATH, CLASS_PATH))
    content[at] = value
    published = parse(bytes(content))
    assert published is not None
    assert parse(data(CLASS_PATH, count=1 << 30)) == PerfData("a.jar", "", ())


def test_a_file_of_another_process_of_that_pid_is_not_read(root: RootFilesystem, tmp_path: Path) -> None:
    folder = tmp_path / "hsperfdata_x"
    folder.mkdir()
    (folder / "1").write_bytes(data(CLASS_PATH))
    assert perf_data([ProcessFile(str(folder / "1"))], root) == PerfData("a.jar", "", ())
    assert perf_data([ProcessFile(f"{folder}/1 (deleted)")], root) is None
    assert perf_data([ProcessFile(f"{folder}/2"), ProcessFile(f"{folder}/jar")], root) is None
