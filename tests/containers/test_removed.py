"""A container whose files were removed before they could be looked at is not one that loaded nothing."""

from __future__ import annotations

import os

import pytest

from sensor.model.package import Skipped, SkipReason
from sensor.node.resolve.python.resolver import PythonResolver
from sensor.node.rootfs import RootFilesystem
from tests.containers.packages import PYTHON, Distribution, environment, image
from tests.ground import Ground

pytestmark = pytest.mark.containers

ONE = Distribution("removed", "1.0.3", modules=2)
OPENED = "/app/site/removed/__init__.py"
PROGRAM = (
    "import removed, time; open('/app/site/own.py', 'w').close(); print('up', flush=True); time.sleep(600)"
)


def test_a_removed_overlay_still_opens_files_and_lists_none(ground: Ground) -> None:
    of = image(ground, "removed", [ONE])
    with ground.container(of, [*PYTHON, PROGRAM], name="removed", env=environment()) as container:
        while "up" not in container.output():
            assert container.running, container.output()
        root = os.open(f"/proc/{container.pid}/root", os.O_PATH | os.O_DIRECTORY)
        held = RootFilesystem(root)
        found = PythonResolver().resolve(held, OPENED)
        assert not isinstance(found, Skipped)
        (use,) = found
        assert use.package.purl == ONE.purl
    try:
        result = PythonResolver().resolve(held, OPENED)
        assert isinstance(result, Skipped)
        assert result.reason is SkipReason.VANISHED
        assert result.reason.loses_facts
    finally:
        os.close(root)
