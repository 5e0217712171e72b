"""Applications in Go, as their images hold them: a program alone, on a root without Go."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.accuracy.application import Application
from tests.accuracy.applications.go_build import APPS, Build, built, image
from tests.ground import Ground, Image

_STATIC = {"CGO_ENABLED": "0"}


def _application(
    name: str,
    exercises: str,
    *builds: Build,
    command: tuple[str, ...] = (),
    said: str = "READY",
    file: str = "",
) -> Application:
    files = {f"/app/{Path(file).name}": APPS / file} if file else {}

    def build(ground: Ground) -> Image:
        return image(ground, f"accuracy/go-{name}:1", builds, files)

    return Application(
        name=f"go-{name}",
        language="go",
        exercises=exercises,
        build=build,
        command=command or (builds[0].target,),
        truth=partial(built, said=said),
        cwd="/",
    )


APPLICATIONS: tuple[Application, ...] = (
    _application(
        "web",
        "gin, gorm and pgx; generics; static",
        Build("/app/web", "web", env=_STATIC),
    ),
    _application(
        "grpc",
        "gRPC, protobuf, reflection; -trimpath; a name with a dot in /tmp",
        Build("/tmp/grpc.server", "grpc", flags=("-trimpath",)),
    ),
    _application(
        "cli",
        "cobra and viper; PIE, -trimpath, stripped; dependencies of which nothing is linked",
        Build("/usr/bin/tool", "cli", flags=("-trimpath", "-buildmode=pie"), strip=True),
    ),
    _application(
        "exporter",
        "Prometheus, OpenTelemetry and zap; stripped",
        Build("/app/exporter", "exporter", env=_STATIC, strip=True),
    ),
    _application(
        "native",
        "cgo, the C library's resolver, packages that are inlined",
        Build("/app/native", "native"),
    ),
    _application(
        "plugins",
        "a plug-in with dependencies of its own, loaded late",
        Build("/app/host", "plugins", "./host"),
        Build("/app/lib/french.so", "plugins", "./french", flags=("-buildmode=plugin",)),
        command=("/app/host", "/app/lib/french.so"),
    ),
    _application(
        "shared",
        "a library in Go, loaded by Python's ctypes",
        Build("/app/libdigest.so.1", "shared", flags=("-buildmode=c-shared",)),
        # Without site, which imports a part of setuptools on Debian: a package that is not the topic here.
        command=("/usr/bin/python3", "-S", "/app/app.py"),
        file="shared/app.py",
    ),
    _application(
        "workspace",
        "a workspace; replaced by a folder, by another module, by another version",
        Build("/app/service", "workspace/service", env=_STATIC),
    ),
    _application(
        "caddy",
        "a well-known program by name, its own module among the packages",
        Build("/usr/bin/caddy", package="github.com/caddyserver/caddy/v2/cmd/caddy@v2.8.4", env=_STATIC),
        command=("/usr/bin/caddy", "respond", "--listen", "127.0.0.1:0", "hello"),
        said="Server address",
    ),
    _application(
        "packed",
        "packed with UPX: its names are in its memory alone",
        Build("/app/exporter", "exporter", env=_STATIC, strip=True, packed=True),
    ),
    _application(
        "garbled",
        "built with garble: no name in it is a package's",
        Build("/app/cli", "cli", env=_STATIC, garbled=True),
    ),
)
