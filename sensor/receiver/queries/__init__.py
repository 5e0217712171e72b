"""What the page and the exports ask of the database: plain SQL over ``schema.sql``, frozen dataclasses out.

``connection``  a read-only connection with a time limit
``selection``   which containers and packages are asked for, and as SQL
``cells``       the selected containers, folded to what they share
``totals``, ``packages``, ``groups``, ``containers``  the lists
``times``       first and last seen of packages over many containers
``exposure``    what faces the public, from the connector's resources
``details``     one container, one package;  ``installed``  an image beside its SBOM
"""
