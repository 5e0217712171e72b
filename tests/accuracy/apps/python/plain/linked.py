"""uv's environment of links: every file in site-packages is a link into uv's cache."""

from __future__ import annotations

import os

import attr
import requests
import told
import yaml

assert os.path.islink(attr.__file__) and os.path.islink(requests.__file__) and yaml.safe_load("1") == 1
told.tell()
