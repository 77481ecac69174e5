#!/bin/sh
# Everything that needs a GPU, in at most 10 minutes on one card, with nothing to download:
#     sh benchmarks/gpu.sh [FOLDER]
# Results go to results/gpu/CARD unless FOLDER is given: the card's torch may be another version, so
# its records never mix with those of a CPU. PYTHON says which interpreter has msbench and torch.
set -u
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python}
export OMP_NUM_THREADS=1
CARD=$("$PYTHON" -c 'import torch; print(torch.cuda.get_device_name().replace(" ", "-"))') || exit 1
OUT=${1:-results/gpu/$CARD}
mkdir -p "$OUT"
END=$(($(date +%s) + 585))

# A step that fails or has had its time is named, and the others still run.
part() {
    name=$1 limit=$2
    shift 2
    left=$((END - $(date +%s)))
    [ "$left" -lt "$limit" ] && limit=$left
    [ "$limit" -lt 5 ] && { echo "$name: left out, no time"; return; }
    echo "== $name"
    timeout "$limit" "$@" >"$OUT/$name.txt" 2>&1 || echo "$name: ended with $?"
    tail -n 40 "$OUT/$name.txt"
}

nvidia-smi >"$OUT/card.txt" 2>&1
part capture 90 "$PYTHON" benchmarks/replays.py
part training 330 "$PYTHON" benchmarks/training.py --device cuda --seconds 8 --json "$OUT/training.json"
part suite 100 "$PYTHON" -m msbench run benchmarks/gpu.toml --device cuda --out "$OUT"
