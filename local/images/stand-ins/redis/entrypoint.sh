#!/bin/sh
# Arguments without a program are arguments of redis-server, as in the official image.
set -eu
case "${1:-}" in
-* | *.conf) set -- redis-server "$@" ;;
esac
# Like the official image, Redis accepts connections from other hosts. An argument can set a password.
[ "${1:-}" = redis-server ] && set -- "$@" --protected-mode no
exec "$@"
