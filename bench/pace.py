"""Seconds of film that a second makes, and the memory of a short and a long film, on two threads of this processor; not
part of the test run:

    python bench/pace.py [results/speed/pace.json]

It takes ten minutes. The file has a row for each kind of processor, as PyTorch names them: where one has no bfloat16,
all is computed in float32. Run it where nothing else runs."""
import json, sys
from pathlib import Path

import torch
from sgsvg.core import amp_dtype, model_file
from sgsvg.evaluation import Card, rounded, speed_results

def measured():
    found = {k: rounded(v) for k,v in speed_results(Card(), model_file('default')).items()}
    kind = str(amp_dtype(torch.device('cpu')) or torch.float32).removeprefix('torch.')
    return dict(precision=kind, torch=torch.__version__) | found

def main(out=None):
    row = {torch.backends.cpu.get_cpu_capability(): measured()}
    print(json.dumps(row, indent=1))
    if not out: return
    there = json.loads(Path(out).read_text()) if Path(out).exists() else {}
    Path(out).write_text(json.dumps(dict(sorted((there | row).items())), indent=1) + '\n')

if __name__ == '__main__': main(*sys.argv[1:])
