"""Version 1. Generated but for ``reports.proto``: do not edit."""
