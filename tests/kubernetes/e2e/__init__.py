"""``make e2e``: the chart, installed into the cluster with the real helm, as people install it."""
