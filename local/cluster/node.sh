#!/bin/sh
# The node's first process. It makes the namespaces in which the whole cluster runs. When it ends, the kernel ends everything in
# them.
#
#     node.sh NAME DIR...    NAME is the node's control group. Of the machine's /run, /var/lib and /var/log, the node sees only
#                            the DIRs.
set -eu

cgroups=/sys/fs/cgroup
version=1
[ ! -e $cgroups/cgroup.procs ] || version=2

# Runs in the machine's namespaces, in the control group that becomes the root of the node's groups.
outside() {
  [ $version = 1 ] || delegate $cgroups
  exec unshare --cgroup sh "$0" --grouped "$@"
}

# (version 2) Enables, for the children of a control group, the controllers that the kubelet needs and the group has.
delegate() {
  for controller in cpuset cpu memory pids hugetlb; do
    echo "+$controller" >"$1/cgroup.subtree_control" 2>/dev/null || :
  done
}

# In version 2, a group must not have processes if its children have controllers. So this process moves to a child, `daemons`.
grouped() {
  if [ $version = 2 ]; then
    mkdir -p "$cgroups/$1/daemons"
    echo 0 >"$cgroups/$1/daemons/cgroup.procs"
  fi
  shift
  exec unshare --net --mount --pid --ipc --propagation slave --fork --kill-child sh "$0" --inside "$@"
}

inside() {
  mount -t proc proc /proc
  hide "$@"
  mount -t sysfs sysfs /sys
  mount_cgroups
  protect_sysctls
  mount --make-rshared / # shared in the node; mounts of the machine appear in the node, but not the reverse
  ip link set lo up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  trap end TERM
  : >/run/ready
  # `wait` also reaps orphaned processes.
  while :; do
    sleep 86400 &
    wait $! || :
  done
}

# Hides the machine's /run, /var/lib and /var/log, except the given directories. Each directory stays reachable as a working
# directory until it is mounted again.
hide() (
  if [ $# = 0 ]; then
    for dir in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs $dir; done
    exit
  fi
  dir=$1
  cd "$dir"
  shift
  hide "$@"
  mkdir -p "$dir"
  # Without --no-canonicalize, mount would resolve the dot to the new, empty directory.
  mount --no-canonicalize --rbind . "$dir"
)

# Mounts the control groups again, so that the node's own group is the root.
mount_cgroups() {
  if [ $version = 2 ]; then
    mount -t cgroup2 cgroup2 $cgroups
    delegate $cgroups
    return
  fi
  mount -t tmpfs -o mode=755 tmpfs $cgroups
  while IFS=: read -r _ controllers _; do
    dir=$cgroups/${controllers#name=}
    case $controllers in
    "") continue ;;
    name=*) options=none,$controllers ;;
    *) options=$controllers ;;
    esac
    mkdir "$dir"
    mount -t cgroup -o "$options" cgroup "$dir"
  done </proc/self/cgroup
}

# Mounts ordinary files over those kernel settings that the kubelet would change for the whole machine. The files already have the
# kubelet's values. All other settings are read-only, except those of the network.
protect_sysctls() {
  mount --bind /proc/sys /proc/sys
  mount -o remount,bind,ro /proc/sys
  mount --bind /proc/sys/net /proc/sys/net
  mount -o remount,bind,rw /proc/sys/net
  mkdir /run/sysctls
  while read -r name value; do
    file=/run/sysctls/$(basename "$name")
    echo "$value" >"$file"
    mount --bind "$file" "/proc/sys/$name"
  done <<SYSCTLS
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SYSCTLS
}

# Containers have ten seconds to end. The kernel ends the others with this process.
end() {
  trap '' TERM
  kill -TERM -1
  deadline=$(($(date +%s) + 10))
  while [ "$(date +%s)" -lt $deadline ]; do
    grep -qs . /dev/null $(find $cgroups/kubepods $cgroups/pids/kubepods -name cgroup.procs 2>/dev/null) || break
    sleep 0.1
  done
  exit 0
}

case $1 in
--grouped) shift && grouped "$@" ;;
--inside) shift && inside "$@" ;;
*) outside "$@" ;;
esac
