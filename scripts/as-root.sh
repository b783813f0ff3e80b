#!/usr/bin/env bash
# Runs a cargo command whose test programs need root (network namespaces), so that cargo itself stays the user's.
set -euo pipefail
if [ "$(id -u)" -ne 0 ]; then
  host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
  export "CARGO_TARGET_${host}_RUNNER=sudo -E"
fi
exec "$@"
