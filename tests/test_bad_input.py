"Whatever is given to `sgsvg`: status 0 and a file, or another status, one line that helps, and no half file."
import os, pickle, resource, signal, subprocess, sys, time, wave
from pathlib import Path

import av, numpy as np, pytest, torch

from media import disk, tone, write_sound, write_video
from sgsvg import audio, cli, core, video
from sgsvg.model import SoundVideo

DEFAULT = Path(cli.__file__).parent/'assets'/'default.safetensors'
SCRIPT = Path(sys.executable).with_name('sgsvg')
BY_HAND = [sys.executable, '-c', 'import sys; from sgsvg.cli import main; sys.exit(main())']
COMMAND = [SCRIPT] if SCRIPT.exists() else BY_HAND

@pytest.fixture
def sgsvg(capsys):
    "Call the command in this process: `(status, stdout, stderr)`"
    def call(*argv):
        status = cli.main([str(a) for a in argv])
        return status, *capsys.readouterr()
    return call

@pytest.fixture(scope='module')
def sound(tmp_path_factory): return write_sound(tmp_path_factory.mktemp('sound')/'tone.wav', tone(1.), 22050)

def refused(result, *words, status=1):
    "The promise for an error, and that its line holds these words."
    got, out, err = result
    assert (got, out, err.count('\n')) == (status, '', 1), result
    assert err.startswith('sgsvg: ') and 'Traceback' not in err
    assert 'unexpected' not in err, err
    for w in words: assert str(w) in err, err

def files(folder): return sorted(p.name for p in folder.iterdir())

def is_film(path, seconds):
    "H.264 and AAC, both of this length to one frame."
    with av.open(str(path)) as c:
        assert [s.codec_context.name for s in c.streams] == ['h264', 'aac']
        frame = 1/c.streams.video[0].average_rate
        for s in c.streams: assert abs(float((s.duration or 0)*s.time_base)-seconds) <= frame+1e-3
    return True

def halved(path, faststart):
    "An mp4 of which the second half is missing; without faststart its index goes with it."
    write_video(path, 6)
    if not faststart:
        with av.open(str(path)) as a, av.open(str(path.with_suffix('.plain.mp4')), 'w') as b:
            to = {s.index: b.add_stream_from_template(s) for s in a.streams}
            for p in a.demux():
                if p.dts is None: continue
                p.stream = to[p.stream.index]
                b.mux(p)
        path.with_suffix('.plain.mp4').replace(path)
    data = path.read_bytes()
    path.write_bytes(data[:len(data)//2])
    return path

def nan_samples(path):
    x = tone(1.)
    x[0, 9000] = np.nan
    return write_sound(path, x, 22050)

def header_only(path):
    with wave.open(str(path), 'wb') as f: f.setparams((1, 2, 22050, 0, 'NONE', ''))
    return path

def folder(path):
    path.mkdir()
    return path

def file_with(data):
    def make(path):
        path.write_bytes(data)
        return path
    return make

SOUNDS = dict(
    missing   =('none.wav', lambda p: p, 'no such file'),
    a_folder  =('sounds', folder, 'is a folder'),
    empty     =('empty.wav', file_with(b''), 'is empty'),
    a_text    =('text.wav', file_with(b'Dear diary,\n'*99), 'cannot be read'),
    no_index  =('cut.mp4', lambda p: halved(p, False), 'cut short'),
    truncated =('cut.mp4', lambda p: halved(p, True), 'cut short'),
    no_sound  =('silent.mp4', lambda p: write_video(p, sound=False), 'no sound'),
    nan       =('nan.wav', nan_samples, 'NaN'),
    infinite  =('inf.wav', lambda p: write_sound(p, np.full((1, 9999), np.inf), 22050), 'not numbers'),
    no_samples=('none.wav', lambda p: header_only(p), 'no sound samples'),
    playlist  =('list.m3u8', file_with(b'#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n'), 'cannot be read'),
    script    =('script.wav', file_with(b'ffconcat version 1.0\nfile good.wav\n'), 'cannot be read'),
)

@pytest.mark.parametrize('case', SOUNDS)
def test_bad_sound(case, tmp_path, sgsvg):
    name, make, words = SOUNDS[case]
    path = make(tmp_path/name)
    before = files(tmp_path)
    refused(sgsvg('generate', path, '-o', tmp_path/'out.mp4'), name, words)
    assert files(tmp_path) == before

@pytest.mark.parametrize('case', sorted(SOUNDS.keys()-{'truncated'}))
def test_bad_sound_in_the_video_writer(case, tmp_path):
    """The sound is decoded while frames are written: what goes wrong late leaves no file either.
    (What is left of a truncated mp4 decodes; `audio` refuses it before.)"""
    name, make, _ = SOUNDS[case]
    path = make(tmp_path/name)
    before = files(tmp_path)
    with pytest.raises(core.SgsvgError): video.write(tmp_path/'out.mp4', torch.zeros(60, 3, 16, 16), 10, path)
    assert files(tmp_path) == before

@pytest.mark.parametrize('option', [
    '--seconds -1', '--seconds 0', '--seconds nan', '--seconds x', '--fps 0', '--fps -15', '--fps inf',
    '--seed -1', '--seed 1.5', '--device tpu', '--frames 3'])
def test_bad_option(option, tmp_path, sound, sgsvg):
    refused(sgsvg('generate', sound, '-o', tmp_path/'out.mp4', *option.split()), option.split()[0], status=2)
    assert files(tmp_path) == []

def test_bad_usage(sgsvg):
    for argv in ([], ['generate'], ['generate', 'a.wav'], ['paint'], ['info']):
        refused(sgsvg(*argv), '--help', status=2)

def test_bad_output(tmp_path, sound, sgsvg):
    (tmp_path/'dir.mp4').mkdir()
    own = tmp_path/'own.mp4'
    own.write_bytes(write_video(tmp_path/'v.mp4').read_bytes())
    data, before = own.read_bytes(), files(tmp_path)
    wrong = (
        ('out.avi', '.mp4'), ('out', '.mp4'), ('dir.mp4', 'folder'),
        ('no/out.mp4', 'does not exist'), ('v.mp4/out.mp4', 'does not exist'))
    for out, words in wrong:
        refused(sgsvg('generate', sound, '-o', tmp_path/out), words)
    refused(sgsvg('generate', own, '-o', own), 'sound itself')
    assert (files(tmp_path), own.read_bytes()) == (before, data)

def test_unwritable_output(tmp_path, sound, sgsvg):
    if os.geteuid():
        tmp_path.chmod(0o555)
        refused(sgsvg('generate', sound, '-o', tmp_path/'out.mp4'), 'cannot be written')
        tmp_path.chmod(0o755)
    else:
        with disk(tmp_path/'disk', 'ro') as d: refused(sgsvg('generate', sound, '-o', d/'out.mp4'), 'cannot be written')

@pytest.mark.parametrize('share', [.05, .5, .97])
def test_full_disk_in_the_video_writer(share, tmp_path):
    frames, heard = torch.rand(20, 3, 64, 64)*2-1, (tone(2.), 22050)
    video.write(tmp_path/'whole.mp4', frames, 10, heard)
    size = int((tmp_path/'whole.mp4').stat().st_size*share)//4096*4096
    with disk(tmp_path/'disk', f'size={size}') as d:
        with pytest.raises(core.SgsvgError, match='disk is full'): video.write(d/'out.mp4', frames, 10, heard)
        assert files(d) == []

def test_full_disk(tmp_path, sound, sgsvg):
    with disk(tmp_path/'disk', 'size=8k') as d:
        refused(sgsvg('generate', sound, '-o', d/'out.mp4'), 'disk is full')
        assert files(d) == []

def other_format(path): core.save_model(path, {'a': torch.zeros(3)}, {})

def foreign(path):
    from safetensors.torch import save_file
    save_file({'a': torch.zeros(3)}, path)

def largest(tensors, net): return max((n for n in tensors if n.startswith(net)), key=lambda n: tensors[n].numel())

def wrong_shapes(path, net='generator'):
    tensors, meta = core.load_model(DEFAULT)
    name = largest(tensors, net)
    core.save_model(path, tensors | {name: tensors[name][:-1]}, meta)

def missing_tensor(path, net='generator'):
    tensors, meta = core.load_model(DEFAULT)
    del tensors[largest(tensors, net)]
    core.save_model(path, tensors, meta)

MODELS = dict(
    unknown=lambda p: None,
    folder=folder,
    empty=file_with(b''),
    text=file_with(b'a model\n'*99),
    pickled=file_with(pickle.dumps({'generator': 1})),
    torch_zip=lambda p: torch.save({'a': torch.zeros(3)}, p),
    truncated=lambda p: p.write_bytes(DEFAULT.read_bytes()[:99_999]),
    foreign=foreign, other_format=other_format, wrong_shapes=wrong_shapes, missing_tensor=missing_tensor,
)

@pytest.mark.parametrize('case', MODELS)
def test_bad_model(case, tmp_path, sound, sgsvg):
    MODELS[case](tmp_path/'model.safetensors')
    before = files(tmp_path)
    refused(sgsvg('generate', sound, '-o', tmp_path/'out.mp4', '--model', tmp_path/'model.safetensors'))
    told = case in ('other_format', 'wrong_shapes', 'missing_tensor')
    if not told: refused(sgsvg('info', tmp_path/'model.safetensors'), 'model.safetensors')
    assert files(tmp_path) == before

@pytest.mark.parametrize('broken', (wrong_shapes, missing_tensor))
def test_a_bad_clip_is_told_when_it_is_asked_for(broken, tmp_path):
    "A video needs none."
    broken(tmp_path/'model.safetensors', 'clip')
    net = SoundVideo.load(tmp_path/'model.safetensors', 'cpu')
    with pytest.raises(core.SgsvgError, match="the model's clip cannot be used"): assert net.clipspace

def test_info(sgsvg):
    status, out, err = sgsvg('info', 'default')
    assert (status, err) == (0, '') and 'generator' in out and 'licence' in out

SMALL = dict(
    silence=(np.zeros((1, 22050), 'float32'), 22050),
    one_sample=(np.full((1, 1), .5, 'float32'), 44100),
    twentieth=(tone(.05, 48000), 48000),
    eight_khz=(tone(.5, 8000), 8000),
    surround=(np.repeat(tone(.5, 48000), 6, 0), 48000))

@pytest.mark.parametrize('case', SMALL)
def test_small_sounds_work(case, tmp_path, sgsvg):
    heard, sr = SMALL[case]
    write_sound(tmp_path/'s.wav', heard, sr)
    status, out, err = sgsvg('generate', tmp_path/'s.wav', '-o', tmp_path/'out.mp4')
    assert (status, err) == (0, ''), err
    assert is_film(tmp_path/'out.mp4', heard.shape[1]/sr) and files(tmp_path) == ['out.mp4', 's.wav']

@pytest.fixture(scope='module')
def hour(tmp_path_factory):
    "An hour at 8 kHz, in pieces."
    path, piece = tmp_path_factory.mktemp('hour')/'hour.wav', (tone(10., 8000)*32767).astype('int16')
    with av.open(str(path), 'w') as c:
        s = c.add_stream('pcm_s16le', rate=8000, layout='mono')
        for i in range(360):
            f = av.AudioFrame.from_ndarray(piece*(i % 7)//7, 's16', 'mono')
            f.sample_rate, f.pts = 8000, i*80000
            c.mux(s.encode(f))
        c.mux(s.encode(None))
    return path

def grown(before): return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss-before)/1024   # MB

def test_an_hour_is_heard_in_little_memory(hour):
    spec = audio.MelSpec(sr=8000, n_fft=256, hop=256, n_mels=16, width=32)
    rss, T = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    for w, l in audio.stream_windows(hour, 1, spec):
        assert w.min() >= 0 and w.max() <= 1 and len(w) == len(l)
        T += len(w)
    assert T == 3600 and grown(rss) < 80   # the hour alone would be 115 MB

def test_ten_minutes_are_muxed_in_little_memory(hour, tmp_path):
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert video.write(tmp_path/'o.mp4', (-torch.ones(3, 16, 16) for _ in iter(int, 1)), 1, hour, seconds=600) == 600
    assert is_film(tmp_path/'o.mp4', 600) and grown(rss) < 60   # at 48 kHz they would be 115 MB

def test_a_moment_of_an_hour(hour, tmp_path, sgsvg):
    assert sgsvg('generate', hour, '-o', tmp_path/'out.mp4', '--seconds', '.4', '--fps', '10')[0] == 0
    assert is_film(tmp_path/'out.mp4', .4)

def heed():
    "A shell's background jobs and `nohup` ignore these, and so would what they start"
    for number in (signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_DFL)

def run(*argv, **kw):
    told = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    return subprocess.Popen([str(a) for a in (*COMMAND, *argv)], **told, **kw)

def finished(p):
    out, err = p.communicate(timeout=120)
    return p.returncode, out, err

def test_in_a_shell(tmp_path, sound):
    refused(finished(run('generate', tmp_path/'none.wav', '-o', tmp_path/'out.mp4')), 'none.wav')
    refused(finished(run('generate', sound)), '--out', status=2)
    assert finished(run('--version')) == (0, f'sgsvg {cli.__version__}\n', '')
    assert files(tmp_path) == []
    assert finished(run('generate', sound, '-o', tmp_path/'out.mp4', '--seconds', '.5'))[::2] == (0, '')
    assert is_film(tmp_path/'out.mp4', .5)

def test_debug_lets_the_error_through(tmp_path):
    argv = ['generate', str(tmp_path/'none.wav'), '-o', str(tmp_path/'out.mp4'), '--debug']
    with pytest.raises(core.SgsvgError): cli.main(argv)

def test_help_is_quick_to_import():
    code = """if 1:
        import sys
        from sgsvg.cli import main
        main(['--help'])
        sys.exit('torch' in sys.modules or 'av' in sys.modules)"""
    assert subprocess.run([sys.executable, '-c', code], capture_output=True).returncode == 0

def test_interrupted(tmp_path, hour):
    (tmp_path/'out.mp4').write_bytes(b'the old one')
    p = run('generate', hour, '-o', tmp_path/'out.mp4')
    until = time.monotonic()+90
    while len(files(tmp_path)) < 2 and p.poll() is None and time.monotonic() < until: time.sleep(.05)
    time.sleep(.5)
    p.send_signal(signal.SIGINT)
    refused(finished(p), 'interrupted', status=130)
    assert (files(tmp_path), (tmp_path/'out.mp4').read_bytes()) == (['out.mp4'], b'the old one')
