"""What a release carries, and what the build files promise."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_make_alone_lists_the_targets() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "lint", "bench"):
        assert re.search(rf"^  make {target} +\S", listed, re.MULTILINE), target


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_locks_pin_with_hashes_for_both_machines_and_name_no_index(name: str) -> None:
    text = (ROOT / f"{name}.lock").read_text()
    entries = re.findall(
        r"^([a-z0-9-]+)==\S+.*\\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE
    )
    wanted = re.findall(r"^([A-Za-z][\w-]*)", (ROOT / f"{name}.in").read_text(), re.MULTILINE)
    assert {one.replace("_", "-").lower() for one in wanted} <= {entry[0] for entry in entries}
    assert len(entries) == len(re.findall(r"^\S+==", text, re.MULTILINE))
    # At least a wheel and a source archive each.
    assert all(hashes.count("sha256") >= 2 for _, hashes in entries)
    assert "://" not in text
    assert "--index" not in text


def test_a_wheel_carries_the_kernel_programs_and_the_licences(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    # From a copy: building leaves folders behind.
    source = tmp_path / "source"
    names = ["bpf", "sensor", "LICENSE", "LICENSES", "pyproject.toml", "requirements.in"]
    names += ["README.md"] if "readme" in (ROOT / "pyproject.toml").read_text() else []
    source.mkdir()
    subprocess.run(["cp", "-r", *names, str(source)], cwd=ROOT, check=True)
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    for program in (ROOT / "bpf").iterdir():
        assert any(name.endswith(f".data/data/share/runtime-sensor/bpf/{program.name}") for name in inside)
    assert "sensor/py.typed" in inside
    assert any(name.endswith("licenses/LICENSE") for name in inside)
    assert not [name for name in inside if name.startswith("tests")]
