"""``make chaos``: sensor and receiver are killed at random moments while containers load packages; in the
end the receiver must hold exactly what the containers' own interpreters say.

``program``    runs in each container: imports, and writes down what ``sys.modules`` holds
``workload``   containers that come, load and go
``processes``  the sensor and the receiver, killed and started again
``plan``       who is killed when
``truth``      what must have arrived, and what may have
``compare``    that against what the receiver holds
``held``       reads the receiver's database
``run``        all of it, in turn
"""
