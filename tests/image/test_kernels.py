"""The image under a kernel that is not this machine's; all of them: ``python -m tests.image``.

Its libLLVM runs with stubs of libraries (docs/decisions/0013-image.md): each kernel and hook has it compile
something a little different.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.image import guests
from tests.image.storage import Image, archive_of

pytestmark = pytest.mark.containers


def test_image_watches_under_another_kernel(image: Image) -> None:
    """One guest, one hook: emulated, it takes half a minute. ``doctor`` is asked in all the others."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    [spec] = guests.specs(["newest"], architecture)
    spec = replace(spec, order=replace(spec.order, hooks=("fentry",), chosen=False))
    told = guests.run(spec, guests.root_image(archive_of(architecture)))
    assert list(told.problems()) == []
