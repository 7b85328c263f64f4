#!/usr/bin/env bash
# Makes the Python environment of the live test in a folder, once: python.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")"

folder=$1
cmp -s requirements.txt "$folder/requirements.txt" && exit 0
/usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || ../install.sh python3-venv
echo "installing $(tr '\n' ' ' <requirements.txt)into $folder"
/usr/bin/python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
cp requirements.txt "$folder/requirements.txt"
