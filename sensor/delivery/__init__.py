"""From a container's state to whoever wants it. Knows nothing of kernels, containers' files or wire forms.

``sink``            what a sink is, and how it fails
``container_json``  a report as JSON, see ``docs/schema/container.schema.json``, and back
``descriptor``      writes texts to a file descriptor, whole
``jsonl``           sink: a JSON line per state
``table``           sink: a table for people
``outbox_sink``     sink: into the outbox;  ``tee``: into it, and shown as well
``scopes``          which containers are reported to which group
``outbox``          the latest state of each container until it has arrived, durable;
                    beside it ``_storage`` (disk or memory), ``_file`` (the file and its lock),
                    ``_schema``, ``_table`` (writes), ``_queue`` (what waits), ``_rows`` (reads), ``_codec``,
                    ``_packing``, ``_errors``, ``_answers``
``destination``     what takes states over a network, and how that fails
``uploader``        outbox -> one destination; beside it ``upload_batches``, ``upload_counts``, ``upload_log``
``backoff``, ``token_bucket``  when, and how often
"""
