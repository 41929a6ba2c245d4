"""How long each notebook takes on two cores.

    python tools/times.py                 the record, and which heads do not say it; 1 if there is one
    python tools/times.py NOTEBOOK ...    run these and record their seconds in results/times.json
    python tools/times.py --write         write the record into the heads

A head says it in a line of its own title cell: "Runs in about 2 minutes on two cores." Experiments take too long for
that: what theirs says is the processor time of the record in results/. Notebooks without either are left as they are.
Record on a machine that does nothing else."""
import json
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT/'results'/'times.json'
COSTS = dict(bench='results/bench/bench.json', compare='results/compare/compare.json',
             ablation='results/ablation/ablation.json')   # experiment -> its record
LINE = re.compile(r'\n+^(Runs in about .* on two cores|.* took about .* of processor time)\.$', re.M)
USED = re.compile(r'\n+^Used by ', re.M)   # what tools/used.py writes stays last


def said(seconds):
    "A time as the heads have it."
    if seconds < 90: return f'{max(10, round(seconds, -1)):.0f} seconds'
    return f'{round(seconds/60):.0f} minutes'


def lasts(seconds): return f'Runs in about {said(seconds)} on two cores.'


def cost(path):
    "What the record of an experiment took, as its head has it; of many runs, the mean of one."
    facts = json.loads((ROOT/path).read_text())
    runs = [facts['cpu_minutes']] if 'cpu_minutes' in facts else [o['means']['cpu_minutes'] for o in facts.values()]
    what = f'The record in `{Path(path).parent}`' if len(runs) == 1 else f'A run of the record in `{Path(path).parent}`'
    return f'{what} took about {said(60*sum(runs)/len(runs))} of processor time.'


def head(title, line):
    "The title cell with its line."
    plain, line = LINE.sub('', title).rstrip(), f'\n\n{line}'
    used = USED.search(plain)
    return plain[:used.start()] + line + plain[used.start():] if used else plain + line


def title_cell(book): return next(c for c in book.cells if c.cell_type == 'markdown')


def recorded(): return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def differing(root=ROOT):
    "Notebook -> the title cell that it should have, where it has another."
    lines = {name: lasts(seconds) for name,seconds in recorded().items()}
    lines |= {f'nbs/experiments/{name}.ipynb': cost(path) for name,path in COSTS.items()}
    old = {name: title_cell(nbformat.read(root/name, 4)).source for name in lines}
    return {name: head(old[name], line) for name,line in lines.items() if old[name] != head(old[name], line)}


def run(path):
    "Seconds of a notebook, in a kernel of its own on two cores; what it shows is thrown away."
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    book = nbformat.read(path, 4)
    began = time.monotonic()
    NotebookClient(book, timeout=3600, kernel_name='python3', resources=dict(metadata=dict(path=path.parent))).execute()
    return round(time.monotonic()-began, 1)


def write(root=ROOT):
    "Write the record into the heads."
    for name,title in differing(root).items():
        book = nbformat.read(root/name, 4)
        title_cell(book).source = title
        nbformat.write(book, root/name)


def record(path):
    "Run a notebook and keep its seconds; false, and its error told, where a cell fails."
    name = path.resolve().relative_to(ROOT).as_posix()
    try: seconds = run(path)
    except CellExecutionError as e:
        print(f'{name} fails\n{e}', flush=True)
        return False
    times = recorded() | {name: seconds}
    RECORD.write_text(json.dumps(dict(sorted(times.items())), indent=1) + '\n')
    return True


def main(args):
    if args == ['--write']: write()
    failed = sum(not record(Path(p)) for p in args if p != '--write')
    for name,seconds in recorded().items(): print(f'{said(seconds):>12}  {name}')
    for name in (wrong := differing()): print(f'{name}: its head says otherwise; python tools/times.py --write')
    return int(bool(wrong or failed))


if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
