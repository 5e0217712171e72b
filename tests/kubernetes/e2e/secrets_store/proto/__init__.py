"""What a kubelet and a CSI driver say to each other; ``make proto`` generates the code: do not edit."""
