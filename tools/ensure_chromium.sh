#!/usr/bin/env bash
# Makes sure that the browser tests find a Chromium and a font with Chinese characters; quick when they are there.
# Installs Debian's packages when run as root on a machine with apt-get, and otherwise says what to install.
set -euo pipefail

found_browser() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null 2>&1 && return 0
  done
  return 1
}

found_font() {
  command -v fc-list >/dev/null 2>&1 && [ -n "$(fc-list :lang=zh-cn family)" ]
}

missing=()
found_browser || missing+=(chromium)
found_font || missing+=(fonts-noto-cjk fontconfig)
[ "${#missing[@]}" -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing ${missing[*]} for the browser tests ..."
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update >/dev/null
  apt-get -q install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! found_browser; then
  echo "The browser tests need Chromium: install the package 'chromium' (or Google Chrome) and run this again." >&2
  exit 1
fi
found_font || echo "No font with Chinese characters was found: screenshots will show boxes (package fonts-noto-cjk)." >&2
