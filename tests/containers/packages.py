"""Synthetic Python distributions: as installed ones look (PEP 376, PEP 627), in any number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.ground import Ground, Image
from tests.ground.image import key

SITE = "app/site"
PYTHON = ("/usr/bin/python3", "-S", "-c")
"""Without the site module, so that what the machine has installed for all loads nothing of its own."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """One import package of ``modules`` files, and ``singles`` modules beside it in site-packages."""

    name: str
    version: str = "1.0"
    modules: int = 1
    singles: int = 0

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"

    @property
    def info(self) -> str:
        return f"{self.name}-{self.version}.dist-info"

    def imports(self) -> Iterator[str]:
        """Every module's name; each is a file of its own."""
        yield self.name
        yield from (f"{self.name}.part{number}" for number in range(1, self.modules))
        yield from (f"{self.name}_single{number}" for number in range(self.singles))

    def write(self, site: Path) -> None:
        """Its modules, METADATA and RECORD."""
        (site / self.name).mkdir(parents=True)
        (site / self.info).mkdir()
        files = [self._file(module) for module in self.imports()]
        for file in files:
            (site / file).write_bytes(b"")
        (site / self.info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {self.version}\n\nName: trap\n"
        )
        record = [*files, f"{self.info}/METADATA", f"{self.info}/RECORD"]
        (site / self.info / "RECORD").write_text("".join(f"{file},,\n" for file in record))

    def _file(self, module: str) -> str:
        return f"{module}/__init__.py" if module == self.name else f"{module.replace('.', '/')}.py"


def image(
    ground: Ground,
    name: str,
    distributions: Sequence[Distribution],
    further: Callable[[Path], None] = lambda layer: None,
    recipe: str = "",
) -> Image:
    """``distributions`` in one layer; ``further`` may add to it.

    Cached by name, distributions and ``recipe``, which names what ``further`` does.
    """

    def build(layer: Path) -> None:
        for distribution in distributions:
            distribution.write(layer / SITE)
        further(layer)

    return ground.layer_image(f"test/{name}:1", key("test", name, repr(distributions), recipe), build)


def opaque(folder: Path) -> None:
    """Nothing of the layers below shows in ``folder`` (overlayfs.rst)."""
    folder.mkdir(parents=True, exist_ok=True)
    os.setxattr(folder, "trusted.overlay.opaque", b"y")


def environment() -> Mapping[str, str]:
    """Of a process that is to find them. No bytecode: every file is opened itself, each once."""
    return {"PYTHONPATH": f"/{SITE}", "PYTHONDONTWRITEBYTECODE": "1"}
