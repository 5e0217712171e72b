"""Two versions of one distribution in one container: one process uses the old ones, its child the new ones.

The old folder's attrs is used by nobody, nor is the new folder's PyYAML.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

OLD, NEW = "/app/old", "/app/new"
CHILD = "import attr, jinja2, json, told; print(json.dumps(told.packages()))"

sys.path.insert(1, OLD)
import jinja2  # noqa: E402
import told  # noqa: E402
import yaml  # noqa: E402

assert jinja2.Template("{{ 1 }}").render() == "1" and yaml.safe_load("1") == 1
child = subprocess.run(
    [sys.executable, "-c", CHILD],
    env={**os.environ, "PYTHONPATH": f"/app:{NEW}"},
    check=True,
    stdout=subprocess.PIPE,
)
told.tell(json.loads(child.stdout))
