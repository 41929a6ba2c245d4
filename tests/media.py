"Small sound and video files, made on the spot with PyAV."
import subprocess
from contextlib import contextmanager

import av, numpy as np, pytest, torch

from sgsvg import video

LAYOUTS = {1: 'mono', 2: 'stereo', 3: '2.1', 4: 'quad', 5: '5.0', 6: '5.1', 7: '6.1', 8: '7.1'}

def tone(seconds, sr=22050, hz=440):
    return (.5*np.sin(2*np.pi*hz*np.arange(round(seconds*sr))/sr))[None].astype('float32')

def write_sound(path, wave, sr, codec='pcm_f32le', sample='flt'):
    "`wave` `(channels, samples)` as a sound file of the container that `path` names; int kinds are scaled."
    wave = np.atleast_2d(wave)
    dtype = {'s16': 'int16', 's32': 'int32', 'flt': 'float32', 'fltp': 'float32'}[sample]
    if 'flt' in sample: x = wave.astype('float32')
    else: x = (wave.astype('float64')*np.iinfo(dtype).max).round().astype(dtype)
    x = np.ascontiguousarray(x if sample[-1] == 'p' else x.T.reshape(1, -1))
    with av.open(str(path), 'w') as c:
        s = c.add_stream(codec, rate=sr, layout=LAYOUTS[len(wave)])
        s.codec_context.format = sample
        f = av.AudioFrame.from_ndarray(x, sample, LAYOUTS[len(wave)])
        f.sample_rate, f.pts = sr, 0
        c.mux(s.encode(f))
        c.mux(s.encode(None))
    return path

def write_video(path, seconds=2, sound=True, fps=10):
    "A noisy video with a tone, or without any sound."
    frames = torch.rand(round(seconds*fps), 3, 32, 32)*2-1
    video.write(path, frames, fps, (tone(seconds), 22050) if sound else None)
    return path

@contextmanager
def disk(folder, *options):
    "`folder` as a small file system of its own; skips where that takes rights we lack."
    folder.mkdir(exist_ok=True)
    mount = ['mount', '-t', 'tmpfs', '-o', ','.join(options), 'tmpfs', str(folder)]
    try: done = subprocess.run(mount, capture_output=True)
    except OSError: pytest.skip('there is no mount here')
    if done.returncode: pytest.skip('mounting a small disk needs root')
    try: yield folder
    finally: subprocess.run(['umount', str(folder)], check=True)
