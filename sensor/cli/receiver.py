"""Options of ``runtime-sensor receiver``."""

from __future__ import annotations

import argparse
import os

from sensor import __version__
from sensor.cli.options import EXIT_CODES, Programs, add, add_log, program
from sensor.config.receiver import receiver_settings

_EPILOG = f"""\
examples:
  runtime-sensor receiver                          take reports on 127.0.0.1, show them on http://127.0.0.1:9480/
  runtime-sensor node --upstream 127.0.0.1:9443 --plaintext \\
      --token-file ~/.local/share/runtime-sensor/receiver/token

Listens on this machine only, unless told otherwise; then give it a certificate.

{EXIT_CODES}"""


def add_receiver(programs: Programs) -> None:
    receiver = program(
        programs,
        "receiver",
        "stand in for Snyk: take reports, show them on a page",
        "Takes what the sensor, the connector and the reconciler send to Snyk, and shows it on a page.",
        _EPILOG,
    )
    listen = receiver.add_argument_group("addresses")
    add(listen, "--grpc-address", "HOST:PORT", "of the gRPC service (default: 127.0.0.1:9443)")
    add(listen, "--http-address", "HOST:PORT", "of the page and all else (default: 127.0.0.1:9480)")
    add(listen, "--tls-certificate", "PATH", "PEM, with the chain (default: no TLS)")
    add(listen, "--tls-key", "PATH", "PEM")
    data = receiver.add_argument_group("data")
    add(data, "--data-dir", "PATH", "where it is kept (default: ~/.local/share/runtime-sensor/receiver)")
    add(data, "--tokens", "PATH", "JSON: who may do what (default: one token for all, DATA_DIR/token)")
    add(data, "--expire-after", "HOURS", "after the last report (default: 48)")
    add(data, "--requests-per-minute", "N", "of one token on the REST interface, then 429 (default: 1620)")
    add_log(receiver.add_argument_group("about the receiver itself"))
    receiver.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    settings = receiver_settings(vars(options))
    from sensor.receiver import main as receiver  # noqa: PLC0415
    from sensor.telemetry import crashes, logs  # noqa: PLC0415

    logs.set_up(settings.log_level, settings.log_format)
    crashes.set_up(os.environ.get("SENTRY_DSN"), __version__)
    return receiver.run(settings)
