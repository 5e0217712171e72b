"""Java: jars that only their names and manifests tell of."""

from __future__ import annotations

from tests.edges.java_bytes import classes, jar, manifest
from tests.edges.java_case import JAR, LAYOUT, SYFT, expected, one

NAMES = (
    one(
        "built by Gradle: name and well-known group",
        SYFT,
        jar(
            manifest(Implementation_Title="spring-core", Implementation_Version="6.1.6")
            | classes("org/springframework/core/X", "org/springframework/asm/Y")
        ),
        (expected("org.springframework", "spring-core", "6.1.6"),),
        "/app/lib/spring-core-6.1.6.jar",
    ),
    one(
        "no manifest at all",
        LAYOUT,
        jar(classes("org/jdesktop/x/A")),
        (expected("org.jdesktop.x", "layout", "1.0.3"),),
        "/app/lib/layout-1.0.3.jar",
    ),
    one(
        "no package that tells a group",
        f"{SYFT}: the artifact's name is its group",
        jar(classes("A", "x/B", "y/C")),
        (expected("stuff", "stuff", "2"),),
        "/app/lib/stuff-2.jar",
    ),
    one(
        "digits in the name",
        LAYOUT,
        jar(manifest(Implementation_Vendor_Id="org.apache.logging.log4j", Implementation_Version="2.17.1")),
        (expected("org.apache.logging.log4j", "log4j-1.2-api", "2.17.1"),),
        "/app/log4j-1.2-api-2.17.1.jar",
    ),
    one(
        "bundle that Maven built",
        "Felix maven-bundle-plugin: Bundle-SymbolicName is group.artifact",
        jar(
            manifest(
                Created_By="Apache Maven Bundle Plugin",
                Bundle_SymbolicName="org.x.deep.lib;singleton:=true",
                Bundle_Version="1.0.0",
            )
        ),
        (expected("org.x.deep", "lib", "1.0"),),
        "/app/lib-1.0.jar",
    ),
    one(
        "bundle with a file name of its own",
        "Tomcat 9.0.87: lib/catalina.jar is published as tomcat-catalina",
        jar(
            manifest(
                Bundle_SymbolicName="org.apache.tomcat-catalina",
                Bundle_Version="9.0.87",
                Specification_Version="9.0",
            )
        ),
        (expected("org.apache.tomcat", "tomcat-catalina", "9.0.87"),),
        "/usr/local/tomcat/lib/catalina.jar",
    ),
    one(
        "version of the manifest",
        f"{JAR}, 'Implementation-Version'",
        jar(manifest(Implementation_Version="5.4", Implementation_Vendor_Id="org.x")),
        (expected("org.x", "lib", "5.4"),),
        "/app/lib/lib.jar",
    ),
    one(
        "manifest with folded lines and any case",
        f"{JAR}, 'Notes on Manifest and Signature Files': 72 bytes a line, names of any case",
        jar(
            {
                "meta-inf/manifest.mf": b"manifest-version: 1.0\nIMPLEMENTATION-VERSION: 5.\n 4\n"
                b"Implementation-vendor-ID: org\n .x\n\nName: a\nImplementation-Version: 9\n"
            }
        ),
        (expected("org.x", "lib", "5.4"),),
        "/app/lib/lib.jar",
    ),
    one(
        "instrumentation of another product",
        "New Relic's agent: jars with Weave-Classes are named after what they weave",
        jar(
            manifest(
                Weave_Classes="a.B",
                Implementation_Title="com.newrelic.instrumentation.jetty-9.3",
                Implementation_Version="1.0",
            )
        ),
        (expected("com.newrelic.instrumentation", "jetty-9.3", "1.0"),),
        "/agent/jetty-9.3-1.0.jar",
    ),
    one(
        "neither version nor pom",
        f"{SYFT}: a package needs a version",
        jar(manifest(Main_Class="demo.App") | classes("demo/App")),
        "ask_process",
        "/app/app.jar",
    ),
    one(
        "part of the runtime",
        "JDK 17, lib/jrt-fs.jar: Implementation-Title",
        jar(manifest(Implementation_Title="Java Runtime Environment", Implementation_Version="17.0.15")),
        "not_a_package",
        "/opt/jdk/lib/jrt-fs.jar",
    ),
    one(
        "runtime of Java 8 starts",
        "JDK 8, jre/lib/rt.jar",
        jar(manifest(Implementation_Title="Java Runtime Environment", Implementation_Version="1.8.0_402")),
        "ask_process",
        "/opt/jdk/jre/lib/rt.jar",
    ),
    one(
        "application that names its libraries",
        f"{JAR}, 'Class-Path attribute': not a package itself, its libraries are opened beside it",
        jar(manifest(Main_Class="demo.App", Class_Path="lib/guava-33.1.0-jre.jar") | classes("demo/App")),
        "ask_process",
        "/app/app-1.0.jar",
    ),
    one(
        "Eclipse's compiler under the release of Eclipse",
        "Tomcat 9.0.82, lib/ecj-4.20.jar: the same bytes as org.eclipse.jdt:ecj:3.26.0",
        jar(
            manifest(
                Bundle_SymbolicName="org.eclipse.jdt.core.compiler.batch",
                Bundle_Version="3.26.0.v20210609-0549",
                Created_By="Maven Archiver 3.5.0",
            )
            | classes("org/eclipse/jdt/core/X")
        ),
        (expected("org.eclipse.jdt", "ecj", "3.26.0"),),
        "/opt/tomcat/lib/ecj-4.20.jar",
    ),
    one(
        "launcher that was never published",
        "Tomcat 9.0.82, bin/bootstrap.jar: Main-Class and Class-Path, and no group but its own name",
        jar(
            manifest(
                Main_Class="org.apache.catalina.startup.Bootstrap",
                Class_Path="commons-daemon.jar",
                Implementation_Title="Apache Tomcat Bootstrap",
                Implementation_Vendor="Apache Software Foundation",
                Implementation_Version="9.0.82",
            )
            | classes("org/apache/catalina/startup/Bootstrap", "org/apache/juli/X")
        ),
        "ask_process",
        "/opt/tomcat/bin/bootstrap.jar",
    ),
)
