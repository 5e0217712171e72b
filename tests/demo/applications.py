"""The two applications, each with a way to ask it what it has loaded itself."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.ground import Container, Ground, GroundError, Image, Pod
from tests.ground.sensor import free_port, get

APPS = Path(__file__).parent / "apps"
TRUTH = Path(__file__).parents[1] / "ground" / "truth"
NAMESPACE = "shop"


@dataclass(frozen=True, slots=True)
class Application:
    """``command`` gets its port as last argument; ``requests`` make it load what it loads lazily."""

    name: str
    image: Image
    command: Sequence[str]
    requests: Sequence[str]

    @contextmanager
    def run(self, ground: Ground) -> Iterator[Running]:
        """A container of it, as a Deployment of one replica would run it; it may not answer yet."""
        port = free_port()
        pod = Pod(f"{self.name}-7d4b9c6f5-x2x8k", NAMESPACE)
        command = [*self.command, str(port)]
        with ground.container(self.image, command, name=self.name, pod=pod, cwd="/app") as container:
            yield Running(self, container, port)


@dataclass(frozen=True, slots=True)
class Running:
    """A started application."""

    application: Application
    container: Container
    port: int

    def wait_answering(self, timeout: float = 30) -> None:
        """Raises GroundError with what it wrote if it ends instead, or is not there in time."""
        deadline = time.monotonic() + timeout
        while self.container.running and time.monotonic() < deadline:
            with suppress(ConnectionError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.01)
        raise GroundError(f"{self.application.name} does not answer; it wrote:\n{self.container.output()}")

    def use(self) -> None:
        """Makes every kind of request once. Raises GroundError."""
        for path in self.application.requests:
            self._get(path)

    def truth(self) -> set[str]:
        """The packages that the interpreter itself says it has loaded, as purls. Raises GroundError."""
        told = json.loads(self._get("/truth"))
        if told["unowned"]:
            raise GroundError(f"{self.application.name}: no distribution owns {told['unowned']}")
        return set(told["packages"])

    def _get(self, path: str) -> str:
        try:
            return get(f"127.0.0.1:{self.port}{path}", timeout=30)
        except OSError as error:
            raise GroundError(f"{self.application.name}{path}: {error}\n{self.container.output()}") from error


def build(ground: Ground) -> tuple[Application, Application]:
    """The Python and the Node.js application, their images built if they are not there yet."""
    return python_application(ground), node_application(ground)


def python_application(ground: Ground) -> Application:
    folder = APPS / "python"
    image = ground.python_image(
        "demo/orders:1",
        folder / "requirements.txt",
        {
            "/app/app.py": folder / "app.py",
            "/app/truth.py": TRUTH / "truth.py",
            "/app/at_exit/sitecustomize.py": TRUTH / "sitecustomize.py",
        },
    )
    return Application(
        "orders", image, ["/app/venv/bin/python", "/app/app.py"], ["/orders", "/due/2024-02-29"]
    )


def node_application(ground: Ground) -> Application:
    folder = APPS / "node"
    image = ground.node_image(
        "demo/catalogue:1",
        folder,
        {
            "/app/server.js": folder / "server.js",
            "/app/truth.mjs": TRUTH / "truth.mjs",
            "/app/truth_hooks.mjs": TRUTH / "truth_hooks.mjs",
        },
    )
    return Application(
        "catalogue",
        image,
        ["node", "--import", "/app/truth.mjs", "/app/server.js"],
        ["/products", "/links"],
    )
