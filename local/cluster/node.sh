#!/bin/sh
# The node's first process. Everything of the cluster runs in the namespaces that it makes, and ends with it.
#
#     node.sh NAME DIR...    NAME is the control group that it runs in; the DIRs are all that the node sees of the machine's
#                            /run, /var/lib and /var/log
set -eu

cgroups=/sys/fs/cgroup
version=1
[ ! -e $cgroups/cgroup.procs ] || version=2

# The machine's side, in the control group that will be the root of the node's.
outside() {
  [ $version = 1 ] || delegate $cgroups
  exec unshare --cgroup sh "$0" --grouped "$@"
}

# Enables the controllers that the kubelet needs in the children of a cgroup (version 2), where the cgroup has them.
delegate() {
  for controller in cpuset cpu memory pids hugetlb; do
    echo "+$controller" >"$1/cgroup.subtree_control" 2>/dev/null || :
  done
}

# With version 2 processes are in leaves only.
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
  mount --make-rshared / # among the node's own processes: the machine's mounts come in, none goes out
  ip link set lo up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  trap end TERM
  : >/run/ready
  # Waiting also takes leave of the processes that others have left behind.
  while :; do
    sleep 86400 &
    wait $! || :
  done
}

# Leaves of the machine's sockets and state only the given directories. Each is held as a working directory meanwhile.
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
  mount --no-canonicalize --rbind . "$dir" # canonicalized, the dot would be the directory that was just made
)

# Mounts all hierarchies again, so that the node's own group is their root.
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

# The settings of the whole machine that the kubelet would change are files of the node, which have the values already. All
# other settings are read-only, except for those of the node's network.
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

# Containers have ten seconds to end by themselves. What is left ends with this process.
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
