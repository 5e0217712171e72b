"""Tokens: real files, real symbolic links, as Kubernetes swaps them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from sensor.config.texts import SettingsError
from sensor.snyk.token import MAX_TOKEN_BYTES, Token
from sensor.snyk.watched_file import WatchedFile

FIRST, SECOND = "first-token-0000", "second-token-000"
assert len(FIRST) == len(SECOND)  # so that a size alone cannot tell them apart


def aged(path: Path, content: str, seconds: float = 60) -> Path:
    """``path`` with ``content``, last written ``seconds`` ago."""
    path.write_text(content)
    now = os.stat(path).st_mtime
    os.utime(path, (now - seconds, now - seconds))
    return path


def test_a_literal_is_stripped_and_stays() -> None:
    token = Token(f" {FIRST}\n")
    assert token.value() == FIRST
    assert token.version == 1


def test_neither_or_both_is_no_token(tmp_path: Path) -> None:
    for arguments in ({}, {"literal": "a", "file": aged(tmp_path / "token", FIRST)}):
        with pytest.raises(SettingsError, match="expected a token or the file"):
            Token(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        (b"one-part\nother-part", "has several lines"),
        (b"one-part\rother-part", "has several lines"),
        (b"one-part other-part", "has spaces"),
        (b"one-part\0other-part", "has spaces or control characters"),
        ("one-pärt".encode(), "not ASCII"),
        (b"one-part\xff", "not ASCII"),
        (b"o" * (MAX_TOKEN_BYTES + 1), "longer than 8,192 bytes"),
    ],
)
def test_what_is_no_token_is_refused_without_showing_it(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=says) as refused:
        Token(file=path)
    assert str(path) in str(refused.value) and "expected one line" in str(refused.value)
    assert "part" not in str(refused.value).replace(str(path), "")
    with pytest.raises(SettingsError, match=says):
        Token(content.decode("utf-8", "surrogateescape"))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "", "pipe"):  # nothing, a folder, a pipe that nobody writes
        with pytest.raises(SettingsError, match="cannot read the token file"):
            Token(file=tmp_path / name)


def test_a_token_is_read_again_when_the_file_changes(tmp_path: Path) -> None:
    path = aged(tmp_path / "token", FIRST)
    token = Token(file=path)
    assert (token.value(), token.version) == (FIRST, 1)
    aged(path, SECOND, seconds=30)
    assert (token.value(), token.version) == (SECOND, 2)
    aged(path, SECOND + "\n", seconds=20)  # written again, the same
    assert (token.value(), token.version) == (SECOND, 2)


def test_a_change_within_one_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    """A file that was written a moment ago is read each time, whatever its time stamps say."""
    path = tmp_path / "token"
    path.write_text(FIRST)
    fresh, settled = WatchedFile(path, 100), WatchedFile(aged(tmp_path / "old", FIRST), 100)
    assert [fresh.read_if_changed() for _ in range(2)] == [FIRST.encode()] * 2
    assert [settled.read_if_changed() for _ in range(2)] == [FIRST.encode(), None]


def test_a_swapped_folder_is_seen(tmp_path: Path) -> None:
    """Kubernetes: token -> ..data/token, ..data -> ..2026_01, and ..data is replaced by rename()."""
    for folder, content in (("..one", FIRST), ("..two", SECOND)):
        (tmp_path / folder).mkdir()
        aged(tmp_path / folder / "token", content)
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "token").symlink_to("..data/token")
    token = Token(file=tmp_path / "token")
    assert token.value() == FIRST
    (tmp_path / "..next").symlink_to("..two")
    (tmp_path / "..next").rename(tmp_path / "..data")
    assert (token.value(), token.version) == (SECOND, 2)


def test_nothing_is_read_while_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = Token(file=aged(tmp_path / "token", FIRST))
    opened: list[str] = []
    really = os.open

    def counted(path: str, *rest: int) -> int:
        opened.append(path)
        return really(path, *rest)

    monkeypatch.setattr(os, "open", counted)
    for _ in range(3):
        assert token.version == 1
    assert opened == []
    aged(tmp_path / "token", SECOND, seconds=5)
    assert token.value() == SECOND and len(opened) == 1


@pytest.mark.parametrize("content", [None, "", "two\nlines"])
def test_the_last_token_stays_while_the_file_holds_none(
    content: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = aged(tmp_path / "token", FIRST)
    token = Token(file=path)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    for _ in range(3):
        assert (token.value(), token.version) == (FIRST, 1)
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warnings) == 1 and "the last token stays in use" in warnings[0]
    aged(path, SECOND)
    assert (token.value(), token.version) == (SECOND, 2)


def test_its_repr_does_not_show_it(tmp_path: Path) -> None:
    for token in (Token(FIRST), Token(file=aged(tmp_path / "token", FIRST))):
        assert FIRST not in repr(token) and FIRST not in f"{token}"
