"""Two gunicorn workers, forked before the application is imported; each serves one of the lazy imports."""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
import time
import urllib.request

import told

FOLDER = "/tmp/truths"
ADDRESS = "127.0.0.1:8123"


def post_worker_init(worker: object) -> None:
    """gunicorn's hook: in each worker, once it has imported the application."""
    from app import app  # the Flask application beside this file

    age: int = worker.age  # type: ignore[attr-defined]  # 1 for the first
    assert app.test_client().get(("/yaml", "/date")[age % 2]).status_code == 200
    with open(f"{FOLDER}/{os.getpid()}.new", "w", encoding="utf-8") as file:
        json.dump(told.packages(), file)
    os.rename(file.name, f"{FOLDER}/{os.getpid()}.json")


def main() -> None:
    os.mkdir(FOLDER)
    command = ["-m", "gunicorn", "--workers", "2", "--bind", ADDRESS, "--config", __file__, "app:app"]
    subprocess.Popen([sys.executable, *command])
    while len(truths := glob.glob(f"{FOLDER}/*.json")) < 2:
        time.sleep(0.05)
    with urllib.request.urlopen(f"http://{ADDRESS}/orders") as answer:
        assert answer.read() == b"1"
    others = []
    for name in truths:
        with open(name, encoding="utf-8") as file:
            others.append(json.load(file))
    told.tell(*others)


if __name__ == "__main__":
    main()
