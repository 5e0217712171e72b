"""From a container's state to whoever wants it. Knows nothing of kernels or containers' files.

``sink``            what a sink is, and how it fails
``container_json``  a report as JSON, see ``docs/schema/container.schema.json``
``descriptor``      writes texts to a file descriptor, whole
``jsonl``           sink: a JSON line per state
``table``           sink: a table for people
"""
