"""The .NET applications. Their truth is the runtime's: AppDomain.GetAssemblies and Process.Modules.

The runtime names files; the tables of :mod:`tests.accuracy.applications.dotnet_layers` say which package
each was published in. A native library counts as its package once it is mapped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from tests.accuracy.application import Application, told
from tests.accuracy.applications import dotnet_layers as layers
from tests.ground import Container, GroundError

_ENV = {
    "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
    "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
    # Without it the runtime opens a socket in /tmp for diagnostics.
    "COMPlus_EnableDiagnostics": "0",
}
_DOTNET = f"{layers.DOTNET}/dotnet"
_ENGINE_SETTINGS = {
    "debug": "false",
    "firstLaunch": "false",
    "sessionId": "yardstick",
    "invokingPythonPath": "/usr/bin/python3",
    "invokingPythonWorkingDirectory": "/app/",
    "instrumentationKey": "",
    "hbiMode": "false",
    "verbosity": "2",
    "logDirectory": "/app/logs",
}
_OWN = frozenset({"Shop", "Prices", "Plugins", "First", "Second", "Third", "Languages", "Hook"})

Owner = Callable[[str, str], str | None]
"""Name of the assembly and where it is (empty when it was loaded from bytes) -> ``Name/version``."""


def _purls(container: Container, owner: Owner, own: frozenset[str] = _OWN) -> frozenset[str]:
    truth = told(container)
    files = truth["assemblies"]
    modules = truth["modules"]
    assert isinstance(files, list)
    assert isinstance(modules, list)
    purls = set()
    for name, location in files:
        if name in own:
            continue
        package = owner(name, location)
        if package is None:
            raise GroundError(f"{container.specification.name}: no package owns {name} of {location}")
        purls.add(layers.purl(package))
    for location in modules:
        package = owner("", location) if location.startswith(("/usr/share/dotnet/", "/app/")) else None
        if package is not None:
            purls.add(layers.purl(package))
    return frozenset(purls)


def _framework(location: str) -> str | None:
    if not location.startswith(f"{layers.FRAMEWORK}/"):
        return None
    return layers.HOST_PACKAGE if location.endswith("/libhostpolicy.so") else layers.FRAMEWORK_PACKAGE


def _plain(name: str, location: str) -> str | None:
    file = location.rpartition("/")[2] or f"{name}.dll"
    culture, _, _ = file.partition(".resources.dll")
    return _framework(location) or layers.NEW_PACKAGES.get(f"{culture.removesuffix('.dll')}.dll")


def _carried(name: str, location: str) -> str | None:
    """Self-contained: what is no other package's is the runtime's; the program itself is neither."""
    if not location.endswith((".dll", ".so")):
        return None
    return layers.NEW_PACKAGES.get(location.rpartition("/")[2], layers.RUNTIME_PACK)


def _of_plugins(name: str, location: str) -> str | None:
    table = layers.OLD_PACKAGES if "/plugins/First/" in location else layers.NEW_PACKAGES
    return _framework(location) or table.get(location.rpartition("/")[2])


def _engine(container: Container) -> frozenset[str]:
    packages: Mapping[str, str | None] = layers.engine_packages()
    own = frozenset(file.removesuffix(".dll") for file, package in packages.items() if package is None)

    def owner(_: str, location: str) -> str | None:
        below = location.removeprefix("/app/bin/")
        return _framework(location) or packages.get(below)

    return _purls(container, owner, own | _OWN)


APPLICATIONS = (
    Application(
        name="dotnet-shop",
        language="dotnet",
        exercises="framework-dependent, deps.json with packages that are never used",
        build=layers.shop,
        command=(_DOTNET, "/app/Shop.dll"),
        truth=lambda container: _purls(container, _plain),
        env=_ENV,
    ),
    Application(
        name="dotnet-loose",
        language="dotnet",
        exercises="no deps.json: names and versions from the assemblies",
        build=layers.loose,
        command=(_DOTNET, "/app/Shop.dll"),
        truth=lambda container: _purls(container, _plain),
        env=_ENV,
    ),
    Application(
        name="dotnet-self-contained",
        language="dotnet",
        exercises="the runtime beside the application, started by a program of its own",
        build=layers.self_contained,
        command=("/app/Shop",),
        truth=lambda container: _purls(container, _carried),
        env=_ENV,
    ),
    Application(
        name="dotnet-single-file",
        language="dotnet",
        exercises="one file that extracts its assemblies at the start, as .NET Core 3 does",
        build=layers.single_file,
        command=("/app/Shop",),
        truth=lambda container: _purls(container, _plain),
        env={
            **_ENV,
            "DOTNET_BUNDLE_EXTRACT_BASE_DIR": "/tmp/bundles",
            "DOTNET_ROOT": layers.DOTNET,
            "DOTNET_HOST_LIBRARY": layers.FXR,
        },
    ),
    Application(
        name="dotnet-plugins",
        language="dotnet",
        exercises="plug-ins loaded late, two versions of an assembly in two load contexts",
        build=layers.plugins,
        command=(_DOTNET, "/app/Plugins.dll"),
        truth=lambda container: _purls(container, _of_plugins),
        env=_ENV,
    ),
    Application(
        name="dotnet-languages",
        language="dotnet",
        exercises="satellite assemblies, and an assembly loaded from bytes",
        build=layers.languages,
        command=(_DOTNET, "/app/Languages.dll"),
        truth=lambda container: _purls(container, _plain),
        env=_ENV,
    ),
    Application(
        name="dotnet-engine",
        language="dotnet",
        exercises="a published engine with 100 assemblies and five deps.json in one folder",
        build=layers.engine,
        command=(
            *("/bin/sh", "-c", '(cat /app/requests.jsonl; exec sleep infinity) | exec "$@"', "engine"),
            *(_DOTNET, "/app/bin/Microsoft.DPrep.Execution.EngineHost.dll", json.dumps(_ENGINE_SETTINGS)),
        ),
        truth=_engine,
        env={**_ENV, "DOTNET_STARTUP_HOOKS": "/app/hook/Hook.dll", "DOTNET_ROLL_FORWARD": "Major"},
    ),
)
