"""Java: archives in archives, damaged ones, and what is no archive."""

from __future__ import annotations

from tests.edges.case import Case, Link
from tests.edges.java_bytes import jar, pom
from tests.edges.java_case import (
    BOOT,
    GUAVA,
    GUAVA_JAR,
    LANG_JAR,
    MAVEN,
    THE_GUAVA,
    THE_LANG,
    expected,
    one,
)


def deep(levels: int) -> bytes:
    content = GUAVA_JAR
    for _ in range(levels):
        content = jar({"x.jar": content})
    return content


NESTED = (
    one(
        "Spring Boot: stored jars in their class path's order",
        "Spring Boot reference, 'The Executable Jar Format': BOOT-INF/classpath.idx",
        jar(
            BOOT
            | {
                "BOOT-INF/classpath.idx": b'- "BOOT-INF/lib/commons-lang3-3.14.0.jar"\n'
                b'- "BOOT-INF/lib/guava-33.1.0-jre.jar"\n'
            }
            | {
                "BOOT-INF/lib/guava-33.1.0-jre.jar": GUAVA_JAR,
                "BOOT-INF/lib/commons-lang3-3.14.0.jar": LANG_JAR,
            },
            stored=True,
        ),
        (THE_LANG, THE_GUAVA),
        "/app/shop-1.0.jar",
    ),
    one(
        "Spring Boot with the application's own pom",
        MAVEN,
        jar(BOOT | pom("com.shop", "shop", "1.0") | {"BOOT-INF/lib/guava-33.1.0-jre.jar": GUAVA_JAR}),
        (expected("com.shop", "shop", "1.0"), THE_GUAVA),
        "/app/app.jar",
    ),
    one(
        "executable jar with a script in front",
        "Spring Boot, 'Installing Spring Boot Applications': offsets count from the archive's start",
        jar(
            BOOT | {"BOOT-INF/lib/guava-33.1.0-jre.jar": GUAVA_JAR},
            stored=True,
            prefix=b"#!/bin/bash\nexit 0\n",
        ),
        (THE_GUAVA,),
        "/app/app.jar",
    ),
    one(
        "ear with a war with a jar",
        "Jakarta EE Platform, EE.8: applications hold modules that hold libraries",
        jar(
            {
                "web.war": jar({"WEB-INF/lib/guava-33.1.0-jre.jar": GUAVA_JAR}),
                "lib/commons-lang3-3.14.0.jar": LANG_JAR,
            }
        ),
        (THE_GUAVA, THE_LANG),
        "/opt/app.EAR",
    ),
    one(
        "damaged jar inside",
        "java.util.zip.ZipException: no class comes out of it, so that nothing is lost",
        jar({"WEB-INF/lib/a-1.jar": b"no zip", "WEB-INF/lib/guava-33.1.0-jre.jar": GUAVA_JAR}),
        (THE_GUAVA,),
        "/opt/app.war",
    ),
    one(
        "one package in two places",
        "the same coordinates twice are one package",
        jar({"a/guava-33.1.0-jre.jar": GUAVA_JAR, "b/guava.jar": GUAVA_JAR}),
        (THE_GUAVA,),
        "/opt/app.war",
    ),
)


DAMAGED = (
    one(
        "archives in archives without end",
        "42.zip: five levels are more than any server unpacks",
        deep(5),
        "archive_bounds",
    ),
    one("four levels", "an ear, a war, a jar and one inside", deep(4), (THE_GUAVA,)),
    one(
        "jar of zeros that expands a thousandfold",
        "deflate, RFC 1951: at most 1,032 to 1",
        jar({"bomb.jar": bytes(50 << 20)}),
        "archive_bounds",
    ),
    one("no archive", "java.util.zip.ZipException: zip END header not found", b"not a zip", "malformed"),
    one("empty archive", "JAR File Specification: a jar needs no manifest", jar({}), "ask_process"),
    one("cut off", "a copy that was interrupted", GUAVA_JAR[:-40], "malformed"),
    one(
        "names that are no names",
        "Maven, DefaultModelValidator: [A-Za-z0-9_.-]+",
        jar({"META-INF/maven/a/b/pom.properties": b"groupId=a b\nartifactId=../x\nversion=1\n"}),
        "ask_process",
    ),
)

POM_FILE = next(iter(GUAVA.values()))
ROOTS = (
    Case(
        name="classes of an unpacked war",
        rule="Servlet specification, 10.5: WEB-INF/classes; META-INF lies beside WEB-INF",
        files={
            "/srv/shop/WEB-INF/classes/org/x/A.class": b"",
            "/srv/shop/META-INF/maven/com.google.guava/guava/pom.properties": POM_FILE,
        },
        path="/srv/shop/WEB-INF/classes/org/x/A.class",
        expected=(expected("com.google.guava", "guava", "33.1.0-jre", "opened"),),
    ),
    Case(
        name="classes of a build",
        rule="Maven: target/classes, and target/maven-archiver/pom.properties once it was packaged",
        files={"/src/target/classes/A.class": b"", "/src/target/maven-archiver/pom.properties": POM_FILE},
        path="/src/target/classes/A.class",
        expected=(expected("com.google.guava", "guava", "33.1.0-jre", "opened"),),
    ),
    Case(
        name="classes that Jib copied",
        rule="Jib: /app/classes without META-INF/maven; the libraries are jars in /app/libs",
        files={"/app/classes/demo/App.class": b""},
        path="/app/classes/demo/App.class",
        expected="ask_process",
    ),
    Case(
        name="classes of a shaded jar that was unpacked",
        rule="several projects in META-INF/maven: which of them a class is of, is not told",
        files={
            "/x/A.class": b"",
            "/x/META-INF/maven/a/b/pom.properties": b"groupId=a\nartifactId=b\nversion=1",
            "/x/META-INF/maven/c/d/pom.properties": b"groupId=c\nartifactId=d\nversion=1",
        },
        path="/x/A.class",
        expected="ask_process",
    ),
    Case(
        name="classes below another project's jar",
        rule="the nearest META-INF ends the search: what is above is another's",
        files={
            "/x/META-INF/maven/a/b/pom.properties": b"groupId=a\nartifactId=b\nversion=1",
            "/x/y/META-INF/MANIFEST.MF": b"",
            "/x/y/z/A.class": b"",
        },
        path="/x/y/z/A.class",
        expected="ask_process",
    ),
    Case(
        name="jar behind a link",
        rule="Debian: /usr/share/java/x.jar links to x-1.0.jar; the JVM opens the link",
        files={"/usr/share/java/guava.jar": Link("guava-33.jar"), "/usr/share/java/guava-33.jar": GUAVA_JAR},
        path="/usr/share/java/guava.jar",
        expected=(THE_GUAVA,),
    ),
    Case(
        name="the runtime's image",
        rule="JEP 220: lib/modules, opened as each JVM starts",
        files={"/opt/jdk/lib/modules": b""},
        path="/opt/jdk/lib/modules",
        expected="ask_process",
    ),
    Case(
        name="shared classes",
        rule="JEP 310: classes of an archive load without an open of their jar",
        files={"/app/app.jsa": b""},
        path="/app/app.jsa",
        expected="ask_process",
    ),
    Case(
        name="module file",
        rule="JEP 261: the JMOD format is for link time",
        files={"/opt/jdk/jmods/java.base.jmod": b"JM"},
        path="/opt/jdk/jmods/java.base.jmod",
        expected="not_a_package",
    ),
    Case(
        name="sources",
        rule="no runtime opens them",
        files={"/app/A.java": b""},
        path="/app/A.java",
        expected="not claimed",
    ),
    Case(
        name="library that is gone",
        rule="unlink(2) before it was looked at",
        files={},
        path="/tmp/x.jar",
        expected="vanished",
    ),
)
