"""The join of loaded classes to the archives they stand in."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from sensor.model.package import Evidence, Skipped, SkipReason
from sensor.node.resolve.java.class_path import class_path_entries
from sensor.node.resolve.java.index import ClassIndex, hashed
from sensor.node.resolve.java.origins import Origin, Origins
from sensor.node.rootfs import RootFilesystem
from tests.clock import at_little_cost
from tests.edges.java_bytes import CLASS, classes, jar, manifest, pom


class Container:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fd = os.open(folder, os.O_PATH)
        self.root = RootFilesystem(self.fd)
        self.origins = Origins()

    def write(self, path: str, content: bytes) -> str:
        target = self.folder / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return path

    def find(self, path: str, wanted: Collection[str]) -> tuple[Origin, ...]:
        found = self.origins.find(self.root, path, wanted)
        assert not isinstance(found, Skipped), found
        return found

    def places(self, path: str, wanted: Collection[str]) -> list[tuple[str, list[str]]]:
        return [(origin.location, sorted(origin.classes)) for origin in self.find(path, wanted)]


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    made = Container(tmp_path)
    yield made
    os.close(made.fd)


A = jar(pom("org.x", "a", "1") | classes("org/x/A", "org/x/Both"))
B = jar(pom("org.x", "b", "2") | classes("org/x/B", "org/x/Both"))


def test_a_jar(container: Container) -> None:
    path = container.write("/app/lib/a-1.jar", A)
    (origin,) = container.find(path, ["org/x/A", "org/x/None", "java/lang/String"])
    assert (origin.location, origin.shaded) == (path, ())
    assert origin.classes == {"org/x/A"}
    use = origin.own
    assert use is not None
    assert (use.package.purl, use.evidence, use.path) == ("pkg:maven/org.x/a@1", Evidence.BUNDLED, path)
    assert container.find(path, ["org/x/B"]) == ()
    assert container.find(path, []) == ()


@pytest.mark.parametrize("stored", [True, False])
def test_fat_jar_in_class_path_order(container: Container, stored: bool) -> None:
    index = b'- "BOOT-INF/lib/b-2.jar"\n- "BOOT-INF/lib/a-1.jar"\n'
    fat = jar(
        manifest(Start_Class="demo.App")
        | classes("BOOT-INF/classes/demo/App", "org/springframework/boot/loader/Main")
        | {"BOOT-INF/lib/a-1.jar": A, "BOOT-INF/lib/b-2.jar": B, "BOOT-INF/classpath.idx": index},
        stored=stored,
    )
    path = container.write("/app.jar", fat)
    wanted = ["org/x/A", "org/x/B", "org/x/Both", "demo/App"]
    assert container.places(path, wanted) == [
        (path, ["demo/App"]),
        (f"{path}!/BOOT-INF/lib/b-2.jar", ["org/x/B", "org/x/Both"]),
        (f"{path}!/BOOT-INF/lib/a-1.jar", ["org/x/A", "org/x/Both"]),
    ]
    assert container.find(path, ["demo/App"])[0].own is None  # the application itself


def test_order_of_the_directory_without_an_index(container: Container) -> None:
    path = container.write("/app.war", jar({"WEB-INF/lib/z.jar": A, "WEB-INF/lib/a.jar": B}))
    assert [place for place, _ in container.places(path, ["org/x/Both"])] == [
        f"{path}!/WEB-INF/lib/z.jar",
        f"{path}!/WEB-INF/lib/a.jar",
    ]


def test_names_by_which_classes_are_loaded(container: Container) -> None:
    members = classes(
        "META-INF/versions/9/org/x/A",
        "META-INF/versions/21/org/x/A",
        "org/x/A",
        "META-INF/versions/11/org/x/New",
        "WEB-INF/classes/org/x/Web",
        "BOOT-INF/classes/META-INF/versions/9/org/x/Deep",
        "org/x/\u00fcber",
        "Default",
    ) | {"inst/org/x/Hidden.classdata": b"", "agent/org/x/Elastic.esclazz": b""}
    path = container.write("/a.jar", jar(members))
    wanted = {"org/x/A", "org/x/New", "org/x/Web", "org/x/Deep", "org/x/\u00fcber", "Default"}
    wanted |= {"org/x/Hidden", "org/x/Elastic"}
    assert container.places(path, sorted(wanted | {"x/A"})) == [(path, sorted(wanted))]


def test_shaded(container: Container) -> None:
    shaded = jar(pom("org.x", "tool", "2") | pom("org.y", "inner", "3") | classes("org/x/A", "org/y/B"))
    (origin,) = container.find(container.write("/tool-2.jar", shaded), ["org/y/B"])
    assert origin.own is not None
    assert origin.own.package.purl == "pkg:maven/org.x/tool@2"
    assert [use.package.purl for use in origin.shaded] == ["pkg:maven/org.y/inner@3"]


def test_damaged_archive_inside_does_not_lend_its_classes_to_the_next(container: Container) -> None:
    broken = bytearray(A)
    broken[broken.rindex(b"PK\1\2") + 1] = 0  # after its first classes were read
    path = container.write("/app.jar", jar({"0.jar": bytes(broken), "1.jar": B}, stored=True))
    wanted = ["org/x/A", "org/x/B", "org/x/Both"]
    assert container.places(path, wanted) == [(f"{path}!/1.jar", ["org/x/B", "org/x/Both"])]


def test_same_answer_from_the_cache_and_after_a_change(container: Container) -> None:
    path = container.write("/x.jar", A)
    first = container.find(path, ["org/x/A"])
    assert container.find(path, ["org/x/A"]) == first
    assert (container.origins.archives.hits, container.origins.archives.misses) == (1, 1)
    container.write(path, jar(pom("org.x", "a", "1.1") | classes("org/x/A", "more")))
    own = container.find(path, ["org/x/A"])[0].own
    assert own is not None and own.package.version == "1.1"


def test_sweeps(container: Container) -> None:
    path = container.write("/x.jar", jar(manifest(Class_Path="b.jar")))
    container.find(path, [])
    container.origins.class_path_of(container.root, path)
    container.origins.sweep()
    container.origins.sweep()
    assert (len(container.origins.archives), len(container.origins.class_paths)) == (0, 0)


def test_not_an_archive(container: Container) -> None:
    for path, content, reason in (
        ("/gone.jar", None, SkipReason.VANISHED),
        ("/x.jar", b"no zip", SkipReason.MALFORMED),
        ("/bomb.jar", jar({"a.jar": bytes(30 << 20)}), SkipReason.ARCHIVE_BOUNDS),
    ):
        if content is not None:
            container.write(path, content)
        for _ in range(2):
            found = container.origins.find(container.root, path, ["A"])
            assert isinstance(found, Skipped) and found.reason is reason
        assert container.origins.class_path_of(container.root, path) == ()


def test_large_archive(container: Container) -> None:
    """150 jars with 300 classes each: little memory, and little time for the second look."""
    nested = {
        f"BOOT-INF/lib/l{number}-1.jar": jar(
            {f"org/l{number}/C{other}.class": CLASS for other in range(300)}, stored=True
        )
        for number in range(150)
    }
    path = container.write("/app.jar", jar(nested, stored=True))
    wanted = [f"org/l{number}/C{other}" for number in range(150) for other in range(0, 300, 3)]
    container.find(path, [])
    container.origins = Origins()
    tracemalloc.start()
    container.find(path, [])
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
    assert held < 2 * container.origins.archives.weight  # what the bound of the cache counts is true
    with at_little_cost():  # 20 ms each on an idle machine, for 15,000 classes
        found = [container.find(path, wanted) for _ in range(10)]
    assert {sum(len(origin.classes) for origin in origins) for origins in found} == {len(wanted)}


def test_index_finds_all_and_nothing_else() -> None:
    index = ClassIndex()
    for number in range(20_000):
        index.add(number % 500, f"org/x/C{number}".encode())
    index.add(499, b"org/x/C0")
    index.add(0, b"org/x/C0")
    wanted = [f"org/x/C{number}" for number in range(30_000)]
    found = index.find(hashed(wanted))
    assert sum(map(len, found.values())) == 20_001
    assert all(
        int(name[7:]) % 500 == number
        for number, names in found.items()
        for name in names
        if name != "org/x/C0"
    )
    assert "org/x/C0" in found[0] and "org/x/C0" in found[499]


# Class-Path


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("lib/a.jar lib/b.jar", ("/app/lib/a.jar", "/app/lib/b.jar")),
        ("  a.jar   a.jar ", ("/app/a.jar",)),
        ("../a.jar ./b.jar ../../../../etc/c.jar", ("/a.jar", "/app/b.jar", "/etc/c.jar")),
        (
            "/opt/a.jar file:/opt/b.jar file:///opt/c.jar FILE:d.jar",
            ("/opt/a.jar", "/opt/b.jar", "/opt/c.jar", "/app/d.jar"),
        ),
        ("a%20b.jar caf%C3%A9.jar", ("/app/a b.jar", "/app/caf\u00e9.jar")),
        ("classes/ .", ("/app/classes", "/app")),
        ("https://x/a.jar jar:file:/a.jar!/ //host/a.jar a%00.jar", ()),
        ("", ()),
    ],
)
def test_class_path(value: str, expected: tuple[str, ...]) -> None:
    assert class_path_entries("/app/app.jar", value) == expected


def test_class_path_is_bounded() -> None:
    assert len(class_path_entries("/a.jar", " ".join(f"{number}.jar" for number in range(5000)))) == 1000
    assert class_path_entries("/a.jar", "x" * 5000) == ()


def test_class_path_of(container: Container) -> None:
    names = " ".join(f"lib/dependency-number-{number}.jar" for number in range(200))
    path = container.write("/app/app.jar", jar(manifest(Main_Class="demo.App", Class_Path=names)))
    found = container.origins.class_path_of(container.root, path)
    assert found == tuple(f"/app/lib/dependency-number-{number}.jar" for number in range(200))
    assert container.origins.class_path_of(container.root, path) is found
