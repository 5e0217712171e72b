"""Whose a container is: name, image, pod and workload, asked of the API server and the container runtime."""
