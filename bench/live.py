"""How late a picture is, and how many a second: the engine alone, without a browser, on the embedded default.
A file is played in real time; latency runs from the arrival of the last sound that a frame needs to its picture, and
from a moment in the sound to the picture that shows it (`sound_to_picture`: with look-ahead and half a frame).

    python bench/live.py [results/speed/live.json] [seconds]

`load` is the machine's load average at the end, this program in it: run it on a machine that does nothing else."""
import json, os, resource, statistics, sys, time
from pathlib import Path

import torch

from sgsvg.core import keep_memory
from sgsvg.live import Hearing, Live, Pace, fed, paced, perform
from sgsvg.model import SoundVideo

SOUND = Path(__file__).resolve().parents[1]/'sgsvg'/'assets'/'demo.ogg'

def spread(x):
    "Median and 95th percentile, in milliseconds."
    x = sorted(x)
    return dict(median=round(1e3*statistics.median(x), 1), p95=round(1e3*x[int(.95*(len(x)-1))], 1))

def timed(work, n=30):
    "Milliseconds of a call."
    took = []
    for _ in range(n):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter()-start)
    return spread(took)

def looped(seconds):
    "The demo's blocks in real time, round and round."
    end = time.monotonic()+seconds
    while time.monotonic() < end:
        yield from paced(SOUND, seconds=max(.1, min(10., end-time.monotonic())))

def played(model, seconds, ahead):
    "A performance in real time."
    live, said = Live(model, ahead=ahead), []
    late, moments = [], []
    start = time.monotonic()
    for s in perform(live, fed(looped(seconds)), Pace(live.fps, said.append)):
        if s.step.moment.t < 2*live.fps: continue   # it warms up
        late.append(s.seconds)
        moments.append(s.seconds + ahead + .5/live.fps)
    whole = live.hearing.t-2*live.fps
    return dict(fps=live.fps, ahead=ahead, seconds=round(time.monotonic()-start, 1), block_to_picture=spread(late),
                sound_to_picture=spread(moments), shown=round(len(late)/max(1, whole), 3), said=said,
                load=round(os.getloadavg()[0], 1))

def throughput(model, seconds=20.):
    "How much faster than real time sound is heard, and a picture's cost."
    hearing, start = Hearing(model), time.perf_counter()
    n = sum(len(list(hearing.push(x, sr))) for x, sr in paced(SOUND, seconds=seconds, speed=1e9))
    heard = n/model.fps/(time.perf_counter()-start)
    live = Live(model)
    step = next(s for x, sr in paced(SOUND, seconds=2., speed=1e9) for s in live.push(x, sr))
    return dict(heard_times_real_time=round(heard, 1), draw_ms=timed(lambda: live.draw(step)))

def main(out=None, seconds=60):
    keep_memory()
    torch.set_num_threads(1)    # as `perform` does
    model = SoundVideo.load(device='cpu')
    found = dict(cores=os.cpu_count(), threads=torch.get_num_threads(), torch=torch.__version__,
                 **throughput(model), played=[played(model, float(seconds), a) for a in (0., .05)],
                 peak_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024))
    print(json.dumps(found, indent=1))
    if out: Path(out).write_text(json.dumps(found, indent=1) + '\n')

if __name__ == '__main__': main(*sys.argv[1:])
