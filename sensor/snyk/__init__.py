"""Snyk's side of the wire: forms, and the clients that speak them. Knows nothing of kernels or containers.

``proto``           our own gRPC service, its messages generated from ``proto/v1/reports.proto``
``grpc_form``, ``https_form``  a batch in either form, pure;  ``text``: what of a name may go over a wire
``connect``         from settings to a destination
``grpc_client``, ``https_client``  the destinations;  ``grpc_channel``, ``https_exchange``, ``deadline`` below
``grpc_errors``, ``http_errors``   what an answer means;  ``foreign_text``: what of it may be quoted
``diagnosis``       why a connection fails, and the cure;  ``causes``, ``probe``, ``clock`` below it
``target``, ``upstream``  where it goes, and what destinations of one upstream share
``token``, ``trust``, ``proxy``    with what, believing whom, by which way;  ``watched_file``: read anew
"""
