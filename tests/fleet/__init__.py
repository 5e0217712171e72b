"""A simulated fleet of 5,000 nodes that delivers to one real receiver; part of ``make bench``.

Real: the receiver, a process of its own with its database on the disk; the requests, built by
:mod:`sensor.snyk.grpc_form`; gRPC over loopback. Simulated: the sensors. A few processes play all nodes, each
node with its own sender id and generations, over a pool of channels instead of a connection each, and
without TLS; what a container loads is drawn from a catalogue of images.

``cluster``    nodes, containers, images, and how they change; pure
``player``     plays some of the nodes, in a process of its own
``fleet``      starts the receiver and the players, measures
``figures``    what came of it: rows of a table, JSON; pure
``node_side``  one real outbox and uploader under churn: what delivery costs the sensor
"""
