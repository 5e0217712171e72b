"""The command ``runtime-sensor``: options in, exit code out. A module per program holds its options."""

from sensor.cli.command import main

__all__ = ["main"]
