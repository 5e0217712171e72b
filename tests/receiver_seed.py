"""Fills a receiver's database by its schema with what a few clusters might run; always the same."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

SCHEMA = Path(__file__).parents[1] / "sensor/receiver/schema.sql"
NOW = 1_790_000_000.0


def _words(text: str) -> list[str]:
    return text.split()


_KNOWN = {
    "pypi": _words(
        """requests urllib3 certifi idna charset-normalizer flask jinja2 markupsafe werkzeug click django
    pyyaml numpy pandas sqlalchemy psycopg2 redis celery gunicorn pydantic fastapi uvicorn starlette
    cryptography pillow lxml boto3 botocore protobuf grpcio"""
    ),
    "npm": _words(
        """express lodash axios debug ms body-parser qs send cookie semver minimist ws uuid async chalk
    commander moment react react-dom next typescript dotenv pg mongoose ioredis winston @babel/core
    @nestjs/core @types/node"""
    ),
    "maven": _words(
        """org.apache.logging.log4j:log4j-core org.apache.logging.log4j:log4j-api
    com.fasterxml.jackson.core:jackson-databind com.fasterxml.jackson.core:jackson-core
    org.springframework:spring-core org.springframework:spring-web org.springframework:spring-beans
    org.yaml:snakeyaml io.netty:netty-handler io.netty:netty-codec-http org.slf4j:slf4j-api
    ch.qos.logback:logback-classic org.hibernate.orm:hibernate-core com.google.guava:guava
    org.apache.commons:commons-text commons-io:commons-io org.postgresql:postgresql
    com.h2database:h2"""
    ),
    "golang": _words(
        """github.com/gin-gonic/gin golang.org/x/net golang.org/x/crypto golang.org/x/text
    google.golang.org/grpc google.golang.org/protobuf github.com/prometheus/client_golang
    github.com/spf13/cobra github.com/spf13/pflag k8s.io/client-go k8s.io/api k8s.io/apimachinery
    github.com/go-logr/logr go.uber.org/zap stdlib"""
    ),
    "nuget": _words(
        """Newtonsoft.Json Serilog AutoMapper Dapper Polly MediatR NLog FluentValidation Npgsql
    Grpc.Net.Client System.Text.Json Microsoft.Extensions.Logging Microsoft.EntityFrameworkCore
    StackExchange.Redis"""
    ),
}
_SNYK_TYPE = {"pypi": "pip", "npm": "npm", "maven": "maven", "golang": "gomodules", "nuget": "nuget"}
_EVIDENCE = {
    "pypi": ("opened", "opened", "opened", "mapped"),
    "npm": ("opened",),
    "maven": ("executed", "executed", "bundled", "bundled"),
    "golang": ("executed",),
    "nuget": ("mapped",),
}
_APPLICATIONS = _words(
    """orders carts catalogue checkout payments invoices search recommendations shipping inventory
    sessions gateway frontend mailer reports ingest scheduler exporter audit billing"""
)
_NAMESPACES = _words("""shop payments search platform logistics data""")
_CLUSTERS = ("prod-eu", "prod-us", "staging")
_REASONS = (
    "",
    "",
    "",
    "",
    "",
    "started_before_sensor",
    "events_lost",
    "unasked skipped_too_large",
    "class_graph_unsupported",
)


@dataclass(frozen=True, slots=True)
class Package:
    id: int
    ecosystem: str
    name: str
    version: str

    @property
    def purl(self) -> str:
        name = self.name.replace(":", "/").replace("@", "%40")
        return f"pkg:{self.ecosystem}/{name}@{self.version}"


def create(path: Path) -> sqlite3.Connection:
    """An empty database by the schema; the caller closes."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA.read_text())
    return connection


def seed(
    path: Path, containers: int = 120, images: int = 15, packages: int = 400, sets_per_image: int = 4
) -> None:
    """Make the database at ``path``, with ``packages`` over ``images`` of five ecosystems."""
    chance = random.Random(7)
    with closing(create(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        known = _packages(connection, packages, chance)
        sets = [_sets(connection, number, known, sets_per_image, chance) for number in range(images)]
        rows = (_container(number, sets, chance) for number in range(containers))
        connection.executemany(INSERT_CONTAINER, rows)
        connection.execute("COMMIT")


def _packages(connection: sqlite3.Connection, count: int, chance: random.Random) -> dict[str, list[Package]]:
    found: dict[str, list[Package]] = {ecosystem: [] for ecosystem in _KNOWN}
    for number in range(count):
        ecosystem = list(_KNOWN)[number % len(_KNOWN)]
        names, at = _KNOWN[ecosystem], number // len(_KNOWN)
        name = names[at % len(names)]
        version = f"{1 + at // len(names)}.{chance.randrange(20)}.{chance.randrange(10)}"
        package = Package(number + 1, ecosystem, name, f"v{version}" if ecosystem == "golang" else version)
        found[ecosystem].append(package)
        add_package(connection, package)
    return found


def add_package(connection: sqlite3.Connection, package: Package) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO package VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (package.id, package.ecosystem, package.name, package.version, package.purl,
         _SNYK_TYPE[package.ecosystem], package.name, package.version),
    )  # fmt: skip


def _sets(
    connection: sqlite3.Connection,
    image: int,
    known: dict[str, list[Package]],
    count: int,
    chance: random.Random,
) -> list[tuple[int, int]]:
    """Row ids and sizes; each set of an image has a few packages more than the one before."""
    ecosystem = list(known)[image % len(known)]
    ids = {row[0] for row in connection.execute("SELECT id FROM package")}
    there = [package for package in known[ecosystem] if package.id in ids]
    chosen = chance.sample(there, min(len(there), 40 + chance.randrange(120)))
    sizes = [max(1, len(chosen) * (count - at) // count) if at else len(chosen) for at in range(count)]
    made = []
    for size in sizes:
        members = [(p, chance.choice(_EVIDENCE[ecosystem]), path_of(p)) for p in chosen[:size]]
        made.append((add_set(connection, members), size))
    return made


def path_of(package: Package) -> str:
    name = package.name
    return {
        "pypi": f"/usr/local/lib/python3.12/site-packages/{name.replace('-', '_')}/__init__.py",
        "npm": f"/srv/app/node_modules/{name}/index.js",
        "maven": f"/app/lib/{name.rpartition(':')[2]}-{package.version}.jar",
        "golang": "/usr/bin/service",
        "nuget": f"/app/{name}.dll",
    }[package.ecosystem]


def add_set(connection: sqlite3.Connection, members: Sequence[tuple[Package, str, str]]) -> int:
    digest = hashlib.sha256(repr(sorted((p.purl, e, path) for p, e, path in members)).encode()).digest()
    found = connection.execute("SELECT id FROM package_set WHERE digest = ?", (digest,)).fetchone()
    if found:
        return int(found[0])
    added = connection.execute("INSERT INTO package_set (digest) VALUES (?)", (digest,)).lastrowid
    connection.executemany(
        "INSERT INTO member VALUES (?, ?, ?, ?)", [(added, p.id, e, path) for p, e, path in members]
    )
    assert added is not None
    return added


_COLUMNS = (
    "group_id", "cluster", "key", "sender_id", "generation", "source", "container_id", "runtime", "node",
    "namespace", "workload_kind", "workload_name", "pod_name", "pod_uid", "container_name", "image_name",
    "image_digest", "coverage", "coverage_reasons", "first_seen", "observed_at", "ended_at", "received_at",
    "changed_at", "package_set", "package_times",
)  # fmt: skip
INSERT_CONTAINER = (
    f"INSERT INTO container ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + name for name in _COLUMNS)})"
)


def container(number: int, **given: object) -> dict[str, object]:
    """Values of a container row that runs under a Deployment; ``given`` replaces some."""
    identity = hashlib.sha256(str(number).encode()).hexdigest()
    return {
        "group_id": "", "cluster": "prod-eu", "key": identity, "sender_id": "seed", "generation": 1,
        "source": "grpc", "container_id": identity, "runtime": "containerd", "node": "node-1",
        "namespace": "shop", "workload_kind": "Deployment", "workload_name": "orders",
        "pod_name": f"orders-{identity[:9]}-{identity[9:14]}", "pod_uid": None, "container_name": "orders",
        "image_name": "registry.example/shop/orders:1.0", "image_digest": None, "coverage": "complete",
        "coverage_reasons": "", "first_seen": NOW - 3600.0, "observed_at": NOW, "ended_at": None,
        "received_at": NOW, "changed_at": NOW, "package_set": None, "package_times": None, **given,
    }  # fmt: skip


def times(moments: Sequence[tuple[float, float]]) -> bytes:
    """``package_times`` of first and last seen, in seconds, in the order of the set."""
    return b"".join(struct.pack("<qq", int(first * 1000), int(last * 1000)) for first, last in moments)


def _container(
    number: int, sets: Sequence[Sequence[tuple[int, int]]], chance: random.Random
) -> dict[str, object]:
    image = chance.randrange(len(sets))
    again = f"-{image // len(_APPLICATIONS) + 1}" if image >= len(_APPLICATIONS) else ""
    application = _APPLICATIONS[image % len(_APPLICATIONS)] + again
    cluster = chance.choice(_CLUSTERS)
    namespace = _NAMESPACES[(image + chance.randrange(2)) % len(_NAMESPACES)]
    registry = f"registry.example/{namespace}/" if image % 7 else ""
    of_image = sets[image]
    package_set, size = of_image[min(chance.randrange(12), len(of_image) - 1) if chance.random() < 0.3 else 0]
    replica = chance.randrange(1 + number // 400)
    workload = application if replica == 0 else f"{application}-{replica}"
    reasons, first = chance.choice(_REASONS), NOW - chance.randrange(60, 40 * 3600)
    last = NOW - chance.randrange(1, 50)
    moments = [(first + at % 30, last) for at in range(size)]
    pod = hashlib.sha256(str(number).encode()).hexdigest()
    return container(
        number,
        cluster=cluster, node=f"{cluster}-node-{chance.randrange(1, 13)}", namespace=namespace,
        workload_name=workload, pod_name=f"{workload}-{pod[:9]}-{pod[9:14]}", container_name=application,
        image_name=f"{registry}{application}:1.{image}",
        image_digest=f"sha256:{hashlib.sha256(str(image).encode()).hexdigest()}" if image % 3 else None,
        coverage="partial" if reasons else "complete", coverage_reasons=reasons,
        first_seen=first, observed_at=last,
        ended_at=last if chance.random() < 0.12 else None,
        package_set=package_set, package_times=times(moments),
    )  # fmt: skip
