"""Where the kernel programs are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sensor.config.texts import SettingsError


def bpf_directory() -> Path:
    """Return the folder of the kernel programs' sources.

    ``RUNTIME_SENSOR_BPF_DIR`` if set, else ``bpf/`` of the checkout this module is in, else where a
    wheel puts it. Raises :class:`SettingsError` where none of them holds ``events.h``.
    """
    named = os.environ.get("RUNTIME_SENSOR_BPF_DIR")
    installed = Path(sys.prefix, "share/runtime-sensor/bpf")
    tried = [Path(named)] if named else [Path(__file__).parents[2] / "bpf", installed]
    for folder in tried:
        if (folder / "events.h").is_file():
            return folder
    raise SettingsError(
        f"found no kernel programs in {' or '.join(map(str, tried))}; "
        "expected events.h there: install the sensor anew, or set RUNTIME_SENSOR_BPF_DIR to the folder bpf/"
    )
