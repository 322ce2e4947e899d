#!/bin/sh
# Installs the npm packages, Node 24 among them, unless the lock file's are there already.
# Shell, because the machine's own Node may be too old for TypeScript.
set -u
cd "$(dirname "$0")/.." || exit 1
stamp=node_modules/.berth-setup
[ -x node_modules/.bin/node ] && cmp -s package-lock.json "$stamp" && exit 0
echo "npm packages: npm ci (about a minute the first time)"
if npm ci --no-audit --no-fund --loglevel=error && npm rebuild node --ignore-scripts=false --loglevel=error >/dev/null &&
  node_modules/.bin/node --version >/dev/null; then
  cp package-lock.json "$stamp"
  exit 0
fi
echo "berth: npm could not install the packages. Check that the npm registry can be reached (npm ping), then run the command again." >&2
exit 1
