"""Flask with SQLAlchemy: the driver of a second database and the YAML reader are imported when needed."""

from __future__ import annotations

import told
from flask import Flask, render_template_string
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
database = SQLAlchemy(app)


class Order(database.Model):  # type: ignore[name-defined]
    number = database.Column(database.Integer, primary_key=True)


@app.get("/orders")
def orders() -> str:
    database.create_all()
    database.session.add(Order(number=7))
    return render_template_string("{{ orders|length }}", orders=Order.query.all())


@app.get("/postgres")
def postgres() -> str:
    try:
        with create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none").connect() as connection:
            connection.execute(text("SELECT 1"))
    except OperationalError:
        return "nobody listens"
    return "somebody listens"


@app.get("/yaml")
def yaml() -> dict[str, int]:
    import yaml

    loaded: dict[str, int] = yaml.load("{a: 1}", yaml.CSafeLoader)
    return loaded


@app.get("/date")
def date() -> str:
    from dateutil import parser

    return parser.parse("2024-02-29").isoformat()


if __name__ == "__main__":
    client = app.test_client()
    for address in ("/orders", "/postgres", "/yaml"):
        assert client.get(address).status_code == 200
    told.tell()
