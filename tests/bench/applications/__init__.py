"""What the sensor costs applications: each in a container, with the sensor and without, in turn.

``figures`` and the parsers of ``generators`` are pure; ``programs`` says what runs, ``run`` runs it.
"""
