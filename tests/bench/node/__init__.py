"""A node under load: 250 containers, 1,000 opens of package files a second, and churn.

``figures`` is pure; ``crowd`` makes the containers; ``run`` measures.
"""
