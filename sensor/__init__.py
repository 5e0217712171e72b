"""Runtime sensor for Kubernetes: which language packages are really loaded, and by whom."""

__version__ = "0.1.0"
