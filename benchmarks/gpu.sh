#!/bin/sh
# Everything that needs a GPU, in at most 10 minutes on one card, with nothing to download:
#     sh benchmarks/gpu.sh [--try]
# Figures go to results/performance/*-cuda.json, records of the suite to results/gpu/CARD: the card's
# torch may be another version, so that they never mix with those of a CPU. PYTHON says which
# interpreter has msbench and torch. --try: everything at once and as little as possible of it, to
# see in two minutes that all of it runs; its figures mean nothing.
set -u
cd "$(dirname "$0")/.." || exit 1
PYTHON=${PYTHON:-python}
export OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
CARD=$("$PYTHON" -c 'import torch; print(torch.cuda.get_device_name().replace(" ", "-"))') || exit 1
LOGS=results/gpu/$CARD
mkdir -p "$LOGS"
END=$(($(date +%s) + 560))
TRY=${1:-}

# A step that fails or has had its time is named, and the others still run.
part() {
    name=$1 limit=$2
    shift 2
    left=$((END - $(date +%s)))
    [ "$left" -lt "$limit" ] && limit=$left
    [ "$limit" -lt 5 ] && { echo "$name: left out, no time"; return; }
    begun=$(date +%s)
    timeout "$limit" "$@" >"$LOGS/$name.txt" 2>&1 || echo "$name: ended with $?"
    echo "== $name: $(($(date +%s) - begun)) s"
    tail -n 30 "$LOGS/$name.txt"
}

nvidia-smi >"$LOGS/card.txt" 2>&1
if [ -n "$TRY" ]; then
    part capture 150 "$PYTHON" benchmarks/replays.py &
    part sharing 150 "$PYTHON" benchmarks/sharing.py --most 4 --seconds 0.5 &
    part suite 150 "$PYTHON" -m msbench run benchmarks/gpu.toml --device cuda --seeds 1 --out "$LOGS" &
    part training 150 "$PYTHON" benchmarks/training.py --device cuda --seconds 1 --shapes 1 --seeds 1 &
    part decoding 150 "$PYTHON" benchmarks/decoding.py --device cuda --rounds 2 &
    part trainers 150 "$PYTHON" benchmarks/trainers.py --device cuda --rounds 2 &
    part layers 150 "$PYTHON" benchmarks/layers.py --device cuda --seconds 1 &
    part loop 150 "$PYTHON" benchmarks/loop.py --device cuda --rounds 3 &
    part growth 150 "$PYTHON" benchmarks/growth.py --device cuda --quick --rounds 2 &
    part bench 150 "$PYTHON" -m msbench bench benchmarks/gpu.toml --device cuda --seconds 5 --out "$LOGS" &
    part microbench 150 "$PYTHON" -m msbench microbench --only optimizer:adamw --only model:encoder \
        --only decoder:greedy --device cuda --out "$LOGS/microbench" &
    wait
    exit
fi
part decoding 80 "$PYTHON" benchmarks/decoding.py --device cuda --sources 16 256 --rounds 5
part training 225 "$PYTHON" benchmarks/training.py --device cuda --seconds 6 --seeds 2
part sharing 80 "$PYTHON" benchmarks/sharing.py --seconds 1.5
part trainers 40 "$PYTHON" benchmarks/trainers.py --device cuda
part loop 30 "$PYTHON" benchmarks/loop.py --device cuda --rounds 30
part layers 50 "$PYTHON" benchmarks/layers.py --device cuda --seconds 1.5
part growth 50 "$PYTHON" benchmarks/growth.py --device cuda
part bench 60 "$PYTHON" -m msbench bench benchmarks/gpu.toml --device cuda \
    --task "numbers-fr bfloat16 graph" --seconds 8 --out "$LOGS"
# No timings: these two at once.
part capture 90 "$PYTHON" benchmarks/replays.py &
part suite 90 "$PYTHON" -m msbench run benchmarks/gpu.toml --device cuda --out "$LOGS"
wait
