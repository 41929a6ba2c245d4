"How the program meets those who call it: signals, closed pipes, sizes, names, what is said first."
import json, os, signal, subprocess, sys, time
from functools import partial

import av, numpy as np, pytest, torch

import sgsvg
from media import tone, write_sound
from repo import ROOT
from sgsvg import cli, core, video
from sgsvg.model import Film, SoundVideo
from test_bad_input import COMMAND, DEFAULT, files, finished, refused, run

@pytest.fixture(scope='module')
def model(): return SoundVideo.load('paper', 'cpu')   # the small one

@pytest.fixture(scope='module')
def sound(tmp_path_factory): return write_sound(tmp_path_factory.mktemp('sound')/'tone.wav', tone(.4), 22050)

@pytest.fixture(scope='module')
def long_sound(tmp_path_factory): return write_sound(tmp_path_factory.mktemp('long')/'long.wav', tone(600., 8000), 8000)

def seen(path):
    "Shape of a film's pictures, and how many"
    with av.open(str(path)) as c:
        s = c.streams.video[0]
        return s.height, s.width, sum(1 for _ in c.decode(s))

def started(argv, **kw): return subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **kw)

# ---- asked to end

def begun(folder): return [f for f in folder.rglob('*') if '.tmp' in f.name]

def asked_to_end(p, folder, number, wait):
    "Send the signal once there is something half-written, or after a while; what came of it"
    until = time.monotonic()+90
    while not begun(folder) and p.poll() is None and time.monotonic() < until: time.sleep(.02)
    time.sleep(wait)
    if number == signal.SIGHUP: os.killpg(p.pid, number)   # a closed terminal tells all of its processes
    else: p.send_signal(number)
    return finished(p)

@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_generate_asked_to_end(number, tmp_path, long_sound):
    (tmp_path/'out.mp4').write_bytes(b'the old one')
    p = run('generate', long_sound, '-o', tmp_path/'out.mp4', start_new_session=True)
    refused(asked_to_end(p, tmp_path, number, .3), 'interrupted', status=128+number)
    assert (files(tmp_path), (tmp_path/'out.mp4').read_bytes()) == (['out.mp4'], b'the old one')

@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
def test_building_a_set_asked_to_end(number, tmp_path):
    (tmp_path/'films'/'rain').mkdir(parents=True)
    frames = (torch.rand(3, 360, 480)*2-1 for _ in range(180))
    video.write(tmp_path/'films'/'rain'/'a.mp4', frames, 15, (tone(12.), 22050))
    options = ['--seconds', '12', '--size', '1024', '--workers', '1']
    p = run('data', 'build', tmp_path/'films', tmp_path/'set', *options, start_new_session=True)
    refused(asked_to_end(p, tmp_path, number, .05), 'interrupted', status=128+number)
    assert begun(tmp_path) == []

def test_asked_twice_or_unheard_ends_all_the_same(tmp_path):
    """The first signal's exception is swallowed; the clock, or the second signal, ends the process,
    and nothing half-written stays."""
    code = '''if 1:
        import sys, time
        from pathlib import Path
        from sgsvg import cli, core
        def stubborn(args):
            with core.atomic_path(sys.argv[1]) as p:
                while True:
                    try:
                        p.write_text('half')   # only from here on is it stubborn
                        time.sleep(.1)
                    except BaseException: pass
        cli.info = stubborn
        sys.exit(cli.main(['info', 'x']))'''
    for second in (True, False):
        p = started([sys.executable, '-c', code, tmp_path/'out.txt'])
        while not files(tmp_path) and p.poll() is None: time.sleep(.05)
        p.send_signal(signal.SIGTERM)
        if second:
            time.sleep(.5)
            p.send_signal(signal.SIGTERM)
        refused(finished(p), 'interrupted', status=143)
        assert files(tmp_path) == []

def test_nohup_is_heeded(tmp_path, sound):
    "A signal that was ignored from the start stays ignored."
    ignoring = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    p = started([*COMMAND, 'generate', sound, '-o', tmp_path/'o.mp4'], preexec_fn=ignoring)
    while p.poll() is None:
        p.send_signal(signal.SIGHUP)
        time.sleep(.2)
    assert finished(p)[::2] == (0, '') and files(tmp_path) == ['o.mp4']

def test_handlers_are_put_back():
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)]
    assert cli.main(['dance']) == 2
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)] == before

# ---- nobody listens

SAYS = ['--help', '--version', 'info default', 'info default --json', 'generate --help', 'data build --help']

def shell(line): return subprocess.run(['bash', '-c', line], capture_output=True, text=True)

@pytest.mark.parametrize('argv', SAYS)
def test_a_closed_pipe(argv):
    r, w = os.pipe()
    os.close(r)
    p = subprocess.run([*COMMAND, *argv.split()], stdout=w, stderr=subprocess.PIPE, text=True)
    os.close(w)
    assert (p.returncode, p.stderr) == (141, '')

def test_a_full_disk_and_no_output_at_all(tmp_path, sound):
    command = ' '.join(map(str, COMMAND)) if len(COMMAND) == 1 else None
    if not command: pytest.skip('the command is not installed')
    for argv in ('--version', 'info default'):
        p = shell(f'{command} {argv} > /dev/full')
        refused((p.returncode, p.stdout, p.stderr), 'No space left')
        p = shell(f'{command} {argv} >&-')
        assert (p.returncode, p.stdout, p.stderr) == (0, '', '')
    for silent in ('2>/dev/full', '2>&-'):
        p = shell(f'{command} dance {silent}')
        assert (p.returncode, p.stdout, p.stderr) == (2, '', '')
    p = shell(f'{command} generate {sound} -o {tmp_path}/o.mp4 > /dev/full')
    refused((p.returncode, p.stdout, p.stderr), 'No space left')
    assert files(tmp_path) == ['o.mp4']

def test_a_name_that_is_not_text(tmp_path, sound):
    out = os.fsencode(tmp_path)+b'/\xff\xe9.mp4'
    p = subprocess.run([*COMMAND, 'generate', sound, '-o', out], capture_output=True)
    assert (p.returncode, p.stderr) == (0, b'') and os.path.isfile(out)

# ---- sizes

@pytest.mark.parametrize('size, side', [(None, 512), ('native', 64), (128, 128), (96, 96)])
def test_size(size, side, tmp_path, model, sound):
    assert model.generate(sound, tmp_path/'o.mp4', size=size) == 6
    assert seen(tmp_path/'o.mp4') == (side, side, 6)

def test_size_in_a_shell(tmp_path, sound, capsys):
    for option, side in ((['--size', '160'], 160), (['--size', 'native'], 128), ([], 512)):
        assert cli.main(['generate', str(sound), '-o', str(tmp_path/'o.mp4'), *option]) == 0
        assert seen(tmp_path/'o.mp4')[:2] == (side, side)
    capsys.readouterr()
    for bad in ('0', '-4', '63', '4098', '1e9', 'huge', '512x512'):
        assert cli.main(['generate', str(sound), '-o', str(tmp_path/'o.mp4'), f'--size={bad}']) == 2
        assert capsys.readouterr().err.count('\n') == 1
    for bad in (63, 0, -2, 1e9, 'huge', 14, 4098): pytest.raises(core.SgsvgError, video.check_size, bad)

def test_what_is_large_is_not_shrunk(tmp_path):
    "By default; and shapes are kept."
    cases = [((576, 1024), None, (576, 1024)), ((60, 90), None, (512, 768)), ((90, 60), 256, (384, 256)),
             ((600, 600), 64, (64, 64)), ((33, 47), 'native', (34, 48))]
    for shape, size, want in cases:
        video.write(tmp_path/'o.mp4', torch.zeros(2, 3, *shape), 10, size=size)
        assert seen(tmp_path/'o.mp4') == (*want, 2)

def test_enlarged_pictures_are_the_same_pictures(tmp_path):
    "Shrunk again by areas, an enlarged film is the film: nothing moved, no colour changed."
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing='ij')
    picture = torch.stack([.6*torch.sin(9*x), .6*torch.cos(7*y), .5*x*y])
    video.write(tmp_path/'o.mp4', picture.expand(3, -1, -1, -1), 10, size=512)
    back = torch.nn.functional.interpolate(video.read(tmp_path/'o.mp4')[0], size=(64, 64), mode='area')
    assert (back-picture).abs().mean() < .015 and (back-picture)[:,:,2:-2,2:-2].abs().max() < .08
    moved = (back-picture.roll(1, 1)).abs().mean()
    assert moved > 2*(back-picture).abs().mean()

# ---- in Python

def test_the_name_at_the_door_costs_nothing():
    code = """if 1:
        import sys, sgsvg
        assert 'torch' not in sys.modules and 'SoundVideo' in dir(sgsvg)
        from sgsvg import SoundVideo
        print(SoundVideo.__module__)"""
    p = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert (p.stdout, p.stderr) == ('sgsvg.model\n', '')
    with pytest.raises(AttributeError, match='no attribute'): print(sgsvg.SoundVideos)

@pytest.mark.parametrize('name', ['default', 'paper'])
def test_a_model_loads_without_the_compiler(name):
    "PyTorch's compiler takes a second or two to import, and nothing here needs it."
    code = "import sys, sgsvg; sgsvg.SoundVideo.load(sys.argv[1]); sys.exit('torch._dynamo' in sys.modules)"
    p = subprocess.run([sys.executable, '-c', code, name], capture_output=True, text=True)
    assert (p.returncode, p.stderr) == (0, '')

def test_from_the_folder_above(tmp_path):
    "A folder called sgsvg, as a clone is, is not taken for the package."
    (tmp_path/'sgsvg'/'nbs').mkdir(parents=True)
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    code = [sys.executable, '-c', 'import sgsvg; print(sgsvg.__version__)']
    p = subprocess.run(code, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (p.stdout.strip(), p.stderr) == (sgsvg.__version__, '')

def test_one_line_each(model, sound, tmp_path):
    wrong = dict(seed=('a', -1, 1.5, 2**70), fps=('x', 0, float('inf')), seconds=(float('nan'), '2', -1))
    for name, value in ((k, v) for k, vs in wrong.items() for v in vs):
        for call in (model.frames, model.paths, lambda s, **kw: iter([model.generate(s, tmp_path/'o.mp4', **kw)])):
            with pytest.raises(core.SgsvgError, match=f'{name} must be'): next(call(sound, **{name: value}))
    for bad in ((22050, tone(1.)), (tone(1.).T, 22050), (tone(1.), 'fast'), ('a.wav', 2), None, 3, tone(1.)):
        with pytest.raises(core.SgsvgError): model.generate(bad, tmp_path/'o.mp4')
    for device in (3, 'gpu', None): pytest.raises(core.SgsvgError, SoundVideo.load, device=device)
    for seed in ('a', -1, None): pytest.raises(core.SgsvgError, core.seed_everything, seed)
    with pytest.raises(core.SgsvgError, match='fps'): video.write(tmp_path/'o.mp4', torch.zeros(1, 3, 16, 16), 'x')
    assert files(tmp_path) == []

@pytest.mark.parametrize('kind', ['tensor', 'numpy', 'int16', 'flat'])
def test_a_wave_is_heard_as_its_file_is(kind, model, tmp_path):
    heard = tone(1.)*np.linspace(0, 1, 22050, dtype='float32')
    write_sound(tmp_path/'a.wav', heard, 22050)
    wave = dict(tensor=torch.tensor(heard), numpy=heard, int16=(heard*32767).astype('int16'), flat=heard[0])[kind]
    a, b = (torch.cat(list(model.frames(s, seed=5))) for s in ((wave, 22050), tmp_path/'a.wav'))
    assert a.shape == (15, 3, 64, 64) and (a-b).abs().mean() < .01

SWEEP = torch.tensor(tone(1.)[0])*torch.linspace(0, 1, 22050)
OTHERS = dict(
    half=(SWEEP.half(), 22050),
    bfloat16=(SWEEP.bfloat16(), 22050.),
    sparse=(SWEEP.to_sparse(), torch.tensor(22050)),
    negative=(torch.view_as_complex(torch.stack([SWEEP, -SWEEP], -1)).conj().imag, np.float64(22050)))

@pytest.mark.filterwarnings('error::RuntimeWarning')
@pytest.mark.parametrize('wave', OTHERS.values(), ids=OTHERS)
def test_a_wave_in_any_dress(wave, model):
    plain = wave[0].to_dense().resolve_neg().float().numpy()
    a, b = (torch.cat(list(model.frames(s, seconds=torch.tensor(.3)))) for s in (wave, (plain, 22050)))
    assert a.shape == (5, 3, 64, 64) and torch.equal(a, b) and np.abs(plain-SWEEP.numpy()).max() < .003

PCM = SWEEP*32767
BAD_WAVES = [
    ((22050, SWEEP), 'wrong way round'),
    ((SWEEP, 0), 'from 1000 to 384000, not 0'),
    ((SWEEP, 8), 'from 1000'),
    ((SWEEP, True), 'from 1000'),
    ((PCM, 22050), 'divide 16-bit samples by 32768'),
    ((PCM.long(), 22050), 'Divide them by 32768'),
    ((PCM.int().tolist(), 22050), 'Divide them by 32768'),
    (((SWEEP*9+128).byte(), 22050), '-128\\)/128'),
    (([[.1, .2], [.3]], 22050), 'no array of numbers'),
    ((SWEEP.to('meta'), 22050), 'no array of numbers'),
    ((SWEEP/0, 22050), 'not numbers'),
    ((SWEEP > 0, 22050), 'not bool')]

@pytest.mark.parametrize('wave, line', BAD_WAVES, ids=[line for _, line in BAD_WAVES])
def test_a_wave_that_cannot_be_meant(wave, line, model, tmp_path):
    for call in (lambda: next(model.frames(wave)), lambda: model.generate(wave, tmp_path/'o.mp4')):
        with pytest.raises(core.SgsvgError, match=line) as e: call()
        assert '\n' not in str(e.value) and 'wave.wav' not in str(e.value)
    assert files(tmp_path) == []

def test_names_that_no_file_can_have(model, tmp_path):
    for out in (None, 3, b'a.mp4', tmp_path/f'{300*"a"}.mp4', str(tmp_path/'a\0.mp4')):
        for call in (partial(model.generate, (SWEEP, 22050), out, seconds=.2), partial(model.save, out)):
            with pytest.raises(core.SgsvgError) as e: call()
            assert len(str(e.value)) < 120
    assert files(tmp_path) == []

def test_a_film_tells_its_frames_and_shows_itself(model, sound, tmp_path):
    film = model.generate(sound, tmp_path/'o.mp4', size=64)
    assert isinstance(film, Film) and (film, film+1, film.path, film.fps) == (6, 7, tmp_path/'o.mp4', 15)
    bundle = film._repr_mimebundle_()
    for words in ('width="512"', 'poster="data:image/jpeg', 'src="data:video/mp4'): assert words in bundle['text/html']
    assert bundle['image/jpeg'] and '6 frames' in bundle['text/plain']
    assert '64 x 64' in repr(model) and 'StyleGAN2' in repr(model) and '\n' not in repr(model)

# ---- what a model is

def test_info_says_what_the_model_is_on_one_screen(capsys):
    assert cli.main(['info', 'default']) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) <= 24 and max(map(len, out.splitlines())) <= 180
    told = '128 x 128 pixels', '15 a second', 'StyleGAN2', 'Apache-2.0 and CC BY 4.0', 'openclonk', 'aisfx'
    assert [words for words in told if words not in out] == []
    assert cli.main(['info', 'default', '--json']) == 0
    told = json.loads(capsys.readouterr().out)
    assert told['meta'] == core.load_model(DEFAULT)[1] and told['sizes']['generator']['tensors'] == 102

# ---- the notebooks' copies

def test_copies_of_notebooks_are_kept_up_to_date_and_never_lost(tmp_path):
    sys.path.insert(0, str(ROOT/'tools'))
    import lab
    nbs, copies = tmp_path/'nbs', tmp_path/'lab'
    (nbs/'walkthroughs').mkdir(parents=True)
    for name in ('index.ipynb', 'walkthroughs/a.ipynb', 'walkthroughs/b.ipynb'): (nbs/name).write_text(name)
    assert sorted(lab.refresh(nbs, copies)[0]) == ['index.ipynb', 'walkthroughs/a.ipynb', 'walkthroughs/b.ipynb']
    assert lab.refresh(nbs, copies) == ([], {}, [])
    (copies/'walkthroughs/a.ipynb').write_text('mine')
    assert lab.refresh(nbs, copies) == ([], {}, [])   # changed, and the project's is as it was
    for name in ('index.ipynb', 'walkthroughs/a.ipynb'): (nbs/name).write_text('newer')
    (nbs/'walkthroughs/b.ipynb').unlink()
    # what was not touched is brought up to date
    assert lab.refresh(nbs, copies) == (['index.ipynb'], {}, ['walkthroughs/a.ipynb'])
    assert (copies/'walkthroughs/a.ipynb').read_text() == 'mine' and not (copies/'walkthroughs/b.ipynb').exists()
    new, kept, stay = lab.refresh(nbs, copies, fresh=True)
    assert (new, stay, [p.read_text() for p in kept.values()]) == (['walkthroughs/a.ipynb'], [], ['mine'])
    assert (copies/'walkthroughs/a.ipynb').read_text() == 'newer'
    assert kept['walkthroughs/a.ipynb'].parent == copies/'walkthroughs'

def test_a_notebook_that_jupyter_rewrote_is_not_taken_for_changed(tmp_path):
    sys.path.insert(0, str(ROOT/'tools'))
    import lab
    a, b = tmp_path/'a.ipynb', tmp_path/'b.ipynb'
    said = dict(output_type='stream', text=['x\n', 'y'])
    cell = dict(cell_type='code', source=['1\n', '2'], outputs=[said], execution_count=None, metadata={})
    a.write_text(json.dumps(dict(cells=[cell], metadata={})))
    rewritten = cell | dict(source='1\n2', outputs=[dict(output_type='stream', text='x\ny')], id='12')
    b.write_text(json.dumps(dict(metadata=dict(kernelspec='python3'), cells=[rewritten])))
    assert lab.mark(a) == lab.mark(b)
    b.write_text(json.dumps(dict(cells=[cell | dict(source=['1\n', '3'])])))
    assert lab.mark(a) != lab.mark(b)
