"""Which folder the header tree goes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensor.node.capture import scratch


def test_what_is_named_comes_first_and_nothing_twice() -> None:
    assert scratch.candidates({"TMPDIR": "/dev/shm/", "TMP": "/mine", "TEMP": ""}) == {
        "/dev/shm": "/dev/shm (TMPDIR)",
        "/mine": "/mine (TMP)",
        "/tmp": "/tmp",
        "/var/tmp": "/var/tmp",
    }


def test_one_that_cannot_be_written_is_passed_over_and_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "good").mkdir()
    folders = {str(tmp_path / name): name for name in ("absent", "file", "good")}
    with scratch.header_tree(folders) as tree:
        assert tree.parent == tmp_path / "good"
        assert (tree / "include/linux/kconfig.h").is_file()
        assert tree.stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "good").iterdir()) == []


def test_a_tree_half_written_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(folder: Path) -> None:
        (folder / "include").mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch, "write_header_tree", half)
    with (
        pytest.raises(scratch.ScratchError, match=r"\(mine: No space left on device\)"),
        scratch.header_tree({str(tmp_path): "mine"}),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_is_needed_is_more_than_what_is_written(tmp_path: Path) -> None:
    with scratch.header_tree({str(tmp_path): "mine"}) as tree:
        blocks = sum(path.stat().st_blocks * 512 for path in (tree, *tree.rglob("*")))
        assert blocks < scratch.NEEDED_MIB << 19
