"""Java programs for tests, and the JVMs that run them."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import pytest

COMPILER = Path("/usr/lib/jvm/java-17-openjdk-amd64/bin/javac")
HIDDEN = re.compile(r"(\+0x[0-9a-f]+|/0x[0-9a-f]+|/[0-9]+)$")

WAIT = """
public class Wait {
    public static void main(String[] arguments) throws Exception {
        Runnable lambda = () -> System.out.println("ready");
        lambda.run();
        System.in.read();
    }
}
"""

# Every way in which a class can be there without its code having run, and the other way round.
STAGES = """
import java.io.InputStream;
import java.util.*;
import java.util.function.*;

public class Stages {
    static class Initialised { static int value = Integer.parseInt("1"); }
    static class Failed { static int value = Integer.parseInt("none"); }
    static class OnlyLoaded { static int value = Integer.parseInt("1"); }
    static class OnlyLinked { static int value = Integer.parseInt("1"); void run() { } }
    static class Running {
        static { System.out.println("ready"); try { System.in.read(); } catch (Exception error) { } }
    }
    interface Shape { }
    enum Colour { RED { void paint() { } }; void paint() { } }
    record Pair(int left, int right) { }

    public static void main(String[] arguments) throws Exception {
        ClassLoader loader = Stages.class.getClassLoader();
        new Initialised();
        try { new Failed(); } catch (ExceptionInInitializerError error) { }
        Class.forName("Stages$OnlyLoaded", false, loader);
        java.lang.invoke.MethodHandles.lookup().findVirtual(
            OnlyLinked.class, "run", java.lang.invoke.MethodType.methodType(void.class));
        Function<Integer, Integer> add = x -> x + 1;
        Supplier<Object> made = ArrayList::new;
        System.err.println(add.apply(1) + " " + made.get() + new Pair(1, 2) + Colour.RED);
        Object[][] array = new Shape[1][1];
        Object proxy = java.lang.reflect.Proxy.newProxyInstance(
            loader, new Class<?>[] { Shape.class }, (p, m, a) -> null);
        new Running();
        System.out.println(array.length + proxy.getClass().getName());
    }
}
"""

# Defines classes from the bytes of one, renamed: CLASSES each in KEPT loaders for good, and in others
# that are dropped again, until it is killed.
CHURN = """
import java.io.InputStream;
import java.util.*;

public class Churn {
    static class Loader extends ClassLoader {
        Loader() { super(null); }
        Class<?> define(byte[] content) { return defineClass(null, content, 0, content.length); }
    }
    static byte[] body;

    static Loader loader(String letter, int classes, boolean initialise) throws Exception {
        Loader loader = new Loader();
        String text = new String(body, "ISO-8859-1");
        for (int number = 0; number < classes; number++) {
            String name = letter + String.format("%05d", number);
            Class<?> type = loader.define(text.replace("A99999", name).getBytes("ISO-8859-1"));
            if (initialise && number % 2 == 0) Class.forName(type.getName(), true, loader);
        }
        return loader;
    }

    public static void main(String[] arguments) throws Exception {
        int kept = Integer.parseInt(arguments[0]), classes = Integer.parseInt(arguments[1]);
        try (InputStream in = Churn.class.getResourceAsStream("A99999.class")) { body = in.readAllBytes(); }
        List<Loader> loaders = new ArrayList<>();
        for (int number = 0; number < kept; number++) loaders.add(loader("K", classes, true));
        System.out.println("ready");
        if (arguments.length < 3) { System.in.read(); return; }
        Deque<Loader> dropped = new ArrayDeque<>();
        for (int round = 0; ; round++) {
            dropped.add(loader("D", 40, round % 2 == 0));
            if (dropped.size() > 20) dropped.remove();
            if (round % 25 == 0) System.gc();
        }
    }
}
class A99999 {
    static int count = 5;
    String text = "text" + count;
    public String toString() { return text; }
}
"""

Start = Callable[..., subprocess.Popen[bytes]]


@lru_cache(maxsize=1)
def homes() -> tuple[str, ...]:
    """The JVMs of this machine, and those that JAVA_HOMES (with colons between) adds."""
    found = dict.fromkeys(os.path.realpath(home) for home in Path("/usr/lib/jvm").iterdir())
    more = os.environ.get("JAVA_HOMES", "")
    found.update(dict.fromkeys(os.path.realpath(home) for home in more.split(":") if home))
    return tuple(home for home in found if Path(home, "bin/java").exists())


def version(home: str) -> int:
    text = Path(home, "release").read_text(encoding="utf-8")
    return int(re.search(r'JAVA_VERSION="(?:1\\.)?(\d+)', text)[1])  # type: ignore[index]


def compile_java(folder: Path, *sources: str, class_path: str = "") -> Path:
    """Compile sources, each with one public class, for the oldest JVM that tests run on."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for source in sources:
        name = re.search(r"public (?:final )?(?:class|interface) (\w+)", source)
        assert name is not None
        package = re.search(r"^package ([\w.]+);", source, re.MULTILINE)
        file = folder / "src" / (package[1].replace(".", "/") if package else "") / f"{name[1]}.java"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")
        files.append(str(file))
    options = ["-nowarn", "--release", "17", "-d", str(folder), *(["-cp", class_path] if class_path else [])]
    subprocess.run([str(COMPILER), *options, *files], check=True)
    return folder


@contextlib.contextmanager
def starter() -> Iterator[Start]:
    """Starts JVMs and waits for their ``ready``; all are killed at the end."""
    running: list[subprocess.Popen[bytes]] = []

    def start(
        home: str, *arguments: str, before: Sequence[str] = (), **more: object
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [*before, f"{home}/bin/java", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **more,
        )
        running.append(process)
        line = process.stdout.readline()
        while line and line != b"ready\n":
            line = process.stdout.readline()
        if line != b"ready\n":
            pytest.fail(f"{home} did not start with {arguments}")
        return process  # type: ignore[no-any-return]

    yield start
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
