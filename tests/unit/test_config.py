"""Options and environment become settings, or an error that says what was expected."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import socket
from pathlib import Path

import pytest

from sensor.config import texts
from sensor.config.bpf import bpf_directory
from sensor.config.node import NodeSettings, node_settings
from sensor.config.texts import Address, SettingsError


def test_defaults() -> None:
    assert node_settings({}, {}) == dataclasses.replace(NodeSettings(), node=socket.gethostname())


def test_options_beat_the_environment() -> None:
    environment = {"CLUSTER_NAME": "east", "NODE_NAME": "node-1"}
    settings = node_settings({"cluster_name": None}, environment)
    assert (settings.cluster, settings.node) == ("east", "node-1")
    settings = node_settings({"cluster_name": "west", "node_name": "n"}, environment)
    assert (settings.cluster, settings.node) == ("west", "n")


def test_everything_given(tmp_path: Path) -> None:
    options: dict[str, str | bool | None] = {
        "output": "jsonl",
        "duration": "1.5",
        "debounce": "0",
        "include_host": True,
        "host_root": str(tmp_path),
        "ring_size": "64",
        "open_hook": "kprobe",
        "metrics_address": "[::1]:9102",
        "log_level": "debug",
        "log_format": "json",
    }
    settings = node_settings(options, {"NODE_NAME": "n"})
    assert settings == NodeSettings(
        output="jsonl",
        duration=1.5,
        debounce=0.0,
        include_host=True,
        node="n",
        host_root=str(tmp_path),
        ring_bytes=64 << 20,
        open_hook="kprobe",
        metrics_address=Address("::1", 9102),
        log_level="debug",
        log_format="json",
    )


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("output", "yaml", "--output: found 'yaml', expected one of table, jsonl"),
        ("duration", "0", "--duration: found '0', expected seconds from 0.1"),
        ("duration", "1m", "--duration: found '1m', expected seconds"),
        ("debounce", "nan", "--debounce: found 'nan', expected seconds from 0 to 3,600"),
        ("debounce", "-1", "--debounce: found '-1'"),
        ("debounce", "inf", "--debounce: found 'inf'"),
        ("ring_size", "3", "--ring-size: found '3', expected MiB as a power of two"),
        ("ring_size", "0", "--ring-size"),
        ("open_hook", "tracepoint", "--open-hook: found 'tracepoint', expected one of auto, fentry, kprobe"),
        ("ring_size", "2048", "--ring-size"),
        ("ring_size", "", "--ring-size"),
        ("host_root", "relative", "--host-root: found 'relative', expected the absolute path"),
        ("host_root", "/does/not/exist", "--host-root"),
        ("host_root", "/" + "long" * 70, "--host-root: found '/long"),
        ("log_level", "loud", "--log-level"),
        ("log_format", "xml", "--log-format"),
        ("metrics_address", "9102", "--metrics-address: found '9102', expected HOST:PORT"),
    ],
)
def test_errors_say_what_was_found_and_expected(option: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        node_settings({option: value}, {})
    assert str(caught.value).startswith(expected)


def test_what_may_not_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root only another process's root is: the file system is asked by one who plays it."""

    def closed(path: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "is_dir", closed)
    monkeypatch.setattr(Path, "is_file", closed)
    assert node_settings({"host_root": "/proc/1/root"}, {}).host_root == "/proc/1/root"
    with pytest.raises(SettingsError, match="--kubeconfig: '/a': Permission denied; expected a file to read"):
        node_settings({"kubeconfig": "/a"}, {})


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9102", ("127.0.0.1", 9102)),
        ("[::]:0", ("::", 0)),
        (":9102", ("0.0.0.0", 9102)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert texts.address("--metrics-address", text) == address


@pytest.mark.parametrize("text", ["", "host", "::1:9102", "host:", "host:http", "host:65536", "host:-1"])
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(SettingsError, match="HOST:PORT"):
        texts.address("--metrics-address", text)


def test_the_kernel_programs_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RUNTIME_SENSOR_BPF_DIR", raising=False)
    found = bpf_directory()
    assert found == Path(__file__).parents[2] / "bpf"
    monkeypatch.setenv("RUNTIME_SENSOR_BPF_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match=r"expected events.h there"):
        bpf_directory()
    shutil.copy(found / "events.h", tmp_path)
    assert bpf_directory() == tmp_path
