"What must hold for any sound: the reader, the windows, the split, the lengths."
from pathlib import Path
from tempfile import TemporaryDirectory

import av, numpy as np, pytest, torch
from hypothesis import HealthCheck, given, settings, strategies as st

from media import write_sound, write_video
from sgsvg import audio, dataset, video
from sgsvg.core import SgsvgError

few = settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
SPEC = audio.MelSpec(sr=8000, n_fft=256, hop=128, n_mels=16, width=8)
RATES = st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
FPS = st.sampled_from([1, 7.5, 10, 15, 24, 29.97, 60])

@pytest.fixture(scope='module')
def place():
    with TemporaryDirectory() as d: yield Path(d)

CHANNELS = st.integers(1, 6)

@st.composite
def waves(draw, channels=CHANNELS, longest=6000):
    "Noise of any length that swells, with a silent part; `(channels, samples)` in [-1, 1]."
    rng = np.random.default_rng(draw(st.integers(0, 2**32-1)))
    n = draw(st.integers(1, longest))
    x = rng.uniform(-1, 1, (draw(channels), n))*np.linspace(draw(st.floats(0, 1)), draw(st.floats(0, 1)), n)
    a, b = sorted(rng.integers(0, n+1, 2))
    x[:, a:b] *= draw(st.booleans())
    return x.astype('float32')

KINDS = st.sampled_from([
    ('wav', 'pcm_f32le', 'flt', 1e-6),
    ('wav', 'pcm_s16le', 's16', 1e-4),
    ('wav', 'pcm_s32le', 's32', 1e-6),
    ('flac', 'flac', 's16', 1e-4),
])

@few
@given(waves(), RATES, KINDS)
def test_reading_gives_what_was_written(place, wave, sr, kind):
    ext, codec, sample, close = kind
    path = write_sound(place/f'a.{ext}', wave, sr, codec, sample)
    back, rate = audio.read(path)
    assert rate == sr and back.shape == wave.shape and back.dtype == torch.float32
    assert np.abs(back.numpy()-wave).max() < close
    info = audio.probe(path)
    assert (info.sr, info.channels) == (sr, len(wave)) and abs(info.seconds-wave.shape[1]/sr) < 1/sr

@few
@given(waves(), RATES, st.integers(1, 3000), st.one_of(st.none(), st.floats(1e-4, .5)))
def test_a_stream_is_the_whole_in_blocks(place, wave, sr, block, seconds):
    path = write_sound(place/'b.wav', wave, sr)
    blocks = list(audio.stream(path, block=block, seconds=seconds))
    whole = audio.read(path, seconds=seconds)[0]
    assert torch.equal(torch.cat(blocks, 1), whole) and len(whole) == len(wave)
    assert {b.shape[1] for b in blocks[:-1]} <= {block} and 0 < blocks[-1].shape[1] <= block
    assert whole.shape[1] == (wave.shape[1] if seconds is None else min(wave.shape[1], max(1, round(seconds*sr))))

@few
@given(waves(), st.sampled_from([8000, 22050, 48000]), FPS)
def test_windows_and_loudness(wave, sr, fps):
    x = torch.from_numpy(wave)
    w, l = audio.windows(x, sr, fps, SPEC), audio.loudness(x, sr, fps)
    T = audio.n_frames(wave.shape[1]/sr, fps)
    assert w.shape == (T, 1, SPEC.n_mels, SPEC.width) and l.shape == (T,)
    assert w.isfinite().all() and l.isfinite().all()
    assert 0 <= w.min() and w.max() <= 1 and 0 <= l.min() and l.max() in (0, 1)
    assert 0 <= T-wave.shape[1]/sr*fps+1e-6 < 1 or T == 1
    more = torch.cat([x, -x, x.flip(0)])   # the same power in other channels and phases
    assert (audio.windows(more, sr, fps, SPEC)-w).abs().max() < 1e-4
    assert (audio.loudness(more, sr, fps)-l).abs().max() < 1e-4

@few
@given(waves(channels=st.just(1)), FPS, st.floats(.1, 4))
def test_how_loud_it_was_recorded_does_not_matter(wave, fps, gain):
    x = torch.from_numpy(wave)
    if x.abs().max() < .01: return
    assert (audio.windows(gain*x, 8000, fps, SPEC)-audio.windows(x, 8000, fps, SPEC)).abs().max() < 1e-3
    assert (audio.loudness(gain*x, 8000, fps)-audio.loudness(x, 8000, fps)).abs().max() < 1e-4

@few
@given(waves(channels=st.integers(1, 2)), FPS, st.integers(1, 9), st.one_of(st.none(), st.floats(1e-3, .6)))
def test_streamed_windows_are_the_same(place, wave, fps, chunk, seconds):
    path = write_sound(place/'c.wav', wave, SPEC.sr)
    parts = list(audio.stream_windows(path, fps, SPEC, seconds=seconds, chunk=chunk))
    x, sr = audio.read(path, seconds=seconds)
    assert all(len(w) == chunk for w, _ in parts[:-1])
    torch.testing.assert_close(torch.cat([w for w, _ in parts]), audio.windows(x, sr, fps, SPEC), atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.cat([l for _, l in parts]), audio.loudness(x, sr, fps), atol=1e-5, rtol=0)

HEADS = [
    b'',
    b'RIFF\xff\xff\0\0WAVEfmt ',
    b'ID3\x03\0\0\0\0\0\x0f',
    b'OggS\0\x02',
    b'fLaC\0\0\0\x22',
    b'\0\0\0\x20ftypisom',
    b'\x1aE\xdf\xa3',
    b'#EXTM3U\n',
    b'ffconcat version 1.0\n',
]

@few
@given(st.sampled_from(HEADS), st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(place, head, data):
    path = place/'any.wav'
    path.write_bytes(head+data)
    for read in (audio.read, audio.probe, video.read):
        try: read(path)
        except SgsvgError as e: assert '\n' not in str(e)

@pytest.fixture(scope='module')
def whole(place): return write_video(place/'whole.mp4', 1).read_bytes()

@few
@given(st.lists(st.tuples(st.floats(0, .999), st.integers(0, 255)), min_size=1, max_size=20), st.floats(.1, 1))
def test_damaged_films_are_read_or_refused(place, whole, changes, keep):
    data = bytearray(whole[:int(len(whole)*keep)])
    for at, byte in changes: data[int(at*len(data))] = byte
    path = place/'damaged.mp4'
    path.write_bytes(data)
    for read in (audio.read, video.read):
        try:
            x, _ = read(path)
            assert x.isfinite().all()
        except SgsvgError as e: assert '\n' not in str(e)

@settings(few, max_examples=15)
@given(waves(channels=st.integers(1, 6), longest=40000), RATES, FPS, st.one_of(st.none(), st.floats(.01, 3)))
def test_films_are_as_long_as_their_sound(place, wave, sr, fps, seconds):
    path = place/'film.mp4'
    T = video.write(path, (torch.zeros(3, 16, 16) for _ in iter(int, 1)), fps, (wave, sr), seconds)
    length = min(wave.shape[1]/sr, seconds or np.inf)
    assert T == audio.n_frames(length, fps)
    with av.open(str(path)) as c:
        for s in c.streams: assert abs(float((s.duration or 0)*s.time_base)-length) < 1/fps+2e-3
        assert all((s.start_time or 0) == 0 for s in c.streams)

@given(st.text(), st.floats(0, 1), st.floats(0, 1))
@settings(few, max_examples=100)
def test_more_held_out_moves_nobody_back(source, a, b):
    few_, many = sorted((a, b))
    assert dataset.split_of(source, few_) in ('train', 'test')
    assert dataset.split_of(source, few_) == 'train' or dataset.split_of(source, many) == 'test'
