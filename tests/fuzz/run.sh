#!/bin/sh
# Builds the fuzz targets with the compiler's own coverage instrumentation, which a stable toolchain has too,
# and runs them one after another. Usage: sh run.sh SECONDS [TARGET...]
set -eu
cd "$(dirname "$0")"
seconds=${1:?seconds for each target}
shift
[ $# -gt 0 ] || set -- walker decoder frames
host=$(rustc -vV | sed -n 's/^host: //p')
# `--target` keeps the flags away from build scripts.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1" \
    cargo build --release --target "$host"
python3 corpus.py corpus
for target; do
    mkdir -p "corpus/$target"
    # RSS and time limits make a finding of what takes too much of either.
    nice "target/$host/release/$target" "corpus/$target" corpus/pickles \
        -max_total_time="$seconds" -max_len=4096 -rss_limit_mb=1024 -timeout=10 -print_final_stats=1
done
