"""The process in which one target meets hostile bytes: ``python -m tests.fuzz.child SOURCE TARGET …``.

One process for each, as coverage, memory and a crash are its own.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tests.fuzz.mutation import CRASHED, Bounds, loop, run_one
from tests.fuzz.target import Target
from tests.fuzz.watch import Watch


def main() -> int:
    options, rest = _options()
    coverage = options.engine == "atheris"
    with _instrumented(options.module) if coverage else nullcontext():
        target = _target(options.source, options.target)
    watch = Watch(target.run, options.notes)
    if options.input is not None:
        return _once(watch, options.input)
    if coverage:
        _fuzz(watch, rest)
    bounds = Bounds(options.seconds, options.inputs, options.longest)
    return loop(
        watch, [file.read_bytes() for file in sorted(target.seeds.glob("*"))], bounds, options.artifacts
    )


def others(module: str) -> list[str]:
    """Every module of the package that ``module`` is in, but itself and what is below it.

    atheris includes by the first part of a name only, and excludes by whole names (import_hook.py of 3.0).
    """
    top = module.partition(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"{module}: no package {top}")
    found = {top}
    for place in map(Path, spec.submodule_search_locations):
        for file in place.rglob("*.py"):
            parts = (top, *file.relative_to(place).with_suffix("").parts)
            found.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return sorted(name for name in found if not f"{name}.".startswith(f"{module}."))


def _instrumented(module: str) -> AbstractContextManager[object]:
    import atheris

    context: AbstractContextManager[object] = atheris.instrument_imports(
        include=[module], exclude=others(module)
    )
    return context


def _target(source: str, name: str) -> Target:
    targets: tuple[Target, ...] = importlib.import_module(source).TARGETS
    return next(target for target in targets if target.name == name)


def _fuzz(watch: Watch, arguments: list[str]) -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    atheris.Setup([sys.argv[0], *arguments], watch)
    atheris.Fuzz()


def _once(watch: Watch, file: Path) -> int:
    problem = run_one(watch, file.read_bytes())
    print(problem or f"{file}: returns, as it should")
    return CRASHED if problem else 0


def _options() -> tuple[argparse.Namespace, list[str]]:
    """Ours, and what is libFuzzer's."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.child", description=__doc__)
    parser.add_argument("source", help="module with TARGETS")
    parser.add_argument("target")
    parser.add_argument("--engine", choices=("atheris", "own"), default="own")
    parser.add_argument("--module", default="", help="what is instrumented")
    parser.add_argument("--notes", type=Path, help="folder for the slowest input")
    parser.add_argument("--input", type=Path, help="this one only")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--inputs", type=int, default=1 << 62)
    parser.add_argument("--longest", type=int, default=4096, help="bytes")
    parser.add_argument("--artifacts", default="./", help="prefix of the files of failing inputs")
    return parser.parse_known_args()


if __name__ == "__main__":
    sys.exit(main())
