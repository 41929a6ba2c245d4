"""How the default holds up on a machine that has other things to do: seconds of a frame, of a training step and of a
whole `sgsvg generate`, alone and beside one busy process, against three other settings of PyTorch's threads.
Ratios of one run; not part of the test run:

    python bench/busy.py [results/speed/busy.json]

needs a machine that does nothing else."""
import json, os, statistics, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 2

PLAIN = '''
import torch
cores = torch.get_num_threads()
torch.set_num_threads(1)   # with one thread, nothing is watched
import sgsvg.core, sgsvg.model, sgsvg.train
torch.set_num_threads(cores)
sgsvg.model.in_threads = map
sgsvg.train.free_threads = torch.get_num_threads
'''
SETTINGS = dict(
    ours=({}, ''),
    one_thread=(dict(OMP_NUM_THREADS='1'), PLAIN),
    no_spin=(dict(GOMP_SPINCOUNT='0'), PLAIN),
    pytorch=({}, PLAIN),   # as PyTorch comes
)
TIMED = '''
import time
work()
start = time.perf_counter()
for _ in range({n}): work()
print((time.perf_counter()-start)/{n})
'''
FRAME = '''
import torch
from sgsvg import stylegan3
from sgsvg.core import keep_memory
keep_memory()
torch.manual_seed(0)
g = stylegan3.Generator(img_resolution=256, **stylegan3.CONFIGS['t']).eval().requires_grad_(False)
ws = torch.randn(1, g.num_ws, 512)
def work(): g.synthesis(ws)
''' + TIMED.format(n=3)
STEP = '''
import tempfile, torch
from sgsvg.model import SoundVideo
from sgsvg.runs import Run
from sgsvg.train import Stage, fit
class Step(Stage):
    def __init__(self):
        super().__init__()
        g = SoundVideo.load('default', 'cpu').generator.requires_grad_(True)
        self.nets, self.opts = dict(g=g), dict(g=torch.optim.Adam(g.parameters(), 1e-6))
    def batch(self, step, generator):
        g = self.nets['g']
        return torch.randn(16, g.num_ws, g.w_dim, generator=generator)
    def step(self, ws):
        with self.autocast(): loss = self.nets['g'].synthesis(ws).float().square().mean()
        self.update('g', loss)
        return dict(loss=loss)
with tempfile.TemporaryDirectory() as d:
    run = Run(d, 'step', {})
    fit(Step(), run, 24, save_every=99, sample_every=99, log_every=8, device='cpu')
    seconds = [o['seconds'] for o in run.metrics()]
print((seconds[-1]-seconds[0])/16)
'''
GENERATE = '''
from sgsvg.cli import main
main(['generate', {sound!r}, '-o', {out!r}, '--seconds', '10'])
'''

def seconds(code:str, setting:str)->float:
    "Seconds that `code` prints last, or that its process takes where it prints none."
    env, before = SETTINGS[setting]
    command = [sys.executable, '-c', before + code]
    start = time.perf_counter()
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | env)
    whole = time.perf_counter()-start
    last = ran.stdout.split()[-1]
    return float(last) if last[0].isdigit() else whole

def table(tasks:dict, beside:int)->dict:
    "Median seconds of each task in each setting, the settings in turn, beside so many busy processes."
    busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(beside)]
    try:
        rounds = [{(t, s): seconds(code, s) for t, code in tasks.items() for s in SETTINGS} for _ in range(ROUNDS)]
    finally:
        for o in busy: o.kill()
    median = lambda t, s: round(statistics.median(r[t, s] for r in rounds), 3)
    return {t: {s: median(t, s) for s in SETTINGS} for t in tasks}

def main(out=None):
    with tempfile.TemporaryDirectory() as d:
        sound = str(ROOT/'sgsvg'/'assets'/'demo.ogg')
        generate = GENERATE.format(sound=sound, out=f'{d}/o.mp4')
        tasks = dict(stylegan3_t_256_frame=FRAME, training_step=STEP, generate_10_s=generate)
        found = {f'beside {n}': table(tasks, n) for n in (0, 1)}
    for name, t in found.items():
        for task, row in t.items():
            best = min(row['one_thread'], row['no_spin'])
            ours = row['ours']
            ratios = f'ours over the better of two {ours/best:.2f}, over PyTorch as it comes {ours/row["pytorch"]:.2f}'
            print(f'{name:9} {task:22}', *(f'{s} {v:.2f}' for s, v in row.items()), '|', ratios)
    if out: Path(out).write_text(json.dumps(dict(cores=os.cpu_count(), rounds=ROUNDS, seconds=found), indent=1) + '\n')

if __name__ == '__main__': main(*sys.argv[1:])
