#!/usr/bin/env bash
# Installs what `make e2e` needs from Debian's (or Ubuntu's) packages, where it is missing: PostgreSQL's server, a
# Chromium and its driver. As root, or with sudo that asks for no password; elsewhere it says what to install.
set -euo pipefail

missing=()
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || missing+=(postgresql)
command -v chromium >/dev/null || missing+=(chromium)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
# Services end with the test, however it ends; and PostgreSQL refuses to run as root.
command -v setpriv >/dev/null || missing+=(util-linux)
[ "${#missing[@]}" -eq 0 ] && exit 0

cannot() {
  echo "make e2e needs these Debian packages, and they could not be installed ($1): ${missing[*]}" >&2
  echo "Install them, or what they are called on this system, and run it again." >&2
  exit 1
}

command -v apt-get >/dev/null || cannot "there is no apt-get"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || cannot "not root, and no sudo without a password"
  as_root=(sudo -n)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1; }

# Debian's package starts a server of its own unless it is told not to; the test runs another, for as long as it lasts.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  trap 'rm -f "$log"; "${as_root[@]}" rm -f "$policy"' EXIT
fi

echo "Installing ${missing[*]}"
if ! { apt update && apt install --no-install-recommends "${missing[@]}"; }; then
  tail -n 20 "$log" >&2
  cannot "apt-get failed"
fi
