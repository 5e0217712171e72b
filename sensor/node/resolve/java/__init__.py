"""Java: what a JVM opens -> Maven packages; classes -> the archives they stand in."""
