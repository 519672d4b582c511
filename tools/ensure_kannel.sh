#!/usr/bin/env bash
# Makes sure that the tests of text messages find a real Kannel and its fake message centre; quick when they are there.
# Installs Debian's packages when run as root on a machine with apt-get, starting none of their services, and otherwise
# says what to install.
set -euo pipefail

readonly FAKE_CENTRE=/usr/lib/kannel/test/fakesmsc

found_kannel() {
  local path="$PATH:/usr/sbin" # where the gateway is, but not on everybody's path
  PATH="$path" command -v bearerbox >/dev/null 2>&1 && PATH="$path" command -v smsbox >/dev/null 2>&1 && [ -x "$FAKE_CENTRE" ]
}

found_kannel && exit 0

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
  apt-get -q install -y --no-install-recommends kannel kannel-extras >/dev/null
}

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing kannel and kannel-extras for the tests of text messages ..."
  install_without_starting || true
fi

if ! found_kannel; then
  echo "The tests of text messages need Kannel: install the packages 'kannel' and 'kannel-extras' (for $FAKE_CENTRE) and run this again." >&2
  exit 1
fi
