"""The selected containers for other programs.

``container_json``, ``container_csv``  everything, in pieces that need little memory
``cyclonedx``  what an image or a container has loaded, as a bill of materials with its evidence
``walk``       container after container out of the database
"""
