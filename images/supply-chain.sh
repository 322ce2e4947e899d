#!/bin/sh
# Supply-chain steps for a pushed image. Usage: sh images/supply-chain.sh sbom|scan|sign IMAGE@sha256:…
#
#   sbom   writes the image's list of packages (SBOM, in SPDX format) to the folder sbom/, with syft
#   scan   fails if the image has a CVE of high or critical severity for which a fix exists, with trivy
#   sign   signs the image, and attaches its SBOM if there is one, with cosign. COSIGN_KEY names the key. Without a key, cosign
#          uses the workflow's identity (`id-token: write`) or your login in a browser.
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
*) fail "usage: supply-chain.sh sbom|scan|sign IMAGE@sha256:… (a digest is required, because a tag may change)" ;;
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
*) fail "'$1' is unknown; use sbom, scan or sign" ;;
esac
