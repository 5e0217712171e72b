"""Libraries that the compiler is linked with and never calls here, as a few kilobytes in their place.

libLLVM asks the dynamic linker for Z3 (which clang's static analyser calls) and libxml2 (which writes
manifests of Windows programs, and brings ICU). Neither is reached when BCC compiles for BPF; both must be
there for libLLVM to start. Each stub has exactly the symbols that libLLVM takes from it, and a call of one
ends the process by SIGILL: the loader's, a child, whose end the agent tells.
"""

from __future__ import annotations

import re
from pathlib import Path

from scripts.image_build import binutils
from scripts.image_build.problem import ImageError

_TRAPS = {"amd64": "ud2", "arm64": "udf #0"}
_SYMBOL = re.compile(r"^\s+U (\w+)(?:@(\w[\w.]*))?$", re.MULTILINE)


def make(library: str, symbols: str, user: Path, architecture: str, scratch: Path) -> int:
    """Put ``library`` beside ``user``, with what ``user`` takes of the names that match ``symbols``.

    Returns how many. Raises ImageError where there are none, so that no stub outlives its need.
    """
    listed = binutils.run(architecture, "nm", "--dynamic", "--undefined-only", str(user))
    taken = {name: version for name, version in _SYMBOL.findall(listed) if re.match(symbols, name)}
    if not taken:
        raise ImageError(f"{user.name} takes no {symbols}… from {library}: drop its stub from packages.toml")
    scratch.mkdir(parents=True, exist_ok=True)
    source, versions, target = scratch / "stub.s", scratch / "stub.map", scratch / "stub.o"
    names = sorted(taken)
    functions = (
        f".globl {name}\n.type {name}, %function\n{name}: {_TRAPS[architecture]}\n" for name in names
    )
    source.write_text(f'.text\n{"".join(functions)}.section .note.GNU-stack, "", %progbits\n')
    nodes = sorted(set(taken.values()) - {""})
    versions.write_text(
        "".join(_node(node, [name for name in names if taken[name] == node]) for node in nodes)
    )
    binutils.run(architecture, "as", "-o", str(target), str(source))
    script = [f"--version-script={versions}"] if nodes else []
    output = user.parent / library
    linked = ("-shared", "-z", "now", f"-soname={library}", *script, "-o", str(output), str(target))
    binutils.run(architecture, "ld", *linked)
    output.chmod(0o644)
    return len(taken)


def _node(version: str, names: list[str]) -> str:
    return f"{version} {{ global: {' '.join(f'{name};' for name in names)} }};\n"
