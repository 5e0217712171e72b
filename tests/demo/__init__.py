"""`make demo`: the sensor, two real applications in real containers, and what it says of them.

``applications`` are also what the container tests hold the sensor against.
"""
