# The first process of the node's namespaces: makes the node's view of the file system, then waits and buries the dead.
# Arguments: the name of the cluster, its directory, the tree with the node's programs.
set -eu
name=$1 state=$2 programs=$3

echo "$name" > /proc/sys/kernel/hostname
mount --make-rprivate /
mount -t proc proc /proc
mount -t overlay overlay -o "lowerdir=$programs:/usr,ro" /usr

# A sysfs that shows this network namespace, with the machine's cgroups in their usual place.
mkdir -p "$state/held"
mount -t tmpfs tmpfs "$state/held"
mkdir "$state/held/cgroup"
mount --rbind /sys/fs/cgroup "$state/held/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$state/held/cgroup" /sys/fs/cgroup
umount -l "$state/held"

# The places that daemons insist on.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock "$state/lib/cni" "$state/lib/kubelet" "$state/lib/containerd" "$state/varlog" "$state/tmp"
mount --bind "$state/lib" /var/lib
mount --bind "$state/varlog" /var/log

# The kubelet sets these for the whole machine; it may write to files instead.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file=$state/sysctl/${setting%%=*}
    mkdir -p "${file%/*}"
    echo "${setting#*=}" > "$file"
    if [ -e "/proc/sys/${setting%%=*}" ]; then mount --bind "$file" "/proc/sys/${setting%%=*}"; fi
done

# The node routes between this machine and its pods. Addresses are ours alone: nobody needs to be asked whether one is free.
for setting in ipv4/ip_forward=1 ipv4/conf/all/rp_filter=0 ipv4/conf/default/rp_filter=0 ipv4/conf/all/route_localnet=1 \
    ipv6/conf/all/forwarding=1 ipv6/conf/default/accept_dad=0; do
    echo "${setting#*=}" > "/proc/sys/net/${setting%%=*}"
done
for setting in bridge-nf-call-iptables bridge-nf-call-ip6tables; do
    if [ -e "/proc/sys/net/bridge/$setting" ]; then echo 1 > "/proc/sys/net/bridge/$setting"; fi
done
ip link set lo up
mount --make-rshared /

echo ready
while :; do
    sleep 86400 &
    wait
done
