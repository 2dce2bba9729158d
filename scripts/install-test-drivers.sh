#!/usr/bin/env bash
# Installs what the tests of WebGPU and of the browser examples need, where it is not there: a Vulkan driver that runs
# on the CPU, and Chromium. On Debian 12, as root; elsewhere it says what is missing.
set -euo pipefail

chromium=${CHROMIUM:-/usr/bin/chromium}
missing=()
[ -x "$chromium" ] || missing+=(chromium)
# Dawn, which is WebGPU in Node, refuses the lavapipe of Mesa 22, Debian 12's own: it lacks
# shaderSampledImageArrayDynamicIndexing. The one from backports is complete.
mesa=$(dpkg-query --show --showformat='${Version}' mesa-vulkan-drivers 2>/dev/null || true)
if [ -z "$mesa" ] || dpkg --compare-versions "$mesa" lt 24; then missing+=(mesa-vulkan-drivers libvulkan1); fi
[ ${#missing[@]} -gt 0 ] || exit 0

if ! grep -qs '^VERSION_CODENAME=bookworm$' /etc/os-release || [ "$(id -u)" != 0 ]; then
  echo "The tests need ${missing[*]} (Mesa 24 or newer). On Debian 12, run this as root to install them." >&2
  exit 1
fi

# The backports come from the mirror that the machine already uses.
sources=/etc/apt/sources.list.d
if ! grep -rqs 'bookworm-backports' /etc/apt/sources.list "$sources"; then
  main=$(grep -ls '^Suites: bookworm bookworm-updates' "$sources"/*.sources | head -n 1 || true)
  if [ -n "$main" ]; then
    awk -v RS= '/(^|\n)Suites: bookworm / { print; exit }' "$main" |
      sed 's/^Suites:.*/Suites: bookworm-backports/' >"$sources/backports.sources"
  else
    grep -hE '^deb .*[[:space:]]bookworm[[:space:]]' /etc/apt/sources.list | head -n 1 |
      sed -E 's/[[:space:]]bookworm[[:space:]]/ bookworm-backports /' >"$sources/backports.list"
  fi
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update
for package in "${missing[@]}"; do
  case $package in
    chromium) apt-get install -y --no-install-recommends chromium ;;
    mesa-vulkan-drivers)
      apt-get install -y --no-install-recommends -t bookworm-backports mesa-vulkan-drivers libvulkan1
      ;;
  esac
done
