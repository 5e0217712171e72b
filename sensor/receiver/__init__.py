"""Stands in for Snyk: takes what the programs of this project send, and shows it on a page.

``schema.sql``      what is kept, in SQLite
``store``           the database, written by one thread in groups
``report_form``     a report over gRPC, checked; ``report_views``: read no further than needed
``states``          what was reported, once it was checked
``ingest``          which state of a container holds; ``packages``: what is kept once for all; ``expiry``
``https_form``      the same over https, checked; ``merge``: how it is put in
``grpc_service``    our gRPC service; ``grpc_errors``: how its calls fail
``web``             the HTTP address; ``access``: who is let in; ``auth``: tokens; ``jsonapi``: errors;
                    ``heads``: connections that ask nothing
``upstream``, ``connector``, ``rest``   Snyk's interfaces; ``control``: what tests ask for
``faults``          which fault strikes; ``http_faults``, ``cutting``: how
``changed``         tells open pages that something was stored
``queries``, ``page``, ``exports``, ``sbom``   what is shown, see there
``main``            builds and runs it
"""
