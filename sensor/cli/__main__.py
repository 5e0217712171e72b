"""``python -m sensor.cli``."""

import sys

from sensor.cli.command import main

sys.exit(main())
