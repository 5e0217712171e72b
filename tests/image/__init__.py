"""The container image: what it is made of, and that its programs run in it as a cluster runs them."""
