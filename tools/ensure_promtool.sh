#!/usr/bin/env bash
# Makes sure that the tests of alert rules find promtool; quick when it is there. Installs Debian's package when run as
# root on a machine with apt-get, starting none of its services, and otherwise says what to install.
set -euo pipefail

found_promtool() {
  command -v promtool >/dev/null 2>&1
}

found_promtool && exit 0

# Debian starts a service as it is installed unless this policy says no; an existing policy is left alone.
readonly POLICY=/usr/sbin/policy-rc.d
install_without_starting() {
  if [ ! -e "$POLICY" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    trap 'rm -f "$POLICY"' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update >/dev/null
  apt-get -q install -y --no-install-recommends prometheus >/dev/null
}

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing prometheus, for promtool, for the tests of alert rules ..."
  install_without_starting || true
fi

if ! found_promtool; then
  echo "The tests of alert rules need promtool: install the package 'prometheus' and run this again." >&2
  exit 1
fi
