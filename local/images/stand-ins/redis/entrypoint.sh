#!/bin/sh
# Arguments alone are redis-server's, as in the official image.
set -eu
case "${1:-}" in
-* | *.conf) set -- redis-server "$@" ;;
esac
# The official image is open to its network, which is the container's alone; a password is set by argument.
[ "${1:-}" = redis-server ] && set -- "$@" --protected-mode no
exec "$@"
