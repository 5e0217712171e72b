"""A full ring loses events: how that is counted, told, and healed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensor.node.capture.capture import CaptureSettings
from sensor.node.capture.layout import Counter
from tests.kernel.conftest import Observer

pytestmark = pytest.mark.kernel

FILES = 400


def test_what_does_not_fit_is_counted_told_and_comes_again(real_kernel: None, tmp_path: Path) -> None:
    observer = Observer(CaptureSettings(ring_bytes=4 * 4096))
    try:
        script = f"""
paths = [f"{tmp_path}/{{number}}/a.py" for number in range({FILES})]
for path in paths:
    make(path)
for path in paths:
    touch(path)
pause()
for path in paths:
    touch(path)
    import time; time.sleep(0.003)  # slow enough for the reader of so small a ring
pause()
"""
        with observer.stepping(script) as step:
            first = step()
            counters = observer.capture.counters()
            losses = observer.capture.take_losses()
            again: set[str] = set()
            observer.listen_while(lambda: again.update(step().opened))
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


def test_clearing_lets_everything_through_once_more(observer: Observer, tmp_path: Path) -> None:
    path = str(tmp_path / "a.py")
    with observer.stepping(f"make({path!r})\nfor _ in range(3):\n    touch({path!r})\n    pause()") as step:
        first, second = step(), step()
        assert observer.capture.clear_seen() > 0
        third = step()
    assert (path in first.opened, path in second.opened, path in third.opened) == (True, False, True)
