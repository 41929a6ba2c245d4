"Films with sound, good and bad, made on the spot with PyAV."
import os, struct
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path

import av, numpy as np

SOUND = {
    '.webm': 'libopus', '.avi': 'pcm_s16le', '.mpg': 'mp2', '.mkv': 'flac', '.mov': 'pcm_s16le', '.flv': 'libmp3lame'}
VIDEO = {'.webm': 'libvpx', '.avi': 'mjpeg', '.mpg': 'mpeg2video', '.flv': 'flv1'}
PIXELS = {'mjpeg': 'yuvj420p', 'prores_ks': 'yuv422p10le'}

@cache
def waves(w, h, seed):
    "Waves of many lengths and directions that a seed draws, `(h,w,3)`, and the same a quarter of a wave later."
    rng = np.random.default_rng(seed)
    fx, fy = rng.uniform(-4, 4, 14), rng.uniform(-4, 4, 14)
    phase, amp = rng.uniform(0, 6.3, (3, 14)), rng.uniform(5, 22, (3, 14))
    y, x = np.mgrid[:h,:w]/h
    a = 2*np.pi*((x-.5*w/h)[...,None]*fx+(y-.5)[...,None]*fy)
    c, s, p, q = np.cos(a), np.sin(a), (amp*np.cos(phase)).T, (amp*np.sin(phase)).T
    return c @ p-s @ q, c @ q+s @ p

def texture(t, w, h, seed, contrast=1.):
    "Waves that a seed draws, around 110, at time `t`: `(h,w,3)` float."
    a, b = waves(w, h, seed)
    return 110+contrast*(np.cos(.3*t)*a+np.sin(.3*t)*b)

def flash(t, w, h, seed=0):
    "A dark texture of a seed, white in the first tenth of every second: `(h,w,3)` uint8 at time `t`."
    if (t+1e-4) % 1 < .0999: return np.full((h, w, 3), 235, 'uint8')
    return (texture(t, w, h, seed, .4)-40).clip(0, 255).astype('uint8')

def drift(t, w, h, seed=0):
    "A texture of a seed and a sun that runs over it."
    p = texture(0, w, h, seed)
    y, x = np.mgrid[:h,:w]/h
    p[(x-(t*.4+seed*.3) % 1.5)**2+(y-.3)**2 < .02] = 250, 230, 90
    return p.clip(0, 255).astype('uint8')

def still(t, w, h, seed=0): return drift(0, w, h, seed)

def beeps(seconds, sr, seed=0):
    "A beep in the first tenth of every second, and quiet noise of a seed: `(1, samples)` float32."
    t = np.arange(round(seconds*sr))/sr
    noise = np.random.default_rng(seed).normal(0, .01, len(t))
    return (.4*np.sin(2*np.pi*800*t)*(t % 1 < .1)+noise)[None].astype('float32')

def rain(seconds, sr, seed=0):
    return np.random.default_rng(seed).normal(0, .1, (1, round(seconds*sr))).astype('float32')

@contextmanager
def _patient():
    "SVT-AV1 gives root's process real-time priority and leaves it so: afterwards whatever else runs here would wait."
    if not hasattr(os, 'sched_getscheduler'): return (yield)
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    try: yield
    finally: os.sched_setscheduler(0, policy, param)

def film(path, seconds=5, fps=25, size=(112, 64), seed=0, picture=drift, sound=rain, sr=44100, times=None,
         codec=None, sound_codec=None, pix_fmt=None, rotation=0, interlaced=False, colours=None, shape=None,
         format=None, **options):
    """`picture(t, w, h, seed)` and `sound(seconds, sr, seed)`, None for none, in the container that `path` or `format`
    names. `times`: when each picture appears; `colours`: `(transfer, primaries, matrix)`;
    `shape`: width of a pixel over its height."""
    ending = Path(path).suffix
    codec = codec or VIDEO.get(ending, 'libx264')
    rate, (w, h) = Fraction(fps).limit_denominator(1001), size
    exact = times is None and ending in ('.avi', '.mpg', '.mxf')
    with _patient(), av.open(str(path), 'w', format=format) as c:
        v = c.add_stream(codec, rate=rate, options={k: str(x) for k, x in options.items()})
        v.width, v.height, v.pix_fmt = w, h, pix_fmt or PIXELS.get(codec, 'yuv420p')
        if not exact: v.codec_context.time_base = Fraction(1, 60000)
        if codec in ('mpeg2video', 'mpeg4', 'flv1', 'mjpeg'): v.codec_context.bit_rate = 2_000_000
        if shape: v.codec_context.sample_aspect_ratio = shape
        if rotation: v.set_display_rotation(rotation)
        if colours: v.codec_context.color_trc, v.codec_context.color_primaries, v.codec_context.colorspace = colours
        a = sound and c.add_stream(sound_codec or SOUND.get(ending, 'aac'), rate=sr, layout='mono')
        wave, done = sound and sound(seconds, sr, seed), 0
        for i, t in enumerate(np.arange(round(seconds*fps))/float(rate) if times is None else times):
            p = picture(t, w, h, seed)
            if interlaced: p[1::2] = picture(t+.5/fps, w, h, seed)[1::2]
            f = av.VideoFrame.from_ndarray(p, 'rgb24').reformat(format=v.pix_fmt)
            f.pts, f.time_base = (i, 1/rate) if exact else (round(t*60000), Fraction(1, 60000))
            if colours: f.color_trc, f.color_primaries, f.colorspace = colours
            c.mux(v.encode(f))
            if sound and (n := round((t+.5)*sr)) > done: done = _put(c, a, wave, sr, done, n)
        c.mux(v.encode(None))
        if sound:
            _put(c, a, wave, sr, done, wave.shape[1])
            c.mux(a.encode(None))
    return path

def _put(c, a, wave, sr, done, n):
    "Samples `done` to `n` as a frame; what comes after them"
    x = np.ascontiguousarray(wave[:,done:n])
    if not x.shape[1]: return done
    f = av.AudioFrame.from_ndarray(x, 'fltp', 'mono')
    f.sample_rate, f.pts, f.time_base = sr, done, Fraction(1, sr)
    c.mux(a.encode(f))
    return done+x.shape[1]

def barred(t, w, h, seed=0):
    p = np.full((h, w, 3), 16, 'uint8')
    p[12:h-12] = drift(t, w, h-24, seed)
    return p

def two_scenes(t, w, h, seed=0): return drift(t, w, h, seed if t < 2.6 else seed+5)

def corners(t, w, h, seed=0):
    "Red at the top left, green at the top right, blue at the bottom left, and some motion in the middle."
    p = np.full((h, w, 3), 90, 'uint8')
    p[:h//2,:w//2], p[:h//2,w//2:], p[h//2:,:w//2] = (220, 30, 30), (30, 200, 30), (40, 40, 220)
    p[h//2-4:h//2+4, int(t*9 % 1*w*.5)+w//4:][:,:9] = 250
    return p

def claiming(path, w, h):
    "An uncompressed AVI whose header claims another size."
    film(path, .2, codec='rawvideo', sound=None)
    data = path.read_bytes()
    at = data.index(b'strf')+12
    path.write_bytes(data[:at]+struct.pack('<ii', w, h)+data[at+8:])
    return path
