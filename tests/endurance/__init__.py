"""``make endurance``: ten containers a second start, load packages and end; the sensor must not grow.

``program``  runs in each container: installs a package of its own name, and imports it
``starter``  real containers by runc, at a steady rate
``sample``   what the sensor's process and its metrics say at one moment
``arrived``  what the receiver has of them
``verdict``  both ends held against bounds
``run``      all of it, in turn
"""
