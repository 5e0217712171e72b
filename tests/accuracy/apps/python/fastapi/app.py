"""FastAPI served by uvicorn: asynchronous, pydantic's native core, a client of its own."""

from __future__ import annotations

import threading
import time

import httpx
import told
import uvicorn
from fastapi import FastAPI, Form
from fastapi.responses import ORJSONResponse
from pydantic import BaseModel

app = FastAPI()


class Order(BaseModel):
    number: int


@app.post("/orders")
async def orders(order: Order) -> ORJSONResponse:
    return ORJSONResponse({"number": order.number})


@app.get("/settings")
def read_settings() -> dict[str, str]:
    from pydantic_settings import BaseSettings

    class Settings(BaseSettings):
        lang: str = "?"

    return Settings().model_dump()


@app.post("/form")
async def form(name: str = Form()) -> dict[str, str]:
    return {"name": name}


server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=8124, log_level="warning"))
threading.Thread(target=server.run, daemon=True).start()
while not server.started:
    time.sleep(0.02)
with httpx.Client(base_url="http://127.0.0.1:8124", trust_env=False) as client:
    assert client.post("/orders", json={"number": 7}).json() == {"number": 7}
    assert client.get("/settings").json() == {"lang": "C.UTF-8"}
    assert client.post("/form", data={"name": "one"}).json() == {"name": "one"}
told.tell()
