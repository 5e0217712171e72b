#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# machine.sh STATE: makes the namespaces that it was started in a node's, then holds them until it is killed.
# Run by tests/kubernetes/machine.py with `unshare --mount --net`: nothing of this is seen outside.
set -eu
state=$1

# Whatever others have mounted for a while they want to unmount again, which a copy of it here would hold up.
# Never the root, which may be an overlay itself.
others=$(awk '$2 != "/" && ($3 ~ /^(overlay|nsfs|fuse.*|squashfs)$/ || $1 ~ /^\/dev\/loop/) { print $2 }' /proc/mounts)
if [ -n "$others" ]; then
	# What was taken away meanwhile is no loss.
	printf '%b\n' "$others" | tac | xargs --delimiter '\n' umount --lazy --quiet || true
fi

# The kubelet insists on values of some kernel settings and writes those that differ. It finds these instead.
for file in "$state"/kernel/*; do
	name=${file##*/}
	mount --bind "$file" "/proc/sys/$(echo "$name" | tr . /)"
done

# /var is the node's own, but for the state folder, which is seen at its own path.
mount --bind "$state" "$state/node/var/lib/${state##*/}"
mount --bind "$state/node/tmp" /tmp
mount --rbind "$state/node/var" /var
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -m 1777 /run/lock

# Pods that ask for mounts of both directions (CSI drivers) need shared ones; shared among the node's alone.
mount --make-rshared /

ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
# Pods on one bridge reach each other by Service too, so the firewall has to see what crosses the bridge.
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then
	echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
fi

: >"$state/processes/ready"
exec sleep infinity
