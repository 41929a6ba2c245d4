"""How long each notebook takes on two cores.

    python tools/times.py                 the record, and which heads do not say it; 1 if there is one
    python tools/times.py NOTEBOOK ...    run these and record their seconds in results/times.json
    python tools/times.py --write         write the record into the heads

A head says it in a line of its own title cell: "Runs in about 2 minutes on two cores." Notebooks without a record are
left as they are. Record on a machine that does nothing else."""
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
LINE = re.compile(r'\n+^Runs in about .* on two cores\.$', re.M)
USED = re.compile(r'\n+^Used by ', re.M)   # what tools/used.py writes stays last


def said(seconds):
    "A time as the heads have it."
    if seconds < 90: return f'{max(10, round(seconds, -1)):.0f} seconds'
    return f'{round(seconds/60):.0f} minutes'


def head(title, seconds):
    "The title cell with its line."
    plain = LINE.sub('', title).rstrip()
    line = f'\n\nRuns in about {said(seconds)} on two cores.'
    used = USED.search(plain)
    return plain[:used.start()] + line + plain[used.start():] if used else plain + line


def title_cell(book): return next(c for c in book.cells if c.cell_type == 'markdown')


def recorded(): return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def differing(root=ROOT, record=None):
    "Notebook -> the title cell that it should have, where it has another."
    found = {}
    for name,seconds in (recorded() if record is None else record).items():
        old = title_cell(nbformat.read(root/name, 4)).source
        if old != head(old, seconds): found[name] = head(old, seconds)
    return found


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
