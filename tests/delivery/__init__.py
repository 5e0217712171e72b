"""Delivery from the outbox to a receiver, with everything that can go wrong in between.

The real outbox, uploader and clients against a real receiver in a process of its own. Each fault is a test:
the log names its cause and its cure, and once it is gone everything arrives by itself, once.
"""
