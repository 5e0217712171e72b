"""Stock Debian kernels in QEMU, each with every hook it has: ``python -m tests.kernels``.

``inside/`` runs in the guest, everything else on the machine. Needs no root, no KVM and no chroot: packages
are unpacked and put into an ext4 image, and processors are emulated.
"""
