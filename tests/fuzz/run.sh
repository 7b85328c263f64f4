#!/usr/bin/env bash
# Runs every fuzz target: run.sh PROGRAM SEEDS, a folder for each target in SEEDS. FUZZ_SECONDS for each (60), FUZZ_TARGETS to choose some.
set -euo pipefail
program=$(realpath "$1")
seeds=$(realpath "$2")
cd "$(dirname "$0")"
mkdir -p artifacts
names=$(ls "$seeds")
failed=()
for name in ${FUZZ_TARGETS:-$names}; do
    mkdir -p "target/corpus/$name"
    log=target/$name.log
    if CITYTAP_FUZZ=$name "$program" "target/corpus/$name" "$seeds/$name" -max_total_time="${FUZZ_SECONDS:-60}" \
        -timeout=5 -rss_limit_mb=2048 -max_len=16384 -artifact_prefix="artifacts/$name-" >"$log" 2>&1; then
        printf '%-18s %s\n' "$name" "$(grep -E '^Done' "$log" || tail -n 1 "$log")"
    else
        failed+=("$name")
        printf '%-18s FAILED; the input is in tests/fuzz/artifacts, the log says:\n' "$name"
        grep -E 'panicked|ERROR|SUMMARY|Test unit written' -A 2 "$log" | head -n 12 || tail -n 12 "$log"
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "${#failed[@]} of the fuzz targets failed: ${failed[*]}"
    exit 1
fi
echo "no target failed"
