"""Node.js: applications of the usual kinds, and the ways in which packages get to an interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.accuracy.application import Application, told_purls
from tests.accuracy.applications import node_layers as layers
from tests.ground import Ground, Image

PRELOADED = "--require=/app/truth/register.cjs"


def _installed(
    name: str,
    exercises: str,
    *,
    build: Callable[[str], Callable[[Ground], Image]] = layers.npm,
    command: Sequence[str] = ("node", "/app/app.js"),
    options: str = PRELOADED,
    env: Mapping[str, str] | None = None,
) -> Application:
    return Application(
        name=f"node-{name}",
        language="node",
        exercises=exercises,
        build=build(name),
        command=command,
        truth=told_purls,
        env={"NODE_OPTIONS": options, "TRUTH_DIR": "/tmp/truth", **(env or {})},
    )


APPLICATIONS: tuple[Application, ...] = (
    _installed("shop", "Express: middlewares, views and tokens on request"),
    _installed("nest", "NestJS: decorators, optional packages by name"),
    _installed("fastify", "Fastify: plug-ins, files found by a plug-in, a log in a worker thread"),
    _installed(
        "next",
        "Next.js, standalone: compiled copies of packages in its own",
        build=layers.next_js,
        command=("node", "/app/start.js"),
    ),
    _installed("orm", "TypeORM, MikroORM, Drizzle: drivers by name, WebAssembly, natives"),
    _installed("natives", "prebuilt binaries, shared libraries, programs and WebAssembly in packages"),
    _installed("graphql", "Apollo: schema tools, subscriptions"),
    _installed(
        "modules", "ES modules only: import() by name, imports of CommonJS", command=("node", "/app/app.mjs")
    ),
    _installed("workers", "worker threads, forked, spawned and clustered processes"),
    _installed("sockets", "socket.io and ws: server and client, optional natives"),
    _installed("toolchain", "webpack, Babel, ESLint, PostCSS: plug-ins by name"),
    _installed("aws", "AWS SDK v3: a package for each client, credential providers one by one"),
    _installed("late", "requires that fail half-way; packages after 45 s of rest"),
    _installed("pnpm", "pnpm: a store of links, equal files that are one", build=layers.pnpm),
    _installed(
        "yarn",
        "Yarn Plug'n'Play: archives, unplugged and virtual packages",
        build=layers.yarn,
        options=f"--require=/app/.pnp.cjs --experimental-loader=/app/.pnp.loader.mjs {PRELOADED}",
    ),
    _installed(
        "monorepo",
        "npm workspaces, aliases, two versions side by side, `npm ls`",
        build=layers.workspaces,
        command=("node", "/app/packages/api/index.js"),
    ),
)
