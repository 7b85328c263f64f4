#!/bin/sh
# Record the captures under pcaps/ from real software in network namespaces. Needs root on Debian 12; installs what it needs.
# usage: record.sh [PROTOCOL[/CASE] ...]      all of them without arguments
set -eu
cd "$(dirname "$0")"

[ "$(id -u)" = 0 ] || { echo "record.sh: network namespaces need root" >&2; exit 1; }

cache=${CITYTAP_RECORD_CACHE:-$HOME/.cache/citytap-record}
export CITYTAP_RECORD_CACHE="$cache"
packages="iproute2 ethtool procps tcpdump tshark python3-venv openssl zstd
    mosquitto ejabberd libcoap3-bin dnsmasq-base udhcpc isc-dhcp-client radvd iputils-ping"

missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
command -v npm >/dev/null || missing="$missing nodejs npm" # a Node.js from elsewhere brings its own npm
if [ -n "$missing" ]; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
fi

mkdir -p "$cache"
if ! cmp -s requirements.txt "$cache/requirements.txt"; then
    [ -x "$cache/py/bin/python" ] || /usr/bin/python3 -m venv "$cache/py"
    "$cache/py/bin/pip" install -q -r requirements.txt
    cp requirements.txt "$cache/requirements.txt"
fi
if ! cmp -s requirements-chirpstack3.txt "$cache/requirements-chirpstack3.txt"; then
    [ -x "$cache/cs3/bin/python" ] || /usr/bin/python3 -m venv "$cache/cs3"
    "$cache/cs3/bin/pip" install -q -r requirements-chirpstack3.txt
    cp requirements-chirpstack3.txt "$cache/"
fi
if ! cmp -s package.json "$cache/node/package.json"; then
    mkdir -p "$cache/node"
    cp package.json "$cache/node/"
    (cd "$cache/node" && npm install --silent --no-fund --no-audit)
    cp package.json "$cache/node/"
fi

# DTLS 1.3 comes from a crate; without a Rust toolchain that one case fails.
if command -v cargo >/dev/null && [ ! -x "$cache/dtls13/debug/dtls13" ]; then
    CARGO_TARGET_DIR="$cache/dtls13" cargo build -q --manifest-path dtls13/Cargo.toml
fi

for script in modbus malformed_modbus mqtt mqtt_attacks malformed_mqtt lorawan lorawan_attacks lorawan_servers malformed_lorawan coap malformed_coap lwm2m net malformed_net baseline city; do
    [ -f "$script.py" ] || continue
    protocol=${script#malformed_}
    protocol=${protocol%_attacks}
    protocol=${protocol%_servers}
    wanted=
    for argument in "$@"; do
        case "$argument" in
            "$protocol" | "$protocol"/*) wanted="$wanted $argument" ;;
        esac
    done
    if [ $# = 0 ] || [ -n "$wanted" ]; then
        "$cache/py/bin/python" "$script.py" $wanted
    fi
done

# Cases of several protocols: the script picks those that are asked for.
"$cache/py/bin/python" setup_faults.py "$@"
