"""The packages found for a real JVM are those whose classes it loaded, whatever else it has at hand."""

from __future__ import annotations

import os
import subprocess
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from sensor.model.container import ContainerIdentity
from sensor.model.package import Evidence
from sensor.node.backfill.hotspot import ClassScan, ClassState, LoadedClass
from sensor.node.backfill.processes import ProcessTable
from sensor.node.introspect.hotspot import ARCHIVE_UNREADABLE, HotspotProbe
from sensor.node.introspect.hotspot_join import classes_of_the_application, join
from sensor.node.introspect.interface import ENDED_UNASKED, Finding, Subject
from sensor.node.resolve.java.origins import Origin
from sensor.node.rootfs import RootFilesystem
from tests.unit.hotspot_programs import Start, compile_java, homes, starter, version

JAVA_17 = next(home for home in homes() if version(home) == 17)
APP = """
import java.io.*;
import java.net.*;
import java.util.*;
import java.util.zip.*;

public class App {
    static final List<Object> kept = new ArrayList<>();

    static class Nested extends ClassLoader {
        final String outer, inner;
        Nested(String outer, String inner) { this.outer = outer; this.inner = inner; }
        @Override protected Class<?> findClass(String name) throws ClassNotFoundException {
            try (ZipFile zip = new ZipFile(outer);
                 ZipInputStream in = new ZipInputStream(zip.getInputStream(zip.getEntry(inner)))) {
                for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry())
                    if (entry.getName().equals(name.replace('.', '/') + ".class")) {
                        byte[] content = in.readAllBytes();
                        return defineClass(name, content, 0, content.length);
                    }
            } catch (IOException error) { throw new UncheckedIOException(error); }
            throw new ClassNotFoundException(name);
        }
    }

    static void unpack(String library, String name) throws Exception {
        File copy = File.createTempFile(name, ".so");
        java.nio.file.Files.copy(java.nio.file.Path.of(library), copy.toPath(),
                                 java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        System.load(copy.getPath());
        copy.delete();
    }

    static void run(String[] words) throws Exception {
        if (words[0].equals("unpack")) { unpack(words[1], words[2]); return; }
        ClassLoader loader = App.class.getClassLoader();
        if (words[0].equals("nested")) loader = new Nested(words[2], words[3]);
        if (words[0].equals("jars")) {
            URL[] jars = new URL[words.length - 2];
            for (int i = 0; i < jars.length; i++) jars[i] = new File(words[i + 2]).toURI().toURL();
            loader = new URLClassLoader(jars, null);
        }
        kept.add(loader);
        for (String name : words[1].split(",")) Class.forName(name, !words[0].equals("load"), loader);
    }

    public static void main(String[] arguments) throws Exception {
        for (String argument : arguments) run(argument.split("[|]"));
        System.out.println("ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            run(line.split("[|]"));
            System.out.println("done");
        }
    }
}
"""
CLASSES = (
    "org.alpha.Alpha",
    "org.beta.Beta",
    "org.gamma.Gamma",
    "org.delta.Delta",
    "org.one.One",
    "org.two.Two",
)


class Ground:
    """Compiled classes, and jars made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sources = [
            f"package {name.rpartition('.')[0]};\n"
            f'public class {name.rpartition(".")[2]} {{ static int x = Integer.parseInt("1"); }}'
            for name in CLASSES
        ]
        self.classes = compile_java(folder / "classes", APP, *sources)
        self.app = folder / "app"
        self.app.mkdir()
        for file in self.classes.glob("App*.class"):
            (self.app / file.name).write_bytes(file.read_bytes())

    def jar(
        self,
        path: str,
        *classes: str,
        artifact: str = "",
        version: str = "1.0",
        manifest: str = "",
        more: Mapping[str, bytes] | None = None,
    ) -> str:
        """Make a jar of classes (``org.alpha.Alpha``), known as ``org.test:artifact``."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\n{manifest}")
            if artifact:
                pom = f"groupId=org.test\nartifactId={artifact}\nversion={version}\n"
                archive.writestr(f"META-INF/maven/org.test/{artifact}/pom.properties", pom)
            for name in classes:
                entry = name.replace(".", "/") + ".class"
                archive.write(self.classes / entry, entry)
            for name, content in (more or {}).items():
                archive.writestr(name, content)
        return str(file)

    def library(self, name: str, *classes: str, folder: str = "lib", version: str = "1.0") -> str:
        return self.jar(f"{folder}/{name}-{version}.jar", *classes, artifact=name, version=version)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def ground(compiled: Ground, tmp_path: Path) -> Ground:
    compiled.folder = tmp_path
    return compiled


@pytest.fixture
def start() -> Iterator[Start]:
    with starter() as starting:
        yield starting


@pytest.fixture
def root() -> Iterator[RootFilesystem]:
    fd = os.open("/", os.O_PATH)
    yield RootFilesystem(fd)
    os.close(fd)


def subject(pid: int) -> Subject:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    started = int(stat.rpartition(")")[2].split()[19]) * (10**9 // os.sysconf("SC_CLK_TCK"))
    return Subject(pid, started, "java", 0, 0, ContainerIdentity("c", "runc"))


def look(process: subprocess.Popen[bytes], root: RootFilesystem, files: Sequence[str] = ()) -> Finding:
    begun = time.process_time()
    finding = HotspotProbe().look(subject(process.pid), root, files)
    print(f"{1e3 * (time.process_time() - begun):.0f} ms")
    assert finding is not None
    return finding


def told(finding: Finding) -> dict[str, Evidence]:
    """``artifact@version`` of what is found to be loaded."""
    assert finding.problem == ""
    return {
        use.package.purl.rpartition("/")[2]: use.evidence
        for use in finding.uses
        if use.evidence is not Evidence.BUNDLED
    }


def test_initialised_and_merely_loaded_classes_grade_their_jar(
    ground: Ground, start: Start, root: RootFilesystem
) -> None:
    jars = [ground.library(name.lower(), f"org.{name.lower()}.{name}") for name in ("Alpha", "Beta", "Gamma")]
    path = ":".join([str(ground.app), *jars])
    process = start(JAVA_17, "-cp", path, "App", "init|org.alpha.Alpha", "load|org.beta.Beta")
    finding = look(process, root)
    assert told(finding) == {"alpha@1.0": Evidence.EXECUTED, "beta@1.0": Evidence.OPENED}
    assert [use.path for use in finding.uses] == jars[:2]


def test_a_jar_with_nothing_but_a_library_is_used_when_that_is_mapped(
    ground: Ground, start: Start, root: RootFilesystem
) -> None:
    library = next(Path("/usr/lib").glob("*/libz.so.1"))
    jars = [
        ground.jar(
            f"lib/{name}-1.0.jar", artifact=name, more={f"META-INF/native/lib{name}_x86_64.so": b"\x7fELF"}
        )
        for name in ("epoll", "kqueue", "z")
    ]
    path = ":".join([str(ground.app), *jars])
    process = start(JAVA_17, "-cp", path, "App", f"unpack|{library}|libepoll_x86_64")
    assert told(look(process, root)) == {"epoll@1.0": Evidence.MAPPED}


def test_a_second_look_sees_more_and_the_stamp_tells_when(
    ground: Ground, start: Start, root: RootFilesystem
) -> None:
    jar = ground.library("alpha", "org.alpha.Alpha")
    process = start(JAVA_17, "-cp", f"{ground.app}:{jar}", "App", "load|org.alpha.Alpha")
    probe, asked = HotspotProbe(), subject(process.pid)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"load|org.alpha.Alpha\n")  # again: what reads a line is loaded by then
    process.stdin.flush()
    assert process.stdout.readline() == b"done\n"
    stamp = probe.stamp(asked, root)
    assert stamp is not None
    first = probe.look(asked, root, ())
    assert probe.stamp(asked, root) == stamp
    process.stdin.write(b"init|org.alpha.Alpha\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"done\n"
    assert probe.stamp(asked, root) != stamp
    second = probe.look(asked, root, ())
    assert first is not None and second is not None
    assert told(first) == {"alpha@1.0": Evidence.OPENED}
    assert told(second) == {"alpha@1.0": Evidence.EXECUTED}
    probe.sweep()


def test_of_copies_on_the_class_path_the_first_counts(
    ground: Ground, start: Start, root: RootFilesystem
) -> None:
    first = ground.library("first", "org.alpha.Alpha", "org.one.One")
    second = ground.library("second", "org.alpha.Alpha", "org.beta.Beta", "org.two.Two")
    loads = ("init|org.alpha.Alpha", "init|org.two.Two")
    process = start(JAVA_17, "-cp", f"{ground.app}:{first}:{second}", "App", *loads)
    assert told(look(process, root)).keys() == {"first@1.0", "second@1.0"}
    process = start(JAVA_17, "-cp", f"{ground.app}:{second}:{first}", "App", *loads)
    assert told(look(process, root)).keys() == {"second@1.0"}


def test_two_versions_in_two_loaders_are_both_found(
    ground: Ground, start: Start, root: RootFilesystem
) -> None:
    old = ground.library("delta", "org.delta.Delta", folder="a/WEB-INF/lib", version="1.0")
    new = ground.library("delta", "org.delta.Delta", folder="b/WEB-INF/lib", version="2.0")
    loads = [f"jars|org.delta.Delta|{jar}" for jar in (old, new)]
    process = start(JAVA_17, "-cp", str(ground.app), "App", *loads)
    assert told(look(process, root)).keys() == {"delta@1.0", "delta@2.0"}


def test_a_copy_in_another_application_is_not_taken_for_it(
    ground: Ground, start: Start, root: RootFilesystem
) -> None:
    a, b = "a/WEB-INF/lib", "b/WEB-INF/lib"
    # Opened first, and unused: that of the other application.
    unused = ground.library("delta", "org.delta.Delta", folder=a, version="1.0")
    used = ground.library("delta", "org.delta.Delta", folder=b, version="2.0")
    one, two = ground.library("one", "org.one.One", folder=a), ground.library("two", "org.two.Two", folder=b)
    loads = (f"jars|org.one.One|{one}|{unused}", f"jars|org.two.Two,org.delta.Delta|{two}|{used}")
    process = start(JAVA_17, "-cp", str(ground.app), "App", *loads)
    finding = look(process, root, (unused, one, used, two))
    assert told(finding).keys() == {"one@1.0", "two@1.0", "delta@2.0"}


def test_libraries_inside_a_fat_jar_are_found_where_they_stand(
    ground: Ground, start: Start, root: RootFilesystem
) -> None:
    nested = {
        f"BOOT-INF/lib/{name}-1.0.jar": Path(ground.library(name, f"org.{name}.{name.title()}")).read_bytes()
        for name in ("alpha", "beta", "gamma")
    }
    fat = ground.jar("fat.jar", manifest="Start-Class: App\n", more=nested)
    loads = [
        f"nested|org.{name}.{name.title()}|{fat}|BOOT-INF/lib/{name}-1.0.jar" for name in ("alpha", "gamma")
    ]
    process = start(JAVA_17, "-cp", str(ground.app), "App", *loads)
    finding = look(process, root, (fat,))
    assert told(finding).keys() == {"alpha@1.0", "gamma@1.0"}
    assert {use.path for use in finding.uses} == {
        f"{fat}!/BOOT-INF/lib/alpha-1.0.jar",
        f"{fat}!/BOOT-INF/lib/gamma-1.0.jar",
    }


def test_jars_are_found_by_wildcard_manifest_link_and_relative_path(
    ground: Ground, start: Start, root: RootFilesystem
) -> None:
    ground.library("alpha", "org.alpha.Alpha", folder="all")
    beta = ground.library("beta", "org.beta.Beta", folder="store")
    ground.library("gamma", "org.gamma.Gamma", folder="store")
    (ground.folder / "link.jar").symlink_to(beta)
    ground.jar("leads.jar", manifest="Class-Path: store/gamma-1.0.jar absent.jar\n")
    path = f"{ground.app}:all/*:link.jar:leads.jar"
    loads = ("init|org.alpha.Alpha", "init|org.beta.Beta", "init|org.gamma.Gamma")
    for options in ((), ("-XX:-UsePerfData",)):
        process = start(JAVA_17, *options, "-cp", path, "App", *loads, cwd=ground.folder)
        assert told(look(process, root)).keys() == {"alpha@1.0", "beta@1.0", "gamma@1.0"}


def test_without_a_published_class_path_it_is_read_off_the_launch(
    ground: Ground, start: Start, root: RootFilesystem
) -> None:
    """What is open is found anyway, so the jars are of shared classes, which are never opened."""
    alpha, beta = ground.library("alpha", "org.alpha.Alpha"), ground.library("beta", "org.beta.Beta")
    app = ground.jar("app.jar", *(file.stem for file in ground.app.glob("*.class")))
    path, archive = f"{app}:{alpha}:{beta}", f"{ground.folder}/shared.jsa"
    command = ["App", "init|org.alpha.Alpha"]
    dump = [f"{JAVA_17}/bin/java", f"-XX:ArchiveClassesAtExit={archive}", "-cp", path, *command]
    subprocess.run(dump, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    options = ("-XX:-UsePerfData", f"-XX:SharedArchiveFile={archive}")
    arguments = ground.folder / "arguments"
    arguments.write_text(f'-cp "{path}"', encoding="utf-8")
    for launch, environment in (
        (("-cp", path), {}),
        ((f"@{arguments}",), {}),
        ((), {"CLASSPATH": path}),
        ((), {"JDK_JAVA_OPTIONS": f"-cp {path}"}),
    ):
        process = start(JAVA_17, *options, *launch, *command, env=environment)
        table = ProcessTable()
        assert HotspotProbe().stamp(subject(process.pid), root) is None
        assert alpha not in table.open_files(process.pid), "this test would show nothing"
        assert told(look(process, root)).keys() == {"alpha@1.0"}


def test_what_the_boot_loader_was_given_is_found(ground: Ground, start: Start, root: RootFilesystem) -> None:
    jar = ground.library("alpha", "org.alpha.Alpha")
    process = start(
        JAVA_17, f"-Xbootclasspath/a:{jar}", "-cp", str(ground.app), "App", "init|org.alpha.Alpha"
    )
    assert told(look(process, root)).keys() == {"alpha@1.0"}


def test_a_library_with_copies_of_jdk_classes_is_not_used_by_using_the_jdk(
    ground: Ground, start: Start, root: RootFilesystem
) -> None:
    copies = {f"{name}.class": b"" for name in ("javax/transaction/xa/XAResource", "org/w3c/dom/Node")}
    jar = ground.jar("lib/jta-1.0.jar", artifact="jta", more=copies)
    loads = ("init|javax.transaction.xa.XAResource", "init|org.w3c.dom.Node", "init|java.sql.DriverManager")
    process = start(JAVA_17, "-cp", f"{ground.app}:{jar}", "App", *loads)
    assert told(look(process, root)) == {}


def test_shaded_packages_stay_bundled(ground: Ground, start: Start, root: RootFilesystem) -> None:
    poms = {
        f"META-INF/maven/org.test/{name}/pom.properties": (
            f"groupId=org.test\nartifactId={name}\nversion=3\n".encode()
        )
        for name in ("inside", "other")
    }
    jar = ground.jar("lib/outside-1.0.jar", "org.alpha.Alpha", artifact="outside", more=poms)
    uber = ground.jar("lib/start.jar", "org.beta.Beta", more=poms)
    loads = ("init|org.alpha.Alpha", "init|org.beta.Beta")
    process = start(JAVA_17, "-cp", f"{ground.app}:{jar}:{uber}", "App", *loads)
    finding = look(process, root)
    assert told(finding).keys() == {"outside@1.0"}
    bundled = {
        use.package.purl.rpartition("/")[2] for use in finding.uses if use.evidence is Evidence.BUNDLED
    }
    assert bundled == {"inside@3", "other@3"}


def test_an_archive_that_is_gone_is_said(ground: Ground, start: Start, root: RootFilesystem) -> None:
    alpha, beta = ground.library("alpha", "org.alpha.Alpha"), ground.library("beta", "org.beta.Beta")
    loads = ("init|org.alpha.Alpha", "init|org.beta.Beta")
    process = start(JAVA_17, "-cp", f"{ground.app}:{alpha}:{beta}", "App", *loads)
    Path(alpha).unlink()
    finding = look(process, root)
    assert finding.problem == ARCHIVE_UNREADABLE
    assert [use.package.name for use in finding.uses] == ["org.test:beta"]


def test_others_than_running_jvms_are_told_apart(ground: Ground, start: Start, root: RootFilesystem) -> None:
    probe = HotspotProbe()
    assert probe.look(subject(os.getpid()), root, ()) is None
    assert probe.stamp(subject(os.getpid()), root) is None
    process = start(JAVA_17, "-cp", str(ground.app), "App")
    running = subject(process.pid)
    another = Subject(running.pid, running.start_boottime + 10**9, "java", 0, 0, running.container)
    assert probe.look(another, root, ()) == Finding((), ENDED_UNASKED)
    process.kill()
    process.wait()
    assert probe.look(running, root, ()) is None


def loaded(loader: int, *names: str) -> list[LoadedClass]:
    return [LoadedClass(name, ClassState.INITIALISED, loader) for name in names]


def origin(location: str, *names: str) -> Origin:
    return Origin(location, frozenset(names), None, ())


def joined(classes: list[LoadedClass], *origins: Origin, class_path: Sequence[str] = ()) -> list[str]:
    return [found.location for found, _ in join(classes, origins, class_path)]


def test_the_order_inside_a_fat_jar_decides_for_its_loader() -> None:
    first = origin("/a.jar!/BOOT-INF/lib/1.jar", "a")
    second = origin("/a.jar!/BOOT-INF/lib/2.jar", "a", "b")
    assert joined(loaded(1, "a", "b"), first, second) == [first.location, second.location]


def test_in_a_folder_of_plugins_what_is_proven_counts() -> None:
    first, second = origin("/plugins/1.jar", "a"), origin("/plugins/2.jar", "a", "b")
    assert joined(loaded(1, "a", "b"), first, second) == [second.location]


def test_an_application_with_its_own_copy_is_told_from_the_class_path() -> None:
    on_path, own = origin("/cp/x.jar", "a"), origin("/webapp/lib/x.jar", "a")
    assert joined(loaded(1, "a"), on_path, own, class_path=["/cp/x.jar"]) == [own.location]
    main = origin("/cp/main.jar", "main")
    both = loaded(1, "main", "a") + loaded(2, "a")
    assert joined(both, main, on_path, own, class_path=["/cp/main.jar", "/cp/x.jar"]) == [
        main.location, on_path.location, own.location,
    ]  # fmt: skip


def test_of_the_boot_loader_only_what_is_not_of_the_jdk_counts() -> None:
    classes = loaded(1, "java/lang/Object", "org/w3c/dom/Node", "io/agent/Boot")
    classes += loaded(2, "sun/security/ec/SunEC", "javax/transaction/xa/XAResource")
    classes += loaded(3, "org/x/Y", "javax/inject/Inject", "com/sun/mail/X", "jdk/jfr/Event")
    scan = ClassScan(tuple(classes), True, "", boot_loader=1)
    found = [one.name for one in classes_of_the_application(scan)]
    assert found == ["io/agent/Boot", "org/x/Y", "javax/inject/Inject", "com/sun/mail/X"]
