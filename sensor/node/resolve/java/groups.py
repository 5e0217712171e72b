"""The group of artifacts whose jars do not say it: those that Gradle, Ant and sbt built.

Such a jar has no pom. Its coordinates stand in the repository it came from and nowhere in the file, so
that families of well-known artifacts are listed here, as syft lists them (java_groupid_map.go). What is
not listed gets a group from the manifest or from the packages of its classes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# A family a line: its group (= stands for the artifact's own name), patterns of its artifacts, and where
# a name alone is not telling, @ a pattern of the version, / the package that all classes are below.
# The first line that fits counts.
_FAMILIES = r"""
org.apache.ant ant ant-(launcher|junit\d?|apache-.*|antlr|jsch|commons-.*|imageio|xz|javamail|swing)
asm asm asm-(tree|util|commons|analysis|xml|all) @[123]\..*
org.ow2.asm asm asm-(tree|util|commons|analysis|xml|all)
org.apache.tomcat tomcat-(?!embed|native).* annotations-api catalina catalina-.* jasper jasper-el
org.apache.tomcat.embed tomcat-embed-.*
org.bouncycastle bc(prov|pkix|pg|mail|tls|util|jmail|pqc|tsp)?-(ext-|debug-)*(jdk.*|fips|lts.*)
org.springframework.boot spring-boot spring-boot-.*
org.springframework.security.oauth spring-security-oauth2?
org.springframework.security spring-security-.*
org.springframework.data spring-data-.*
org.springframework.cloud spring-cloud-.*
org.springframework.session spring-session-.*
org.springframework.integration spring-integration-.*
org.springframework.batch spring-batch-.*
org.springframework.kafka spring-kafka spring-kafka-test
org.springframework.amqp spring-amqp spring-rabbit spring-rabbit-.*
org.springframework.ws spring-ws-.* spring-xml
org.springframework.hateoas spring-hateoas
org.springframework.retry spring-retry
org.springframework.plugin spring-plugin-.*
org.springframework.ldap spring-ldap-.*
org.springframework.graphql spring-graphql spring-graphql-test
org.springframework.pulsar spring-pulsar spring-pulsar-.*
org.springframework.restdocs spring-restdocs-.*
org.springframework.statemachine spring-statemachine-.*
org.springframework.vault spring-vault-core
org.springframework.shell spring-shell-.*
org.springframework spring-(aop|asm|aspects|beans|context|core|expression|instrument|jcl|jdbc|jms|messaging)
org.springframework spring-(orm|oxm|r2dbc|struts|test|tx|web|webflux|webmvc|websocket)
org.springframework spring-(context-support|context-indexer|core-test|instrument-tomcat|webmvc-portlet)
org.hibernate.validator hibernate-validator.* @[6-9].*|\d\d.*
org.hibernate.common hibernate-commons-annotations @[5-9].*
org.hibernate.search hibernate-search-.*
org.hibernate.reactive hibernate-reactive-.*
org.hibernate.javax.persistence hibernate-jpa-2.*
org.hibernate.orm hibernate-.* @[6-9].*|\d\d.*
org.hibernate hibernate-.*
io.micrometer micrometer-.*
io.projectreactor reactor-(core|test|tools)
io.projectreactor.netty reactor-netty.*
io.projectreactor.kafka reactor-kafka
io.projectreactor.addons reactor-(extra|adapter|pool)
org.reactivestreams reactive-streams.*
io.reactivex.rxjava3 rxjava @3.*
io.reactivex.rxjava2 rxjava @2.*
io.reactivex rxjava
org.jetbrains.kotlin kotlin-.*
org.jetbrains.kotlinx kotlinx-.*
io.ktor ktor-.*
org.jetbrains annotations /org
com.squareup.okhttp3 okhttp okhttp-.* logging-interceptor mockwebserver @[3-9].*
com.squareup.okhttp okhttp okhttp-.* @2.*
com.squareup.okio okio okio-.*
com.squareup.retrofit2 retrofit converter-.* adapter-.* /retrofit2
com.squareup.moshi moshi moshi-.*
org.mockito mockito-.*
net.bytebuddy byte-buddy.*
org.objenesis objenesis.*
org.opentest4j opentest4j
org.junit.jupiter junit-jupiter.*
org.junit.platform junit-platform.*
org.junit.vintage junit-vintage.*
org.apiguardian apiguardian-api
io.grpc grpc-.*
io.perfmark perfmark-.*
io.opencensus opencensus-.*
io.opentelemetry.javaagent opentelemetry-javaagent.*
io.opentelemetry.instrumentation opentelemetry-instrumentation.*
io.opentelemetry.semconv opentelemetry-semconv.*
io.opentelemetry opentelemetry-.*
com.github.ben-manes.caffeine caffeine guava jcache /com/github/benmanes/caffeine
org.apache.groovy groovy groovy-.* @[4-9].*
org.codehaus.groovy groovy groovy-.*
org.apache.kafka kafka-.* kafka_2.* connect-(api|json|runtime|transforms|file|mirror.*) /org/apache/kafka
org.apache.kafka kafka-(clients|streams.*|metadata|server.*|storage.*|raft|group-coordinator.*|tools.*)
org.apache.lucene lucene-.*
org.elasticsearch.client elasticsearch-rest-.*
org.elasticsearch elasticsearch elasticsearch-.*
org.opensearch.client opensearch-(java|rest-.*)
org.opensearch opensearch opensearch-.*
org.mongodb mongodb-.* bson bson-.* mongo-java-driver
org.scala-lang.modules scala-[a-z0-9-]+_.*
org.scala-lang scala-(library|reflect|compiler) scala3-.*
com.typesafe.akka akka-.*_.*
org.apache.pekko pekko-.*_.*
com.typesafe config /com/typesafe
com.typesafe.play play-.*_.*
io.micronaut.data micronaut-data-.*
io.micronaut.serde micronaut-serde-.*
io.micronaut.sql micronaut-(jdbc|hibernate).*
io.micronaut micronaut-.*
org.hdrhistogram HdrHistogram
org.latencyutils LatencyUtils
org.codehaus.jackson jackson-.*-(asl|lgpl)
org.aspectj aspectj(rt|weaver|tools)
cglib cglib cglib-nodep
xerces xercesImpl
xalan xalan serializer /org/apache
xml-apis xml-apis xml-apis-ext
= xml-resolver aopalliance classworlds oro regexp xom xmlpull
dom4j dom4j @1.*
log4j log4j @1.*
com.google.code.findbugs jsr305
org.jdom jdom2
org.jdom jdom @1\.[1-9].*
xpp3 xpp3 xpp3_min
org.dom4j dom4j @2.*
org.jfree jcommon jfreechart
stax stax-api
javax.activation activation
javax.mail mail
javax.servlet servlet-api jstl
javax.servlet.jsp jsp-api
javax.transaction jta
javax.jms jms
org.apache.xmlgraphics batik-.* fop fop-.* xmlgraphics-.*
org.apache.poi poi poi-.*
org.apache.xmlbeans xmlbeans
org.apache.velocity velocity velocity-.*
org.apache.ivy ivy
org.apache.hadoop hadoop-.*
org.apache.spark spark-.*_2.*
org.apache.thrift libthrift libfb303
org.apache.activemq activemq-.* artemis-.*
org.apache.derby derby.*
org.apache.cassandra cassandra-.*
org.apache.solr solr-.*
org.apache.geode geode-.*
org.apache.beam beam-.*
org.apache.iceberg iceberg-.*
commons-logging commons-logging-(api|adapters)
org.codehaus.janino janino commons-compiler
= commons-(beanutils|chain|cli|codec|collections|configuration|daemon|dbcp|digester|discovery|el)
= commons-(fileupload|httpclient|io|jexl|jxpath|lang|logging|math|net|pool|validator|modeler|launcher)
org.apache.commons commons-.*
com.google.dagger dagger dagger-.* hilt-.*
com.google.inject.extensions guice-.*
com.microsoft.sqlserver mssql-jdbc
com.oracle.database.jdbc ojdbc\d+ ucp\d* rsi
com.oracle.database.security oraclepki osdt_.*
com.oracle.database.ha ons simplefan
com.oracle.database.nls orai18n
com.h2database h2
hsqldb hsqldb @1.*
org.hsqldb hsqldb
org.postgresql postgresql
mysql mysql-connector-java
com.mysql mysql-connector-j
org.mariadb.jdbc mariadb-java-client
com.ibm.db2 jcc db2jcc.*
com.ibm.icu icu4j.*
org.xerial sqlite-jdbc
org.lz4 lz4-java @1\.([4-9]|\d\d).*
net.jpountz.lz4 lz4
net.java.dev.jna jna jna-platform jna-jpms jna-platform-jpms
org.javassist javassist
antlr antlr @2.*
org.antlr antlr4 antlr4-.* antlr-runtime
org.json json
org.yaml snakeyaml
org.projectlombok lombok
org.quartz-scheduler quartz quartz-jobs
org.ehcache ehcache @[3-9].*
net.sf.ehcache ehcache ehcache-.*
c3p0 c3p0 @0\.9\.1.*
com.mchange c3p0 mchange-commons-java
org.python jython jython-standalone
org.jruby jruby-complete jruby-.*
org.apache-extras.beanshell bsh @2\.0b6.*
org.beanshell bsh
org.gradle gradle-.*
com.newrelic.agent.java newrelic-.*
com.datadoghq dd-(java-agent|trace-.*)
com.amazonaws aws-java-sdk-.*
software.amazon.awssdk third-party-.* /software/amazon
software.amazon.awssdk.crt aws-crt
io.jsonwebtoken jjwt-.*
com.auth0 java-jwt jwks-rsa auth0
com.launchdarkly launchdarkly-.*
io.sentry sentry sentry-.*
com.twilio.sdk twilio
org.flywaydb flyway-.*
org.liquibase liquibase-.*
org.eclipse.platform org\.eclipse\.(osgi|equinox|core|text|jface|swt|ui|compare|help|update|ant|urischeme)\b.*
org.eclipse.jdt ecj org\.eclipse\.jdt\..*
org.eclipse.jetty.toolchain jetty-.*-api
com.fasterxml.jackson.core jackson-(core|databind|annotations)
io.swagger swagger-(annotations|core|models|jaxrs.*)
io.github.resilience4j resilience4j-.*
io.vavr vavr vavr-match
com.netflix.hystrix hystrix-.*
com.netflix.eureka eureka-.*
com.netflix.ribbon ribbon-.*
com.netflix.archaius archaius-.*
com.netflix.servo servo-.*
com.graphql-java graphql-java java-dataloader
org.jooq jooq jooq-.* joor
org.jdbi jdbi3-.*
org.ktorm ktorm-.*
org.jetbrains.exposed exposed-.*
io.insert-koin koin-.*
com.zaxxer HikariCP
de.odysseus.juel juel-.*
org.testng testng
org.spockframework spock-.*
net.jodah typetools failsafe
org.tukaani xz
com.github.luben zstd-jni
org.fusesource.jansi jansi
org.jline jline jline-.*
net.sf.saxon Saxon-HE
org.seleniumhq.selenium selenium-.*
io.arrow-kt arrow-.* /arrow
io.jaegertracing jaeger-.*
io.zipkin.reporter2 zipkin-(reporter|sender).*
io.zipkin.zipkin2 zipkin zipkin-.*
io.micrometer context-propagation
org.graalvm.truffle truffle-.*
org.graalvm.sdk graal-sdk
org.graalvm.js js js-scriptengine /com/oracle
org.graalvm.regex regex /com/oracle
net.sourceforge.htmlunit htmlunit htmlunit-.* neko-htmlunit @2.*
org.htmlunit htmlunit htmlunit-.* neko-htmlunit
org.osgi (org\.)?osgi\..*
info.picocli picocli picocli-.*
net.spy spymemcached
net.sf.trove4j trove4j
net.dv8tion JDA
org.functionaljava functionaljava functionaljava-.*
org.apache.flink flink-.*
org.jodd jodd-.*
org.tmatesoft.svnkit svnkit svnkit-.*
org.tmatesoft.sqljet sqljet sqljet-.*
com.github.spotbugs spotbugs-annotations
com.github.jnr jffi
axis axis axis-(wsdl4j|ant)
org.apache.axis axis-(jaxrpc|saaj)
struts struts @1.*
taglibs standard /org/apache/taglibs
org.bitcoinj bitcoinj-.*
org.openjfx javafx-.*
net.snowflake snowflake-jdbc.*
com.databricks databricks-jdbc.*
com.exasol exasol-jdbc
com.sap.cloud.db.jdbc ngdbc
org.firebirdsql.jdbc jaybird.*
io.ratpack ratpack-.*
io.projectreactor.rabbitmq reactor-rabbitmq
org.igniterealtime.smack smack-.*
org.swinglabs swing-worker swingx
org.checkerframework checker-compat-qual checker-qual
de.mkammerer argon2-.*
io.pravega pravega-.*
"""

_GROUP_OF_NAME = "="


@dataclass(frozen=True, slots=True)
class _Family:
    group: str
    artifact: re.Pattern[str]
    version: re.Pattern[str] | None
    package: str


def _family(line: str) -> _Family:
    group, *words = line.split()
    version = next((re.compile(word[1:]) for word in words if word[0] == "@"), None)
    package = next((word[1:] for word in words if word[0] == "/"), "")
    return _Family(
        group=group,
        artifact=re.compile("|".join(f"(?:{word})" for word in words if word[0] not in "@/")),
        version=version,
        package=package,
    )


_KNOWN = tuple(_family(line) for line in _FAMILIES.strip().splitlines())


def known_group(artifact: str, version: str, package: str) -> str | None:
    """Return the group of a well-known artifact; None for any other.

    ``package`` is what all its classes are below, as ``org/x``.
    """
    for family in _KNOWN:
        if (
            family.artifact.fullmatch(artifact)
            and (family.version is None or family.version.fullmatch(version))
            and f"{package}/".startswith(family.package)
        ):
            return artifact if family.group == _GROUP_OF_NAME else family.group
    return None
