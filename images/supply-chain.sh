#!/bin/sh
# Supply-chain steps for pushed images. Usage: sh images/supply-chain.sh sbom|scan|scan-others|sign IMAGE@sha256:…...
#
#   sbom         writes each image's list of packages (SBOM, in SPDX format) to the folder sbom/, with syft
#   scan         fails if an image has a CVE of high or critical severity for which a fix exists, with trivy
#   scan-others  for images that others build: prints such CVEs, but fails only at a critical one, because only the image's maker
#                can fix it
#   sign         signs each image, and attaches its SBOM if there is one, with cosign. COSIGN_KEY names the key. Without a key,
#                cosign uses the workflow's identity (`id-token: write`) or, outside a workflow, your login in a browser.
#
# Both scans look at all images before they fail. They leave out the CVEs in the file .trivyignore of the current folder.
set -eu

fail() {
  echo "supply-chain: $*" >&2
  exit 1
}

need() {
  command -v "$1" >/dev/null || fail "$1 is not installed; see $2"
}

command=${1:-}
case "$command" in
sbom) need syft https://github.com/anchore/syft#installation ;;
scan | scan-others) need trivy https://trivy.dev/latest/getting-started/installation/ ;;
sign) need cosign https://docs.sigstore.dev/cosign/system_config/installation/ ;;
*) fail "'$command' is unknown; use sbom, scan, scan-others or sign" ;;
esac
shift
[ $# -gt 0 ] || fail "$command needs at least one image"
for image in "$@"; do
  case "$image" in
  *@sha256:*) ;;
  *) fail "$image has no digest: name an image as NAME@sha256:…, because a tag may change" ;;
  esac
done

failed=
for image in "$@"; do
  name=${image%@*}
  name=${name##*/}
  sbom=sbom/${name%%:*}.spdx.json
  echo "supply-chain: $command $image"
  case "$command" in
  sbom)
    mkdir -p sbom
    syft scan "registry:$image" --output "spdx-json=$sbom"
    ;;
  scan)
    trivy image --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1 "$image" || failed="$failed $image"
    ;;
  scan-others)
    trivy image --severity HIGH,CRITICAL --ignore-unfixed "$image" &&
      trivy image --quiet --severity CRITICAL --ignore-unfixed --exit-code 1 "$image" >/dev/null || failed="$failed $image"
    ;;
  sign)
    cosign sign --yes ${COSIGN_KEY:+--key "$COSIGN_KEY"} "$image"
    [ ! -e "$sbom" ] || cosign attest --yes ${COSIGN_KEY:+--key "$COSIGN_KEY"} --type spdxjson --predicate "$sbom" "$image"
    ;;
  esac
done
[ -z "$failed" ] || fail "these images have CVEs for which fixes exist, or could not be scanned:$failed"
