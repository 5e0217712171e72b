"""What a node must have for the sensor to run, found by really trying. Nothing here changes the node."""
