"""Numbers of the node program, read where they are counted. See docs/metrics.md for what each means."""
