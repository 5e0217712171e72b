"""Java: applications of the usual kinds, built by Maven, each telling its truth by the JVM's class log."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable, Sequence

from tests.accuracy.application import Application
from tests.accuracy.applications import java_layers as layers
from tests.accuracy.applications import java_truth as truth
from tests.ground import Container, GroundError

_PAGES = ("shop_a/start", "shop_b/start", "shop_a/page.jsp", "shop_b/page.jsp")
_PORT = re.compile(r'\["http-nio-127\.0\.0\.1-auto-\d+-(\d+)"\]')
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _tomcat(container: Container) -> frozenset[str]:
    """Its pages are asked for from outside; each loads what its web application loads lazily."""
    deadline = time.monotonic() + 120
    while "Server startup in" not in container.output():
        if not container.running or time.monotonic() > deadline:
            raise GroundError(f"Tomcat did not start:\n{container.output()[-4000:]}")
        time.sleep(0.05)
    port = _PORT.search(container.output())
    if port is None:
        raise GroundError(f"Tomcat named no port:\n{container.output()[-4000:]}")
    for page in _PAGES:
        with _DIRECT.open(f"http://127.0.0.1:{port[1]}/{page}", timeout=60) as answer:
            answer.read()
    return truth.loaded(container)


def _java(
    name: str,
    exercises: str,
    build: layers.Build,
    *arguments: str,
    told: Callable[[Container], frozenset[str]] = truth.of_jvm,
) -> Application:
    command: Sequence[str] = ("java", truth.OPTION, "-Xmx512m", "-XX:TieredStopAtLevel=1", *arguments)
    return Application(
        name=f"java-{name}", language="java", exercises=exercises, build=build, command=command, truth=told
    )


_ALL = "/app/lib/*:/app/application.jar"
# In this order, so that a jar behind snakeyaml is first opened after the rest.
_IDLE = ":".join(
    [
        "/app/application.jar",
        *(
            f"/app/lib/jackson-{name}.jar"
            for name in ("databind-2.13.4.2", "core-2.13.4", "annotations-2.13.4")
        ),
        *("/app/lib/commons-lang3-3.13.0.jar", "/app/lib/snakeyaml-2.0.jar", "/app/lib/*"),
    ]
)

APPLICATIONS: tuple[Application, ...] = (
    _java(
        "spring-boot-fat",
        "Spring Boot 3 in one jar of 187: web, JPA, security; parts on request",
        layers.spring_boot_fat,
        *("-jar", "/app/orders-service-1.4.2.jar"),
    ),
    _java(
        "spring-boot-extracted",
        "Spring Boot 3, reactive, extracted: a class path in the manifest",
        layers.spring_boot_extracted,
        *("-jar", "/app/application.jar"),
    ),
    _java(
        "spring-boot-2-war",
        "Spring Boot 2: an executable war, nested jars by the older launcher",
        layers.spring_boot_2_war,
        *("-jar", "/app/application.war"),
    ),
    _java(
        "class-path",
        "jars never used stand first on the class path",
        layers.class_path,
        *("-cp", f"/app/unused/*:{_ALL}", "example.plain.Plain"),
    ),
    _java(
        "tomcat",
        "Tomcat, two web applications with two versions of each library, JSP",
        layers.tomcat,
        "-Dcatalina.home=/app/tomcat",
        *("-cp", "/app/tomcat/bin/bootstrap.jar:/app/tomcat/bin/tomcat-juli.jar"),
        *("org.apache.catalina.startup.Bootstrap", "start"),
        told=_tomcat,
    ),
    _java(
        "vertx",
        "Vert.x on Netty's native transport: jars that hold a library and no class",
        layers.class_path_of("vertx"),
        *("-cp", _ALL, "example.gateway.Gateway"),
    ),
    # Every class has this one jar as its source, and so the JVM knows of one package: the application's
    # own, by its pom. Of the poms of what was put into it nothing says whether their classes are used.
    _java(
        "shaded",
        "all libraries merged into one jar by maven-shade-plugin",
        layers.shaded,
        *("-jar", "/app/report-tool-1.4.0.jar"),
    ),
    _java(
        "shared-archive",
        "AppCDS: classes out of an archive, their jars perhaps never opened",
        layers.shared_archive,
        *("-XX:SharedArchiveFile=/app/application.jsa", "-cp", layers.ARCHIVED_PATH, "example.batch.Batch"),
    ),
    _java(
        "idle",
        "classes after 45 s of rest, out of jars opened before and never opened",
        layers.class_path_of("idle"),
        *("-cp", _IDLE, "example.idle.Idle", "45"),
    ),
    _java(
        "plug-ins",
        "a class loader for each plug-in, two versions of a library, one that fails half-way; Groovy",
        layers.plug_ins,
        *("-cp", _ALL, "example.host.Host", "/app/plugins"),
    ),
    _java(
        "libraries",
        "ORM, search, Kafka, gRPC, PDF, SSH, JDBC drivers, Scala, Kotlin",
        layers.class_path_of("libraries"),
        *("-cp", _ALL, "example.libraries.Libraries"),
    ),
)
