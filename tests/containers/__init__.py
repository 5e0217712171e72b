"""The sensor against real containers, runtimes and packages: each promise of the README has a file here."""
