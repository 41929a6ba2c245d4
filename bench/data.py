"""Clips per second and core of `sgsvg data build`, beside the same cut and scale by the ffmpeg program:

    [SGSVG_BENCH_OUT=results/speed/data.json] python bench/data.py [FFMPEG]

Not a test: pytest does not collect it. Both use one thread, and what counts is processor time, so a busy machine does
not change the ratio. ffmpeg is called once a clip, as a shell script would; ours does its checks on the way. Without an
ffmpeg (argument, PATH or the package imageio-ffmpeg) the plainest PyAV loop stands in, and the output says so."""
import json, os, resource, shutil, subprocess, sys, tempfile
from fractions import Fraction
from pathlib import Path

import av, numpy as np

from sgsvg.core import write_json
from sgsvg.dataset import Job, make_piece
from sgsvg.shards import PieceSettings

SECONDS, FPS, SIZE = 10, 15, 256
START, REPEATS = 37.3, 3
FILMS = {
    '720p30 H.264': (1280, 720, 30, 'libx264'),
    '1080p25 H.264': (1920, 1080, 25, 'libx264'),
    '480p24 VP9': (854, 480, 24, 'libvpx-vp9')}
CODING = {
    'libx264': dict(g='120', preset='veryfast', crf='25'),
    'libvpx-vp9': {'g': '120', 'deadline': 'realtime', 'cpu-used': '8', 'crf': '36', 'b': '1M'}}

def make_film(path, w, h, fps, codec, seconds=60):
    "A minute of drifting texture at a usual rate of bits, with noise for sound."
    rng = np.random.default_rng(0)
    big = np.kron(rng.integers(40, 220, (h//8+40, w//8+40, 3), 'uint8'), np.ones((8, 8, 1), 'uint8'))
    big = (big//2+rng.integers(0, 60, big.shape, 'uint8'))
    with av.open(str(path), 'w') as c:
        v = c.add_stream(codec, rate=fps, options=CODING[codec])
        (v.width, v.height), v.pix_fmt = (w, h), 'yuv420p'
        a = c.add_stream('aac' if codec == 'libx264' else 'libopus', rate=48000, layout='stereo')
        for i in range(seconds*fps):
            x, y = int(150+140*np.sin(i/90)), int(150+140*np.cos(i/70))
            picture = np.ascontiguousarray(big[y:y+h,x:x+w])
            c.mux(v.encode(av.VideoFrame.from_ndarray(picture, 'rgb24')))
        c.mux(v.encode(None))
        noise = rng.normal(0, .1, (2, seconds*48000)).astype('float32')
        f = av.AudioFrame.from_ndarray(noise, 'fltp', 'stereo')
        f.sample_rate, f.pts = 48000, 0
        for x in (f, None): c.mux(a.encode(x))

def find_ffmpeg():
    if len(sys.argv) > 1: return sys.argv[1]
    if shutil.which('ffmpeg'): return shutil.which('ffmpeg')
    try: import imageio_ffmpeg
    except ImportError: return None
    return imageio_ffmpeg.get_ffmpeg_exe()

def by_ffmpeg(ffmpeg, film, to):
    cut = f'-v error -y -threads 1 -ss {START} -t {SECONDS} -i'.split()
    scale = f'fps={FPS},crop=ih:ih,scale={SIZE}:{SIZE}:flags=area:out_color_matrix=bt709:out_range=tv'
    x264 = f'-c:v libx264 -preset veryfast -crf 18 -bf 0 -g {FPS} -threads 1 -x264-params mbtree=0 -pix_fmt yuv420p'
    picture = ['-filter_threads', '1', '-an', '-vf', scale, *x264.split(), f'{to}.mp4']
    sound = [*'-vn -c:a flac -sample_fmt s16'.split(), f'{to}.flac']
    subprocess.run([ffmpeg, *cut, film, *picture, *sound], check=True)

def square(f):
    "The square in the middle of a frame, as it will be stored"
    g = f.reformat(SIZE*f.width//f.height//2*2, SIZE, 'yuv420p').to_ndarray(format='rgb24')
    left = (g.shape[1]-SIZE)//2
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(g[:,left:left+SIZE]), 'rgb24')

def by_loop(film, to):
    "What somebody would write who only wants the cut: no checks, no report."
    with av.open(film) as c, av.open(f'{to}.mp4', 'w') as o, av.open(f'{to}.flac', 'w') as q:
        v, a = c.streams.video[0], c.streams.audio[0]
        v.thread_type, v.codec_context.thread_count = 'NONE', 1
        x264 = {'preset': 'veryfast', 'crf': '18', 'bf': '0', 'g': str(FPS), 'threads': '1', 'x264-params': 'mbtree=0'}
        s = o.add_stream('libx264', rate=FPS, options=x264)
        t = q.add_stream('flac', rate=a.rate, layout=a.layout)
        s.width = s.height = SIZE
        c.seek(int(START*av.time_base))
        n = 0
        for f in c.decode(v, a):
            if f.time < START: continue
            if f.time > START+SECONDS: break
            if isinstance(f, av.AudioFrame):
                f.pts = None
                q.mux(t.encode(f))
            elif f.time >= START+n/FPS:
                g = square(f)
                g.pts, g.time_base = n, Fraction(1, FPS)
                n += 1
                o.mux(s.encode(g))
        for x, y in ((o, s), (q, t)): x.mux(y.encode(None))

def cpu():
    "CPU seconds so far, children included"
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

def cost(f, *args):
    "CPU seconds of a call; the least of some"
    out = []
    for _ in range(REPEATS):
        a = cpu()
        f(*args)
        out.append(cpu()-a)
    return min(out)

def main():
    ffmpeg = find_ffmpeg()
    beside = 'the plainest PyAV loop: there is no ffmpeg here'
    if ffmpeg: beside = subprocess.run([ffmpeg, '-version'], capture_output=True, text=True).stdout.split('\n')[0]
    print('beside', beside)
    rows = []
    with tempfile.TemporaryDirectory() as d:
        for name, kind in FILMS.items():
            film = str(Path(d)/('f.mp4' if kind[3] == 'libx264' else 'f.webm'))
            make_film(film, *kind)
            job = Job(0, film, START, float(SECONDS), PieceSettings(FPS, SIZE), f'{d}/piece.tar')
            ours = cost(make_piece, job)
            theirs = cost(by_ffmpeg, ffmpeg, film, f'{d}/x') if ffmpeg else cost(by_loop, film, f'{d}/x')
            about = dict(film=name, mbit=round(os.path.getsize(film)*8/60e6, 1))
            rates = dict(ours=round(1/ours, 3), theirs=round(1/theirs, 3), unit='clips/s/core')
            rows.append(about | rates | dict(ratio=round(ours/theirs, 3)))
            print(json.dumps(rows[-1]), flush=True)
    clip = dict(seconds=SECONDS, fps=FPS, size=SIZE)
    if out := os.environ.get('SGSVG_BENCH_OUT'): write_json(out, dict(beside=beside, clip=clip, rows=rows))

if __name__ == '__main__': main()
