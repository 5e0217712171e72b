"""What the image's programs must do on this kernel: ``doctor``, and ``node`` under each hook."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import platform
import re
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.image.inside import containers
from tests.image.inside.expected import DOCTOR, NODE, Order, order
from tests.kernels import protocol

LABELS = {"fentry": "fentry", "kprobe": "kprobe", "raw": "raw_tracepoint"}

_ADDRESS = "127.0.0.1:9102"
_PATIENCE = 600.0
_APPLICATION = "import time, urllib3, yaml; time.sleep(3600)"
_LOADED = {"pkg:pypi/urllib3": "opened", "pkg:pypi/pyyaml": "mapped"}
"""What that loads, and the evidence that there must be."""


def main(text: str) -> None:
    """Does what ``text`` orders, tells it line by line, and turns the guest off."""
    try:
        [port] = glob.glob("/dev/vport*p1")
        with open(port, "w", buffering=1, encoding="utf-8") as out:

            def tell(kind: str, **values: object) -> None:
                out.write(protocol.line(kind, **values) + "\n")

            tell("booted", release=platform.release(), version=platform.version())
            _run(order(text), tell)
    finally:
        os.sync()
        Path("/proc/sysrq-trigger").write_text("o")
        time.sleep(60)


def _run(ordered: Order, tell: Callable[..., None]) -> None:
    # Debian's 3 would keep kprobes from whoever has no CAP_SYS_ADMIN, as `doctor` says.
    Path("/proc/sys/kernel/perf_event_paranoid").write_text("2")
    if ordered.chosen:
        _try(tell, ordered.hooks[0], DOCTOR, partial(_doctor, ordered))
    for hook in ordered.hooks:
        _try(tell, hook, NODE, partial(_node, hook))


def _try(tell: Callable[..., None], hook: str, check: str, does: Callable[[], str]) -> None:
    started = time.monotonic()
    try:
        ok, detail = True, does()
    except Exception:  # noqa: BLE001 - a check that fails is a result
        ok, detail = False, traceback.format_exc()[-3000:]
    tell("check", hook=hook, check=check, ok=ok, detail=detail, seconds=round(time.monotonic() - started, 1))


def _doctor(ordered: Order) -> str:
    """It takes the first hook that this kernel has, finds nothing that fails, and says why not the others."""
    with tempfile.TemporaryFile(dir="/run") as output:
        process = containers.sensor("doctor", "--json", output=output, log=output)
        status = process.wait(_PATIENCE)
        output.seek(0)
        told = output.read().decode()
    assert status == 0, f"exit status {status}: {told}"
    found = {finding["what"]: finding for finding in json.loads(told)["findings"]}
    held = [name for name in found if name.startswith("CAP_") and found[name]["found"].startswith("held")]
    assert len(held) == len(containers.capabilities()), f"not with these alone: {held}"
    assert found["hook"]["found"].startswith(f"{LABELS[ordered.hooks[0]]}: "), found["hook"]
    refused = {what.partition(" ")[2] for what in found if what.startswith("hook ")} - {"limits"}
    assert refused == {LABELS[name] for name in ordered.absent}, refused
    return str(found["hook"]["found"])


def _node(hook: str) -> str:
    """It is ready, tells what a container that starts then has loaded, has seen its exec, and ends well."""
    with tempfile.TemporaryDirectory(dir="/run") as folder, _sensor(hook, Path(folder)) as log:
        began = time.monotonic()
        _until(_ready, log)
        ready = time.monotonic() - began
        container = hashlib.sha256(hook.encode()).hexdigest()
        application = containers.application(_APPLICATION, container)
        try:
            output = Path(folder, "output")
            _until(lambda: _LOADED.items() <= _evidence(output, container).items(), log, output)
        finally:
            application.kill()
            application.wait()
        metrics = _get("/metrics")
    assert re.search(rf'_hook_info{{hook="{LABELS[hook]}"}} 1', metrics), "another hook is in use"
    execs = re.search(r'_kernel_handling_samples_total{what="exec"} (\d+)', metrics)
    assert execs, metrics[:300]
    assert int(execs[1]) > 0, "no exec was seen"
    return f"ready after {ready:.0f} s, saw {', '.join(sorted(_LOADED))} and {execs[1]} execs"


@contextmanager
def _sensor(hook: str, folder: Path) -> Iterator[Path]:
    """``node``, its output in ``folder``; yields its log. AssertionError where it does not end with 0."""
    log = folder / "log"
    with (folder / "output").open("wb") as output, log.open("wb") as errors:
        arguments = ("--output=jsonl", "--kubernetes=off", f"--metrics-address={_ADDRESS}")
        process = containers.sensor("node", f"--open-hook={hook}", *arguments, output=output, log=errors)
    try:
        yield log
        process.terminate()
        status = process.wait(_PATIENCE)
        assert status == 0, f"exit status {status}: {log.read_text()[-2000:]}"
    finally:
        process.kill()
        process.wait()


def _evidence(output: Path, container: str) -> dict[str, str]:
    """Package URL without version -> evidence, of what has been told of ``container``."""
    lines = output.read_text().splitlines()
    states = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    found = [state["packages"] for state in states if state.get("container", {}).get("id") == container]
    return {package["purl"].partition("@")[0]: package["evidence"] for each in found for package in each}


def _ready() -> bool:
    try:
        return '"ready": true' in _get("/readyz")
    except (URLError, OSError):
        return False


def _get(path: str) -> str:
    with urlopen(f"http://{_ADDRESS}{path}", timeout=60) as answer:
        text: str = answer.read().decode()
    return text


def _until(condition: Callable[[], bool], *files: Path) -> None:
    """Raises AssertionError with the ends of ``files`` where it does not come to pass."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        told = [file.read_text()[-2000:] for file in files]
        assert "what to do:" not in told[0], told
        assert time.monotonic() < end, f"not within {_PATIENCE:.0f} s: {told}"
        time.sleep(0.2)
