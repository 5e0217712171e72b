"""Installs a distribution that no other container has, and imports it beside one that all have.

So no cache that goes by a name or a path can hide that something is kept for each container.
"""

import importlib
import os

NUMBER = os.environ["NUMBER"]
SITE = os.environ["PYTHONPATH"]
NAME = f"lived{NUMBER}"
INFO = f"{SITE}/{NAME}-1.{NUMBER}.dist-info"


def write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


os.makedirs(f"{SITE}/{NAME}")
os.makedirs(INFO)
write(f"{SITE}/{NAME}/__init__.py", "")
write(f"{SITE}/{NAME}/part.py", "")
write(f"{INFO}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.{NUMBER}\n\n")
write(f"{INFO}/RECORD", f"{NAME}/__init__.py,,\n{NAME}/part.py,,\n{NAME}-1.{NUMBER}.dist-info/METADATA,,\n")
importlib.invalidate_caches()
for module in ("steady", NAME, f"{NAME}.part"):
    importlib.import_module(module)
