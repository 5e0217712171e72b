"""Found by PYTHONPATH: writes the truth to the file TRUTH_FILE when the interpreter ends."""

from __future__ import annotations

import atexit
import json
import os

import truth  # type: ignore[import-not-found]  # beside it in the image, on PYTHONPATH


def _write() -> None:
    told = truth.packages()
    with open(os.environ["TRUTH_FILE"], "w", encoding="utf-8") as file:
        json.dump(told, file)


atexit.register(_write)
