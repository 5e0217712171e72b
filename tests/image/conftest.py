"""The image, built once for all tests of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.image.storage import Image, built


@pytest.fixture(scope="session")
def image(real_containers: None) -> Iterator[Image]:
    for program in ("buildah", "mmdebstrap"):
        if shutil.which(program) is None:
            pytest.fail(f"found no {program}, expected it: run `make setup`", pytrace=False)
    with built() as image:
        yield image
