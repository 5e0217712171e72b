"""An application of each language, each with one package of its own that it loads.

The interpreters are the machine's, mounted into the pods. The distribution has none of .NET: that is in the
image, as it is in images of .NET applications elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from tests.cluster.client import Json
from tests.cluster.images import Built, build, python_image
from tests.ground.problem import run
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.e2e import dotnet_image
from tests.kubernetes.images import import_built
from tests.kubernetes.workloads import template, workload

_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_GO_APP = Path(__file__).with_name("go_app")
_JAVA = """\
public class Shop {
    public static void main(String[] arguments) throws Exception {
        System.out.println(new demo.Library().name());
        Thread.sleep(86_400_000);
    }
}
"""
_JAVA_LIBRARY = 'package demo; public class Library { public String name() { return "demo"; } }\n'


@dataclass(frozen=True, slots=True)
class Application:
    """``command`` runs in the image of ``image``; ``purl`` is of the package that it loads."""

    language: str
    image: Callable[[], Built]
    command: tuple[str, ...]
    purl: str

    @property
    def name(self) -> str:
        """Of the workload."""
        return f"shop-{self.language}"

    def deployment(self, cluster: Cluster) -> Json:
        """Gives the image to the node and returns the manifest. Raises GroundError, KubernetesError."""
        name = f"docker.io/library/{self.name}:test"
        import_built(cluster.layout, self.image(), name)
        pod = template(self.name, self.command, container={"image": name})
        _mount_settings_of_java(pod["spec"])
        return workload("Deployment", self.name, pod)


def _python() -> Built:
    return python_image({"demo-package": "1.2.3"}, {}, "e2e")


def _node() -> Built:
    package = {"name": "demo-package", "version": "2.3.4", "main": "index.js"}
    return _image(
        {
            "app/shop.js": b"require('demo-package'); setInterval(() => {}, 1e9);\n",
            "app/node_modules/demo-package/package.json": json.dumps(package).encode(),
            "app/node_modules/demo-package/index.js": b"module.exports = 'demo';\n",
        }
    )


def _go() -> Built:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "shop")
        settings = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        command = ["go", "build", "-C", str(_GO_APP), "-trimpath", "-buildvcs=false", "-o", str(program), "."]
        run(command, timeout=300, env={**os.environ, **settings})
        return _image({"app/shop": program.read_bytes()})


def _java() -> Built:
    with tempfile.TemporaryDirectory() as folder:
        sources = {"Shop.java": _JAVA, "demo/Library.java": _JAVA_LIBRARY}
        for name, text in sources.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        run(["javac", "--release", "11", "-d", folder, *(str(Path(folder, name)) for name in sources)])
        library = {
            "META-INF/maven/org.example/demo-library/pom.properties": (
                b"groupId=org.example\nartifactId=demo-library\nversion=3.4.5\n"
            ),
            "demo/Library.class": Path(folder, "demo/Library.class").read_bytes(),
        }
        program = {"Shop.class": Path(folder, "Shop.class").read_bytes()}
    return _image({"app/shop.jar": _jar(program), "app/demo-library-3.4.5.jar": _jar(library)})


def _dotnet() -> Built:
    return _image(dotnet_image.files(), *dotnet_image.ENVIRONMENT)


def _image(files: Mapping[str, bytes], *environment: str) -> Built:
    return build(files, _LINKS, {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin", *environment]})


def _jar(files: Mapping[str, bytes]) -> bytes:
    output = BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        for name, content in files.items():
            archive.writestr(name, content)
    return output.getvalue()


def _java_program() -> str:
    """Where it really is: on the way from /usr/bin there are links in /etc, which the pods have not."""
    return os.path.realpath(shutil.which("java") or "/usr/bin/java")


def _mount_settings_of_java(spec: Json) -> None:
    """Debian's JVMs have theirs in /etc, behind links."""
    folder = f"/etc/{Path(_java_program()).parents[1].name.rpartition('-')[0]}"
    if Path(folder).is_dir():
        spec["volumes"].append({"name": "java", "hostPath": {"path": folder}})
        mount = {"name": "java", "mountPath": folder, "readOnly": True}
        spec["containers"][0]["volumeMounts"].append(mount)


_PYTHON = "import demo_package, time; time.sleep(86400)"
_CLASS_PATH = "/app/shop.jar:/app/demo-library-3.4.5.jar"
APPLICATIONS = (
    Application("python", _python, ("python3", "-c", _PYTHON), "pkg:pypi/demo-package@1.2.3"),
    Application("node", _node, ("node", "/app/shop.js"), "pkg:npm/demo-package@2.3.4"),
    Application("go", _go, ("/app/shop",), "pkg:golang/github.com/spf13/pflag@v1.0.6"),
    Application(
        "java",
        _java,
        (_java_program(), "-cp", _CLASS_PATH, "Shop"),
        "pkg:maven/org.example/demo-library@3.4.5",
    ),
    Application("dotnet", _dotnet, dotnet_image.COMMAND, "pkg:nuget/Demo.Library@4.5.6"),
)
