"""Where package managers put Node.js packages."""

from __future__ import annotations

from tests.edges.case import Link
from tests.edges.node_bytes import yarn_archive
from tests.edges.node_case import APP, BABEL, LODASH, NODE, NPM, PNPM, YARN, case, manifest, package

LAYOUTS = (
    case(
        "the innermost node_modules owns a file",
        "npm folders(5): a dependency's own version is nested below it",
        "/app/node_modules/express/node_modules/lodash/fp/map.js",
        (package(version="3.10.1"),),
        manifests={
            "/app/node_modules/express": manifest("express", "4.21.2"),
            "/app/node_modules/express/node_modules/lodash": manifest(version="3.10.1"),
            "/app/node_modules/lodash": LODASH,
        },
    ),
    case(
        "an alias has the name of what was installed",
        "npm install: <alias>@npm:<name>; the folder has the alias, package.json the name",
        "/app/node_modules/lodash-three/index.js",
        (package(version="3.10.1"),),
        manifests={"/app/node_modules/lodash-three": manifest(version="3.10.1")},
    ),
    case(
        "a bundled dependency is a package of its own",
        "package.json, bundleDependencies: packed as node_modules inside of the package",
        "/usr/lib/node_modules/npm/node_modules/semver/index.js",
        (package("semver", "7.7.3"),),
        manifests={
            "/usr/lib/node_modules/npm": manifest("npm", "11.19.1"),
            "/usr/lib/node_modules/npm/node_modules/semver": manifest("semver", "7.7.3"),
        },
    ),
    case(
        "a workspace that is linked is our own code",
        f"npm workspaces: node_modules/@shop/units is a link, and node opens its target; {NODE}",
        "/app/packages/units/index.js",
        "not_a_package",
        manifests={"/app": APP, "/app/packages/units": manifest("@shop/units", "1.0.0")},
        files={"/app/node_modules/@shop/units": Link("../../packages/units")},
    ),
    case(
        "a version that only a workspace has",
        f"npm workspaces: what does not fit the root's node_modules lies in the workspace's; {NPM}",
        "/app/packages/units/node_modules/ms/index.js",
        (package("ms", "0.7.3"),),
        manifests={
            "/app/node_modules/ms": manifest("ms", "2.1.3"),
            "/app/packages/units/node_modules/ms": manifest("ms", "0.7.3"),
        },
    ),
    case(
        "pnpm's store",
        f"pnpm.io, symlinked node_modules structure; {PNPM}",
        "/app/node_modules/.pnpm/@babel+core@7.26.10/node_modules/@babel/core/lib/index.js",
        (package("@babel/core", "7.26.10"),),
        manifests={"/app/node_modules/.pnpm/@babel+core@7.26.10/node_modules/@babel/core": BABEL},
        files={
            "/app/node_modules/@babel/core": Link("../.pnpm/@babel+core@7.26.10/node_modules/@babel/core")
        },
    ),
    case(
        "pnpm's store of all projects, on another path",
        "pnpm.io, enableGlobalVirtualStore: <store>/links/<name>/<version>/<hash>/node_modules/<name>",
        "/pnpm/store/v10/links/@/lodash/4.17.21/9a3f0c/node_modules/lodash/lodash.js",
        manifests={"/pnpm/store/v10/links/@/lodash/4.17.21/9a3f0c/node_modules/lodash": LODASH},
    ),
    case(
        "Yarn's store",
        "yarnpkg.com, nodeLinker pnpm: node_modules/.store/<slug>/package",
        "/app/node_modules/.store/lodash-npm-4.17.21-6382451519/package/fp/map.js",
        manifests={"/app/node_modules/.store/lodash-npm-4.17.21-6382451519/package": LODASH},
    ),
    case(
        "an archive of Plug'n'Play",
        f"yarnpkg.com, Plug'n'Play: node opens the archive, its content is an affair of the process; {YARN}",
        "/app/.yarn/cache/@babel-core-npm-7.26.10-0b29e369b5-e046e0e988.zip",
        (package("@babel/core", "7.26.10"),),
        files={
            "/app/.yarn/cache/@babel-core-npm-7.26.10-0b29e369b5-e046e0e988.zip": yarn_archive(
                {
                    "node_modules/@babel/core/lib/package.json": b'{"name": "inner", "version": "1.0.0"}',
                    "node_modules/@babel/core/package.json": BABEL,
                }
            )
        },
    ),
    case(
        "an archive whose compression is off",
        f"yarnpkg.com, compressionLevel 0; {YARN}",
        "/app/.yarn/cache/lodash-npm-4.17.21-6382451519-10c0.zip",
        files={
            "/app/.yarn/cache/lodash-npm-4.17.21-6382451519-10c0.zip": yarn_archive(
                {"node_modules/lodash/package.json": LODASH}, deflated=False
            )
        },
    ),
    case(
        "an archive that is no package of Yarn's",
        "yarnpkg.com, cacheFolder: names end in the locator's hash and a checksum",
        "/app/uploads/holiday.zip",
        "not_a_package",
        files={
            "/app/uploads/holiday.zip": yarn_archive({"node_modules/lodash/package.json": LODASH}),
        },
    ),
    case(
        "a package that Plug'n'Play unpacked",
        f"yarnpkg.com, .yarn/unplugged: natives lie beside the archives; {YARN}",
        "/app/.yarn/unplugged/bufferutil-npm-4.0.9-956b9c83fa/node_modules/bufferutil/prebuilds/linux-x64/"
        "bufferutil.node",
        (package("bufferutil", "4.0.9"),),
        manifests={
            "/app/.yarn/unplugged/bufferutil-npm-4.0.9-956b9c83fa/node_modules/bufferutil": manifest(
                "bufferutil", "4.0.9"
            )
        },
    ),
    case(
        "Debian's modules",
        "Debian JavaScript policy: /usr/share/nodejs is in require's path",
        "/usr/share/nodejs/lodash/fp.js",
        manifests={"/usr/share/nodejs/lodash": LODASH},
    ),
    case(
        "a script of Debian's without a suffix",
        "Debian JavaScript policy; node runs a main script whatever its suffix, seen with Node.js 20.20.2",
        "/usr/share/nodejs/lodash/bin/lodash",
        manifests={"/usr/share/nodejs/lodash": LODASH},
    ),
    case(
        "the cache of Deno",
        "deno, NpmCacheDir::package_folder_for_id; seen with Deno 2.9.6",
        "/deno-dir/npm/registry.example/@babel/core/7.26.10/lib/index.js",
        (package("@babel/core", "7.26.10"),),
        manifests={"/deno-dir/npm/registry.example/@babel/core/7.26.10": BABEL},
    ),
    case(
        "a second copy in the cache of Deno",
        "deno, NpmCacheDir::package_folder_for_id: copy_index",
        "/deno-dir/npm/localhost_4873/lodash/4.17.21_1/lodash.js",
        manifests={"/deno-dir/npm/localhost_4873/lodash/4.17.21_1": LODASH},
    ),
    case(
        "the cache of Bun",
        "bun, cachedNPMPackageFolderName; seen with Bun 1.4.5",
        "/root/.bun/install/cache/@babel/core@7.26.10@@@1/lib/index.js",
        (package("@babel/core", "7.26.10"),),
        manifests={"/root/.bun/install/cache/@babel/core@7.26.10@@@1": BABEL},
    ),
    case(
        "a pre-release in the cache of Bun",
        "bun, docs/install/cache.md: the folder has a hash for the pre-release, package.json does not",
        "/root/.bun/install/cache/lodash@5.0.0-7c1f@@registry.example__ab12@@@1/lodash.js",
        (package(version="5.0.0-beta.1"),),
        manifests={
            "/root/.bun/install/cache/lodash@5.0.0-7c1f@@registry.example__ab12@@@1": manifest(
                version="5.0.0-beta.1"
            )
        },
    ),
    case(
        "a package manager that Corepack brought",
        "corepack, folderUtils.ts and corepackUtils.ts: <home>/v1/<name>/<version>",
        "/root/.cache/node/corepack/v1/pnpm/9.15.9/dist/pnpm.cjs",
        (package("pnpm", "9.15.9"),),
        manifests={"/root/.cache/node/corepack/v1/pnpm/9.15.9": manifest("pnpm", "9.15.9")},
    ),
)
