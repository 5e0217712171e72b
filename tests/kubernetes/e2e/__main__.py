"""``make e2e``: the chart into the cluster, with the real helm. The last line counts what was checked."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from sensor import __version__
from tests.cluster.build import BuildError
from tests.ground.interrupt import Interrupted, interrupt_on_signals
from tests.ground.problem import GroundError
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.helm import Helm, find_helm
from tests.kubernetes.e2e.receiver import Receiver
from tests.kubernetes.e2e.reports import check_reports
from tests.kubernetes.e2e.scenario import Release, make_namespace
from tests.kubernetes.problem import KubernetesError

_NAMESPACE = "snyk-runtime-sensor"


def main() -> int:
    options = _arguments()
    checks = Checks()
    interrupt_on_signals(_say)
    try:
        _run(options, checks)
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except (KubernetesError, GroundError, BuildError) as error:
        print(f"e2e: {error}", file=sys.stderr)
        return 1
    print(checks.summary())
    return 1 if checks.failed else 0


def _say(text: str) -> None:
    print(f"e2e: {text}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kubernetes.e2e")
    parser.add_argument("--chart", type=Path, default=Path("helm/runtime-sensor"))
    parser.add_argument("--archive", type=Path, help="an image to give to the node first, as tar")
    parser.add_argument(
        "--image",
        default=f"docker.io/library/runtime-sensor:{__version__}",
        help="what that image is called (%(default)s)",
    )
    parser.add_argument("--set", action="append", default=[], help="a value of the chart, as helm's --set")
    parser.add_argument("--keep", action="store_true", help="leave the cluster up at the end")
    return parser.parse_args()


def _run(options: argparse.Namespace, checks: Checks) -> None:
    if os.geteuid() != 0:
        raise KubernetesError("not root: the cluster needs it; run this with sudo")
    helm = find_helm()
    cluster = Cluster()
    if not cluster.is_up:
        cluster.up()
    try:
        if options.archive:
            cluster.import_archive(options.archive, options.image)
        with cluster.client() as client, tempfile.TemporaryDirectory() as folder:
            receiver = Receiver(client, options.image, Path(folder))
            receiver.start()
            make_namespace(client, _NAMESPACE, receiver.token)
            settings = [
                *(word for value in options.set for word in ("--set", value)),
                *("--set", f"snykAPIBaseURL={receiver.upstream()}"),
                *("--set-file", f"caBundle.pem={receiver.ca}"),
            ]
            installed = Helm(helm, cluster.kubeconfig, Path(folder))
            release = Release(installed, client, options.chart, "my-runtime-sensor", _NAMESPACE, settings)
            release.run(checks, lambda checks: check_reports(cluster, client, receiver, checks))
    finally:
        if not options.keep:
            cluster.down()


if __name__ == "__main__":
    sys.exit(main())
