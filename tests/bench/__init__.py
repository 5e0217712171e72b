"""What the sensor costs, beside opensnoop and bpftrace on the same probe: ``python -m tests.bench``.

Run as root. ``report`` and ``metrics`` are pure; the other modules start real programs, each as a context
manager that ends what it started.
"""
