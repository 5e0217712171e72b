"""The layer of the container's image: installed distributions as pip leaves them (PEP 376, PEP 427)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DISTRIBUTIONS = 10
FILES_EACH = 10
VERSION = "1.2.3"
HOME = Path("/opt/bench")
_SITE = HOME / "lib" / "python3.11" / "site-packages"


@dataclass(frozen=True, slots=True)
class PackageFiles:
    """Paths in the container: ``modules`` belong to packages, ``other`` is no language file."""

    modules: tuple[Path, ...]
    other: Path
    names: tuple[str, ...]


def install(layer: Path, label: str = "bench-distribution") -> PackageFiles:
    """Install :data:`DISTRIBUTIONS` distributions of :data:`FILES_EACH` modules each in ``layer``.

    Their names begin with ``label``.
    """
    names = tuple(f"{label}-{number}" for number in range(DISTRIBUTIONS))
    modules = tuple(module for name in names for module in _distribution(layer, name))
    other = modules[0].with_name("rules.txt")
    on_disk(layer, other).write_text("no language file\n")
    return PackageFiles(modules, other, names)


def on_disk(layer: Path, inside: Path) -> Path:
    """Where a path of the container is before the container is."""
    return layer / inside.relative_to("/")


def _distribution(layer: Path, name: str) -> tuple[Path, ...]:
    package = _SITE / name.replace("-", "_")
    info = _SITE / f"{package.name}-{VERSION}.dist-info"
    modules = tuple(package / f"module_{number}.py" for number in range(FILES_EACH))
    texts = {module: f"NAME = {module.stem!r}\n" for module in modules}
    texts[info / "METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n"
    files = [*texts, info / "RECORD"]
    texts[info / "RECORD"] = "".join(f"{file.relative_to(_SITE)},,\n" for file in files)
    for file, text in texts.items():
        on_disk(layer, file).parent.mkdir(parents=True, exist_ok=True)
        on_disk(layer, file).write_text(text)
    return modules
