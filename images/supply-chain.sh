#!/bin/sh
# What goes with a pushed image: sh images/supply-chain.sh sbom|scan|sign IMAGE@sha256:…
#
#   sbom   its list of packages as SPDX, in sbom/, by syft
#   scan   fails on a known hole of high or critical severity that has a fix, by trivy
#   sign   signs it, and its list if there is one, by cosign: without a key in a workflow with `id-token: write`, elsewhere by
#          your login in a browser, or by the key that COSIGN_KEY names
set -eu

fail() {
  echo "supply-chain: $*" >&2
  exit 1
}

need() {
  command -v "$1" >/dev/null || fail "$1 is not installed; see $2"
}

image=${2:-}
case "$image" in
*@sha256:*) ;;
*) fail "usage: supply-chain.sh sbom|scan|sign IMAGE@sha256:… (a tag may be another image tomorrow)" ;;
esac
name=${image%@*}
name=${name##*/}
sbom=sbom/${name%%:*}.spdx.json

case "$1" in
sbom)
  need syft https://github.com/anchore/syft#installation
  mkdir -p sbom
  syft scan "registry:$image" --output "spdx-json=$sbom"
  ;;
scan)
  need trivy https://trivy.dev/latest/getting-started/installation/
  trivy image --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1 "$image"
  ;;
sign)
  need cosign https://docs.sigstore.dev/cosign/system_config/installation/
  cosign sign --yes ${COSIGN_KEY:+--key "$COSIGN_KEY"} "$image"
  [ ! -e "$sbom" ] || cosign attest --yes ${COSIGN_KEY:+--key "$COSIGN_KEY"} --type spdxjson --predicate "$sbom" "$image"
  ;;
*) fail "'$1' is none of sbom, scan, sign" ;;
esac
