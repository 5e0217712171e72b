"""Client of the Container Runtime Interface: whose container it is, by containerd, CRI-O and cri-dockerd.

gRPC and protobuf are imported only once a socket of a runtime was found. Answers hold what tenants chose
(names, labels, images): ``answers`` reads them, bounded, and nothing else here does.
"""
