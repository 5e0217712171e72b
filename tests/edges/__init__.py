"""A corpus of small cases for the edges of each ecosystem, each stating where its rule comes from."""
