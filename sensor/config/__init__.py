"""Settings from options and environment, checked once, a module per program.

``texts``     what options are made of, and the error they share
``bpf``       where the kernel programs are
``node``      `runtime-sensor node`
``upstream``  where the node's reports go, and how
``receiver``  `runtime-sensor receiver`
"""
