"""The six applications: what is in their images, and how they are started.

Servers have one worker each, as they are pinned to one processor. The machine's own interpreters, compiler
and servers show through the overlay; an image adds what is the application's.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.packages import HOME, on_disk

PORT = "{port}"
PROCESSORS = "{processors}"
JOBS = "{jobs}"

NPM_PACKAGES = 40
NPM_FILES_EACH = 25
C_FILES = 200
C_FUNCTIONS_EACH = 12


@dataclass(frozen=True, slots=True)
class Server:
    """Loaded over loopback TCP. ``command`` has :data:`PORT` where its port goes; ``generator`` is ``wrk`` or
    ``redis-benchmark``."""

    name: str
    what: str
    install: Callable[[Path], None]
    command: tuple[str, ...]
    generator: str = "wrk"
    path: str = "/"
    operation: str = "requests"


@dataclass(frozen=True, slots=True)
class Build:
    """Runs from start to end, ``times`` in a phase. ``clean`` runs before each, unmeasured; ``command`` has
    :data:`JOBS` where the number of processors goes."""

    name: str
    what: str
    install: Callable[[Path], None]
    command: tuple[str, ...]
    clean: tuple[str, ...]
    times: int
    operation: str = "builds"


def _write(layer: Path, name: str, text: str) -> None:
    file = on_disk(layer, HOME / name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _redis(layer: Path) -> None:
    """redis-check-rdb of redis-tools is the server itself, told apart by the name it is called by; the
    package with that name in it would start a service on the machine."""
    link = on_disk(layer, HOME / "redis-server")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("/usr/bin/redis-check-rdb")


_NGINX = f"""worker_processes 1;
error_log stderr error;
pid {HOME}/nginx.pid;
user root;
daemon off;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:%s;
        location / {{ root {HOME}/www; }}
    }}
}}
"""


def _nginx(layer: Path) -> None:
    """A file of 4 KiB that is opened anew for each request: nginx caches none unless told to."""
    _write(layer, "www/index.html", "<p>" + "served " * 584 + "\n")
    _write(layer, "nginx.conf.in", _NGINX % "PORT")


_FLASK = """from flask import Flask, jsonify

application = Flask(__name__)
ITEMS = [{"id": number, "name": f"item {number}", "price": number * 1.5} for number in range(20)]


@application.get("/")
def items():
    return jsonify(items=ITEMS, total=len(ITEMS))
"""

_NODE = """const http = require('node:http');
const items = Array.from({length: 20}, (_, id) => ({id, name: `item ${id}`, price: id * 1.5}));
http.createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({items, total: items.length}));
}).listen(Number(process.argv[2]), '127.0.0.1');
"""


def _flask(layer: Path) -> None:
    _write(layer, "web/shop.py", _FLASK)


def _node(layer: Path) -> None:
    _write(layer, "server.js", _NODE)


def npm_package(name: str) -> bytes:
    """What ``npm pack`` makes, always the same bytes: the lock file holds their digest."""
    manifest = json.dumps({"name": name, "version": "1.0.0", "main": "index.js"})
    members = {"package/package.json": manifest, "package/index.js": "module.exports = 1;\n"}
    for number in range(NPM_FILES_EACH - len(members)):
        members[f"package/lib/part{number}.js"] = f"exports.part{number} = {number};\n" * 20
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in members.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def npm_lock(packages: dict[str, bytes]) -> dict[str, object]:
    """package-lock.json, version 3, of packages that lie beside it: no registry is asked."""
    dependencies = {name: f"file:tarballs/{name}.tgz" for name in packages}
    entries: dict[str, object] = {"": {"name": "bench", "version": "1.0.0", "dependencies": dependencies}}
    for name, packed in packages.items():
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode()
        resolved = dependencies[name]
        entries[f"node_modules/{name}"] = {"version": "1.0.0", "resolved": resolved, "integrity": integrity}
    return {"name": "bench", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": entries}


def _npm(layer: Path) -> None:
    names = [f"bench-package-{number}" for number in range(NPM_PACKAGES)]
    packages = {name: npm_package(name) for name in names}
    lock = npm_lock(packages)
    manifest = {
        "name": "bench",
        "version": "1.0.0",
        "dependencies": {name: f"file:tarballs/{name}.tgz" for name in names},
    }
    _write(layer, "npm/package.json", json.dumps(manifest))
    _write(layer, "npm/package-lock.json", json.dumps(lock))
    folder = on_disk(layer, HOME / "npm" / "tarballs")
    folder.mkdir()
    for name, packed in packages.items():
        (folder / f"{name}.tgz").write_bytes(packed)


_MAKEFILE = """SOURCES := $(wildcard source*.c)
all: $(SOURCES:%.c=out/%.o)
\t@$(CC) -shared -o out/all.so $^
out/%.o: %.c common.h
\t@$(CC) -O1 -fPIC -c -o $@ $<
"""


def _c(layer: Path) -> None:
    _write(layer, "c/Makefile", _MAKEFILE)
    _write(layer, "c/common.h", "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n")
    for file in range(C_FILES):
        functions = (
            f"int f{file}_{number}(const char *s, int n)\n"
            f"{{\n\tfor (int i = 0; i < n; i++)\n\t\tn += atoi(s) * {number} + (int)strlen(s + i);\n"
            "\treturn n;\n}\n"
            for number in range(C_FUNCTIONS_EACH)
        )
        _write(layer, f"c/source{file}.c", '#include "common.h"\n' + "".join(functions))


_NPM_CI = "cd {home}/npm && HOME=/tmp NO_UPDATE_NOTIFIER=1 exec npm ci {options}"
_NPM_OPTIONS = "--offline --no-audit --no-fund --ignore-scripts --loglevel=error --cache={home}/npm-cache"

APPLICATIONS: tuple[Server | Build, ...] = (
    Server(
        "redis",
        "SET and GET of 64 bytes by redis-benchmark, 50 clients, no pipelining",
        _redis,
        (f"{HOME}/redis-server", "--port", PORT, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        generator="redis-benchmark",
    ),
    Server(
        "nginx",
        "a file of 4 KiB, opened for each request, by wrk with 32 connections",
        _nginx,
        (
            *("sh", "-c", 'sed "s/PORT/$1/" "$0.in" >"$0" && exec nginx -c "$0"'),
            *(f"{HOME}/nginx.conf", PORT),
        ),
        path="/index.html",
    ),
    Server(
        "python",
        "Flask's JSON by gunicorn, one process with four threads, by wrk with 32 connections",
        _flask,
        (
            *("gunicorn", "--bind", f"127.0.0.1:{PORT}", "--worker-class", "gthread", "--threads", "4"),
            *("--workers", "1", "--keep-alive", "75", "--chdir", f"{HOME}/web", "--log-level", "error"),
            "shop:application",
        ),
    ),
    Server(
        "nodejs",
        "JSON by Node.js's own http server, by wrk with 32 connections",
        _node,
        ("node", f"{HOME}/server.js", PORT),
    ),
    Build(
        "npm",
        f"npm ci, offline, of {NPM_PACKAGES} pinned packages with {NPM_FILES_EACH} files each",
        _npm,
        ("sh", "-c", _NPM_CI.format(home=HOME, options=_NPM_OPTIONS.format(home=HOME))),
        clean=("rm", "-rf", f"{HOME}/npm/node_modules"),
        times=3,
    ),
    Build(
        "c",
        f"make -j of {C_FILES} C files with gcc -O1",
        _c,
        ("make", "--silent", "-C", f"{HOME}/c", "-j", JOBS),
        clean=("sh", "-c", f"rm -rf {HOME}/c/out && mkdir {HOME}/c/out"),
        times=1,
    ),
)

NEEDED = {
    "redis-check-rdb": "redis-tools",
    "redis-benchmark": "redis-tools",
    "nginx": "nginx-light",
    "wrk": "wrk",
    "gunicorn": "gunicorn",
    "/usr/lib/python3/dist-packages/flask": "python3-flask",
    "node": "nodejs",
    "npm": "npm",
    "make": "make",
    "gcc": "gcc",
    "taskset": "util-linux",
}
"""Program, or file, of the machine -> Debian's package."""
