#!/bin/sh
# Installs the npm packages of the lock file, including Node 24, unless they are installed already. With arguments, it then runs
# a command: setup.sh up|down|status [OPTION...]. With the argument --root, only root may go on, because what follows needs the
# local cluster.
# This is a shell script, because the machine's own Node may be too old for TypeScript.
set -u
cd "$(dirname "$0")/.." || exit 1
stamp=node_modules/.berth-setup

refuse() {
  echo "berth: $1" >&2
  exit 1
}

# Runs a command, which the kernel kills if this shell ends, even by SIGKILL. On macOS, which has no setpriv, the command runs on.
# The signal is KILL, because npm continues for a while after SIGTERM.
with_us() {
  if setpriv --pdeathsig=KILL true 2>/dev/null; then setpriv --pdeathsig=KILL -- "$@"; else "$@"; fi
}

# These checks come before any installation.
case "${1:-}" in
up | down | --root)
  command=${npm_lifecycle_event:-$1}
  [ "$(uname)" = Linux ] ||
    refuse "The local cluster needs Linux, and this is $(uname): use a Linux machine, or a cluster that you have (npm run init -- --context NAME)."
  [ "$(id -u)" = 0 ] ||
    refuse "The local cluster makes namespaces, mounts and containers, which only root may: run the command as root (sudo env \"PATH=\$PATH\" npm run $command), or use a cluster that you have (npm run init -- --context NAME). Unit tests, manifests and previews need no root, and the tests of stores need only your own Docker, Go and Chromium."
  [ "$1" != --root ] || shift
  ;;
esac

if ! { [ -x node_modules/.bin/node ] && cmp -s package-lock.json "$stamp"; }; then
  # Files that root installs in a user's checkout must belong to the user.
  owner=$(stat -c %u . 2>/dev/null || id -u)
  if [ "$(id -u)" = 0 ] && [ "$owner" != 0 ]; then
    # npm needs a home for its cache. An owner without an entry in /etc/passwd, as in a container, has no home.
    home=$(getent passwd "$owner" | cut -d: -f6)
    temporary=$(mktemp -d) && chown "$owner" "$temporary"
    [ -d "$home" ] || home=$temporary
    setpriv --reuid="$owner" --regid="$(stat -c %g .)" --clear-groups --pdeathsig=KILL -- env HOME="$home" sh local/setup.sh
    status=$?
    rm -rf "$temporary"
    [ $status = 0 ] || exit 1
  else
    echo "npm packages: npm ci (about a minute the first time)"
    # Prints a line every 30 s until this shell ends, whatever ends it.
    (while sleep 29 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do echo "  … npm packages"; done) &
    with_us npm ci --no-audit --no-fund --loglevel=error &&
      with_us npm rebuild node --ignore-scripts=false --loglevel=error >/dev/null &&
      node_modules/.bin/node --version >/dev/null && cp package-lock.json "$stamp"
    status=$?
    kill $!
    [ $status = 0 ] ||
      refuse "npm could not install the packages. Check that the npm registry can be reached (npm ping), then run the command again."
  fi
fi
[ $# = 0 ] || exec node_modules/.bin/node local/main.ts "$@"
