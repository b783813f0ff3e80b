#!/usr/bin/env bash
# Names and installs the system packages that are missing for the groups given: build, run, demo, bench, full.
# Changes nothing but packages. Elsewhere than on Debian and Ubuntu it prints what to install and goes on.
set -euo pipefail

declare -A packages=(
  # libopus is built by cmake, openh264 is C++ with nasm for SIMD; VP9 and ALSA are found by pkg-config.
  [build]="g++ cmake nasm pkg-config libasound2-dev libvpx-dev"
  [run]="libgl1 libegl1 libgl1-mesa-dri libx11-6 libx11-xcb1 libxcursor1 libxi6 libxrandr2 libxkbcommon0 libxkbcommon-x11-0 libwayland-client0"
  [demo]="xvfb pulseaudio pulseaudio-utils espeak-ng"
  # What our figures are taken beside.
  [bench]="iproute2 nftables coturn python3-libtorrent"
  [full]="iproute2 nftables ffmpeg xdotool x11-utils postgresql python3 coturn python3-jwt python3-jwcrypto python3-libtorrent"
)

wanted=()
for group in "$@"; do
  [ -n "${packages[$group]:-}" ] || { echo "setup: no such group: $group" >&2; exit 2; }
  read -ra group_packages <<<"${packages[$group]}"
  wanted+=("${group_packages[@]}")
done

# The board's files are tried with packages of npm. Whoever has it from elsewhere keeps that one.
if [[ " $* " == *" full "* ]] && ! { command -v node >/dev/null && command -v npm >/dev/null; }; then
  wanted+=(nodejs npm)
fi

if ! command -v cargo >/dev/null; then
  echo 'setup: Rust is missing. Install it with rustup (see rustup.rs), then run this again.' >&2
  exit 1
fi

if [ "$(uname)" != Linux ]; then
  if [ "$(uname)" = Darwin ]; then
    missing=()
    for program in cmake nasm pkg-config; do command -v "$program" >/dev/null || missing+=("$program"); done
    [ ${#missing[@]} -eq 0 ] || echo "setup: missing: ${missing[*]} (and libvpx). With Homebrew: brew install cmake nasm pkg-config libvpx" >&2
  else
    echo 'setup: on this system install cmake, nasm, pkg-config and libvpx yourself.' >&2
  fi
  exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup: this is not Debian or Ubuntu. What they call: ${wanted[*]}" >&2
  echo 'setup: please install the equivalents; going on.' >&2
  exit 0
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "setup: missing packages: ${missing[*]}" >&2
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: neither root nor sudo. As root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo 'setup: installing them with apt-get' >&2
# A package list that cannot be refreshed is no reason to stop: the old one may do.
"${as_root[@]}" apt-get update -qq >&2 || echo 'setup: the package lists could not be refreshed; trying with those that are here' >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
