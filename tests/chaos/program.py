"""Runs inside a container: imports one module after another and says what ``sys.modules`` holds then.

A JSON line before each import (``begins``), one after it (``holds``: the distributions that are new in
``sys.modules``; ``done`` and ``begun`` in seconds of CLOCK_MONOTONIC, which all containers share), and one
with all of them at the end (``truth``). SIGUSR1: import no more. SIGTERM: end in order.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

_BEGUN = time.monotonic()
sys.path.insert(0, "/app")
truth: Any = importlib.import_module("truth")

_REST, _END = signal.SIGUSR1, signal.SIGTERM


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    owners = truth._owners()

    def held() -> set[str]:
        return {purl for file in truth.loaded_files() for purl in owners.get(file, ())}

    dice = random.Random(os.environ["SEED"])
    modules = Path("/app/modules").read_text(encoding="utf-8").split()
    dice.shuffle(modules)
    pause = float(os.environ["PAUSE"])
    # A blocked signal waits for sigtimedwait(), also in the first process of a pid namespace.
    signal.pthread_sigmask(signal.SIG_BLOCK, {_REST, _END})
    known = held()  # a virtual environment's .pth files import before the program does
    say(holds=sorted(known), begun=_BEGUN, done=time.monotonic())
    asked = None
    for module in modules:
        asked = signal.sigtimedwait({_REST, _END}, dice.uniform(0.5, 1.5) * pause)
        if asked:
            break
        begun = time.monotonic()
        say(begins=module, begun=begun)
        importlib.import_module(module)
        new = held() - known
        known |= new
        say(holds=sorted(new), begun=begun, done=time.monotonic())
    if asked is None or asked.si_signo != _END:
        signal.sigwait({_END})
    say(truth=sorted(held()))


main()
