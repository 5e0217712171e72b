"""The application in .NET: CoreCLR, and what ``dotnet publish`` would leave of a program with one package.

The runtime is that of the applications of ``make accuracy``, of the x86-64 alone. Mono's ``mcs`` compiles.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.accuracy.applications.dotnet_layers import (
    VERSION,
    compile_to,
    unpack_runtime,
    write_config,
    write_deps,
)

_SOURCES = Path(__file__).with_name("dotnet_app")
_RUNTIME = "opt/dotnet"  # not in /usr, where the pods have the machine's
COMMAND = (f"/{_RUNTIME}/dotnet", "/app/Shop.dll")
ENVIRONMENT = ("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1",)
"""Without it CoreCLR looks for ICU's libraries, which a machine need not have, and ends without them."""


def files() -> dict[str, bytes]:
    """Path in the image -> content, some 70 MB. Raises GroundError."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        framework = root / _RUNTIME / "shared/Microsoft.NETCore.App" / VERSION
        unpack_runtime(root / _RUNTIME)
        app = root / "app"
        compile_to(app / "Demo.Library.dll", framework, [str(_SOURCES / "Library.cs")], library=True)
        compile_to(app / "Shop.dll", framework, [str(_SOURCES / "Shop.cs")])
        write_deps(
            app / "Shop.deps.json", {"Demo.Library.dll": "Demo.Library/4.5.6"}, {"Shop.dll": "Shop/1.0.0"}
        )
        write_config(app / "Shop.runtimeconfig.json")
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
