"""What is read from a JVM's memory is what the JVM itself logs, for real JVMs that run on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.node.backfill.hotspot import ClassScan, ClassState, Problem, loaded_classes
from sensor.node.backfill.memory import ReadLimits
from tests.clock import PATIENCE
from tests.unit.hotspot_programs import (
    CHURN,
    HIDDEN,
    STAGES,
    WAIT,
    Start,
    compile_java,
    homes,
    starter,
    version,
)

SCANS = 20
NEWEST = max(homes(), key=version)
JAVA_17 = next(home for home in homes() if version(home) == 17)
MATRIX = [
    *((home, ()) for home in homes()),
    (JAVA_17, ("-XX:+UseZGC",)),
    (JAVA_17, ("-XX:-UseCompressedClassPointers",)),
    (JAVA_17, ("-Xshare:off", "-XX:+UseSerialGC")),
    (NEWEST, ("-XX:+UseZGC",)),
]


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_java(tmp_path_factory.mktemp("classes"), WAIT, STAGES, CHURN)


@pytest.fixture
def start() -> Iterator[Start]:
    with starter() as starting:
        yield starting


def names(scan: ClassScan, least: ClassState = ClassState.LOADED) -> set[str]:
    return {loaded.name for loaded in scan.classes if loaded.state >= least}


def own(text: str) -> str:
    return HIDDEN.sub("", text.replace(".", "/"))


def logged(log: Path) -> tuple[set[str], set[str]]:
    """The JVM's own words: classes loaded, and those whose initialiser was begun."""
    text = log.read_text(encoding="utf-8")
    loaded = {own(name) for name in re.findall(r"^(\S+) source: ", text, re.MULTILINE)}
    return loaded, {own(name) for name in re.findall(r"Initializing '([^']+)'", text)}


def compared(pid: int, log: Path) -> tuple[ClassScan, set[str], set[str]]:
    """A scan, and what is logged, once they agree or time is over: threads of the JVM may still begin."""
    end = time.monotonic() + PATIENCE
    while True:
        scan = loaded_classes(pid, None)
        loaded, initialised = logged(log)
        agree = names(scan) == loaded and initialised <= names(scan, ClassState.INITIALISED)
        if agree or time.monotonic() > end:
            return scan, loaded, initialised
        time.sleep(0.05)


def identify(case: tuple[str, tuple[str, ...]]) -> str:
    home, options = case
    return "".join([str(version(home)), *options])


@pytest.mark.parametrize("case", MATRIX, ids=identify)
def test_classes_and_their_states_are_those_the_jvm_logs(
    case: tuple[str, tuple[str, ...]], start: Start, classes: Path, tmp_path: Path
) -> None:
    home, options = case
    log = f"-Xlog:class+load=info,class+init=info:file={tmp_path}/log:none:filecount=0"
    process = start(home, log, *options, "-cp", str(classes), "Stages")
    scan, loaded, initialised = compared(process.pid, tmp_path / "log")
    assert (scan.whole, scan.problem) == (True, Problem.NONE)
    assert names(scan) == loaded
    more = names(scan, ClassState.INITIALISED) - initialised
    assert initialised <= names(scan, ClassState.INITIALISED)
    # Some of its own JDK 21 restores from its archive as initialised, which it does not log.
    assert not more or (version(home) >= 21 and all(name.startswith("java/") for name in more))
    states = {one.name: one.state for one in scan.classes}
    assert states["Stages$Initialised"] == states["Stages$Failed"] == ClassState.INITIALISED
    assert states["Stages$Running"] == ClassState.INITIALISED, "it is inside its initialiser"
    assert states["Stages$OnlyLoaded"] == ClassState.LOADED
    assert states["Stages$OnlyLinked"] < ClassState.INITIALISED
    assert "Stages$$Lambda" in {name.partition("$$Lambda")[0] + "$$Lambda" for name in states}
    assert not any("0x" in name or name.startswith("[") for name in states)
    assert scan.classes[0].name == "java/lang/Object", "the boot loader's first, the oldest first"
    assert scan.classes[0].loader == scan.boot_loader


def test_each_loader_has_its_own_classes(start: Start, classes: Path) -> None:
    process = start(JAVA_17, "-cp", str(classes), "Churn", "300", "20")
    scan = loaded_classes(process.pid, None)
    kept = Counter(one.loader for one in scan.classes if one.name.startswith("K0"))
    assert scan.whole
    assert list(kept.values()) == [20] * 300
    initialised = [
        one for one in scan.classes if one.name.startswith("K0") and one.state == ClassState.INITIALISED
    ]
    assert len(initialised) == 300 * 10


@pytest.mark.parametrize("options", [(), ("-XX:+UseZGC",)], ids=["g1", "zgc"])
@pytest.mark.parametrize("home", [JAVA_17, NEWEST], ids=lambda home: str(version(home)))
def test_nothing_is_missed_or_made_up_while_loaders_come_and_go(
    home: str, options: tuple[str, ...], start: Start, classes: Path
) -> None:
    process = start(home, *options, "-Xmx96m", "-cp", str(classes), "Churn", "20", "50", "churn")
    expected = {f"K{number:05d}" for number in range(50)}
    possible = re.compile(r"[KD]000[0-4][0-9]|Churn(\$Loader)?|A99999|(java|jdk|sun|javax)/.*")
    whole = 0
    for _ in range(SCANS):
        scan = loaded_classes(process.pid, None)
        whole += scan.whole
        assert not [name for name in names(scan) if not possible.fullmatch(name)]
        if scan.whole:
            kept = Counter(one.loader for one in scan.classes if one.name in expected)
            assert list(kept.values()) == [50] * 20
        else:
            assert scan.problem == Problem.INCONSISTENT
    print(f"{whole} of {SCANS} scans whole")
    assert whole >= 0.9 * SCANS


def test_classes_of_an_archive_of_shared_classes_are_found(
    start: Start, classes: Path, tmp_path: Path
) -> None:
    jar = tmp_path / "app.jar"
    subprocess.run([f"{JAVA_17}/bin/jar", "cf", str(jar), "-C", str(classes), "."], check=True)
    archive = tmp_path / "app.archive"
    dump = [f"{JAVA_17}/bin/java", f"-XX:ArchiveClassesAtExit={archive}", "-cp", str(jar), "Stages"]
    subprocess.run(dump, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    log = f"-Xlog:class+load=info,class+init=info:file={tmp_path}/log:none:filecount=0"
    process = start(JAVA_17, log, f"-XX:SharedArchiveFile={archive}", "-cp", str(jar), "Stages")
    scan, *told = compared(process.pid, tmp_path / "log")
    assert "Stages$Running source: shared objects file (top)" in (tmp_path / "log").read_text()
    assert [names(scan), names(scan, ClassState.INITIALISED)] == told
    assert scan.whole


def test_another_user_and_another_pid_namespace_do_not_matter(start: Start, classes: Path) -> None:
    for parent in (classes, *classes.parents):
        if parent.name.startswith(("classes", "pytest")):
            parent.chmod(0o755)
    nobody = start(JAVA_17, "-cp", str(classes), "Wait", user=65534, group=65534, extra_groups=[])
    assert loaded_classes(nobody.pid, None).whole
    unshare = ("unshare", "--fork", "--pid", "--mount", "--mount-proc", "--kill-child")
    outer = start(JAVA_17, "-cp", str(classes), "Wait", before=unshare)
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text(encoding="ascii").split()
    scan = loaded_classes(int(children[0]), None)
    assert scan.whole and "Wait" in names(scan)


def test_what_is_no_jvm_or_has_ended_is_told_apart(start: Start, classes: Path) -> None:
    assert loaded_classes(os.getpid(), None) == ClassScan((), False, Problem.NOT_HOTSPOT)
    process = start(JAVA_17, "-cp", str(classes), "Wait")
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii")
    started = int(stat.rpartition(")")[2].split()[19]) * (10**9 // os.sysconf("SC_CLK_TCK"))
    assert loaded_classes(process.pid, started).whole
    assert loaded_classes(process.pid, started + 10**9).problem == Problem.VANISHED
    process.kill()
    process.wait()
    assert loaded_classes(process.pid, started).problem == Problem.VANISHED


def test_bytes_and_seconds_are_bounded(start: Start, classes: Path) -> None:
    process = start(JAVA_17, "-cp", str(classes), "Wait")
    large = loaded_classes(process.pid, None, limits=ReadLimits(size=1 << 20, seconds=PATIENCE))
    assert (large.whole, large.problem) == (False, Problem.TOO_LARGE)
    late = loaded_classes(process.pid, None, limits=ReadLimits(seconds=0.0))
    assert (late.whole, late.problem, late.classes) == (False, Problem.DEADLINE, ())


def test_a_library_of_that_name_which_is_none_is_told(start: Start, tmp_path: Path) -> None:
    code = """
import ctypes, shutil, sys
shutil.copy(ctypes.util.find_library("c") and "/lib/x86_64-linux-gnu/libz.so.1", sys.argv[1])
ctypes.CDLL(sys.argv[1]); print(flush=True); sys.stdin.read()
"""
    library = tmp_path / "libjvm.so"
    command = [sys.executable, "-c", "import ctypes.util\n" + code, str(library)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        scan = loaded_classes(process.pid, None)
        process.kill()
    assert scan == ClassScan((), False, Problem.SYMBOLS_NOT_FOUND)
