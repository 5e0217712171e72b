"""One real node of Kubernetes on this machine, for tests that install what people install.

``python -m tests.kubernetes up`` runs etcd, kube-apiserver, kube-controller-manager, kube-scheduler,
containerd, kubelet and kube-proxy, in a network and a mount namespace of their own
(:mod:`tests.kubernetes.machine`): the paths are those of a real node, the machine's own folders, firewall and
kernel settings stay as they are, and ``down`` leaves nothing. What runs in a pod shares this kernel and its
process ids, as on any node.

:mod:`tests.cluster` has the smaller thing: an API server and a container runtime without a node.
"""
