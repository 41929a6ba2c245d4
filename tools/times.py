"""How long each notebook takes on two cores.

    python tools/times.py                 the record, and which heads do not say it; 1 if there is one
    python tools/times.py NOTEBOOK ...    run these and record their seconds in results/times.json
    python tools/times.py NOTEBOOK name=value ...   the same with these parameters
    python tools/times.py --write         write the record into the heads

A head says it in a line of its own title cell: "Runs in about 2 minutes on two cores." Experiments take too long for
that: what theirs says is the processor time of the record in results/, or the time of a call with parameters.
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
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT/'results'/'times.json'
COSTS = dict(   # experiment -> what took so long, its record, and where in it the minutes stand; *: their mean
    bench=('The record', 'results/bench/bench.json', 'cpu_minutes'),
    compare=('The record', 'results/compare/compare.json', 'cpu_minutes'),
    evaluate_editing=('A picture of the record', 'results/default/editing.json', 'figures.cpu_minutes'),
    ablation=('A run of the record', 'results/ablation/ablation.json', '*.means.cpu_minutes'))
TRAININGS = dict(blind='results/blind/paper_alone')   # experiment -> folder with the records of its trainings
LINE = re.compile(r'\n+^(Runs in about .* on two cores|.* took about .* (of processor time|on two cores))\.$', re.M)
USED = re.compile(r'\n+^Used by ', re.M)   # what tools/used.py writes stays last


def said(seconds):
    "A time as the heads have it."
    if seconds < 90: return f'{max(10, round(seconds, -1)):.0f} seconds'
    return f'{round(seconds/60):.0f} minutes'


def lasts(seconds): return f'Runs in about {said(seconds)} on two cores.'


def at(facts, way):
    "All numbers of nested facts at a way like `a.*.b`."
    if not way: return [facts]
    name, _, rest = way.partition('.')
    return [n for o in (facts.values() if name == '*' else [facts[name]]) for n in at(o, rest)]


def cost(what, path, way):
    "What the record of an experiment took, as its head has it."
    minutes = at(json.loads((ROOT/path).read_text()), way)
    time = said(60*sum(minutes)/len(minutes))
    return f'{what} in `{Path(path).parent}` took about {time} of processor time.'


def trained(folder):
    "What the trainings of an experiment took together, as its head has it."
    runs = [o.read_text().splitlines()[-1] for o in (ROOT/folder).glob('*-metrics.jsonl')]
    seconds = sum(json.loads(o)['seconds'] for o in runs)
    return f'The trainings of the record in `{folder}` took about {said(seconds)} on two cores.'


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
    said = {name: cost(*record) for name,record in COSTS.items()}
    said |= {name: trained(folder) for name,folder in TRAININGS.items()}
    lines |= {f'nbs/experiments/{name}.ipynb': line for name,line in said.items()}
    old = {name: title_cell(nbformat.read(root/name, 4)).source for name in lines}
    return {name: head(old[name], line) for name,line in lines.items() if old[name] != head(old[name], line)}


def run(path, parameters):
    "Seconds of a notebook, in a kernel of its own on two cores; what it shows is thrown away."
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    book = load_notebook_node(str(path))
    if parameters: book = parameterize_notebook(book, parameters)
    began = time.monotonic()
    NotebookClient(book, timeout=3600, kernel_name='python3', resources=dict(metadata=dict(path=path.parent))).execute()
    return round(time.monotonic()-began, 1)


def write(root=ROOT):
    "Write the record into the heads."
    for name,title in differing(root).items():
        book = nbformat.read(root/name, 4)
        title_cell(book).source = title
        nbformat.write(book, root/name)


def record(path, parameters):
    "Run a notebook and keep its seconds; false, and its error told, where a cell fails."
    name = path.resolve().relative_to(ROOT).as_posix()
    try: seconds = run(path, parameters)
    except CellExecutionError as e:
        print(f'{name} fails\n{e}', flush=True)
        return False
    times = recorded() | {name: seconds}
    RECORD.write_text(json.dumps(dict(sorted(times.items())), indent=1) + '\n')
    return True


def main(args):
    if args == ['--write']: write()
    given = dict(o.split('=', 1) for o in args if '=' in o)
    books = [Path(o) for o in args if '=' not in o and o != '--write']
    failed = sum(not record(o, given) for o in books)
    for name,seconds in recorded().items(): print(f'{said(seconds):>12}  {name}')
    for name in (wrong := differing()): print(f'{name}: its head says otherwise; python tools/times.py --write')
    return int(bool(wrong or failed))


if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
