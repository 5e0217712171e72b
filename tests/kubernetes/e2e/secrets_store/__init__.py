"""A stand-in for the Secrets Store CSI driver with AWS's provider, on the cluster's node.

Neither the driver's Go module nor AWS can be had by tests. What is here speaks the real protocols with a real
kubelet and a real API server, and does, by their documentation and in their words, what those two do.

``objects``   what the driver's own chart makes in a cluster
``account``   AWS: secrets, and whom it knows
``provider``  AWS's provider: parameters -> files
``volume``    files into a folder, all at once
``synced``    the Secret that the driver makes of mounted files
``mounts``    the volumes of pods: mounted, rotated, unmounted
``driver``    the sockets on the node, and what a kubelet asks there
"""
