"""What a sweep costs beside its runs, and what kills do to it; not part of the test run:

    python bench/sweep.py overhead [results/speed/sweep.json]   100 short runs, two at a time (10 minutes)
    python bench/sweep.py kills [results/speed/sweep.json]      kill -9 at twenty random moments (10 minutes)

Overhead is what the processes' time has more than the runs' own, as a share of it. A run's own time is that of
papermill with a kernel. Half of the kills hit the sweep and all that it started, half the sweep alone."""
import json, random, signal, subprocess, sys, tempfile, time
from pathlib import Path

import psutil

from sgsvg.sweep import plan, status, sweep

PARAMETERS = """id: str = 'toy'       # name of the run
root: str = 'runs'    # folder of all runs
wait: float = 0.0     # seconds of work
seed: int = 0         # of nothing
tiny: bool = False    # a smoke test"""
SETTINGS = 'from sgsvg.runs import Run, settings\np = settings()'
WORK = """import time
run = Run(p.root, p.id, p.record)
run.rewind(0)
time.sleep(p.wait)
run.log(1, seed=p.seed)"""
CALL = 'import json, sys; from sgsvg.sweep import sweep; sweep(json.loads(sys.argv[1]), sys.argv[2], 2)'

def grid(place, runs):
    "So many runs of a notebook that works for a second."
    cells = [dict(cell_type='code', id=f'c{i}', source=s, outputs=[], execution_count=None,
                  metadata=dict(tags=['parameters'][i:])) for i, s in enumerate((PARAMETERS, SETTINGS, WORK))]
    path = Path(place)/'toy.ipynb'
    path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))
    return dict(notebook=str(path), set=dict(wait=1), seeds=runs)

def overhead(runs=100, jobs=2):
    "Seconds of a sweep and of its runs."
    with tempfile.TemporaryDirectory() as d:
        began = time.monotonic()
        rows = sweep(grid(d, runs), f'{d}/a', jobs)
        took = time.monotonic() - began
    assert [row['state'] for row in rows] == ['finished']*runs
    own = sum(row['took'] for row in rows)
    return dict(runs=runs, jobs=jobs, seconds=round(took, 1), a_run=round(own/runs, 2),
                overhead_percent=round(100*(jobs*took/own - 1), 2))

def kill(process, everything):
    "End a process at once, and on demand all that it started."
    others = psutil.Process(process.pid).children(recursive=True) if everything else []
    for p in [process, *others]: p.send_signal(signal.SIGKILL)
    process.wait()

def finished(todo): return {o['id']: s for o in todo.jobs if (s := status(o['folder']))['state'] == 'finished'}

def kills(times=20, runs=8):
    "How many finished runs were lost, and how many lines were written twice, over so many kills."
    found, dice = dict(kills=0, sweeps=0, runs=0, lost=0, doubled=0), random.Random(0)
    while found['kills'] < times:
        with tempfile.TemporaryDirectory() as d:
            what, done = grid(d, runs), {}
            todo = plan(what, f'{d}/a')
            while found['kills'] < times:
                command = [sys.executable, '-c', CALL, json.dumps(what), f'{d}/a']
                run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
                try:
                    run.wait(dice.uniform(2, 25))
                    break   # it was done before the kill
                except subprocess.TimeoutExpired: kill(run, everything=found['kills'] % 2)
                found['kills'] += 1
                now = finished(todo)
                found['lost'] += sum(now.get(k) != s for k, s in done.items())
                done = now
            rows = sweep(what, f'{d}/a', 2)
            lines = [(Path(o['folder'])/'metrics.jsonl').read_text().count('\n') for o in todo.jobs]
            found['lost'] += sum(row['state'] != 'finished' for row in rows)
            found['doubled'] += sum(n > 1 for n in lines) + len(rows) - len({row['run'] for row in rows})
            found['sweeps'] += 1
            found['runs'] += len(rows)
        print(found, file=sys.stderr, flush=True)
    return found

def main(part, out=None):
    found = dict(overhead=overhead, kills=kills)[part]()
    print(found)
    path = Path(out) if out else None
    was = json.loads(path.read_text()) if path and path.exists() else {}
    if path: path.write_text(json.dumps(was | {part: found}, indent=1) + '\n')

if __name__ == '__main__': main(*sys.argv[1:])
