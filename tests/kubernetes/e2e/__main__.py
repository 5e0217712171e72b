"""``make e2e``: the chart into the cluster, with the real helm. The last line counts what was checked."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from sensor import __version__
from tests.cluster.build import BuildError
from tests.ground.interrupt import Interrupted, interrupt_on_signals
from tests.ground.problem import GroundError
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.e2e import chart_repository
from tests.kubernetes.e2e.aws import check_aws
from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.daemonset import check_daemonset
from tests.kubernetes.e2e.deployment_mode import check_deployment
from tests.kubernetes.e2e.former_chart import check_upgrade_from_former_chart
from tests.kubernetes.e2e.helm import Helm, find_helm
from tests.kubernetes.e2e.kubectl import Kubectl
from tests.kubernetes.e2e.receiver import Receiver
from tests.kubernetes.e2e.stage import Stage
from tests.kubernetes.problem import KubernetesError

SCENARIOS: dict[str, Callable[[Stage, Checks], None]] = {
    "daemonset": check_daemonset,
    "deployment": check_deployment,
    "aws": check_aws,
    "former-chart": check_upgrade_from_former_chart,
}
"""Each begins and ends with a cluster in which no release is."""


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
    parser.add_argument(
        "--scenario", action="append", default=[], choices=SCENARIOS, help="this one alone; may be repeated"
    )
    parser.add_argument("--keep", action="store_true", help="leave the cluster up at the end")
    return parser.parse_args()


def _run(options: argparse.Namespace, checks: Checks) -> None:
    if os.geteuid() != 0:
        raise KubernetesError("not root: the cluster needs it; run this with sudo")
    program = find_helm()
    cluster = Cluster()
    if not cluster.is_up:
        cluster.up()
    try:
        if options.archive:
            cluster.import_archive(options.archive, options.image)
        with cluster.client() as client, tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            receiver = Receiver(client, options.image, folder)
            receiver.start()
            helm = Helm(program, cluster.kubeconfig, folder)
            stage = Stage(cluster, client, helm, Kubectl(cluster, folder), receiver, folder)
            with chart_repository.added(helm, options.chart, folder / "charts"):
                for scenario in _chosen(options.scenario):
                    scenario(stage, checks)
    finally:
        if not options.keep:
            cluster.down()


def _chosen(names: list[str]) -> list[Callable[[Stage, Checks], None]]:
    return [scenario for name, scenario in SCENARIOS.items() if name in names or not names]


if __name__ == "__main__":
    sys.exit(main())
