"""How right the sensor is: real applications in real containers, each asked for its own truth."""
