"""What the Dockerfile's build stage runs: fills one folder per layer of the image, from pinned packages only.

Nothing of the target runs while it is built: Debian's packages are unpacked without their scripts, wheels are
installed for the target's platform, byte code is the same on each. So amd64 builds arm64, without emulation.
Standard library only, Python 3.11 of the build stage.
"""
