"""A full ring loses events: how that is counted, told, and healed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensor.node.capture.capture import CaptureSettings
from sensor.node.capture.layout import Counter
from tests.kernel.conftest import Observer

pytestmark = pytest.mark.kernel

FILES = 400
# Half of what the files take, and room for what containers of others on the machine do meanwhile.
RING_BYTES = 64 << 10
FEW = 10
"""Files that the ring holds at once, whatever else is in it."""


def test_what_does_not_fit_is_counted_told_and_comes_again(real_kernel: None, tmp_path: Path) -> None:
    observer = Observer(CaptureSettings(ring_bytes=RING_BYTES))
    try:
        script = f"""
paths = [f"{tmp_path}/{{number}}/a.py" for number in range({FILES})]
for path in paths:
    make(path)
pause()
for path in paths:
    touch(path)
pause()
for start in range(0, {FILES}, {FEW}):
    for path in paths[start : start + {FEW}]:
        touch(path)
    pause()
"""
        with observer.stepping(script) as step:
            step()  # from here on the ring is empty
            first = step()
            counters = observer.capture.counters()
            losses = observer.capture.take_losses()
            again: set[str] = set()
            for _ in range(0, FILES, FEW):
                again.update(step().opened)
        heard = {path for path in first.opened if path.startswith(str(tmp_path))}
        assert 0 < len(heard) < FILES
        lost = losses[first.mount_namespace, first.pid]
        assert len(heard) + lost == FILES
        assert counters[Counter.RING_FULL] >= lost
        # what was lost was not remembered as seen, so its next open is told; what was told is not
        assert {path for path in again if path.startswith(str(tmp_path))} == {
            f"{tmp_path}/{number}/a.py" for number in range(FILES)
        } - heard
        assert observer.capture.take_losses() == {}
    finally:
        observer.capture.close()
