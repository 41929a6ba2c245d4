"""How much faster two processes train than one: steps a second of a generator's training on a batch of 16, by one
process with one thread, one with two threads, and two with one each, and the same of sound inversion's. The nets are
the tests' with the default generator's width. Medians of rounds taken in turn; not part of the test run:

    python bench/processes.py [results/speed/processes.json]

needs a machine with two cores that does nothing else."""
import json, os, socket, statistics, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS, STEPS = 3, 24
WAYS = dict(one_thread=(1, 1), two_threads=(1, 2), two_processes=(2, 1))   # processes, threads of each

WORK = '''
import sys, tempfile, time, torch
sys.path.insert(0, 'tests')
from tiny import SMALL, STAGES
from sgsvg import train
from sgsvg.processes import leave, place
from sgsvg.runs import Run
SMALL.update(channel_base=6144, channel_max=192)
stage = STAGES[{name!r}]('{folder}', batch_size=16)
train._set_up(stage, 'cpu', 1)
run = Run('{folder}', 'run', {{}})
for k in range(1, 5): train._step(stage, run, 0, k)
start = time.perf_counter()
for k in range(5, 5 + {steps}): train._step(stage, run, 0, k)
if place()[0] == 0: print({steps}/(time.perf_counter() - start))
leave()
'''

def free_port()->int:
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def speed(name:str, folder:str, processes:int, threads:int)->float:
    "Steps a second."
    code = WORK.format(name=name, folder=folder, steps=STEPS)
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS=str(threads), WORLD_SIZE=str(processes),
               MASTER_ADDR='127.0.0.1', MASTER_PORT=str(free_port()))
    started = [subprocess.Popen([sys.executable, '-c', code], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                                env=env | dict(RANK=str(r), LOCAL_RANK=str(r))) for r in range(processes)]
    said = [p.communicate()[0] for p in started]
    if any(p.returncode for p in started): raise SystemExit(f'{name} failed')
    return float(said[0].split()[-1])

def main(out=None, folder='/tmp/sgsvg-bench-processes'):
    Path(folder).mkdir(exist_ok=True)
    found = {}
    for name in ('generator', 'inversion'):
        speed(name, folder, 1, 1)       # makes what all read
        rounds = [{way: speed(name, folder, *how) for way,how in WAYS.items()} for _ in range(ROUNDS)]
        found[name] = {way: round(statistics.median(r[way] for r in rounds), 3) for way in WAYS}
        row = found[name]
        print(f'{name:10}', *(f'{way} {v:.2f}' for way,v in row.items()), 'steps a second |',
              f'two processes over one thread {row["two_processes"]/row["one_thread"]:.2f}')
    record = dict(cores=os.cpu_count(), rounds=ROUNDS, steps_a_second=found)
    if out: Path(out).write_text(json.dumps(record, indent=1) + '\n')

if __name__ == '__main__': main(*sys.argv[1:])
