"""A ring of which only the first half is mapped in full: records that go over its end arrive whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sensor.node.capture import ring
from sensor.node.capture.capture import CaptureSettings
from tests.kernel.conftest import Observer

pytestmark = pytest.mark.kernel

RING_BYTES = 256 << 10
FILES = 4000  # some 300 bytes each: several times around
STEP = 200


def mapped(kind: str) -> list[int]:
    """Sizes of the mappings of rings, or of what stands in their place."""
    found = re.findall(rf"^([0-9a-f]+)-([0-9a-f]+) {kind}", Path("/proc/self/maps").read_text(), re.MULTILINE)
    return [int(end, 16) - int(start, 16) for start, end in found]


def test_it_is_read_several_times_around(real_kernel: None, tmp_path: Path) -> None:
    observer = Observer(CaptureSettings(ring_bytes=RING_BYTES))
    try:
        assert RING_BYTES + ring.MAX_RECORD + 4096 in mapped("r--s .*anon_inode:bpf-map")
        assert RING_BYTES - ring.MAX_RECORD in mapped("---p")
        script = f"""
paths = [f"{tmp_path}/{{number}}/{{'n' * (1 + number % 200)}}/a.py" for number in range({FILES})]
for path in paths:
    make(path)
pause()
for start in range(0, {FILES}, {STEP}):
    for path in paths[start : start + {STEP}]:
        touch(path)
    pause()
"""
        heard: list[str] = []
        with observer.stepping(script) as step:
            step()
            for _ in range(0, FILES, STEP):
                heard += [path for path in step().opened if path.startswith(str(tmp_path))]
        assert heard == [f"{tmp_path}/{number}/{'n' * (1 + number % 200)}/a.py" for number in range(FILES)]
        assert observer.capture.malformed == 0
    finally:
        observer.capture.close()
    assert RING_BYTES - ring.MAX_RECORD not in mapped("---p")
