from setuptools import setup

setup(name="mono.egglink", version="1.1", packages=["mono_egglink"])
