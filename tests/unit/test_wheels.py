"""Wheels that tests fetch: only what was pinned, and once. A folder stands in for the package index."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from tests.accuracy.applications.wheels import Wheel
from tests.ground.problem import GroundError

FILE = "demo_package-1.2.3-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    info = "demo_package-1.2.3.dist-info"
    with zipfile.ZipFile(folder / FILE, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: demo-package\nVersion: 1.2.3\n\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("RUNTIME_SENSOR_CACHE", str(tmp_path / "cache"))
    return folder


def _pinned(content: bytes) -> Wheel:
    return Wheel("demo-package", "1.2.3", "py3-none-any", hashlib.sha256(content).hexdigest())


def test_fetched_once(index: Path) -> None:
    content = (index / FILE).read_bytes()
    wheel = _pinned(content)
    assert wheel.path().read_bytes() == content
    (index / FILE).unlink()
    assert wheel.path().read_bytes() == content


def test_other_content_is_refused_and_not_kept(index: Path, tmp_path: Path) -> None:
    found = hashlib.sha256((index / FILE).read_bytes()).hexdigest()
    wheel = _pinned(b"what was pinned")
    for _ in range(2):
        with pytest.raises(GroundError, match=f"{FILE}: found the SHA-256 {found}, expected {wheel.sha256}"):
            wheel.path()
    assert list((tmp_path / "cache").rglob("*.whl")) == []
