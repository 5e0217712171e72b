"""Two builds give the same image."""

from __future__ import annotations

import subprocess

import pytest

from tests.image.storage import PROJECT, Image

pytestmark = pytest.mark.containers


def test_a_build_from_nothing_gives_the_same_layers(image: Image) -> None:
    done = subprocess.run([PROJECT / "scripts/image", "--again"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
