"""``api.proto`` is Kubernetes' published one; the rest is generated of it by ``make proto``: do not edit."""
