"""Shards as `sgsvg data build` makes them, read back: in step to less than a frame, each clip on one rank, on from the
middle, the same bytes, and one line for what is broken."""
import hashlib, io, json, pickle, shutil, subprocess, sys, tarfile
from itertools import islice
from pathlib import Path

import av, numpy as np, pytest, torch

from films import beeps, drift, film, flash
from sgsvg import audio, core, dataset, landscapes, recordings, shards
from sgsvg.sources import SoundPool
from sgsvg.recordings import Recordings
from sgsvg.shards import Shards
from sgsvg.landscapes import CLASSES
from sgsvg.runs import Run

PHONE = (np.arange(12)[:,None]+[0, .04, .1, .133, .21, .3, .34, .45, .5, .58, .64, .7, .77, .83, .9, .95]).ravel()
FPS, SR = 30, 22050
FILMS = {
    'f24.mp4': dict(fps=24), 'f25.mp4': dict(fps=25, sr=48000), 'f2997.mp4': dict(fps=29.97),
    'f30.mp4': dict(fps=30, sr=16000), 'f60.mp4': dict(fps=60), 'phone.mp4': dict(fps=30, times=PHONE),
    'f24.mkv': dict(fps=24), 'f25.mov': dict(fps=25), 'f2997.webm': dict(fps=29.97, sr=48000, deadline='realtime'),
    'f30.ts': dict(fps=30), 'f25.mpg': dict(fps=25, sr=48000), 'f30.avi': dict(fps=30),
    'phone.mkv': dict(fps=30, times=PHONE),
}

@pytest.fixture(scope='module')
def beats(tmp_path_factory):
    "Flash-and-beep films, 12 s each, of which the 10 s from 1.37 s on are a clip."
    d = tmp_path_factory.mktemp('beats')
    (d/'films').mkdir()
    for i, (name, kw) in enumerate(FILMS.items()):
        film(d/'films'/name.replace('.', f'{i}.'), 12, picture=flash, sound=beeps, seed=i, **kw)
    rows = [f'{Path(name).stem}{i},1.37,thunder,train' for i, name in enumerate(FILMS)]
    (d/'list.csv').write_text('\n'.join(['ytid,start_time,class,set', *rows]))
    card = dataset.build(d/'list.csv', d/'films', d/'set', seconds=10, fps=FPS, size=64, workers=2)
    assert card['clips'] == len(FILMS), card['left_out']
    return d/'set'

def onsets(on, rate, apart=.5):
    "When something begins, in seconds; what is on at the start began before"
    at = np.flatnonzero(on)
    at = at[np.diff(at, prepend=-10**9) > apart*rate]
    return (at[at > 0] if len(at) and at[0] == 0 else at)/rate

def measured(c):
    "Flashes and beeps of a clip, seconds"
    return onsets(c.frames.mean((1, 2, 3)).numpy() > .1, FPS), onsets(c.wave[0].abs().numpy() > .12, c.sr)

def flashes_of(path):
    "When a film shows its flashes, by its own clock, which may be a picture later than it was meant"
    with av.open(str(path)) as c:
        seen = [(f.time, f.to_ndarray(format='gray').mean() > 150) for f in c.decode(video=0)]
    t, bright = zip(*seen)
    t = np.array(t)-t[0]
    return t[np.flatnonzero(np.diff(bright, prepend=True) & np.array(bright))]

@pytest.mark.parametrize('i', range(len(FILMS)), ids=list(FILMS))
def test_flash_and_beep_stay_together(beats, i):
    s = Shards(beats)
    name = list(FILMS)[i]
    c = s[s.sources.index(f'{Path(name).stem}{i}')]
    light, beep = measured(c)
    assert c.frames.shape == (300, 3, 64, 64) and c.wave.shape == (1, 10*SR) and c.e.shape == (300,)
    seconds = np.arange(2, 12)
    # from second 2 on: what is bright at 0 began before
    filmed = flashes_of(beats.parent/'films'/name.replace('.', f'{i}.'))[1:11]
    late_light, late_beep = light+1.37-filmed, beep+1.37-seconds
    error = late_light-late_beep
    flashed, beeped = (f'{x.min()*1000:5.1f} to {x.max()*1000:4.1f} ms' for x in (late_light, late_beep))
    print(f'{name:12} flash {flashed}, beep {beeped}, apart {np.abs(error).max()*FPS:.2f} frames')
    assert np.abs(late_beep).max() < .006 and np.abs(error).max() < 1/FPS

def test_stretches_are_pieces_of_the_whole(beats):
    whole, part = Shards(beats), Shards(beats, seconds=2.3, buffer=3, seed=5)
    sources = {c.caption: 0 for c in whole}
    starts = []
    for (shard, i), c in zip(list(shards._order(part.counts, 5, 0, 0, 1, 3)), part):
        w = whole._clip(shard, i)
        k = next(k for k in range(300-69+1) if torch.equal(w.wave[:,k*735:k*735+69*735], c.wave))
        assert torch.equal(w.frames[k:k+69], c.frames)
        starts.append(k)
    assert len(set(starts)) > 8 and sources

def test_an_odd_rate(tmp_path):
    film(tmp_path/'a.mp4', 6, picture=flash, sound=beeps)
    (tmp_path/'list.csv').write_text('ytid,start_time,class,set\na,.5,thunder,train\n')
    dataset.build(tmp_path/'list.csv', tmp_path, tmp_path/'set', seconds=4.5, fps=29.97, size=32)
    c, = Shards(tmp_path/'set', sr=44100)
    assert len(c.frames) == len(c.e) == 135 and c.wave.shape[1] == round(135/29.97*44100)
    light, beep = onsets(c.frames.mean((1, 2, 3)).numpy() > .1, 29.97), onsets(c.wave[0].abs().numpy() > .12, 44100)
    assert len(light) == 4 and np.abs(light-beep).max() < 1/29.97

@pytest.fixture(scope='module')
def many(tmp_path_factory):
    "A set of some dozens of clips in several shards."
    d = tmp_path_factory.mktemp('many')
    for i in range(8):
        to = d/'own'/('raining', 'wind_noise', 'volcano')[i % 3]
        to.mkdir(parents=True, exist_ok=True)
        film(to/f'{i}.mp4', 9, fps=10, seed=i, size=(48, 32), picture=drift)
    card = dataset.build(d/'own', None, d/'set', seconds=1.5, fps=10, size=32, holdout=0, workers=2, per_shard=8)
    assert len(card['shards']) > 3 and card['clips'] > 30
    return d/'set'

def told(c): return hashlib.sha256(c.frames.numpy().tobytes()+c.wave.numpy().tobytes()+c.caption.encode()).hexdigest()

def bytes_of(batches):
    parts = ([b[k].numpy().tobytes() for k in ('frames', 'wave', 'e', 'cls')] for b in batches)
    return [hashlib.sha256(b''.join(p)).hexdigest() for p in parts]

SMALL = dict(seconds=.8, sr=8000, buffer=7)

def test_own_classes(many):
    s = Shards(many, **SMALL)
    assert s.classes == ('raining', 'volcano', 'wind noise') and {s.classes[c.cls] for c in s} == set(s.classes)
    card = json.loads((many/'dataset.json').read_text())
    assert len(s) == card['clips'] == sum(s.counts) and len(s.sources) == len(s)
    with pytest.raises(IndexError): s[len(s)]
    assert told(pickle.loads(pickle.dumps(s))[3]) == told(s[3])            # as a worker gets it
    with pytest.raises(core.SgsvgError, match='no clips in the split'): Shards(many, 'test')

@pytest.mark.parametrize('world', [1, 2, 3, 5, 16])
def test_ranks_share_without_overlap(many, world):
    shares = [[told(c) for c in Shards(many, seed=1, sr=8000, rank=r, world=world)] for r in range(world)]
    all_of_them = [told(c) for c in Shards(many, seed=1, sr=8000)]
    assert sorted(sum(shares, [])) == sorted(all_of_them) and len(set(all_of_them)) == len(all_of_them)
    assert max(map(len, shares))-min(map(len, shares)) <= 1

DISTRIBUTED = '''
import sys, torch.distributed as dist
from sgsvg.shards import Shards
from test_shards import bytes_of
if __name__ == '__main__':
    rank, folder, store = int(sys.argv[1]), *sys.argv[2:]
    dist.init_process_group('gloo', init_method='file://'+store, rank=rank, world_size=2)
    s = Shards(folder, seed=1, seconds=.8, sr=8000)
    assert (s.rank, s.world) == (rank, 2)
    print(*bytes_of(s.batches(1, workers=2)))
'''

def test_ranks_are_read_from_torch_distributed(many, tmp_path):
    argv = [sys.executable, '-c', DISTRIBUTED]
    how = dict(cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True)
    run = [subprocess.Popen([*argv, str(r), many, tmp_path/'store'], **how) for r in (0, 1)]
    out = [p.communicate()[0].split() for p in run]
    assert [p.returncode for p in run] == [0, 0]
    assert out == [bytes_of(Shards(many, seed=1, seconds=.8, sr=8000, rank=r, world=2).batches(1)) for r in (0, 1)]
    assert not set(out[0]) & set(out[1]) and sum(map(len, out)) == len(Shards(many))

def test_the_same_bytes_for_the_same_seed(many):
    once = bytes_of(Shards(many, seed=3, **SMALL).batches(4))
    for workers in (0, 1, 2): assert bytes_of(Shards(many, seed=3, **SMALL).batches(4, workers)) == once
    assert not set(once) & set(bytes_of(Shards(many, seed=4, **SMALL).batches(4)))
    s = Shards(many, seed=3, **SMALL)
    epochs = [bytes_of(s.batches(4)) for _ in range(2)]
    assert epochs[0] == once and not set(once) & set(epochs[1]) and (s.epoch, s.given) == (2, 0)

@pytest.mark.parametrize('workers', [0, 2])
def test_on_from_the_middle(many, workers):
    whole = Shards(many, seed=2, rank=1, world=2, **SMALL)
    want = [bytes_of(whole.batches(3)) for _ in range(2)]
    for stop in (0, 1, 4, len(want[0])-1, len(want[0])):
        one = Shards(many, seed=2, rank=1, world=2, **SMALL)
        got = bytes_of(islice(one.batches(3, workers), stop))
        state = json.loads(json.dumps(one.state_dict()))
        two = Shards(many, seed=2, rank=1, world=2, **SMALL)
        two.load_state_dict(state)
        rest = bytes_of(two.batches(3, workers))
        if stop == len(want[0]) and state['given']: assert rest == []
        assert got+rest == want[0]
        assert bytes_of(two.batches(3)) == want[1]

def test_a_loader_of_ones_own(many):
    loader = torch.utils.data.DataLoader(Shards(many, sr=8000), 4, collate_fn=shards.batch_of, num_workers=2)
    seen = [hashlib.sha256(x.numpy().tobytes()).hexdigest() for b in loader for x in b['wave']]
    assert len(set(seen)) == len(seen) == len(Shards(many))

def test_a_state_of_something_else_is_refused(many, beats):
    state = Shards(many, seed=2, world=2, rank=0, **SMALL).state_dict()
    others = (
        (many, dict(seed=3, world=2, rank=0), 'seed'), (many, dict(seed=2), 'world'),
        (many, dict(seed=2, world=2, rank=1), 'rank'), (beats, dict(seed=2, world=2, rank=0), 'set'))
    for folder, kw, word in others:
        other = Shards(folder, **kw, **SMALL)
        with pytest.raises(core.SgsvgError, match=f'its {word} was'): other.load_state_dict(state)

def test_a_rank_opens_its_own_shards_only(many):
    s = Shards(many, seed=1, rank=2, world=16, **SMALL)
    list(s)
    assert 1 <= len(s._places) <= 2 < len(s.counts)

def test_pools_take_shards(many):
    pool, s = SoundPool(1.), Shards(many, seconds=1., sr=audio.SMALL_MEL.sr)
    for c, source in zip((s[i] for i in range(5)), s.sources): pool.add(c.wave, c.cls, source)
    assert len(pool.stack()) == 5

# hostile sets: each is one line, whoever reads
def line(folder, **kw):
    "The one line that reading a whole set ends with, or None"
    try:
        s = Shards(folder, **kw)
        for _ in s: pass
        for i in range(len(s)): s[i]
        len(s.sources)
    except core.SgsvgError as e:
        assert '\n' not in str(e)
        return str(e)

def repacked(path, change):
    "The tar with its members as `change(name, data)` gives them: a list of TarInfo or names, and bytes"
    with tarfile.open(path) as tar: members = [(m.name, tar.extractfile(m).read()) for m in tar]
    with tarfile.open(path, 'w') as tar:
        for name, data in members:
            for info, d in change(name, data):
                info = tarfile.TarInfo(info) if isinstance(info, str) else info
                info.size = len(d) if info.isreg() else 0
                tar.addfile(info, io.BytesIO(d))

def special(name, kind, to=''):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info

def of_json(**kw): return lambda n, d: [(n, json.dumps(json.loads(d) | kw).encode() if n.endswith('json') else d)]

def instead(ending, data): return lambda n, d: [(n, data if n.endswith(ending) else d)]

def other_size():
    pictures = (np.full((64, 64, 3), i, 'uint8') for i in range(15))
    frames = (av.VideoFrame.from_ndarray(p, 'rgb24').reformat(format='yuv420p') for p in pictures)
    return shards.encode_picture(frames, 10, 64)

PLAYLIST = b'#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n'
SHARDS = dict(
    no_sound=(lambda n, d: [] if n.endswith('flac') else [(n, d)], 'lacks'),
    no_facts=(lambda n, d: [] if n.endswith('json') else [(n, d)], 'lacks'),
    a_link=(lambda n, d: [(special(n, tarfile.SYMTYPE, '/etc/pass') if n.endswith('flac') else n, d)], 'no plain file'),
    a_folder=(lambda n, d: [(special('x/', tarfile.DIRTYPE), b''), (n, d)], 'no plain file'),
    a_device=(lambda n, d: [(special('dev', tarfile.CHRTYPE), b''), (n, d)], 'no plain file'),
    playlist=(instead('mp4', PLAYLIST), 'damaged'),
    text=(instead('flac', b'la la la'), 'damaged'),
    empty=(instead('mp4', b''), 'damaged'),
    swapped=(instead('flac', other_size()), 'damaged'),
    pixels=(instead('mp4', other_size()), '64 x 64 pixels'),
    no_json=(instead('json', b'{'), 'damaged'),
    a_list=(instead('json', b'[]'), 'damaged'),
    deep=(instead('json', b'['*99999), 'damaged'),
    volcano=(of_json(**{'class': 'no such\nclass'}), 'damaged'),
    frames=(of_json(frames=10**9), 'contradict'),
    negative=(of_json(frames=-15), 'contradict'),
    rate=(of_json(fps=float('nan')), 'contradict'),
    sr=(of_json(sr=10**9), 'contradict'),
    long=(of_json(frames=1500, samples=150*44100), 'cut short'),
    text_rate=(of_json(sr='44100'), 'contradict'),
    null=(of_json(key=None), 'contradict'),
)

@pytest.fixture()
def copy(many, tmp_path): return shutil.copytree(many, tmp_path/'set', ignore=shutil.ignore_patterns('.work'))

@pytest.mark.parametrize('case', SHARDS)
def test_hostile_shards(copy, case):
    change, words = SHARDS[case]
    repacked(copy/'train-00001.tar', change)
    said = line(copy)
    assert said and 'train-00001.tar' in said and words in said

def test_names_are_only_names(copy, tmp_path):
    "Members called like paths are read like any other, and nothing appears anywhere."
    want = sorted(map(told, Shards(copy)))
    for p in copy.glob('*.tar'): repacked(p, lambda n, d: [('../../../'+n if 'json' in n else '../../../'+n, d)])
    before = sorted(tmp_path.rglob('*'))
    assert sorted(map(told, Shards(copy))) == want and sorted(tmp_path.rglob('*')) == before
    for p in copy.glob('*.tar'): repacked(p, lambda n, d: [('é'*200+n, d), ])       # long names, as pax headers
    assert sorted(map(told, Shards(copy))) == want

def test_truncated_and_overwritten_shards(copy):
    p = copy/'train-00001.tar'
    data, rng = p.read_bytes(), np.random.default_rng(0)
    for n in (0, 1, 511, 512, 513, 5000, len(data)//2, len(data)-11000):
        p.write_bytes(data[:n])
        assert 'train-00001.tar' in line(copy)
    for k in range(24):
        bad = bytearray(data)
        where = rng.integers(0, len(bad), 40) if k % 2 else rng.integers(0, 512, 4)+512*rng.integers(len(bad)//512)
        for at in where: bad[at] = rng.integers(256)
        p.write_bytes(bad)
        line(copy)                                     # a line or nothing, but no other error

def test_a_tar_whose_member_points_back(copy):
    p = copy/'train-00001.tar'
    data = bytearray(p.read_bytes())
    data[124:136] = b'\xff'*8+(-1024).to_bytes(4, 'big', signed=True)      # a negative size in base 256
    data[148:156] = b' '*8
    data[148:156] = b'%06o\0 ' % sum(data[:512])
    p.write_bytes(data)
    assert 'train-00001.tar' in line(copy)

CARDS = dict(text=b'hello', binary=bytes(range(256)), a_list=b'[]', empty=b'{}', deep=b'['*99999)
LIES = dict(
    up={'../../etc/x-00000.tar': 3}, absolute={'/etc/x-00000.tar': 3}, negative={'train-00000.tar': -3},
    many={'train-00000.tar': 10**15}, words={'train-00000.tar': 'all'}, nothing={},
    short={'train-00001.tar': 2}, gone={'train-00077.tar': 8})

@pytest.mark.parametrize('case', [*CARDS, *LIES, 'version', 'size', 'missing'])
def test_hostile_cards(copy, case):
    p = copy/'dataset.json'
    card = json.loads(p.read_text())
    if case in LIES: card['shards'] = LIES[case]
    if case == 'version': card['format'] = 2
    if case == 'size': card['settings']['size'] = 1e9
    p.write_bytes(CARDS.get(case, json.dumps(card).encode()))
    if case == 'missing': p.unlink()
    said = line(copy)
    assert said and ('dataset.json' in said or 'is damaged' in said or 'is missing' in said or 'no clips' in said)

TABLES = dict(
    esc_columns='filename,fold,target,category,src_file\n1.wav,1\n',
    esc_none='filename,fold,target,category,src_file\nno.wav,1,10,rain,7\n',
    audioset='# YTID\nabc, 1, 2\n',
    audioset_number='# YTID\nabc, x, 2, "rain"\n',
    vgg='abc,30,raining,train\nabc\n',
    vgg_number='abc,30,raining,train\nabd,soon,raining,train\n',
    own='file,class\nx.wav\n',
    nul='file,class\n\0\n')

@pytest.mark.parametrize('case', TABLES)
def test_bad_tables_of_sounds(tmp_path, case):
    (tmp_path/'table.csv').write_text(TABLES[case])
    with pytest.raises(core.SgsvgError) as e: Recordings(tmp_path, 'table.csv')
    assert '\n' not in str(e.value)

def test_names_lead_to_known_classes(tmp_path):
    (tmp_path/'labels.csv').write_text('file,class\n')
    with pytest.raises(core.SgsvgError, match='unknown class'): Recordings(tmp_path, names={'dog': 'barking'})
    assert all(c in CLASSES for c in landscapes.ALIKE.values())

def test_memory_of_recordings_has_an_end(tmp_path, monkeypatch):
    from media import tone, write_sound
    for i in range(3): write_sound(tmp_path/f'{i}.wav', tone(1), 22050)
    (tmp_path/'labels.csv').write_text('file,class\n'+''.join(f'{i}.wav,raining\n' for i in range(3)))
    monkeypatch.setattr(recordings, '_KEPT', 2*4*22050)
    r = Recordings(tmp_path)
    assert [r[i][0].shape[1] for i in (0, 1, 2, 2, 0)] == [22050]*5 and sorted(r._waves) == [0, 1]

# a training that streams shards, killed and started again
def stage_of(folder, seen, workers):
    from sgsvg.train import Stage
    class Counting(Stage):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            net = torch.nn.Linear(3, 1)
            self.nets, self.opts = dict(net=net), dict(net=torch.optim.Adam(net.parameters()))
            self.extra = dict(epoch=0, given=0)
            self.shards, self.flow = Shards(folder, seed=1, **SMALL), None
        def batches(self):
            self.shards.epoch, self.shards.given = int(self.extra['epoch']), int(self.extra['given'])
            while True: yield from self.shards.batches(5, workers)
        def batch(self, step, generator):
            self.flow = self.flow or self.batches()
            b = next(self.flow)
            self.extra.update(epoch=self.shards.epoch, given=self.shards.given)
            seen.append((step, *bytes_of([b])))
            return b
        def step(self, batch):
            told = self.nets['net'](batch['frames'].mean((1, 3, 4))+torch.rand(3))
            loss = (told-batch['e'].mean(1, keepdim=True)).square().mean()
            self.opts['net'].zero_grad()
            self.backward(loss)
            self.opts['net'].step()
            return dict(loss=loss)
    return Counting()

@pytest.mark.parametrize('workers', [0, 1])
def test_training_goes_on_in_the_middle_of_an_epoch(many, tmp_path, workers):
    from sgsvg.train import fit
    runs = {}
    for name, stops in (('whole', [23]), ('broken', [3, 11, 23])):
        seen = []
        for stop in stops:
            stage = stage_of(many, seen, workers)
            fit(stage, Run(tmp_path, name, {}), stop, save_every=10**6, sample_every=10**6, device='cpu')
            stage.flow.close()       # its workers hold the run's lock as long as they live
        runs[name] = seen, {k: v.clone() for k, v in stage.nets['net'].state_dict().items()}
    assert runs['whole'][0] == runs['broken'][0] and stage.extra['epoch'] > 0 and stage.extra['given'] > 0
    assert all(torch.equal(v, runs['broken'][1][k]) for k, v in runs['whole'][1].items())

@pytest.mark.parametrize('own', [False, True])
def test_the_walkthrough(many, tmp_path, own):
    "Tiny, on the phone that it imitates and on somebody's folder."
    import papermill as pm
    from repo import NBS
    given = dict(footage=str(many.parent/'own')) if own else {}
    pm.execute_notebook(
        str(NBS/'walkthroughs'/'your_own_footage.ipynb'), str(tmp_path/'out.ipynb'),
        dict(tiny=True, root=str(tmp_path), **given),
        kernel_name='python3', cwd=str(tmp_path), progress_bar=False, execution_timeout=500)

@pytest.mark.parametrize('world', [2, 3, 5])
def test_every_rank_gets_equally_many_batches(many, world):
    "Else one of them would wait for ever. The next epoch begins where it should."
    ranks = [Shards(many, seed=1, rank=r, world=world, **SMALL) for r in range(world)]
    for epoch in (1, 2):
        assert {sum(1 for _ in s.batches(4)) for s in ranks} == {len(ranks[0])//world//4}
        assert {(s.epoch, s.given) for s in ranks} == {(epoch, 0)}
