"""Seconds of film that a second makes, on two threads of this processor; not part of the test run:

    python bench/pace.py [results/speed/pace.json]

The file has a row for each kind of processor, as PyTorch names them: where one has no bfloat16, all is computed in
float32. Run it where nothing else runs."""
import json, statistics, sys, tempfile
from pathlib import Path

import torch
from sgsvg.core import amp_dtype
from sgsvg.evaluation import paces

def measured():
    with tempfile.TemporaryDirectory() as folder: goes = paces('default', Path(folder), 1000)
    kind = str(amp_dtype(torch.device('cpu')) or torch.float32).removeprefix('torch.')
    return dict(precision=kind, realtime_factor=round(statistics.median(goes), 2),
                goes=[round(o, 2) for o in goes], torch=torch.__version__)

def main(out=None):
    row = {torch.backends.cpu.get_cpu_capability(): measured()}
    print(json.dumps(row, indent=1))
    if not out: return
    there = json.loads(Path(out).read_text()) if Path(out).exists() else {}
    Path(out).write_text(json.dumps(dict(sorted((there | row).items())), indent=1) + '\n')

if __name__ == '__main__': main(*sys.argv[1:])
