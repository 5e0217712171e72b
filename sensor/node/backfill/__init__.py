"""What already-running processes have loaded, read from /proc. Passive: no stop, no signal, no attach."""
