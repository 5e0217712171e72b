"""The whole cluster from one place: which containers run, as the API server tells it, and no packages.

It looks into no container and asks no runtime, so it needs no capability.
"""
