#!/bin/bash
# The shards of a planned job with Grid Engine: qsub -v OUT=/shared/maps grid-engine.sh
#
# What is lost is put in again by the same command; a part of the array (-t 5-5) needs to know how many workers there were: -v OUT=/shared/maps,WORKERS=16.
#$ -N hirescam
#$ -t 1-16
#$ -pe smp 4
#$ -r y
#$ -cwd
set -euo pipefail
: "${OUT:?where the planned job lies: qsub -v OUT=/shared/maps grid-engine.sh}"
if [ -z "${WORKERS:-}" ] && [ "$SGE_TASK_FIRST" -ne 1 ]; then
  echo "this array begins at $SGE_TASK_FIRST: say by WORKERS how many workers share the job" >&2
  exit 2
fi
export RAYON_NUM_THREADS="$NSLOTS"
code=0
hirescam batch run "$OUT" --index-from-env --workers "${WORKERS:-$SGE_TASK_LAST}" --threads "$NSLOTS" || code=$?
# 1 says that images failed, which have their rows; the task is done.
[ "$code" -eq 1 ] || exit "$code"
