"""The Kubernetes API: which pods are on this node, and what they belong to.

Reads only, by plain HTTPS and raw JSON; the only importer of ``kubernetes``, and that for a kubeconfig alone.
"""
