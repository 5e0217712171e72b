"""What package.json may say, and where it counts."""

from __future__ import annotations

from tests.edges.case import Link
from tests.edges.node_case import LODASH, NODE, case, manifest, package

MANIFESTS = (
    case(
        "a package.json that only says `module`",
        "node, packages: `type` counts for the folder; the package is the one above",
        "/app/node_modules/lodash/esm/map.js",
        manifests={"/app/node_modules/lodash": LODASH, "/app/node_modules/lodash/esm": b'{"type": "module"}'},
    ),
    case(
        "a stub for a subpath",
        "seen with preact 10: hooks/package.json says preact-hooks, private",
        "/app/node_modules/preact/hooks/dist/hooks.js",
        (package("preact", "10.26.4"),),
        manifests={
            "/app/node_modules/preact": manifest("preact", "10.26.4"),
            "/app/node_modules/preact/hooks": manifest("preact-hooks", "0.1.0", private=True),
        },
    ),
    case(
        "a stub with a name that nobody could publish",
        "npm, package.json: a name has at most one slash; seen with @apollo/client 3: @apollo/client/core",
        "/app/node_modules/@apollo/client/core/index.js",
        (package("@apollo/client", "3.13.1"),),
        manifests={
            "/app/node_modules/@apollo/client": manifest("@apollo/client", "3.13.1"),
            "/app/node_modules/@apollo/client/core": manifest("@apollo/client/core", "3.13.1"),
        },
    ),
    case(
        "a compiled copy without a version is its host",
        "seen with Next.js 14: next/dist/compiled/ws/package.json has a name and a main file",
        "/app/node_modules/next/dist/compiled/ws/index.js",
        (package("next", "14.2.35"),),
        manifests={
            "/app/node_modules/next": manifest("next", "14.2.35"),
            "/app/node_modules/next/dist/compiled/ws": b'{"name": "ws", "main": "index.js"}',
        },
    ),
    case(
        "a package that is carried whole is loaded with its host",
        "seen with Next.js 14: next/dist/compiled/@babel/runtime is the published package",
        "/app/node_modules/next/dist/compiled/@babel/runtime/helpers/extends.js",
        (package("next", "14.2.35"), package("@babel/runtime", "7.22.5")),
        manifests={
            "/app/node_modules/next": manifest("next", "14.2.35"),
            "/app/node_modules/next/dist/compiled/@babel/runtime": manifest("@babel/runtime", "7.22.5"),
            "/app/node_modules/next/dist/compiled/@babel/runtime/helpers": b'{"type": "commonjs"}',
        },
    ),
    case(
        "a copy of its own package.json is no other package",
        "seen with packages that publish dist/package.json beside package.json, often as 0.0.0",
        "/app/node_modules/lodash/dist/index.js",
        manifests={
            "/app/node_modules/lodash": LODASH,
            "/app/node_modules/lodash/dist": manifest(version="0.0.0"),
        },
    ),
    case(
        "the name inside counts, not the folder's",
        "package.json, name; a folder may be renamed, npm install <folder> does",
        "/app/node_modules/old-name/index.js",
        manifests={"/app/node_modules/old-name": LODASH},
    ),
    case(
        "no package.json at all",
        "node, loadAsDirectory: index.js is enough; the folder is the name",
        "/app/node_modules/@shop/loose/index.js",
        (package("@shop/loose", None),),
    ),
    case(
        "no version",
        "package.json, version: needed for publishing only; a private package may have none",
        "/app/node_modules/ours/index.js",
        (package("ours", None),),
        manifests={"/app/node_modules/ours": b'{"name": "ours", "private": true}'},
    ),
    case(
        "junk beside the name",
        "npm's registry before 2014 took anything: authors as text, licenses as numbers",
        "/app/node_modules/lodash/index.js",
        manifests={
            "/app/node_modules/lodash": manifest(authors="me", author=7, license=[1], dependencies="none")
        },
    ),
    case(
        "a byte-order mark",
        f"node, package.json reader: strips it; {NODE}",
        "/app/node_modules/lodash/index.js",
        manifests={"/app/node_modules/lodash": b"\xef\xbb\xbf" + LODASH},
    ),
    case(
        "a version with build metadata",
        "purl-spec, ABNF: + is encoded in a version; Snyk writes it as it stands",
        "/app/node_modules/lodash/index.js",
        (package(version="4.17.21+shop.1"),),
        manifests={"/app/node_modules/lodash": manifest(version="4.17.21+shop.1")},
    ),
    case(
        "an old name with upper case",
        "purl-spec, npm: names are case-sensitive for old packages",
        "/app/node_modules/JSONStream/index.js",
        (package("JSONStream", "1.3.5"),),
        manifests={"/app/node_modules/JSONStream": manifest("JSONStream", "1.3.5")},
    ),
    case(
        "a name that climbs out",
        "npm, validate-npm-package-name: no dot in front, URL-safe",
        "/app/node_modules/lodash/index.js",
        (package("lodash", None),),
        manifests={"/app/node_modules/lodash": manifest("../../etc/passwd")},
    ),
    case(
        "a package.json that is too large",
        "a limit of ours: 1 MiB",
        "/app/node_modules/lodash/index.js",
        "too_large",
        manifests={"/app/node_modules/lodash": LODASH + b" " * (1 << 20)},
    ),
    case(
        "a package.json that leads out of the container",
        "openat2(2), RESOLVE_IN_ROOT: links stay in the container's root",
        "/app/node_modules/lodash/index.js",
        (package("lodash", None),),
        files={"/app/node_modules/lodash/package.json": Link("/../../../../etc/hostname")},
    ),
)
