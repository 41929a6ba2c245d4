"""What starting costs: seconds of a fresh Python that imports what a command needs, over those of PyTorch alone, and
the rooms' own share; not part of the test run:

    python bench/imports.py [results/speed/imports.json]

Each is the quickest of some goes, all in turn, so that other processes count little."""
import json, re, subprocess, sys, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOES = 5
GENERATE = 'import sgsvg.audio, sgsvg.core, sgsvg.model'
STARTS = dict(
    python='pass', help="import sgsvg.cli; sgsvg.cli.main(['--help'])", torch='import torch, numpy, av',
    generate=GENERATE, edit='import sgsvg.edit', train='import sgsvg.train', sweep='import sgsvg.sweep')

def seconds(code):
    began = time.perf_counter()
    subprocess.run([sys.executable, '-c', code], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return time.perf_counter() - began

def own():
    "Milliseconds of each room that `generate` imports, without what it imports itself."
    ran = subprocess.run([sys.executable, '-X', 'importtime', '-c', GENERATE], capture_output=True, text=True, cwd=ROOT)
    rows = re.findall(r'^import time: +(\d+) \| +\d+ \| +(sgsvg\.\w+)$', ran.stderr, re.M)
    return {name: int(us)/1000 for us, name in rows}

def main(out=None):
    goes = [{k: seconds(code) for k, code in STARTS.items()} for _ in range(GOES)]
    best = {k: round(min(o[k] for o in goes), 3) for k in STARTS}
    rooms = [own() for _ in range(GOES)]
    quickest = {k: round(min(o[k] for o in rooms), 1) for k in rooms[0]}
    rest = best['torch']
    found = dict(seconds=best, over_torch={k: round(best[k]/rest, 2) for k in best if best[k] > rest},
                 rooms_ms=dict(sorted(quickest.items(), key=lambda o: -o[1])))
    print(json.dumps(found, indent=1))
    if out: Path(out).write_text(json.dumps(found, indent=1) + '\n')

if __name__ == '__main__': main(*sys.argv[1:])
