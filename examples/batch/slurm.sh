#!/bin/bash
# The shards of a planned job on a cluster with Slurm: sbatch --array=0-15 --export=ALL,OUT=/shared/maps slurm.sh
#
# There are as many workers as the array has tasks; each takes every sixteenth shard. What is lost is put in again by the same command, which leaves out what is done;
# a part of the array (--array=3) needs to know how many workers there were: --export=ALL,OUT=/shared/maps,WORKERS=16. OUT, the network and the images are on a disk or in a store that all nodes reach.
#SBATCH --job-name=hirescam
#SBATCH --array=0-15
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=12:00:00
#SBATCH --requeue
set -euo pipefail
: "${OUT:?where the planned job lies: sbatch --export=ALL,OUT=/shared/maps slurm.sh}"
if [ -z "${WORKERS:-}" ] && [ "${SLURM_ARRAY_TASK_MIN:-0}" -ne 0 ]; then
  echo "this array begins at $SLURM_ARRAY_TASK_MIN: say by WORKERS how many workers share the job" >&2
  exit 2
fi
export RAYON_NUM_THREADS="$SLURM_CPUS_PER_TASK"
code=0
hirescam batch run "$OUT" --index-from-env --workers "${WORKERS:-$SLURM_ARRAY_TASK_COUNT}" --threads "$SLURM_CPUS_PER_TASK" || code=$?
# 1 says that images failed, which have their rows; the task is done.
[ "$code" -eq 1 ] || exit "$code"
