"""Python: applications of the usual kinds, and the ways in which packages get to an interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.accuracy.application import Application, told_purls
from tests.accuracy.applications import python_layers as layers
from tests.ground import Ground, Image

APPS = Path(__file__).parents[1] / "apps" / "python"
TOLD = APPS / "lib" / "told.py"
VENV = "/app/venv/bin/python"
SYSTEM = "/usr/bin/python3"


def _venv(
    name: str,
    exercises: str,
    *,
    packages: str = "",
    command: Sequence[str] = (VENV, "/app/app.py"),
    files: Sequence[str] = ("app.py",),
    env: dict[str, str] | None = None,
) -> Application:
    """An application whose packages, those of the application ``packages``, are in a virtual environment."""

    def build(ground: Ground) -> Image:
        own = {f"/app/{Path(file).name}": APPS / name / file for file in files}
        requirements = APPS / (packages or name) / "requirements.txt"
        return ground.python_image(f"accuracy/python-{name}:1", requirements, {**own, "/app/told.py": TOLD})

    return Application(f"python-{name}", "python", exercises, build, command, told_purls, env or {})


def _own(
    name: str,
    exercises: str,
    build: Callable[[Ground], Image],
    command: Sequence[str],
    env: dict[str, str] | None = None,
) -> Application:
    return Application(f"python-{name}", "python", exercises, build, command, told_purls, env or {})


APPLICATIONS: tuple[Application, ...] = (
    # First, because it takes longest.
    _venv("idle", "imports after 45 s of rest", packages="plain"),
    _venv("django", "Django: ORM, template engines, back ends imported by name"),
    _venv("flask", "Flask, SQLAlchemy, psycopg: drivers on first use"),
    _venv(
        "gunicorn",
        "preforked workers that import after the fork, each something else",
        packages="flask",
        command=(VENV, "/app/service.py"),
        files=("service.py", "../flask/app.py"),
    ),
    _venv("fastapi", "FastAPI, uvicorn, pydantic: asynchronous, native core"),
    _venv("data", "numpy, pandas, scikit-learn, pyarrow: native extensions"),
    _venv("celery", "Celery, stevedore: plug-ins by name and by entry point"),
    _venv(
        "boto3",
        "boto3, requests, cryptography: services on demand; no frozen modules",
        command=(VENV, "-X", "frozen_modules=off", "/app/app.py"),
    ),
    _venv("vendored", "copies inside pip, setuptools and botocore", packages="boto3"),
    _venv("namespaces", "google, opentelemetry, zope, jaraco: shared namespace packages"),
    _venv("aiohttp", "aiohttp, uvloop: native helpers"),
    _own(
        "halfway",
        "imports that fail half-way",
        layers.halfway,
        (VENV, "/app/app.py"),
        {"PYTHONPATH": "/app/extra"},
    ),
    _own(
        "versions",
        "two versions of one distribution in one container",
        layers.versions,
        (SYSTEM, "/app/app.py"),
    ),
    _own("system", "a virtual environment over Debian's own packages", layers.system, (VENV, "/app/app.py")),
    _own(
        "editable", "a monorepo installed for development, four ways", layers.editable, (VENV, "/app/app.py")
    ),
    _own(
        "stripped",
        "byte code without sources",
        layers.stripped,
        (SYSTEM, "/app/app.py"),
        {"PYTHONPATH": "/app/deps"},
    ),
    _own("zipapp", "modules inside a zipped application", layers.zipapp, (SYSTEM, "tool.pyz")),
    _own(
        "pex",
        "a pex, which unpacks all of itself and uses some",
        layers.pex,
        (SYSTEM, "tool.pex"),
        {"PEX_INHERIT_PATH": "fallback"},
    ),
    _own("linked", "uv's links into its cache", layers.linked, (VENV, "/app/app.py")),
    _own("zipped", "a zipped egg and wheels on sys.path", layers.zipped, (SYSTEM, "/app/app.py")),
)
