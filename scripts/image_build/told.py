"""``python3 -m scripts.image_build.told ARCHIVE SBOM``: an OCI archive, layer by layer, for people.

Runs where the image was built, not in it. Writes the image's bill of materials to the file SBOM.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

LAYERS = ("compiler", "system", "wheels", "sensor")
"""As the Dockerfile copies them."""


def main(archive: Path, sbom: Path) -> int:
    """Prints a line for each layer; sizes in MB of 10^6 bytes."""
    with tarfile.open(archive) as image:
        index = json.loads(_blob(image, "index.json"))
        [entry] = index["manifests"]
        manifest: dict[str, Any] = json.loads(_blob(image, _path(entry["digest"])))
        config = json.loads(_blob(image, _path(manifest["config"]["digest"])))
        _say(f"{'layer':<10} {'unpacked':>9} {'packed':>8}  digest of its tar archive")
        totals = [0, 0]
        layers = zip(manifest["layers"], config["rootfs"]["diff_ids"], LAYERS, strict=True)
        for layer, digest, name in layers:
            content = gzip.decompress(_blob(image, _path(layer["digest"])))
            totals = [totals[0] + len(content), totals[1] + layer["size"]]
            _say(f"{name:<10} {len(content) / 1e6:6.1f} MB {layer['size'] / 1e6:5.1f} MB  {digest}")
            _save_sbom(content, sbom)
        _say(f"{'all':<10} {totals[0] / 1e6:6.1f} MB {totals[1] / 1e6:5.1f} MB  manifest {entry['digest']}")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _save_sbom(layer: bytes, sbom: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        for member in files:
            if member.name.endswith("runtime-sensor/sbom.cdx.json"):
                file = files.extractfile(member)
                assert file is not None
                sbom.write_bytes(file.read())


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _blob(image: tarfile.TarFile, name: str) -> bytes:
    file = image.extractfile(name)
    assert file is not None
    return file.read()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
