"""What each Kubernetes takes, as it publishes it: ``api/openapi-spec/swagger.json`` of its Go module.

Fetched once into the user's cache, checked by the checksums in ``kubernetes_versions.json`` (and by Go's own
database), and made strict: a field that a version does not know is an error, as for ``kubectl`` with
``--validate=strict``.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator

from tests.cluster.build import cache_folder

PINNED: Mapping[str, str] = json.loads((Path(__file__).parent / "kubernetes_versions.json").read_text())
"""Version of Kubernetes to the checksum of its module, oldest first."""
_MODULE = "k8s.io/kubernetes"


class FetchError(Exception):
    """A version's schema could not be had; the message says what was found and what helps."""


class KubernetesSchema:
    """Strict validators of one version's kinds."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = {name: _strict(name, each) for name, each in definitions.items()}
        self._names = {
            (kind["group"], kind["version"], kind["kind"]): name
            for name, each in definitions.items()
            for kind in each.get("x-kubernetes-group-version-kind", [])
        }
        self._validators: dict[tuple[str, str, str], Draft4Validator] = {}

    def validator(self, api_version: str, kind: str) -> Draft4Validator | None:
        """``None`` where this version has no such kind in that group and version."""
        group, _, version = api_version.rpartition("/")
        key = (group, version, kind)
        if key not in self._validators and key in self._names:
            reference = {"$ref": f"#/definitions/{self._names[key]}", "definitions": self._definitions}
            self._validators[key] = Draft4Validator(reference)
        return self._validators.get(key)


@functools.cache
def schema(version: str) -> KubernetesSchema:
    """Of one of :data:`PINNED`; fetched where it is missing (tens of seconds). Raises :class:`FetchError`."""
    path = (
        cache_folder() / "kubernetes-schemas" / f"{version}-{PINNED[version][3:11].replace('/', '_')}.json.gz"
    )
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(version, path)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return KubernetesSchema(json.load(file))


def _fetch(version: str, path: Path) -> None:
    print(f"[schemas] fetching the API of Kubernetes {version}", file=sys.stderr, flush=True)
    # A module cache of its own: 160 MB for a file of 4.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        environment = {**os.environ, "GOMODCACHE": folder, "GOFLAGS": "-modcacherw", "GOWORK": "off"}
        command = ["go", "mod", "download", "-json", f"{_MODULE}@{version}"]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        told = json.loads(done.stdout or "{}")
        if done.returncode:
            raise FetchError(f"{' '.join(command)}: {told.get('Error') or done.stderr.strip()}")
        if told["Sum"] != PINNED[version]:
            raise FetchError(
                f"{_MODULE} {version}: found the checksum {told['Sum']}, expected {PINNED[version]}"
            )
        with zipfile.ZipFile(told["Zip"]) as archive:
            name = f"{_MODULE}@{version}/api/openapi-spec/swagger.json"
            definitions = json.loads(archive.read(name))["definitions"]
    unfinished = path.with_suffix(f".{os.getpid()}")
    with gzip.open(unfinished, "wt", encoding="utf-8") as file:
        json.dump(definitions, file)
    unfinished.replace(path)


def _strict(name: str, found: Any) -> Any:
    """JSON schema of an OpenAPI 2 definition, with no field beside those it names."""
    if name == "io.k8s.apimachinery.pkg.api.resource.Quantity":
        return {"type": ["string", "number"]}  # published as a string alone; numbers are taken
    if isinstance(found, list):
        return [_strict("", each) for each in found]
    if not isinstance(found, dict):
        return found
    if found.get("format") == "int-or-string":
        return {"type": ["string", "integer"]}
    made = {key: _strict("", each) for key, each in found.items() if key not in {"description", "format"}}
    if isinstance(found.get("properties"), dict):
        # A property may be called `description` or `format` itself.
        made["properties"] = {key: _strict("", each) for key, each in found["properties"].items()}
        made.setdefault("additionalProperties", False)
    return made


def main() -> int:
    """Fetches what is missing, so that no test waits for it."""
    try:
        for version in PINNED:
            schema(version)
    except FetchError as error:
        print(f"schemas: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
