"""The Java resolver: what is remembered, what is bounded, what hostile containers get for an answer."""

from __future__ import annotations

import os
import timeit
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.model.package import Ecosystem, Evidence, PackageUse, Skipped, SkipReason
from sensor.node.resolve.java import tree
from sensor.node.resolve.java.cache import WeightedCache
from sensor.node.resolve.java.filename import splits
from sensor.node.resolve.java.groups import known_group
from sensor.node.resolve.java.resolver import REVALIDATE_SECONDS, JavaResolver
from sensor.node.rootfs import RootFilesystem
from tests.clock import at_little_cost
from tests.edges.java_bytes import CLASS, classes, jar, manifest, pom

LIB = jar(manifest() | pom("org.x", "lib", "1.0") | classes("org/x/A"))


class Container:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fd = os.open(folder, os.O_PATH)
        self.root = RootFilesystem(self.fd)
        self.now = 0.0
        self.resolver = JavaResolver(lambda: self.now)

    def write(self, path: str, content: bytes = b"") -> str:
        target = self.folder / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return path

    def uses(self, path: str) -> tuple[PackageUse, ...]:
        found = self.resolver.resolve(self.root, path)
        assert not isinstance(found, Skipped), found
        return found

    def purls(self, path: str) -> list[str]:
        return [use.package.purl.removeprefix("pkg:maven/") for use in self.uses(path)]

    def skip(self, path: str) -> SkipReason:
        found = self.resolver.resolve(self.root, path)
        assert isinstance(found, Skipped), found
        return found.reason


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    made = Container(tmp_path)
    yield made
    os.close(made.fd)


def test_what_it_is_for(container: Container) -> None:
    assert container.resolver.ecosystem is Ecosystem.MAVEN
    assert container.resolver.opener_matters


@pytest.mark.parametrize(
    "path",
    [
        "/a.jar",
        "/A.JAR",
        "/a.war",
        "/a.Ear",
        "/a.hpi",
        "/a.jpi",
        "/a.par",
        "/a.sar",
        "/a.nar",
        "/a.kar",
        "/a.far",
        "/a.rar",
        "/a.lpkg",
        "/a.zap",
        "/a.jmod",
        "/a.jsa",
        "/a/B.class",
        "/usr/lib/jvm/java-17/lib/modules",
    ],
)
def test_claims(container: Container, path: str) -> None:
    assert container.resolver.claims(path)


@pytest.mark.parametrize(
    "path", ["/a.jar.bak", "/modules", "/a.properties", "/a.xml", "/a.zip", "/jar", "/a.so"]
)
def test_claims_nothing_else(container: Container, path: str) -> None:
    assert not container.resolver.claims(path)


def test_claiming_is_fast(container: Container) -> None:
    claims = container.resolver.claims
    seconds = min(timeit.repeat(lambda: claims("/app/lib/spring-core-6.1.6.jar"), number=1000, repeat=5))
    assert seconds < 2e-3  # 1,000 of them; 0.3 ms on an idle machine


def test_use_names_the_archive_inside(container: Container) -> None:
    fat = jar({"BOOT-INF/lib/lib-1.0.jar": LIB, "BOOT-INF/lib/no.jar": jar({})}, stored=True)
    (use,) = container.uses(container.write("/app/app.jar", fat))
    assert use.path == "/app/app.jar!/BOOT-INF/lib/lib-1.0.jar"
    assert use.evidence is Evidence.BUNDLED
    assert use.package.ecosystem is Ecosystem.MAVEN
    assert (use.package.name, use.package.version) == ("org.x:lib", "1.0")
    assert use.package.snyk.type == "maven"


def test_an_archive_is_read_once(container: Container) -> None:
    path = container.write("/app/lib/x.jar", LIB)
    first = container.uses(path)
    assert container.uses(path) is first
    assert (container.resolver.archives.hits, container.resolver.archives.misses) == (1, 1)
    container.write(path, jar(pom("org.x", "lib", "1.1")))
    assert container.purls(path) == ["org.x/lib@1.1"]


def test_nothing_found_is_remembered_too(container: Container) -> None:
    path = container.write("/app/none.jar", jar({}))
    assert [container.skip(path), container.skip(path)] == [SkipReason.ASK_PROCESS] * 2
    assert container.resolver.archives.hits == 1


def test_being_slow_is_not_remembered(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    path = container.write("/app/x.jar", LIB)
    monkeypatch.setattr(tree, "SECONDS", -1.0)
    assert container.skip(path) is SkipReason.TOO_SLOW
    monkeypatch.undo()
    assert container.purls(path) == ["org.x/lib@1.0"]


def test_sweeps(container: Container) -> None:
    path = container.write("/app/x.jar", LIB)
    container.uses(path)
    container.resolver.sweep()
    container.uses(path)
    container.resolver.sweep()
    assert len(container.resolver.archives) == 1
    container.resolver.sweep()
    assert len(container.resolver.archives) == 0
    assert container.resolver.archives.weight == 0


def test_bounds_of_archives_and_packages(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    path = container.write("/app/x.jar", jar({f"{number}.jar": LIB for number in range(6)}))
    monkeypatch.setattr(tree, "ARCHIVES", 6)
    assert container.skip(path) is SkipReason.ARCHIVE_BOUNDS
    monkeypatch.setattr(tree, "ARCHIVES", 7)
    container.resolver = JavaResolver()
    assert container.purls(path) == ["org.x/lib@1.0"]
    monkeypatch.setattr(tree, "ENTRIES", 6 + 3 * 5)
    container.resolver = JavaResolver()
    assert container.skip(path) is SkipReason.ARCHIVE_BOUNDS


def test_thousands_of_poms(container: Container) -> None:
    members: dict[str, bytes] = {}
    for number in range(1001):
        members |= pom("org.x", f"lib{number}", "1")
    assert container.skip(container.write("/many.jar", jar(members))) is SkipReason.ARCHIVE_BOUNDS
    members.popitem()
    assert len(container.purls(container.write("/less.jar", jar(members)))) == 1000


def test_manifest_and_pom_of_gigabytes(container: Container) -> None:
    huge = jar(
        {
            "META-INF/MANIFEST.MF": b"Implementation-Version: 1\n" + bytes(30 << 20),
            "META-INF/maven/org.x/lib/pom.properties": b"groupId=org.x\nartifactId=lib\nversion=2\n"
            + b" " * (30 << 20),
        }
    )
    path = container.write("/lib.jar", huge)
    tracemalloc.start()
    assert container.purls(path) == ["org.x/lib@2"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_large_archive_takes_little_memory(container: Container) -> None:
    nested = jar({f"org/x/C{number}.class": CLASS for number in range(2000)} | pom("org.x", "lib", "1"))
    path = container.write(
        "/fat.jar", jar({f"BOOT-INF/lib/{number}.jar": nested for number in range(40)}, stored=True)
    )
    container.uses(path)
    container.resolver = JavaResolver()
    tracemalloc.start()
    container.uses(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_no_regular_file(container: Container, make: object) -> None:
    make(container.folder / "x.jar")  # type: ignore[operator]
    assert container.skip("/x.jar") is SkipReason.NOT_REGULAR


def test_gone_and_truncated_paths(container: Container) -> None:
    assert container.skip("/x.jar") is SkipReason.VANISHED
    assert container.skip("lib/x.jar") is SkipReason.PATH_TRUNCATED


def test_link_out_of_the_root(container: Container, tmp_path: Path) -> None:
    (tmp_path / "x.jar").symlink_to("/etc/passwd")
    assert container.skip("/x.jar") is SkipReason.VANISHED


# Classes in folders


def test_classes_in_a_folder(container: Container) -> None:
    for name, content in pom("org.x", "app", "1.0").items():
        container.write(f"/app/{name}", content)
    path = container.write("/app/org/x/A.class")
    (use,) = container.uses(path)
    assert (use.package.purl, use.evidence, use.path) == ("pkg:maven/org.x/app@1.0", Evidence.OPENED, path)


def test_a_folder_of_classes_is_believed_briefly(container: Container) -> None:
    path = container.write("/app/org/x/A.class")
    assert container.skip(path) is SkipReason.ASK_PROCESS
    for name, content in pom("org.x", "app", "1.0").items():
        container.write(f"/app/{name}", content)
    assert container.skip(path) is SkipReason.ASK_PROCESS
    container.now += REVALIDATE_SECONDS
    assert container.purls(path) == ["org.x/app@1.0"]


def test_deep_folder_of_classes_is_bounded(container: Container) -> None:
    for name, content in pom("org.x", "app", "1.0").items():
        container.write(f"/{name}", content)
    assert container.purls(container.write("/" + "a/" * 30 + "A.class")) == ["org.x/app@1.0"]
    assert container.skip(container.write("/" + "a/" * 40 + "A.class")) is SkipReason.ASK_PROCESS


# Names


@pytest.mark.parametrize(
    ("stem", "artifact", "version"),
    [
        ("spring-core-6.1.6", "spring-core", "6.1.6"),
        ("guava-33.1.0-jre", "guava", "33.1.0-jre"),
        ("log4j-1.2-api-2.17.1", "log4j-1.2-api", "2.17.1"),
        ("spring-1.0-beta-2", "spring", "1.0-beta-2"),
        ("lib-1.0-20240101.120000-3", "lib", "1.0-20240101.120000-3"),
        ("akka-actor_2.13-2.8.5", "akka-actor_2.13", "2.8.5"),
        ("selenium-devtools-v121-4.19.1", "selenium-devtools-v121", "4.19.1"),
        ("beam-vendor-grpc-1_60_1-0.2", "beam-vendor-grpc-1_60_1", "0.2"),
        (
            "google-api-services-storage-v1-rev20240311-2.0.0",
            "google-api-services-storage-v1-rev20240311",
            "2.0.0",
        ),
        ("guava-r09", "guava", "r09"),
        ("json-20240303", "json", "20240303"),
        ("h2-2.2.224", "h2", "2.2.224"),
        ("netty-epoll-4.1.108.Final-linux-x86_64", "netty-epoll", "4.1.108.Final-linux-x86_64"),
        ("app", "app", None),
        ("-1.0", "-1.0", None),
        ("", "", None),
    ],
)
def test_file_names(stem: str, artifact: str, version: str | None) -> None:
    assert splits(stem)[0] == (artifact, version)


def test_groups_by_version_and_package() -> None:
    assert known_group("asm", "3.3.1", "") == "asm"
    assert known_group("asm", "9.6", "") == "org.ow2.asm"
    assert known_group("hibernate-core", "5.6.15.Final", "") == "org.hibernate"
    assert known_group("hibernate-core", "6.4.4.Final", "") == "org.hibernate.orm"
    assert known_group("config", "1.4", "com/typesafe/config") == "com.typesafe"
    assert known_group("config", "1.4", "com/shop/config") is None
    assert known_group("shop", "1", "") is None


def test_weighted_cache() -> None:
    cache: WeightedCache[str, str] = WeightedCache(10)
    cache.put("a", "1", 4)
    cache.put("b", "2", 4)
    assert cache.get("a") == "1"
    cache.put("c", "3", 4)  # b was used least recently
    assert (cache.get("a"), cache.get("b"), cache.get("c"), cache.weight) == ("1", None, "3", 8)
    cache.put("a", "4", 10)
    assert (cache.get("a"), cache.get("c"), cache.weight, len(cache)) == ("4", None, 10, 1)
    cache.put("a", "5", 11)  # too heavy to be kept, and the old one is no longer true
    assert (cache.get("a"), cache.weight) == (None, 0)


def test_every_broken_byte_of_a_jar(container: Container) -> None:
    whole = jar(manifest(Class_Path="a.jar") | pom("org.x", "lib", "1.0") | {"b.jar": jar(classes("A"))})
    reasons = set()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        for content in (bytes(damaged), whole[:position]):
            found = JavaResolver().resolve(container.root, container.write("/x.jar", content))
            reasons.add(found.reason if isinstance(found, Skipped) else None)
    assert reasons <= {None, SkipReason.MALFORMED, SkipReason.ARCHIVE_BOUNDS, SkipReason.ASK_PROCESS}
    assert {None, SkipReason.MALFORMED} <= reasons


# Bytes meant to cost


def _costly() -> dict[str, bytes]:
    spaces = b'- "' + b" " * 500_000 + b'x"y\n'
    long_names = {f"{number:04}{'n' * 60_000}.jar": b"" for number in range(100)}
    lines = {f"META-INF/maven/g/a{number}/pom.properties": b"\n" * 500_000 for number in range(200)}
    tags = {f"META-INF/maven/g/a{number}/pom.xml": b"<a>" * 100_000 for number in range(200)}
    dots = manifest(Bundle_SymbolicName=".".join("a" * 120), Bundle_Version="1")
    return {
        "quadratic class path index": jar({"BOOT-INF/classpath.idx": spaces, "x.jar": LIB}),
        "long names": jar(long_names),
        "many lines": jar(lines),
        "many tags": jar(tags),
        "many dots": jar(dots, prefix=b"#!"),
        "one manifest line": jar({"META-INF/MANIFEST.MF": b"a:" + b" \n " * 300_000}),
        "nothing but ends": b"PK\x05\x06" * 20_000,
        "garbage inside": jar({f"{number}.jar": b"PK\x05\x06" * 200 for number in range(3000)}),
    }


COSTLY = _costly()


@pytest.mark.parametrize("name", COSTLY)
def test_costs_are_bounded(container: Container, name: str) -> None:
    path = container.write("/app/lib/x-1.0.jar", COSTLY[name])
    with at_little_cost(2):
        container.resolver.resolve(container.root, path)
    container.resolver = JavaResolver()
    tracemalloc.start()
    container.resolver.resolve(container.root, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20
