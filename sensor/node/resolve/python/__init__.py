"""Python: files that an interpreter opens -> distributions."""
