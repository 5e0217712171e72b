"""Java: jars that Maven described."""

from __future__ import annotations

from tests.edges.case import Expected
from tests.edges.java_bytes import classes, jar, manifest, pom, pom_xml
from tests.edges.java_case import GUAVA, GUAVA_JAR, GUAVA_PATH, MAVEN, THE_GUAVA, THE_LANG, expected, one

POMS = (
    one("the only pom", MAVEN, GUAVA_JAR, (THE_GUAVA,), GUAVA_PATH),
    one(
        "renamed without a version",
        "Debian: /usr/share/java/guava.jar",
        GUAVA_JAR,
        (THE_GUAVA,),
        "/usr/share/java/guava.jar",
    ),
    one("renamed to something else", MAVEN, GUAVA_JAR, (THE_GUAVA,), "/app/lib/dependency.jar"),
    one(
        "group in front of the name",
        "Quarkus fast-jar: quarkus-app/lib/main/<group>.<artifact>-<version>.jar",
        jar(GUAVA | pom("com.google.guava", "failureaccess", "1.0.2")),
        (THE_GUAVA, expected("com.google.guava", "failureaccess", "1.0.2")),
        "/app/lib/main/com.google.guava.guava-33.1.0-jre.jar",
    ),
    one(
        "shaded: several poms, one fits the name",
        "maven-shade-plugin keeps META-INF/maven of all it shades",
        jar(pom("org.x", "tool", "2.0") | GUAVA | classes("org/x/Tool")),
        (expected("org.x", "tool", "2.0"), THE_GUAVA),
        "/app/tool-2.0.jar",
    ),
    one(
        "shaded: the longest artifact that fits",
        "netty-transport-native-epoll holds the poms of netty-transport-native-unix-common and its own",
        jar(pom("io.netty", "netty", "1.0") | pom("io.netty", "netty-all", "4.1.0.Final")),
        (expected("io.netty", "netty-all", "4.1.0.Final"), expected("io.netty", "netty", "1.0")),
        "/app/netty-all-4.1.0.Final.jar",
    ),
    one(
        "shaded: none fits the name",
        "an application shaded into app.jar: what it is called is not known, what it holds is",
        jar(GUAVA | pom("org.apache.commons", "commons-lang3", "3.14.0") | classes("demo/App")),
        (THE_GUAVA, THE_LANG),
        "/app/app.jar",
    ),
    one(
        "shaded by a build that writes no pom",
        "Gradle's shadow plugin: the only pom is that of the library inside",
        jar(manifest(Implementation_Version="7.0") | GUAVA | classes("org/y/engine/A", "org/y/core/B")),
        (expected("org.y", "indexer", "7.0"), THE_GUAVA),
        "/app/lib/indexer-7.0.jar",
    ),
    one(
        "pom.properties of any form",
        "java.util.Properties.load: separators, escapes, continued spaces, comments",
        jar(
            {
                "META-INF/maven/a/b/pom.properties": b"! c\r\n  groupId : org.\\u0078\r\nartifactId  lib\r\n"
                b"version=1.0\\\r\n"
            }
        ),
        (expected("org.x", "lib", "1.0"),),
    ),
    one(
        "pom.xml stands in for pom.properties",
        "Maven Archiver: addMavenDescriptor; Gradle's maven plugin writes pom.xml only",
        jar(
            pom_xml(
                "org.x", "lib", "<groupId>org.x</groupId><artifactId>lib</artifactId><version>1</version>"
            )
        ),
        (expected("org.x", "lib", "1"),),
    ),
    one(
        "group and version of the parent pom",
        "POM reference, 'Inheritance': groupId and version are inherited, artifactId is not",
        jar(
            pom_xml(
                "org.x",
                "lib",
                "<parent><groupId>org.x</groupId><artifactId>up</artifactId><version>3</version></parent>"
                "<artifactId>lib</artifactId><dependencies><dependency><groupId>no</groupId></dependency></dependencies>",
            )
        ),
        (expected("org.x", "lib", "3"),),
    ),
    one(
        "pom.properties before pom.xml",
        "pom.properties holds the values in effect, pom.xml those as written",
        jar(
            pom("org.x", "lib", "1")
            | pom_xml("org.x", "lib", "<artifactId>other</artifactId><version>9</version>")
        ),
        (expected("org.x", "lib", "1"),),
    ),
    one(
        "version that is a variable",
        "CI-friendly versions, ${revision}, unresolved without the flatten plugin",
        jar(pom("org.x", "lib", "${revision}")),
        (expected("org.x", "lib", "4.2"),),
        "/app/lib/lib-4.2.jar",
    ),
    one(
        "pom.xml with entities",
        "XML 1.0, 4.1: a billion laughs; no document type is read",
        jar(
            {
                "META-INF/maven/a/b/pom.xml": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
                b"<project><groupId>&b;</groupId><artifactId>&b;</artifactId></project>"
            }
        ),
        "ask_process",
    ),
    one(
        "version that the pom lacks the end of",
        "mssql-jdbc 12.6.1.jre11 as published; its pom.properties says 12.6.1",
        jar(pom("com.microsoft.sqlserver", "mssql-jdbc", "12.6.1")),
        (expected("com.microsoft.sqlserver", "mssql-jdbc", "12.6.1.jre11"),),
        "/app/mssql-jdbc-12.6.1.jre11.jar",
    ),
    one(
        "version of the pom, not the classifier",
        "netty-transport-native-epoll-4.1.108.Final-linux-x86_64.jar",
        jar(pom("io.netty", "netty-transport-native-epoll", "4.1.108.Final")),
        (expected("io.netty", "netty-transport-native-epoll", "4.1.108.Final"),),
        "/app/netty-transport-native-epoll-4.1.108.Final-linux-x86_64.jar",
    ),
    one(
        "version with characters that a purl encodes",
        "purl specification, 'Character encoding': + is %2B",
        jar(pom("org.x", "lib", "1.0+build.5")),
        (Expected("pkg:maven/org.x/lib@1.0%2Bbuild.5", "org.x:lib", "1.0+build.5", "bundled"),),
    ),
)
