"""Makes the EKS add-on of a chart: ``python -m tests.charts.addon_package --image REGISTRY/REPOSITORY:TAG``.

The same templates, less what EKS does not take (hooks, `lookup`, questions for APIs not of Kubernetes), the
image named in full in its values, and ``aws_mp_configuration_schema.json``. What comes out is checked by
``addon_rules`` before it is left in ``dist/``.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.charts.addon_rules import SCHEMA, violations
from tests.charts.addon_schema import configuration_schema
from tests.charts.helm_program import CHARTS, ROOT, HelmError, run

_LEFT_OUT = ("templates/tests", "templates/scc.yaml", "templates/NOTES.txt", "README.md")
_WITHOUT_VALUES = ("openshift", "tests")
_IMAGE = re.compile(
    r"(?P<repository>[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?/[a-z0-9._/-]+):(?P<tag>[\w][\w.-]{0,127})"
)
_NEVER_OPENSHIFT = """\
{{/* An add-on runs on EKS. */}}
{{- define "openshift.found" -}}
{{- end }}
"""


class PackageError(Exception):
    """What is wrong with the request, or each rule that the package would break, a line each."""


def addon(chart: Path, image: str, folder: Path) -> Path:
    """The add-on's chart, unpacked, in ``folder``.

    Raises :class:`PackageError` for an image that is not named in full.
    """
    named = _IMAGE.fullmatch(image)
    if named is None or named["tag"] == "latest":
        raise PackageError(
            f"--image: found {image!r}, expected REGISTRY/REPOSITORY:TAG such as "
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/runtime-sensor:1.2.3"
        )
    made = folder / chart.name
    shutil.copytree(chart, made)
    for name in _LEFT_OUT:
        path = made / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if (made / "templates/_openshift.tpl").is_file():
        (made / "templates/_openshift.tpl").write_text(_NEVER_OPENSHIFT)
    _write_values(made, named["repository"], named["tag"])
    (made / SCHEMA).write_text(json.dumps(configuration_schema(chart), indent=2) + "\n")
    return made


def _write_values(made: Path, repository: str, tag: str) -> None:
    values = yaml.safe_load((made / "values.yaml").read_text())
    schema = json.loads((made / "values.schema.json").read_text())
    for name in _WITHOUT_VALUES:
        values.pop(name, None)
        schema["properties"].pop(name, None)
    image = _image(values)
    image["repository"], image["tag"] = repository, tag
    (made / "values.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (made / "values.schema.json").write_text(json.dumps(schema, indent=2) + "\n")


def _image(values: dict[str, Any]) -> dict[str, Any]:
    """Of the chart's one program: ``image``, or a group's."""
    groups = (values, *(each for each in values.values() if isinstance(each, dict)))
    found: dict[str, Any] = next(each["image"] for each in groups if "image" in each)
    return found


def package(chart: Path, image: str, destination: Path) -> list[Path]:
    """The package and its schema in ``destination``, once every rule holds; raises :class:`PackageError`."""
    with tempfile.TemporaryDirectory() as folder:
        made = addon(chart, image, Path(folder))
        if broken := list(violations(made)):
            raise PackageError("\n".join(broken))
        destination.mkdir(parents=True, exist_ok=True)
        told = run(["package", made, "--destination", folder])
        archive = Path(told.rpartition(": ")[2].strip())
        target = destination / archive.name.replace(chart.name, f"{chart.name}-eks-addon", 1)
        shutil.move(archive, target)
        schema = destination / f"{target.stem}.{SCHEMA}"
        shutil.copy(made / SCHEMA, schema)
    return [target, schema]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.charts.addon_package", description=__doc__)
    parser.add_argument("--image", required=True, metavar="REGISTRY/REPOSITORY:TAG")
    parser.add_argument("--chart", type=Path, default=CHARTS[0], metavar="PATH")
    parser.add_argument("--destination", type=Path, default=ROOT / "dist", metavar="PATH")
    options = parser.parse_args()
    try:
        made = package(options.chart, options.image, options.destination)
    except (PackageError, HelmError) as error:
        print(f"addon: {error}", file=sys.stderr)
        return 1
    for path in made:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
