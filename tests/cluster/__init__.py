"""A cluster without machines: real parts of Kubernetes on loopback, for tests.

Real: kube-apiserver with etcd (:mod:`tests.cluster.api_server`) and containerd with CRI. There is no
scheduler, no controller manager and no kubelet: tests write what those would write, with the builders of
:mod:`tests.cluster.objects`. ``python -m tests.cluster.build`` builds the API server, once for a machine.
"""
