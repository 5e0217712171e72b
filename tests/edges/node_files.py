"""Which files are evidence of a Node.js package, and which are not."""

from __future__ import annotations

from tests.edges.node_bytes import asar, shell_script
from tests.edges.node_case import APP, LODASH, NODE, case, manifest, package

FILES = (
    case(
        "a native module",
        "node, addons: process.dlopen; node-gyp-build looks in prebuilds/ and build/Release",
        "/app/node_modules/bcrypt/build/Release/bcrypt_lib.node",
        (package("bcrypt", "6.0.0"),),
        manifests={"/app/node_modules/bcrypt": manifest("bcrypt", "6.0.0")},
    ),
    case(
        "a shared library that a native module links",
        "sharp: @img/sharp-linux-x64 finds libvips by its RUNPATH; seen with sharp 0.35.5",
        "/app/node_modules/@img/sharp-libvips-linux-x64/lib/libvips-cpp.so.8.18.7",
        (package("@img/sharp-libvips-linux-x64", "1.3.4"),),
        manifests={
            "/app/node_modules/@img/sharp-libvips-linux-x64": manifest(
                "@img/sharp-libvips-linux-x64", "1.3.4"
            )
        },
    ),
    case(
        "a shared library of the system",
        "ld.so(8): /usr/lib; no package manager of Node.js puts anything there",
        "/usr/lib/x86_64-linux-gnu/libvips-cpp.so.42",
        "not claimed",
    ),
    case(
        "a program of a package that is executed",
        "esbuild, lib/npm/node-platform.ts: runs @esbuild/<platform>/bin/esbuild; seen with esbuild 0.28.2",
        "/app/node_modules/@esbuild/linux-x64/bin/esbuild",
        (package("@esbuild/linux-x64", "0.28.2", "executed"),),
        manifests={"/app/node_modules/@esbuild/linux-x64": manifest("@esbuild/linux-x64", "0.28.2")},
        executed=True,
    ),
    case(
        "a program of the system",
        "execve(2): /usr/bin/node is no package",
        "/usr/bin/node",
        "not_a_package",
        executed=True,
    ),
    case(
        "WebAssembly",
        "node, fs and WebAssembly.compile: what reads it is JavaScript of the same package; seen with sql.js",
        "/app/node_modules/sql.js/dist/sql-wasm.wasm",
        (package("sql.js", "1.13.0"),),
        manifests={"/app/node_modules/sql.js": manifest("sql.js", "1.13.0")},
    ),
    case(
        "a script without a suffix",
        f"node: a main script may be called anything; {NODE}",
        "/app/node_modules/jsesc/bin/jsesc",
        (package("jsesc", "3.0.2"),),
        manifests={"/app/node_modules/jsesc": manifest("jsesc", "3.0.2")},
        files={"/app/node_modules/jsesc/bin/jsesc": shell_script()},
    ),
    case(
        "package.json is read by every resolution",
        f"node, modules: looks for `exports` and `type`; npm ls reads them all; {NODE}",
        "/app/node_modules/lodash/package.json",
        "not claimed",
        files={"/app/node_modules/lodash/package.json": LODASH},
    ),
    case(
        "declarations are read by the compiler alone",
        "TypeScript handbook: .d.ts files have no code",
        "/app/node_modules/@types/node/index.d.ts",
        "not claimed",
    ),
    case(
        "an archive of Electron",
        "electron, asar: one file for all packages, containers hold none; not looked into",
        "/opt/desk/resources/app.asar",
        "not claimed",
        files={"/opt/desk/resources/app.asar": asar({"node_modules/lodash/package.json": LODASH})},
    ),
    case(
        "a bundle of one file",
        "webpack, esbuild, ncc: names of packages do not survive; it is the application's own",
        "/app/dist/server.js",
        "not_a_package",
        manifests={"/app": APP},
    ),
    case(
        "a file beside the packages",
        "node, loadNodeModules: node_modules/<name>.js is a module without a package",
        "/app/node_modules/loose.js",
        "not_a_package",
        manifests={"/app": APP},
    ),
    case(
        "a tool's cache below node_modules",
        "babel-loader, find-cache-dir: node_modules/.cache/<tool>",
        "/app/node_modules/.cache/babel-loader/4c1f.json",
        "not_a_package",
        manifests={"/app": APP},
    ),
)
