"""Stands in for Snyk: takes what the programs of this project send, and shows it on a page.

``schema.sql``  what is kept, in SQLite
"""
