#!/usr/bin/env bash
# Installs Debian packages for the Makefile: install.sh PACKAGE...
set -euo pipefail

if ! command -v apt-get >/dev/null; then
    echo "Not a Debian system: install these by hand: $*" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "Run as root: apt-get install -y $*" >&2; exit 1; }
    as_root=(sudo)
fi
echo "installing $*"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null </dev/null
