"""An hour of playing live, with the embedded default: does memory grow, does the picture fall behind?

    python bench/hour.py [results/speed/hour.json] [seconds] [speed]

A film's sound, the demo, comes round and round by one clock: `speed` 1 is real time, and 0 as fast as this machine can,
where every frame is drawn.
Each minute of the sound one row: resident memory, how late pictures were, frames left out, and how far the last picture
is behind the sound's clock (`behind`). A drift would be a `behind` that grows; `load` is the machine's load average."""
import json, os, statistics, sys, time
from pathlib import Path

import torch

from sgsvg.audio import read
from sgsvg.core import keep_memory
from sgsvg.live import RATE, Live, Pace, Shown, fed, perform
from sgsvg.model import SoundVideo

SOUND = Path(__file__).resolve().parents[1]/'sgsvg'/'assets'/'demo.ogg'
BLOCK = 882     # samples, a fiftieth of a second

def resident():
    "Megabytes that this process holds."
    return int(Path('/proc/self/statm').read_text().split()[1])*os.sysconf('SC_PAGE_SIZE')/2**20

def rounds(seconds, speed):
    "Blocks of the demo, each when one clock says so."
    x = read(SOUND, RATE)[0]
    start = time.monotonic()
    for k in range(int(seconds*RATE/BLOCK)):
        if speed: time.sleep(max(0., start + (k+1)*BLOCK/RATE/speed - time.monotonic()))
        a = k*BLOCK % (x.shape[1]-BLOCK)
        yield x[:,a:a+BLOCK], RATE

def at_once(live, blocks):
    "Every frame drawn, as fast as that goes."
    for block in blocks:
        for s in live.push(*block):
            start = time.monotonic()
            yield Shown(s, live.draw(s), 0, [], time.monotonic()-start)

def row(shown, start, speed, fps):
    "What a minute was like."
    late = sorted(s.seconds for s in shown)
    last = (shown[-1].step.moment.t+.5)/fps
    return dict(minute=round(last/60, 2), resident_mb=round(resident(), 1), left_out=sum(s.left_out for s in shown),
                late_ms=round(1e3*statistics.median(late), 1), late_p95_ms=round(1e3*late[int(.95*(len(late)-1))], 1),
                behind_ms=round(1e3*(time.monotonic()-start-last/speed), 1) if speed else None,
                load=round(os.getloadavg()[0], 2))

def main(out=None, seconds=3600, speed=0):
    keep_memory()
    torch.set_num_threads(1)
    seconds, speed, said = float(seconds), float(speed), []
    live = Live(SoundVideo.load(device='cpu'))
    start, held, rows = time.monotonic(), [], []
    blocks = rounds(seconds, speed)
    played = perform(live, fed(blocks), Pace(live.fps, said.append)) if speed else at_once(live, blocks)
    for s in played:
        held.append(s)
        if s.step.moment.t < 60*live.fps*(len(rows)+1)-1: continue
        rows.append(row(held, start, speed, live.fps))
        held = []
        print(json.dumps(rows[-1]), flush=True)
    found = dict(seconds=seconds, speed=speed, took=round(time.monotonic()-start, 1), frames=live.hearing.t, said=said,
                 cores=os.cpu_count(), minutes=rows)
    if out: Path(out).write_text(json.dumps(found, indent=1) + '\n')

if __name__ == '__main__': main(*sys.argv[1:])
