"Sounds as real people have them: every channel, every stretch, every moment is heard."
import struct, subprocess, sys, warnings
from fractions import Fraction
from pathlib import Path

import av, numpy as np, pytest, torch

from media import tone, write_sound
from sgsvg import audio, video
from sgsvg.core import SgsvgError

def caf(path, x, sr, labels):
    "A CAF file with a label for each channel, in any order."
    n = len(x)
    chan = struct.pack('>III', 0, 0, n)+b''.join(struct.pack('>II3f', l, 0, 0, 0, 0) for l in labels)
    desc = struct.pack('>dIIIIII', sr, int.from_bytes(b'lpcm', 'big'), 0, 2*n, 1, n, 16)
    data = b'\0\0\0\0'+(x.T*32767).round().astype('>i2').tobytes()
    parts = [(b'desc', desc), (b'chan', chan), (b'data', data)]
    path.write_bytes(b'caff'+struct.pack('>HH', 1, 0)+b''.join(k+struct.pack('>q', len(v))+v for k, v in parts))
    return path

ORDERS = [2, 1], [2, 1, 3], [8, 7, 6, 5, 4, 3, 2, 1], [1, 1], [123456, 1], list(range(1, 65))

@pytest.mark.parametrize('labels', ORDERS, ids=len)
def test_any_order_and_number_of_channels(labels, tmp_path):
    x = np.stack([.5*np.sin(np.arange(8000)*(.05+.01*i)) for i in range(len(labels))])
    back, sr = audio.read(caf(tmp_path/'a.caf', x, 8000, labels))
    assert sr == 8000 and np.abs(back.numpy()-x).max() < 1e-4
    assert audio.read(tmp_path/'a.caf', 16000)[0].shape == (len(labels), 16000)

def noise(n, seed=0): return np.random.default_rng(seed).standard_normal(n).astype('float32')

def swell(): return noise(3*22050)*.1*np.repeat([.02, 1, .02], 22050)

def test_no_phase_and_no_offset_hides_or_makes_a_sound():
    x = torch.tensor(swell())[None].float()
    want, mel = audio.loudness(x, 22050, 15), audio.windows(x, 22050, 15)
    turns = torch.arange(x.shape[1])*2*torch.pi*8/22050
    for other in (torch.cat([x, -x]), x+.005, x+.1*torch.sin(turns), x+.1*torch.cos(turns)):
        # a rumble that is cut in its swing leaves a kink at the mirrored ends
        assert (audio.loudness(other, 22050, 15)-want)[4:-4].abs().max() < 1e-3
        assert (audio.windows(other, 22050, 15)-mel).abs().mean() < .002

def test_files_end_to_end(tmp_path):
    def mp3(channels, sr):
        x = np.repeat(tone(2., sr), channels, 0)
        return write_sound(tmp_path/f'{channels}.mp3', x, sr, 'libmp3lame', 'fltp').read_bytes()
    parts = [mp3(1, 44100), mp3(2, 48000)]
    (tmp_path/'both.mp3').write_bytes(b''.join(parts))
    x, sr = audio.read(tmp_path/'both.mp3')
    assert abs(x.shape[1]/sr-4) < .15 and x[0, -sr:].std() > .2

def test_a_gap_is_silence(tmp_path):
    src, out = write_sound(tmp_path/'a.m4a', tone(6., 44100), 44100, 'aac', 'fltp'), tmp_path/'gap.mp4'
    with av.open(str(src)) as a, av.open(str(out), 'w') as b:
        to = b.add_stream_from_template(a.streams.audio[0])
        for p in a.demux(a.streams.audio[0]):
            if p.dts is None or 1 <= float(p.pts*p.time_base) < 4: continue
            p.stream = to
            b.mux(p)
    x, sr = audio.read(out)
    assert abs(x.shape[1]/sr-6) < .05 and x[0, round(1.2*sr):round(3.8*sr)].abs().max() == 0 and x[0, -sr:].std() > .2

def test_damage_is_told_once(tmp_path):
    path = write_sound(tmp_path/'a.mp3', tone(4., 44100), 44100, 'libmp3lame', 'fltp')
    data = bytearray(path.read_bytes())
    data[len(data)//2:len(data)//2+300] = bytes([255])*300
    path.write_bytes(data)
    with pytest.warns(UserWarning, match='damaged') as told: x, sr = audio.read(path)
    assert len(told) == 1 and abs(x.shape[1]/sr-4) < .15

def chunk(name, data): return name+struct.pack('<I', len(data))+data

def plain_wav(path, x, sr):
    "16-bit numbers with any number of channels and no word about their order."
    n = len(x)
    fmt = struct.pack('<HHIIHH', 1, n, sr, 2*n*sr, 2*n, 16)
    body = b'WAVE'+chunk(b'fmt ', fmt)+chunk(b'data', (x.T*32767).round().astype('<i2').tobytes())
    path.write_bytes(chunk(b'RIFF', body))
    return path

FUZZ = '''
import sys
from pathlib import Path
from sgsvg import audio
for path in sorted(Path(sys.argv[1]).iterdir()):
    x, sr = audio.read(path, seconds=.1)
    audio.probe(path)
    for w, l in audio.stream_windows(path, 15): assert w.isfinite().all()
    y, _ = audio.read(path, 22050)
    print(path.stem, len(x), len(y), round(float(l.max()), 3))
'''

def test_no_number_and_no_order_of_channels_ends_the_process(tmp_path):
    "In a process of its own, so that a signal is seen"
    rng, want = np.random.default_rng(0), {}
    for n in (*range(1, 13), 16, 17, 24, 25, 32, 33, 48, 63, 64):
        x = rng.uniform(-.5, .5, (n, 1600))
        plain_wav(tmp_path/f'w{n}.wav', x, 8000)
        caf(tmp_path/f'c{n}.caf', x, 8000, rng.permutation(range(1, n+1)))                  # known places in any order
        unknown = rng.choice([0xffffffff, 0, 200, 65536, 131072, 1, 1, 2, 10**6], n)        # and repeated
        caf(tmp_path/f'u{n}.caf', x, 8000, unknown)
        want |= {f'{k}{n}': n for k in 'wcu'}
    done = subprocess.run([sys.executable, '-c', FUZZ, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (done.returncode, done.stdout[-200:], done.stderr[-500:])
    rows = [line.split() for line in done.stdout.splitlines()]
    assert {name: int(n) for name, n, *_ in rows} == want and all(n == m and float(loud) == 1 for _, n, m, loud in rows)

def test_a_chain_of_other_codecs_is_heard_to_the_end(tmp_path):
    links = [('a.opus', 'libopus', 'flt', 48000), ('b.oga', 'flac', 's16', 44100), ('c.opus', 'libopus', 'flt', 48000)]
    written = [write_sound(tmp_path/name, tone(2., sr), sr, codec, sample) for name, codec, sample, sr in links]
    parts = [p.read_bytes() for p in written]
    path = tmp_path/'chain.ogg'
    path.write_bytes(b''.join(parts))
    with warnings.catch_warnings(action='error'): x, sr = audio.read(path)
    assert abs(x.shape[1]/sr-6) < .05 and min(p.std() for p in x[0].split(sr)[:6]) > .2
    assert abs(audio.probe(path).seconds-6) < .05
    path.write_bytes(parts[0]+parts[1][:40]+bytes(len(parts[1])-40)+parts[2])   # a link of which nothing is left
    with pytest.warns(UserWarning, match='damaged') as told: x, sr = audio.read(path)
    assert len(told) == 1 and x.shape[1]/sr > 3.9 and x[0, -sr:].std() > .2

def test_a_damaged_flac_tells(tmp_path):
    x = tone(4., 44100)+.01*noise((1, 4*44100))
    path = write_sound(tmp_path/'a.flac', x, 44100, 'flac', 's16')
    data = bytearray(path.read_bytes())
    data[len(data)//2:len(data)//2+300] = bytes([85])*300
    path.write_bytes(data)
    with pytest.warns(UserWarning, match='damaged') as told: x, sr = audio.read(path)
    assert len(told) == 1 and abs(x.shape[1]/sr-4) < 1e-3 and x.abs().max() < .7 and x[0, -sr:].std() > .2

def test_tags_in_the_middle_are_no_damage(tmp_path):
    one = write_sound(tmp_path/'a.mp3', tone(2., 44100), 44100, 'libmp3lame', 'fltp').read_bytes()
    size = 70000   # a cover picture, with what looks like a frame of sound in it
    cover = (bytes([255, 251, 144, 0])+bytes(996))*(size//1000)
    tag = b'ID3\4\0\0'+bytes([size >> 7*k & 127 for k in (3, 2, 1, 0)])+cover
    (tmp_path/'b.mp3').write_bytes(one+b'TAG'+bytes(125)+tag+one)
    with warnings.catch_warnings(action='error'): x, sr = audio.read(tmp_path/'b.mp3')
    assert abs(x.shape[1]/sr-4) < .15 and x[0, -sr:].std() > .2

def test_the_track_that_is_marked_is_heard(tmp_path):
    with av.open(str(tmp_path/'two.mkv'), 'w') as box:
        tracks = [box.add_stream('pcm_s16le', rate=8000, layout='mono') for _ in range(2)]
        tracks[0].disposition, tracks[1].disposition = 0, 1
        for s, x in zip(tracks, (np.zeros((1, 8000)), tone(1., 8000))):
            f = av.AudioFrame.from_ndarray((x*32767).astype('i2'), 's16', 'mono')
            f.sample_rate, f.pts, f.time_base = 8000, 0, Fraction(1, 8000)
            box.mux([*s.encode(f), *s.encode(None)])
    assert audio.read(tmp_path/'two.mkv')[0].std() > .2

def dsf(path, x):
    "One-bit sound of one channel at 2.8 MHz: each bit makes up for the error of those before."
    bits, error = np.zeros(len(x), 'u1'), 0.
    for i, v in enumerate(x.tolist()):
        error += v
        bits[i] = error > 0
        error -= 1 if bits[i] else -1
    data = np.packbits(bits, bitorder='little').tobytes()
    data += bytes(-len(data) % 4096)
    fmt = b'fmt '+struct.pack('<QIIIIIIQII', 52, 1, 0, 1, 1, 2822400, 1, len(x), 4096, 0)
    path.write_bytes(b'DSD '+struct.pack('<QQQ', 28, 92+len(data), 0)+fmt+b'data'+struct.pack('<Q', 12+len(data))+data)

def test_formats_of_other_times(tmp_path):
    x = .4*np.sin(2*np.pi*500*np.arange(8000)/8000)
    sound = (x*127+128).round().astype('u1').tobytes()
    head = b'Creative Voice File\x1a'+struct.pack('<HHH', 26, 0x10a, 0x1129)
    (tmp_path/'a.voc').write_bytes(head+b'\1'+struct.pack('<I', len(sound)+2)[:3]+bytes([256-125, 0])+sound+b'\0')
    back, sr = audio.read(tmp_path/'a.voc')
    assert (sr, back.shape) == (8000, (1, 8000)) and np.abs(back[0].numpy()-x).max() < .01
    dsf(tmp_path/'a.dsf', .4*np.sin(2*np.pi*500*np.arange(2**18)/2822400))
    back, sr = audio.read(tmp_path/'a.dsf', 44100)
    at = np.arange(back.shape[1])/44100
    fit = np.abs((back[0].numpy()*np.exp(-2j*np.pi*500*at)).mean())*2
    assert abs(back.shape[1]/sr-2**18/2822400) < .003 and abs(fit-.4) < .03, (fit, back.shape)

ODD = Path(__file__).parents[2]/'shared'/'data'/'odd'

@pytest.mark.parametrize('name', ['whynot-heavy-rain-drop.ogg', 'whynot-light-rain-drop.ogg'])
def test_real_files_with_a_damaged_packet(name):
    if not (ODD/name).exists(): pytest.skip('no recordings here')
    with warnings.catch_warnings(action='ignore'): x, sr = audio.read(ODD/name)
    assert x.shape[1]/sr > .2 and x.abs().max() > .05

def torn_mp3(path):
    data = bytearray(write_sound(path, tone(2., 44100), 44100, 'libmp3lame', 'fltp').read_bytes())
    data[len(data)//2:len(data)//2+300] = bytes([255])*300
    path.write_bytes(data)
    return path

def test_the_command_says_it_in_one_line(tmp_path, capsys):
    from sgsvg.cli import main
    torn = str(torn_mp3(tmp_path/'torn.mp3'))
    assert main(['generate', torn, '-o', str(tmp_path/'o.mp4'), '--seconds', '1.5', '--size', 'native']) == 0
    err = capsys.readouterr().err
    assert err.count('damaged') == 1 and 'UserWarning' not in err and '.py' not in err

def test_a_child_may_listen_after_its_parent_did(tmp_path):
    "The parent's threads are not the child's"
    from sgsvg.checks import in_children
    path, old = write_sound(tmp_path/'a.wav', tone(2., 22050), 22050), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        x, sr = audio.read(path)
        torch.randn(600, 600) @ torch.randn(600, 600)
        def loud(x): return float(audio.loudness(x.repeat(1, 20), sr, 15).mean())
        want = loud(x)
        (_, got), = in_children(lambda p: loud(audio.read(p)[0]), [path], 1, 60)
    finally: torch.set_num_threads(old)
    assert got == want

@pytest.mark.parametrize('lead, first', [(.05, 0), (.5, .5), (-.5, -.5)])
def test_sound_and_picture_begin_together(lead, first, tmp_path):
    "A second of white, a beep with it; the sound's track begins `lead` s earlier. Where the film begins, both do."
    with av.open(str(tmp_path/'a.mkv'), 'w') as box:
        v, a = box.add_stream('libx264', rate=20), box.add_stream('pcm_s16le', rate=8000, layout='mono')
        v.width = v.height = 64
        v.pix_fmt = 'yuv420p'
        for i in range(40):
            f = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 255*(i >= 20), 'u1'))
            f.pts, f.time_base = i+20, Fraction(1, 20)   # the picture begins at 1 s on the file's clock, white at 2 s
            box.mux(v.encode(f))
        box.mux(v.encode(None))
        at = np.arange(1-lead, 3, 1/8000)
        f = av.AudioFrame.from_ndarray((8000*(at >= 2)).astype('i2')[None], 's16', 'mono')
        f.sample_rate, f.pts, f.time_base = 8000, round((1-lead)*8000), Fraction(1, 8000)
        box.mux([*a.encode(f), *a.encode(None)])
    x, sr = audio.read(tmp_path/'a.mkv')
    frames, _ = video.read(tmp_path/'a.mkv', 20)
    beep, white = int((x[0] > .1).nonzero()[0])/sr, int((frames.mean((1, 2, 3)) > 0).nonzero()[0])/20
    assert abs(beep-white) < .06 and abs(beep-1-max(0, first)) < .06, (beep, white)

@pytest.mark.parametrize('signs', [(1, 1, -1, -1), (1, -1, -1, 1), (1, 1, 1, -1, -1, -1)])
def test_channels_that_cancel_are_folded_whole_from_the_first_sample(signs):
    "What trainings hear of many channels: as loud at the beginning as at the end."
    one = torch.randn(1, 22050, generator=torch.Generator().manual_seed(1))
    out = audio.to_stereo(torch.tensor(signs)[:,None]*one)
    assert torch.allclose(out.abs(), one.abs().expand_as(out), atol=1e-6)

def hiss(seconds, sr=44100): return .1*np.random.default_rng(0).standard_normal((1, seconds*sr)).astype('float32')

def damaged(path, share, seed=1):
    "A copy of a file, `share` of its bytes (in the middle) random."
    data = bytearray(path.read_bytes())
    a, n = int(len(data)*(1-share)/2), int(len(data)*share)
    data[a:a+n] = np.random.default_rng(seed).bytes(n)
    path.with_stem(f'{path.stem}-{share}').write_bytes(data)
    return path.with_stem(f'{path.stem}-{share}')

@pytest.mark.parametrize('name, codec', [('a.mp3', 'libmp3lame'), ('a.aac', 'aac'), ('a.ac3', 'ac3'), ('a.mka', 'ac3'),
                                         ('a.avi', 'libmp3lame')])
def test_bytes_that_a_reader_skips_are_counted(name, codec, tmp_path):
    "Nothing is told of a whole file; about as much is told as was damaged; a file that is mostly damaged is refused."
    path = tmp_path/name
    write_sound(path, hiss(12), 44100, codec=codec, sample='fltp')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        audio.read(path)
    with pytest.warns(UserWarning, match='damaged or missing') as told: audio.read(damaged(path, .25))
    assert 1.5 < float(str(told[0].message).split(': ')[1].split()[0]) < 6   # 3 s, and what a container loses with them
    with pytest.raises(SgsvgError, match='most of its sound'): audio.read(damaged(path, .8))

def test_an_end_that_is_missing_is_told(tmp_path):
    path = tmp_path/'a.flac'
    write_sound(path, hiss(6), 44100, codec='flac', sample='s16')
    data = path.read_bytes()
    (tmp_path/'cut.flac').write_bytes(data[:2*len(data)//3])
    with pytest.warns(UserWarning, match='damaged or missing') as told: audio.read(tmp_path/'cut.flac')
    assert 1 < float(str(told[0].message).split(': ')[1].split()[0]) < 3

def told(path):
    "What is told of a file, and the length of what is heard."
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        x, sr = audio.read(path)
    return [str(w.message) for w in said], x.shape[1]/sr

@pytest.mark.parametrize('sr', (44100, 48000, 22050, 8000))
@pytest.mark.parametrize('name, codec, sample', [('a.mp3', 'libmp3lame', 'fltp'), ('a.wav', 'pcm_s16le', 's16'),
                                                 ('a.aiff', 'pcm_s16be', 's16'), ('a.au', 'pcm_s16be', 's16')])
def test_a_file_that_breaks_off_is_told_and_heard(name, codec, sample, sr, tmp_path):
    "A download that stopped: all that came is heard, and one line says how much is missing, be it most."
    data = write_sound(tmp_path/name, hiss(6, sr), sr, codec, sample).read_bytes()
    assert told(tmp_path/name)[0] == []
    for share in (.6, .3):
        cut = tmp_path/f'{share}{name}'
        cut.write_bytes(data[:int(share*len(data))])
        (line,), length = told(cut)
        assert abs(length-6*share) < .3 and abs(float(line.split(": ")[1].split()[0])-6*(1-share)) < .3
    cut.write_bytes(data*2)
    assert all(float(o.split(': ')[1].split()[0]) < .2 for o in told(cut)[0])   # more than the header tells is none

def test_a_length_that_was_not_known_is_no_promise(tmp_path):
    "A wav from a pipe, and an mp3 that tells nothing, broken off."
    data = bytearray(write_sound(tmp_path/'a.wav', hiss(3), 44100, 'pcm_s16le', 's16').read_bytes())
    at = data.index(b'data')+4
    for unknown in (0xffffffff, 0x7fffffff, 0):
        data[4:8] = data[at:at+4] = struct.pack('<I', unknown)
        (tmp_path/'b.wav').write_bytes(data)
        assert told(tmp_path/'b.wav') == ([], 3)
    mp3 = write_sound(tmp_path/'a.mp3', hiss(6), 44100, 'libmp3lame', 'fltp').read_bytes()
    (tmp_path/'b.mp3').write_bytes(mp3[mp3.index(b'Info')+1000:len(mp3)//2])
    assert told(tmp_path/'b.mp3')[0] == []

def test_stamps_that_stand_still_say_nothing():
    line, out = audio.Timeline('x'), 0
    for _ in range(50):
        f = av.AudioFrame.from_ndarray(np.zeros((1, 160), 'int16'), 's16', 'mono')
        f.sample_rate, f.pts, f.time_base = 8000, 0, Fraction(1, 1000)
        out += sum(x.shape[1] for x, _, _ in line.put(f))
    assert out == 50*160
