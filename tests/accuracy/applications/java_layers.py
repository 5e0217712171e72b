"""Images of the Java applications: a layer each, filled from what Maven built and resolved."""

from __future__ import annotations

import functools
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.accuracy.applications import java_maven as maven
from tests.accuracy.applications.java_maven import Project
from tests.accuracy.applications.java_truth import ARCHIVED, LOG, OPTION
from tests.ground import Ground, GroundError, Image
from tests.ground.image import contents, key
from tests.ground.problem import run

Build = Callable[[Ground], Image]
# Raised when what is done here or in java_maven changes.
_RECIPE = "1"
# On the class path of `class-path`, and never used.
_UNUSED = (
    *("log4j-core", "xstream", "commons-beanutils", "velocity-engine-core", "dom4j", "struts2-core"),
    "ehcache",
)
# The archive is only good for the very class path that it was written with; the rest is in the manifest.
ARCHIVED_PATH = "/app/application.jar"
_WEB_APPLICATIONS = ("shop_a", "shop_b")


def _image(ground: Ground, name: str, fill: Callable[[Path, Path], None]) -> Image:
    """``fill`` gets the layer and a folder to build in."""

    def build(layer: Path) -> None:
        with maven.workshop() as workshop:
            fill(layer, workshop)

    parts = (_RECIPE, java_version(), *maven.OPTIONS, *maven.GOALS, *contents(maven.sources(name)))
    return ground.layer_image(f"yardstick/java-{name}:1", key("java", name, *parts), build)


@functools.cache
def java_version() -> str:
    return run(["java", "--version"]).strip()


def class_path_of(name: str) -> Build:
    """/app/application.jar, and all it needs in /app/lib."""

    def fill(layer: Path, workshop: Path) -> None:
        project = maven.build(workshop, name)
        maven.copy(project.jars, layer / "app/lib")
        _own(layer, project, "application.jar")

    return lambda ground: _image(ground, name, fill)


def class_path(ground: Ground) -> Image:
    """The unused ones, with what they need, stand in a folder of their own."""

    def fill(layer: Path, workshop: Path) -> None:
        project = maven.build(workshop, "class_path")
        used = [artifact for artifact in project.jars if artifact.name not in _UNUSED]
        maven.copy(used, layer / "app/lib")
        maven.copy([artifact for artifact in project.jars if artifact not in used], layer / "app/unused")
        _own(layer, project, "application.jar")

    return _image(ground, "class_path", fill)


def spring_boot_fat(ground: Ground) -> Image:
    """As `mvn package` leaves it: the application's own pom is in it, and so it is a package itself."""

    def fill(layer: Path, workshop: Path) -> None:
        own = maven.purl("example.orders", "orders-service", "1.4.2")
        _own(layer, maven.build(workshop, "spring_boot_fat"), "orders-service-1.4.2.jar", own)

    return _image(ground, "spring_boot_fat", fill)


def spring_boot_2_war(ground: Ground) -> Image:
    def fill(layer: Path, workshop: Path) -> None:
        _own(layer, maven.build(workshop, "spring_boot_2_war"), "application.war")

    return _image(ground, "spring_boot_2_war", fill)


def spring_boot_extracted(ground: Ground) -> Image:
    """/app/application.jar with a Class-Path, and /app/lib, as Spring Boot's own tool lays them out."""

    def fill(layer: Path, workshop: Path) -> None:
        project = maven.build(workshop, "spring_boot_extracted")
        archive = project.target / "application.jar"
        run(["java", "-Djarmode=tools", "-jar", str(archive), "extract", "--destination", str(layer / "app")])
        maven.write_artifacts(layer, project.artifacts, {layer / "app/application.jar": ""})

    return _image(ground, "spring_boot_extracted", fill)


def shaded(ground: Ground) -> Image:
    def fill(layer: Path, workshop: Path) -> None:
        project = maven.build(workshop, "shaded")
        _own(layer, project, "report-tool-1.4.0.jar", maven.purl("example.report", "report-tool", "1.4.0"))

    return _image(ground, "shaded", fill)


def tomcat(ground: Ground) -> Image:
    """The distribution of Tomcat, its own web applications replaced by two exploded wars."""

    def fill(layer: Path, workshop: Path) -> None:
        server = maven.build(workshop, "tomcat/server")
        distribution = next(each.file for each in server.artifacts if each.kind == "zip")
        home = layer / "app/tomcat"
        with zipfile.ZipFile(distribution) as archive:
            archive.extractall(layer / "app")
        next((layer / "app").iterdir()).rename(home)
        shutil.rmtree(home / "webapps")
        shutil.copyfile(maven.APPS / "tomcat/conf/server.xml", home / "conf/server.xml")
        artifacts = list(server.artifacts)
        for name in _WEB_APPLICATIONS:
            project = maven.build(workshop, f"tomcat/{name}")
            with zipfile.ZipFile(project.target / "application.war") as archive:
                archive.extractall(home / "webapps" / name)
            artifacts += project.artifacts
        # The only jar of the distribution with classes in use that is no artifact of its own.
        maven.write_artifacts(layer, artifacts, {home / "bin/bootstrap.jar": ""})

    return _image(ground, "tomcat", fill)


def plug_ins(ground: Ground) -> Image:
    """/app/application.jar with /app/lib, and a folder for each plug-in below /app/plugins."""

    def fill(layer: Path, workshop: Path) -> None:
        host = maven.build(workshop, "plug_ins/host")
        maven.copy(host.jars, layer / "app/lib")
        own = {_copied(host.target / "application.jar", layer / "app/application.jar"): ""}
        artifacts = list(host.artifacts)
        for name in ("one", "two", "broken"):
            project = maven.build(workshop, f"plug_ins/{name}")
            folder = layer / "app/plugins" / name
            maven.copy(project.jars, folder)
            own[_copied(project.target / "plugin.jar", folder / "plugin.jar")] = ""
            artifacts += project.artifacts
        maven.write_artifacts(layer, artifacts, own)

    return _image(ground, "plug_ins", fill)


def shared_archive(ground: Ground) -> Image:
    """Above the application a layer with the archive of its classes, which a run of it wrote."""
    base = class_path_of("shared_archive")(ground)

    def fill(layer: Path) -> None:
        arguments = ("-XX:ArchiveClassesAtExit=/app/application.jsa", "-cp", ARCHIVED_PATH)
        command = ("java", OPTION, *arguments, "example.batch.Batch", "end")
        with ground.container(base, command, name="archive", cwd="/app") as container:
            if container.wait(120) != 0:
                raise GroundError(f"the archive of shared classes was not written:\n{container.output()}")
            _copied(container.root / "app/application.jsa", layer / "app/application.jsa")
            _copied(container.root / LOG, layer / ARCHIVED)

    name = key("java-archive", _RECIPE, base.layers[0].name, OPTION)
    archive = ground.layer_image("yardstick/java-shared_archive:2", name, fill)
    return Image(archive.name, (*archive.layers, *base.layers))


def _own(layer: Path, project: Project, file: str, purl: str = "") -> None:
    """/app/``file``, and the list of artifacts. ``purl`` is that of the file itself where it is a package."""
    target = _copied(project.target / file, layer / "app" / file)
    maven.write_artifacts(layer, project.artifacts, {target: purl})


def _copied(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target
