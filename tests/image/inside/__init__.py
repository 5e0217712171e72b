"""Runs in a guest whose root file system is the image's, with its python3 and nothing else of it."""
