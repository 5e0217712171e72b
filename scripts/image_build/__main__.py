"""``python3 -m scripts.image_build COMMAND``, in the Dockerfile's build stage, which says in which order.

``lock`` pins; ``debian``, ``wheels`` and ``sensor`` fill ``/layers/NAME``, each once in a stage.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from scripts.image_build import libraries, packages, sbom, slim, stubs, unpack, wheels
from scripts.image_build.problem import ImageError

LAYERS, SCRATCH = Path("/layers"), Path("/scratch")
_STARTED = time.monotonic()
_ORDER = ("compiler", "system", "wheels", "sensor")


def main() -> int:
    """Run one command; the exit status is 1 where it could not be done."""
    parser = argparse.ArgumentParser(prog="image_build", description="Fills the layers of the image.")
    parser.add_argument("command", choices=("lock", "debian", "wheels", "sensor"))
    parser.add_argument("--architecture", choices=packages.ARCHITECTURES, default="amd64")
    parser.add_argument("--source", type=Path, default=Path("/source"), help="the sensor's repository")
    parser.add_argument("--version", default="", help="of the sensor, for the bill of materials")
    parser.add_argument("--created", default="1980-01-01T00:00:00Z", help="when, for the same")
    options = parser.parse_args()
    os.umask(0o022)
    try:
        match options.command:
            case "lock":
                packages.write_lock()
            case "debian":
                _debian(options.architecture)
            case "wheels":
                _wheels(options.architecture, options.source)
            case _:
                _sensor(options.architecture, options.source, options.version, options.created)
    except ImageError as error:
        sys.stderr.write(f"image: {error}\n")
        return 1
    return 0


def _debian(architecture: str) -> None:
    locked = packages.locked(architecture)
    files = packages.fetch(locked.values(), SCRATCH / "packages")
    without = [pattern for patterns in packages.left_out().values() for pattern in patterns]
    unpack.skeleton(LAYERS / "compiler", architecture)
    for layer, names in packages.layers().items():
        for name in names:
            unpack.unpack(files[name], LAYERS / layer, without)
    triplet = packages.TRIPLETS[architecture]
    for library, symbols in packages.stubs().items():
        user = LAYERS / "compiler/usr/lib" / triplet / "libLLVM-14.so.1"
        count = stubs.make(library, symbols, user, architecture, SCRATCH / "stubs")
        _say(f"{library}: a stub of {count} symbols")
    wheels.compile_all(LAYERS / "system")
    _say(f"{len(locked)} packages unpacked")


def _wheels(architecture: str, source: Path) -> None:
    lock = source / "requirements.lock"
    wheels.install(lock, LAYERS / "wheels", architecture, packages.left_out()["wheels"])
    _say("wheels installed")
    site = LAYERS / "wheels" / wheels.SITE
    slim.strip(site, architecture)
    slim.without_sources(site, packages.sourceless())
    slim.write_records(site)
    wheels.compile_all(LAYERS / "wheels")
    _say("wheels stripped and compiled")


def _sensor(architecture: str, source: Path, version: str, created: str) -> None:
    wheels.install_sensor(source, LAYERS / "sensor", SCRATCH)
    slim.write_records(LAYERS / "sensor" / wheels.SITE)
    wheels.compile_all(LAYERS / "sensor")
    layers = [LAYERS / name for name in _ORDER]
    _say(f"{libraries.check(layers, architecture)} programs and libraries find all that they are linked with")
    target = LAYERS / "sensor" / sbom.PLACE
    target.parent.mkdir(parents=True)
    target.write_text(sbom.document(layers, packages.locked(architecture), version, architecture, created))
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    for layer in layers:
        for path in sorted(layer.rglob("*")):
            os.utime(path, (epoch, epoch), follow_symlinks=False)


def _say(text: str) -> None:
    sys.stderr.write(f"[image {time.monotonic() - _STARTED:4.0f} s] {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
