"""A zipped egg and a wheel as they are on sys.path; of a second wheel nothing is imported."""

from __future__ import annotations

import sys

sys.path[1:1] = ["/app/attrs-26.1.0-py3.11.egg", "/app/idna.whl", "/app/tabulate.whl"]
import attr  # noqa: E402
import idna  # noqa: E402
import told  # noqa: E402

assert attr.__file__.startswith(sys.path[1]) and idna.__file__.startswith(sys.path[2])
told.tell()
