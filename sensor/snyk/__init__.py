"""Snyk's side of the wire: forms, and the clients that speak them. Knows nothing of kernels or files.

``proto``   our own gRPC service, its messages generated from ``proto/v1/reports.proto``
"""
