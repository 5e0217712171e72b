"""Options of ``runtime-sensor node``."""

from __future__ import annotations

import argparse
import os

from sensor import __version__
from sensor.cli.options import EXIT_CODES, Programs, add, add_log, program
from sensor.config import filters, kube
from sensor.config.node import OPEN_HOOKS, OUTPUTS, WORKLOAD_TYPES, node_settings
from sensor.config.upstream import TRANSPORTS

_EPILOG = f"""\
examples:
  runtime-sensor node                                     watch, as a table
  runtime-sensor node --output jsonl --duration 60        a minute, one JSON line per container state
  runtime-sensor node --output jsonl | jq -r '.packages[].purl'
  runtime-sensor node --metrics-address 127.0.0.1:9102    with /metrics, /healthz and /readyz
  runtime-sensor node --upstream api.snyk.io:443 --token-file /etc/snyk/token --state-dir /var/lib/sensor

Standard output takes the report, standard error the log. Needs root or the capabilities that
`runtime-sensor doctor` lists. No option takes a token: those of other processes can be read.

environment:
  SNYK_TOKEN, SNYK_TOKEN_FILE, SNYK_API_BASE_URL, SNYK_GROUP_ID, GROUPS_SCOPES, CLUSTER_NAME, NODE_NAME
               as the options they stand for
  FILTER_WORKLOAD_TYPES, FILTER_NAMESPACES, FILTER_POD_LABELS
               as the options --filter-…
  KUBERNETES_SERVICE_HOST
               set by Kubernetes in every pod: there is an API server to ask
  HTTPS_PROXY, ALL_PROXY, NO_PROXY
               how the upstream is reached
  SENTRY_DSN   where crashes are reported, without paths, names or tokens (default: nowhere)

{EXIT_CODES}"""


def add_node(programs: Programs) -> None:
    node = program(
        programs,
        "node",
        "watch this node's containers and report what they load",
        "Watches the containers of this machine and reports which packages each has loaded.",
        _EPILOG,
    )
    _add_report(node)
    _add_delivery(node)
    _add_scope(node)
    _add_owner(node)
    itself = node.add_argument_group("about the sensor itself")
    add_log(itself)
    add(itself, "--metrics-address", "HOST:PORT", "serve metrics and health here (default: off)")
    node.set_defaults(run=_run)


def _add_scope(node: argparse.ArgumentParser) -> None:
    scope = node.add_argument_group("what is watched; of the lists, all that are given must hold")
    add(
        scope,
        "--workload-type",
        "|".join(WORKLOAD_TYPES),
        "this node's containers and what they load, or all pods of the cluster without capture "
        "(default: daemonset)",
    )
    add(
        scope,
        "--filter-workload-types",
        "KIND,…",
        f"only these: {', '.join(filters.WORKLOAD_TYPES)} (default: $FILTER_WORKLOAD_TYPES, else all)",
    )
    add(
        scope,
        "--filter-namespaces",
        "NAME,…",
        "only these; * and ? match any (default: $FILTER_NAMESPACES, else all)",
    )
    add(
        scope,
        "--filter-pod-labels",
        "KEY=VALUE,…",
        "only pods with these; of values for one key any (default: $FILTER_POD_LABELS, else all)",
    )
    scope.add_argument(
        "--include-host", action="store_true", help="also the node's own processes, as container `host`"
    )
    add(
        scope,
        "--host-root",
        "PATH",
        "where the node's root file system is seen, its sockets and cgroups (default: auto, the root of "
        "process 1)",
    )
    add(scope, "--ring-size", "MIB", "ring buffer between kernel and sensor, a power of two (default: 4)")
    add(
        scope,
        "--open-hook",
        "|".join(OPEN_HOOKS),
        "where in the kernel opens are seen: fentry and kprobe cost opens alone, raw every system call a "
        "little; auto takes the first that the kernel takes (default: auto)",
    )


def _add_owner(node: argparse.ArgumentParser) -> None:
    owner = node.add_argument_group("whose containers they are")
    add(
        owner,
        "--cri-socket",
        "PATH",
        "the container runtime's, below the host's root, or off (default: containerd's, CRI-O's, k3s's … "
        "where they usually are)",
    )
    add(
        owner,
        "--kubernetes",
        "|".join(kube.MODES),
        "ask the API server for pods and workloads; auto: in a cluster, or with a kubeconfig (default: auto)",
    )
    add(owner, "--kubeconfig", "PATH", "reach the API server by this (default: the pod's service account)")
    add(owner, "--kube-context", "NAME", "of the kubeconfig (default: its current one)")


def _add_report(node: argparse.ArgumentParser) -> None:
    report = node.add_argument_group("report")
    add(
        report,
        "--output",
        "|".join(OUTPUTS),
        "form of the report on standard output (default: table; none with an upstream)",
    )
    add(report, "--duration", "SECONDS", "end after this time (default: run until told to end)")
    add(
        report,
        "--debounce",
        "SECONDS",
        "how long changes of a container are gathered into one report (default: 2; 0.5 without output)",
    )
    add(report, "--cluster-name", "NAME", "the report's cluster (default: $CLUSTER_NAME, else null)")
    add(report, "--node-name", "NAME", "the report's node (default: $NODE_NAME, else the host name)")
    add(
        report,
        "--state-dir",
        "PATH",
        "keep what is known and not delivered yet here, over restarts (default: in memory)",
    )
    add(report, "--state-limit", "MIB", "largest size of that (default: 64)")


def _add_delivery(node: argparse.ArgumentParser) -> None:
    delivery = node.add_argument_group("delivery")
    add(
        delivery,
        "--upstream",
        "HOST:PORT",
        "deliver to Snyk, api.snyk.io:443, or to a receiver (default: $SNYK_API_BASE_URL, else nowhere)",
    )
    add(
        delivery,
        "--transport",
        "|".join(TRANSPORTS),
        "our own gRPC service, or Snyk's public Kubernetes upstream (default: grpc)",
    )
    add(
        delivery, "--token-file", "PATH", "holds the token; read again when it changes (default: $SNYK_TOKEN)"
    )
    add(delivery, "--group-id", "ID", "Snyk group that reports belong to (default: $SNYK_GROUP_ID)")
    add(
        delivery,
        "--groups-scopes-file",
        "PATH",
        "JSON: which namespaces are reported to other groups (default: $GROUPS_SCOPES)",
    )
    add(delivery, "--ca-bundle", "PATH", "PEM certificates to trust beside the system's")
    delivery.add_argument(
        "--plaintext", action="store_true", help="no TLS: the token and all data can be read on the way"
    )
    add(delivery, "--batch-containers", "N", "most containers in a request (default: 200)")
    add(delivery, "--batch-size", "KIB", "largest request, before compression (default: 1024)")
    add(
        delivery, "--batch-interval", "SECONDS", "how long changes are gathered into one request (default: 2)"
    )
    add(delivery, "--snapshot-interval", "SECONDS", "how often everything is sent again (default: 3600)")
    add(
        delivery,
        "--requests-per-minute",
        "N",
        "most batches for one group, after ten minutes' worth at once (default: 60)",
    )


# What a program needs is imported late: `doctor` must run, and --help be quick, where parts of the node
# cannot load.


def _run(options: argparse.Namespace) -> int:
    settings = node_settings(vars(options))
    from sensor.telemetry import crashes, logs  # noqa: PLC0415

    logs.set_up(settings.log_level, settings.log_format)
    crashes.set_up(os.environ.get("SENTRY_DSN"), __version__)
    if settings.workload_type == "deployment":
        from sensor.node.deployment import main as deployment  # noqa: PLC0415

        return deployment.run(settings)
    from sensor.node import main as node  # noqa: PLC0415

    return node.run(settings)
