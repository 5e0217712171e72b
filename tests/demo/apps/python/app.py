"""A web shop's order service: the Python half of the demo.

The packages are what such services are made of: a framework and its server, a database layer, a client,
native code (numpy, PyYAML's, SQLAlchemy's), two distributions that share a namespace package (jaraco),
one (dateutil) that is imported by the first request that needs it, and one (tabulate) that is installed
and never imported.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy
import requests
import truth
import waitress
import yaml
from flask import Flask, render_template_string
from jaraco.context import suppress
from jaraco.functools import once
from sqlalchemy import create_engine, text

SETTINGS = yaml.safe_load("{currency: EUR, page: 20, user_agent: orders/1.0}")
PAGE = (
    "{% for number, total in orders %}{{ number }}: {{ '%.2f' | format(total) }} {{ currency }}\n{% endfor %}"
)

app = Flask(__name__)


@once
def database() -> Any:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (number INTEGER PRIMARY KEY, total REAL)"))
        for number, total in enumerate(numpy.linspace(10, 200, SETTINGS["page"]), start=1):
            connection.execute(text("INSERT INTO orders VALUES (:n, :t)"), {"n": number, "t": float(total)})
    return engine


@once
def client() -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = SETTINGS["user_agent"]
    return session


@app.get("/orders")
def orders() -> str:
    client()
    with database().connect() as connection:
        rows = connection.execute(text("SELECT number, total FROM orders")).all()
    return render_template_string(PAGE, orders=rows, currency=SETTINGS["currency"])


@app.get("/due/<date>")
def due(date: str) -> dict[str, str]:
    from dateutil import parser, relativedelta  # the lazy one

    with suppress(parser.ParserError):
        return {"due": (parser.parse(date) + relativedelta.relativedelta(months=1)).isoformat()}
    return {"due": "unknown"}


@app.get("/truth")
def told() -> dict[str, list[str]]:
    return truth.packages()


waitress.serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=2)
