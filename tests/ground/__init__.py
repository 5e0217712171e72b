"""The test ground: real containers on this machine, without an image registry.

A container is runc over an overlay: the machine's own root file system below, the application's layers
above it, shared by the containers of one image as in production. cgroups and annotations are named as
Kubernetes' kubelet and containerd name them. ``Ground`` owns everything that is made, keeps it under one
folder, and removes it: at its end, and at its next start whatever a killed run left behind.

Needs root, runc, loop devices and overlayfs.
"""

from tests.ground.container import Container, Pod
from tests.ground.ground import Ground
from tests.ground.image import Image
from tests.ground.problem import GroundError
from tests.ground.sensor import Sensor, SensorError

__all__ = ["Container", "Ground", "GroundError", "Image", "Pod", "Sensor", "SensorError"]
