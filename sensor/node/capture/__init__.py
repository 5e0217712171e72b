"""Kernel -> event. Only ``loader`` imports bcc, and it runs in a child process.

``btf``, ``offsets``, ``headers``  BTF -> member offsets, and the header tree BCC wants
``scratch``  the folder that this tree is written to
``loader``   the child: compiles, loads, attaches, hands the descriptors over
``handover`` the agent's side of it
``host``     what the programs must know of the host
``libbpf``   the few functions of libbpf that the agent calls
``layout``   ctypes of ``bpf/events.h`` and the decoding of a record
``ring``     reads the ring buffer
``capture``  the room's front: start, poll, counters, heartbeat, close
"""
