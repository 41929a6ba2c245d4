#!/bin/sh
# One training on several GPUs: each process takes its part of every batch, and together they take the step that one
# process would take. The launcher starts the same command once for each GPU. A run that was stopped goes on when this
# is called again with as many GPUs. Call it from the checkout: sh examples/several_gpus.sh 4
set -eu
gpus=${1:-2}
sgsvg=$(command -v sgsvg)

torchrun --nproc-per-node "$gpus" "$sgsvg" train generator id=wide batch_size=64

# The same by accelerate:
#   accelerate launch --multi_gpu --num_processes 2 "$sgsvg" train generator id=wide batch_size=64
#
# On the CPU accelerate starts one process alone unless it finds mpirun; torchrun starts two, here a smoke test of seconds:
#   torchrun --nproc-per-node 2 "$sgsvg" train clip tiny=true device=cpu
#
# On two machines of four GPUs each, started on both with NODE=0 and NODE=1:
#   torchrun --nnodes 2 --node-rank "$NODE" --master-addr HOST --master-port 29500 --nproc-per-node 4 "$sgsvg" train ...
#
# As a job of Slurm's queue (sbatch examples/several_gpus.sh 4), put such lines at the top:
#   #SBATCH --gpus-per-node=4 --cpus-per-task=32 --time=8:00:00
