"""Files of a volume change all at once, as the program that reads them has it from a kubelet too."""

from __future__ import annotations

from pathlib import Path

from sensor.snyk.token import Token
from tests.kubernetes.e2e.secrets_store import volume


def test_files_are_seen_through_the_folder_of_a_moment(tmp_path: Path) -> None:
    assert volume.write(tmp_path, {"a": b"1", "b": b"2"})
    first = (tmp_path / "..data").readlink()
    assert (tmp_path / "a").readlink() == Path("..data/a")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    assert not volume.write(tmp_path, {"a": b"1", "b": b"2"})
    assert volume.write(tmp_path, {"a": b"3"})
    assert (tmp_path / "..data").readlink() != first
    assert {path.name for path in tmp_path.iterdir()} == {
        "a",
        "..data",
        (tmp_path / "..data").readlink().name,
    }
    assert (tmp_path / "a").read_bytes() == b"3"


def test_a_token_is_read_again_when_the_volume_changes(tmp_path: Path) -> None:
    volume.write(tmp_path, {"snykToken": b"first"})
    token = Token(file=tmp_path / "snykToken")
    assert (token.value(), token.version) == ("first", 1)
    volume.write(tmp_path, {"snykToken": b"second"})
    assert (token.value(), token.version) == ("second", 2)
