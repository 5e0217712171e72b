"""What the cases for Java share."""

from __future__ import annotations

from tests.edges.case import Case, Expected
from tests.edges.java_bytes import classes, jar, manifest, pom

SYFT = "syft, syft/pkg/cataloger/java: archive_parser.go, package_url.go"
MAVEN = "Maven Archiver, 'Archived Maven Files': META-INF/maven/<group>/<artifact>/pom.properties"
JAR = "JAR File Specification, Java SE 17"
LAYOUT = "Maven's default repository layout: artifact-version[-classifier].jar"


def expected(group: str, artifact: str, version: str | None, evidence: str = "bundled") -> Expected:
    purl = f"pkg:maven/{group}/{artifact}" + ("" if version is None else f"@{version}")
    return Expected(purl, f"{group}:{artifact}", version, evidence)


GUAVA = pom("com.google.guava", "guava", "33.1.0-jre")
GUAVA_JAR = jar(manifest() | GUAVA | classes("com/google/common/base/Joiner"))
THE_GUAVA = expected("com.google.guava", "guava", "33.1.0-jre")
LANG_JAR = jar(pom("org.apache.commons", "commons-lang3", "3.14.0") | classes("org/apache/commons/lang3/X"))
THE_LANG = expected("org.apache.commons", "commons-lang3", "3.14.0")
GUAVA_PATH = "/app/lib/guava-33.1.0-jre.jar"
BOOT = manifest(Main_Class="org.springframework.boot.loader.launch.JarLauncher", Start_Class="demo.App")


def one(
    name: str, rule: str, content: bytes, found: tuple[Expected, ...] | str, path: str = "/app/lib/x.jar"
) -> Case:
    return Case(name=name, rule=rule, files={path: content}, path=path, expected=found)
