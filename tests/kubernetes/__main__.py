"""``python -m tests.kubernetes up|down|status|kubeconfig|import``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.cluster.build import BuildError
from tests.ground.interrupt import Interrupted, interrupt_on_signals
from tests.ground.problem import GroundError
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.layout import API_URL
from tests.kubernetes.problem import KubernetesError


def main() -> int:
    options = _arguments()
    if os.geteuid() != 0:
        print("cluster: not root: mounts and namespaces need it; run this with sudo", file=sys.stderr)
        return 1
    cluster = Cluster()
    interrupt_on_signals(_say)
    try:
        return int(_COMMANDS[options.command](cluster, options))
    except (KubernetesError, GroundError, BuildError) as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        return 128 + interrupted.number


def _say(text: str) -> None:
    print(f"cluster: {text}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kubernetes", description=Cluster.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="bring it up; builds its programs where they are missing (minutes)")
    commands.add_parser("down", help="take it down; leaves nothing")
    commands.add_parser("status", help="what runs of it; exit status 0 if all does")
    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    images = commands.add_parser("import", help="give it an image: an OCI image layout or docker's, as tar")
    images.add_argument("archive", type=Path)
    images.add_argument("--name", help="what pods call it, as docker.io/library/sensor:dev")
    return parser.parse_args()


def _up(cluster: Cluster, _: argparse.Namespace) -> int:
    cluster.up()
    kubectl = cluster.layout.programs / "kubectl"
    print(f"The cluster is up. Its API server is {API_URL}; try:\n")
    print(f"  export KUBECONFIG={cluster.kubeconfig}\n  {kubectl} get pods --all-namespaces")
    return 0


def _down(cluster: Cluster, _: argparse.Namespace) -> int:
    print("The cluster is gone." if cluster.down() else "There was no cluster.")
    return 0


def _status(cluster: Cluster, _: argparse.Namespace) -> int:
    status = cluster.status()
    for name, pid in status.items():
        print(f"{name:24} {f'process {pid}' if pid else 'does not run'}")
    return 0 if all(status.values()) else 1


def _kubeconfig(cluster: Cluster, _: argparse.Namespace) -> int:
    if not cluster.kubeconfig.exists():
        raise KubernetesError("there is no cluster; `up` brings it up")
    print(cluster.kubeconfig)
    return 0


def _import(cluster: Cluster, options: argparse.Namespace) -> int:
    if not cluster.is_up:
        raise KubernetesError("the cluster is not up; `up` brings it up")
    cluster.import_archive(options.archive, options.name)
    return 0


_COMMANDS = {"up": _up, "down": _down, "status": _status, "kubeconfig": _kubeconfig, "import": _import}

if __name__ == "__main__":
    sys.exit(main())
