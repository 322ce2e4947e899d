#!/bin/sh
# Package scripts find this program instead of Debian's. A service that is new to sysvinit does not start at boot.
[ "${2:-}" != defaults ] || set -- "$1" defaults-disabled
PATH=${PATH#*:}
exec update-rc.d "$@"
