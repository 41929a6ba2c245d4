"""Footage as it comes, good, odd and hostile: every clip a row in the report, the good ones in shards,
the same bytes whoever builds them."""
import csv, hashlib, io, json, os, signal, subprocess, sys, tarfile, time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av, numpy as np, pytest
from PIL import Image

from films import barred, beeps, claiming, corners, drift, film, flash, rain, still, two_scenes
from sgsvg import checks, cli, dataset, media, shards
from sgsvg import report as report_room
from sgsvg.report import PUT_RIGHT
from sgsvg.core import SgsvgError

SECONDS, FPS, SIZE = 4., 20, 64
PHONE = (np.arange(6)[:,None]+[0, .04, .1, .133, .21, .3, .34, .45, .5, .58, .64, .7, .77, .83, .9, .95]).ravel()
X265 = {'x265-params': 'log-level=none'}
TEN = dict(codec='libx265', pix_fmt='yuv420p10le', **X265)   # of ten bits

# flash-and-beep films in every container, codec and rate
GOOD = dict(
    h24=('.mp4', dict(fps=24)), h25=('.mp4', dict(fps=25)), h2997=('.mp4', dict(fps=29.97)),
    h30=('.mp4', dict(fps=30)), h60=('.mp4', dict(fps=60)), hevc=('.mp4', dict(codec='libx265', **X265)),
    phone=('.mp4', dict(fps=30, times=PHONE)), phone_mkv=('.mkv', dict(fps=30, times=PHONE)),
    mkv=('.mkv', {}), mkv_aac=('.mkv', dict(sound_codec='aac', sr=48000)),
    vp8=('.webm', dict(sr=48000, deadline='realtime')),
    vp9=('.webm', dict(codec='libvpx-vp9', sr=48000, deadline='realtime')),
    av1=('.webm', dict(codec='libsvtav1', sr=48000, preset=10)),
    prores=('.mov', dict(codec='prores_ks')), mjpeg=('.avi', {}), mpeg4=('.avi', dict(codec='mpeg4')),
    ts=('.ts', {}), m2ts=('.m2ts', {}), mpeg2=('.mpg', dict(sr=48000)),
    flv1=('.flv', {}), flv=('.flv', dict(codec='libx264', sound_codec='aac')), three=('.3gp', {}),
    mxf=('.mxf', dict(codec='mpeg2video', sound_codec='pcm_s16le', sr=48000)),
    low=('.mp4', dict(sr=8000)), high=('.mkv', dict(sr=96000)), wrong_name=('.mp4', dict(format='matroska')),
    laced=('.mp4', dict(interlaced=True, **{'x264-params': 'tff=1'})),
)
# longest time that a picture of the file stands, where it is more than 1/25
SLOW_RATE = {'h24': 1/24, 'phone': .12, 'phone_mkv': .12}

def loud(seconds, sr, seed): return (8*rain(seconds, sr, seed)).clip(-1, 1)

def hush(seconds, sr, seed): return 0*rain(seconds, sr, seed)

def blank(t, w, h, seed): return np.full((h, w, 3), 99, 'uint8')

# (what to make, what the report must say, what was put right)
BAD = dict(
    mute=(dict(sound=None), 'no sound', ''), hush=(dict(sound=hush), 'silent', ''),
    loud=(dict(sound=loud), 'clipped', ''), slide=(dict(picture=still), 'still', ''),
    blank=(dict(picture=blank), 'constant', ''), cut=(dict(picture=two_scenes), 'scene cut', ''),
    brief=(dict(seconds=3), 'too short', ''),
    hushed=(dict(sound=lambda s, sr, k: rain(2, sr, k)), 'lengths differ', 'lengths: 5.0 s of picture, 2.0 s of sound'),
    one_frame=(dict(times=[0.]), 'too short', 'lengths: 0.0 s of picture, 5.0 s of sound'),
)
ODD = dict(
    bars=(dict(picture=barred), 'bars: cropped to 112x40+0+12'),
    upright=(dict(picture=corners, rotation=90), 'turned: '),
    overhead=(dict(picture=corners, rotation=180), 'turned: 180'),
    ten=(TEN, 'bits: 10'), pq=(TEN | dict(colours=(16, 9, 9)), 'HDR: PQ; bits: 10'),
    hlg=(TEN | dict(colours=(18, 9, 9)), 'HDR: HLG; bits: 10'),
    combed=(dict(interlaced=True, **{'x264-params': 'tff=1'}), 'interlaced'),
    uneven=(dict(times=PHONE[PHONE < 5]), 'uneven rate'),
    longer=(dict(sound=lambda s, sr, k: rain(7, sr, k)), 'lengths: 5.0 s of picture, 7.0 s of sound'),
)

def hostile(d):
    "Files that are no films, or lie: name -> what the report must say."
    whole = film(d/'whole.mp4', seed=90)
    data = whole.read_bytes()
    (d/'cut_short.mp4').write_bytes(data[:len(data)//2])
    with av.open(str(whole)) as a, av.open(str(d/'cut_later.mp4'), 'w', options=dict(movflags='+faststart')) as b:
        to = {s.index: b.add_stream_from_template(s) for s in a.streams}
        for p in a.demux():
            if p.dts is None: continue
            p.stream = to[p.stream.index]
            b.mux(p)
    for n, part in (('cut_later.mp4', .5), ('cut_too.mkv', .5), ('cut_too.ts', .5)):
        f = d/n if (d/n).exists() else film(d/n, seed=90)
        f.write_bytes(f.read_bytes()[:int(f.stat().st_size*part)])
    whole.unlink()
    (d/'nothing.mp4').touch()
    (d/'diary.mp4').write_text('Dear diary, it rained.\n'*99)
    (d/'zeros.mkv').write_bytes(bytes(99_999))
    (d/'noise.webm').write_bytes(np.random.default_rng(0).bytes(99_999))
    (d/'list.ts').write_text('#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n')
    os.mkfifo(d/'pipe.mp4')
    claiming(d/'long.avi', 100_000, 1)
    claiming(d/'huge.avi', 9000, 9000)
    with av.open(str(d/'tune.mp4'), 'w') as c:
        a = c.add_stream('aac', rate=44100, layout='mono')
        f = av.AudioFrame.from_ndarray(rain(5, 44100), 'fltp', 'mono')
        f.sample_rate, f.pts = 44100, 0
        for x in (f, None): c.mux(a.encode(x))
    unreadable = dict.fromkeys('cut_short nothing diary zeros noise list pipe'.split(), 'unreadable')
    return unreadable | dict(cut_later='too short', cut_too='too short', long='size', huge='size', tune='no picture')

def report(out): return list(csv.DictReader(open(Path(out)/'report.csv', newline='', encoding='utf-8')))

def files(out): return {p.name: p.read_bytes() for p in sorted(Path(out).iterdir()) if p.is_file()}

def manifest(path, rows, head='ytid,start_time,class,set'):
    with open(path, 'w', newline='') as f: csv.writer(f).writerows([head.split(','), *rows])
    return path

def clips(out):
    "Every clip of a built set: key -> (facts, mp4, flac)"
    card = json.loads((Path(out)/'dataset.json').read_text())
    found = [s for name in card['shards'] for s in shards.read_shard(Path(out)/name)]
    return {json.loads(s['json'])['source']: (json.loads(s['json']), s['mp4'], s['flac']) for s in found}

def pictures(mp4):
    with av.open(io.BytesIO(mp4)) as c: return [(f.time, f.to_ndarray(format='rgb24')) for f in c.decode(video=0)]

def wave(flac):
    with av.open(io.BytesIO(flac)) as c:
        first = [f.to_ndarray().reshape(-1, f.layout.nb_channels)[:,0] for f in c.decode(audio=0)]
    return np.concatenate(first).astype(float)/32768

@pytest.fixture(scope='module')
def footage(tmp_path_factory):
    "Everything in one folder, its manifest, and the set made of it."
    d = tmp_path_factory.mktemp('footage')
    (d/'videos').mkdir()
    rows, want = [], {}
    for i, (n, (ending, kw)) in enumerate(GOOD.items()):
        film(d/'videos'/(n+ending), 6, picture=flash, sound=beeps, seed=i, **kw)
        rows.append((n, 1.37, 'thunder', 'train'))
    for i, (n, (kw, why, _)) in enumerate(BAD.items()):
        film(d/'videos'/f'{n}.mp4', **(dict(seconds=5, seed=100+i) | kw))
        rows.append((n, 0, 'raining', 'train'))
        want[n] = why
    for i, (n, (kw, _)) in enumerate(ODD.items()):
        film(d/'videos'/f'{n}.mp4', **(dict(seconds=5, seed=120+i) | kw))
        rows.append((n, 0, 'wind noise', 'test'))
    want |= hostile(d/'videos')
    rows += [(n, 0, 'raining', 'train') for n in sorted(want.keys()-BAD.keys())]
    # the same film without bars, of another size and codecs
    film(d/'videos'/'bars_again.mkv', 5, size=(224, 80), seed=120, codec='libx265', **X265)
    rows += [
        ('bars_again', 0, 'wind noise', 'train'), ('h25', 2, 'thunder', 'train'), ('h25', 1.37, 'raining', 'test'),
        ('gone4ever00', 0, 'raining', 'train'), ('', 3, 'raining', 'train'), ('mkv', 'soon', 'raining', 'train')]
    m = manifest(d/'list.csv', rows)
    t = time.perf_counter()
    card = dataset.build(m, d/'videos', d/'out', SECONDS, FPS, SIZE, workers=2, limit=30)
    print(f'{len(rows)} clips in {time.perf_counter()-t:.1f} s')
    return d, card, want, clips(d/'out')

def test_every_row_has_its_reason(footage):
    d, card, want, _ = footage
    rows = report(d/'out')
    why = {}
    for r in rows: why.setdefault(r['source'], []).append(r['reason'])
    assert {n: why[n][0].split(':')[0] for n in want} == want
    assert {n: why[n][0] for n in (*GOOD, *ODD)} == dict.fromkeys((*GOOD, *ODD), '')
    assert why['bars_again'] == ['duplicate: of bars_000000000'] and why['h25'][1:] == ['duplicate: of h25_000001370']*2
    assert why['gone4ever00'] == ['missing'] and why[''] == ['bad row: line 63 has no source']
    assert why['mkv'][1] == "bad row: line 64 begins at 'soon'"
    assert all(r['reason'].split(':')[0] in checks.REASONS for r in rows if r['kept'] == 'no')
    assert [r['kept'] for r in rows].count('yes') == card['clips'] == len(GOOD)+len(ODD)
    assert Counter(r['reason'].split(':')[0] for r in rows if r['reason']) == card['left_out']

def test_what_was_put_right_is_told(footage):
    d, card, _, _ = footage
    told = {r['source']: r['put right'] for r in report(d/'out')[::-1]}
    for n, (_, words) in ODD.items(): assert words in told[n], n
    for n, (_, _, words) in BAD.items(): assert told[n] == words, n
    mended = Counter(x.split(':')[0] for r in report(d/'out') for x in r['put right'].split('; ') if x)
    assert mended == card['put_right'] and set(card['put_right']) == set(PUT_RIGHT)
    assert 'bits' not in told['h25'] and 'uneven' not in told['h2997'] and 'uneven' in told['phone']

def test_card_and_splits(footage):
    d, card, _, _ = footage
    saved = json.loads((d/'out'/'dataset.json').read_text())
    assert {'clips', 'sources', 'hours', 'classes', 'splits', 'sha256', 'shards', 'settings'} <= saved.keys()
    assert sum(saved['shards'].values()) == saved['clips'] == sum(saved['classes'].values())
    assert sum(s['clips'] for s in saved['splits'].values()) == saved['clips']
    assert {n: hashlib.sha256((d/'out'/n).read_bytes()).hexdigest() for n in saved['shards']} == saved['sha256']
    assert card['moved'] == ['h25']
    splits = {r['source']: set() for r in report(d/'out')}
    for r in report(d/'out'): splits[r['source']].add(r['split'])
    assert all(len(s) == 1 for s in splits.values())
    assert splits['h25'] == splits['bars_again'] == splits['bars'] == {'test'}

@pytest.mark.parametrize('name', GOOD)
def test_flash_and_beep_stay_together(name, footage):
    about, mp4, flac = footage[3][name]
    x = pictures(mp4)
    light = np.array([p.mean() for _, p in x]) > 140
    y = wave(flac)
    assert [round(t*FPS) for t, _ in x] == list(range(round(SECONDS*FPS)))
    assert len(y) == about['samples'] == round(SECONDS*about['sr'])
    flashes = np.flatnonzero(light & ~np.r_[True, light[:-1]])/FPS+1.37
    loud = np.flatnonzero(np.abs(y) > .12)
    beep = loud[np.diff(loud, prepend=-about['sr']) > about['sr']/4]/about['sr']+1.37
    assert flashes.round().tolist() == [2, 3, 4, 5] == beep.round().tolist()
    assert np.abs(beep-beep.round()).max() < .006
    # the first picture made for a moment at or after the second, shown at the next of our moments
    assert (flashes-flashes.round()).max() < SLOW_RATE.get(name, 1/25)+1/FPS and (flashes-flashes.round()).min() > -.002

def test_pictures_are_upright_and_bright(footage):
    colours = (4, 4, (220, 30, 30)), (4, 50, (30, 200, 30)), (50, 4, (40, 40, 220))
    patch = lambda p: [int(np.abs(p[a:a+9,b:b+9].reshape(-1, 3).mean(0)-c).sum()) for a, b, c in colours]
    of = {n: pictures(footage[3][n][1])[5][1] for n in ODD}
    assert max(patch(of['overhead'][::-1,::-1])) < 60 and min(patch(of['overhead'])) > 100
    turns = footage[3]['upright'][0]['checks']['rotation']//90
    assert max(patch(np.rot90(of['upright'], -turns))) < 60
    assert of['bars'][:2].max() > 60                                     # no black left
    for n in ('pq', 'hlg'): assert of[n].std() > 20                       # something to be seen
    teeth = lambda g: np.abs(g[1:-1].astype(float)-(g[:-2].astype(float)+g[2:])/2).mean()
    combed, whole = (max(teeth(p.mean(2)) for _, p in pictures(footage[3][n][1])) for n in ('combed', 'ten'))
    assert combed < 2*whole

def test_shards_are_what_webdataset_reads(footage):
    d, card, _, _ = footage
    for name in card['shards']:
        with tarfile.open(d/'out'/name) as tar: members = tar.getmembers()
        assert all((m.mtime, m.uid, m.gid, m.mode, m.isfile()) == (0, 0, 0, 0o644, True) for m in members)
        keys = [m.name.rpartition('.')[0] for m in members]
        assert keys == [k for k in dict.fromkeys(keys) for _ in range(3)]
        assert {m.name.rpartition('.')[2] for m in members} == {'flac', 'json', 'mp4'}
        assert all(c.isalnum() or c in '-_' for k in keys for c in k)

def test_the_page_is_whole_and_safe(footage, tmp_path):
    d, card, _, _ = footage
    page = (d/'out'/'report.html').read_text()
    assert page.count('<figure>') >= card['asked_for'] and 'data:image/jpeg' in page and 'Subtitles' in page
    evil = '<script>alert(1)</script>'
    rows = [(evil, 0, evil, evil), ('../../etc/passwd', 0, '"\'&', 'train'), ('=1+1', 0, 'a\nb', '')]
    m = manifest(tmp_path/'m.csv', rows)
    dataset.build(m, d/'videos', tmp_path/'out', SECONDS)
    assert '<script' not in (tmp_path/'out'/'report.html').read_text()
    assert [r['source'] for r in report(tmp_path/'out')] == [evil, '../../etc/passwd', '=1+1']

def test_shapes_of_pixels_and_late_pictures(tmp_path):
    def stripe(t, w, h, seed):
        x = np.arange(w)
        lit = (abs(x-w/2) < w/6) & (x % 8 != int(t*9) % 8)
        return np.full((h, w, 3), 235, 'uint8')*lit[None,:,None]
    f = film(tmp_path/'wide.mp4', 3, size=(96, 64), picture=stripe, shape=Fraction(2))   # as 192 x 64: the middle third
    _, found, wrong, x = checks.look(f, 0, 2, 10, 64, lambda fr: [checks.luma(o).mean() for o in fr])
    assert wrong == [] and min(x) > 180 and found['width'] == 96
    # sound that leads begins the film; clips of a folder begin with the picture
    f = film(tmp_path/'late.mp4', 5, times=np.arange(.52, 5, .04), picture=flash, sound=beeps)
    assert [str(d) for d in checks.look(f, 0, 4, 50, 64)[2]] == ['too short: the picture begins at 0.5 s']
    lead = checks.file_facts(f)['lead']
    w, _, wrong, x = checks.look(f, lead, 4, 50, 64, lambda fr: [checks.luma(o).mean() for o in fr])
    light, y = np.array(x) > 140, np.abs(w.track.wave[:,0]/32768) > .12
    assert wrong == []
    assert np.flatnonzero(light & ~np.r_[True, light[:-1]])[0]/50 == pytest.approx(.48, abs=.02)
    assert np.flatnonzero(y)[0]/w.track.sr == pytest.approx(.48, abs=.006)

def test_names_that_are_no_text(tmp_path):
    (tmp_path/'own'/'raining').mkdir(parents=True)
    f = film(tmp_path/'f.mp4', 2.5, seed=70, size=(64, 48))
    for n in (b'caf\xe9.mp4', '\u96e8 \u2602.mp4'.encode(), b'new\nline.mp4', b'-o.mp4', b'x'*200+b'.mp4'):
        os.link(f, os.fsencode(tmp_path/'own'/'raining')+b'/'+n)
    card = dataset.build(tmp_path/'own', None, tmp_path/'out', seconds=2, fps=10, size=32)
    assert (card['asked_for'], card['clips'], card['left_out']) == (5, 1, {'duplicate': 4})

SMALL = dict(seconds=3., fps=10, size=32)

@pytest.fixture(scope='module')
def small(tmp_path_factory):
    "Fourteen films in two classes, and what a build of them ends with."
    d = tmp_path_factory.mktemp('small')
    for i in range(14):
        to = d/'own'/('raining', 'wind_noise')[i % 2]
        to.mkdir(parents=True, exist_ok=True)
        film(to/f'{i}.mp4', 7, seed=i, size=(64, 48), picture=two_scenes if i == 5 else drift)
    card = dataset.build(d/'own', None, d/'out', **SMALL, cuts='split', workers=1, per_shard=8)
    return d/'own', card, files(d/'out')

def test_two_workers_make_the_bytes_of_one(small, tmp_path):
    own, card, want = small
    assert card['looked'] == 14+28+1 and len(card['shards']) > 2
    again = dataset.build(own, None, tmp_path/'out', **SMALL, cuts='split', workers=2, per_shard=8)
    assert again['looked'] == card['looked']
    assert files(tmp_path/'out') == want

def test_a_piece_is_read_once_for_its_facts_and_once_for_its_film(small, tmp_path, monkeypatch):
    own, _, want = small
    real, read = shards.read_piece, Counter()
    def counting(piece, *names):
        read[names, piece] += 1
        return real(piece, *names)
    for room in (shards, dataset, report_room): monkeypatch.setattr(room, 'read_piece', counting)
    card = dataset.build(own, None, tmp_path/'out', **SMALL, cuts='split', per_shard=8)
    assert files(tmp_path/'out') == want
    pieces, films = card['looked'], card['clips']
    assert Counter(names for names, _ in read) == {('json',): pieces, ('mp4', 'flac'): films, ('jpg',): pieces-14}
    assert set(read.values()) == {1}

def test_a_file_is_opened_once_for_its_facts_and_once_for_a_clip(tmp_path, monkeypatch):
    "Also where its header tells no length, neither of the picture nor of the sound."
    film(tmp_path/'a.webm', 5, sr=48000, deadline='realtime')
    with av.open(str(tmp_path/'a.webm')) as a, av.open(str(tmp_path/'live.webm'), 'w', options=dict(live='1')) as b:
        to = {s.index: b.add_stream_from_template(s) for s in a.streams}
        for p in a.demux():
            if p.dts is None: continue
            p.stream = to[p.stream.index]
            b.mux(p)
    real, opened = media.opened, []
    monkeypatch.setattr(media, 'opened', lambda path: opened.append(path) or real(path))
    found = checks.file_facts(tmp_path/'live.webm')
    assert [found['seconds'], found['sound_seconds']] == pytest.approx([5, 5], abs=.1) and len(opened) == 1
    _, found, wrong, _ = checks.look(tmp_path/'live.webm', 1, 3, 10, 32)
    assert (found['seconds'], wrong) == (None, []) and len(opened) == 2

def test_parts_between_cuts(small):
    own, _, _ = small
    rows = [r for r in report(own.parent/'out') if r['source'] == 'wind_noise/5.mp4']
    told = [(r['start'], r['kept'], r['reason'][:9]) for r in rows]
    assert told == [('0', 'no', 'scene cut'), ('0', 'yes', ''), ('3', 'yes', '')]

def test_a_new_file_is_the_only_work(small, tmp_path):
    own, _, want = small
    extra = own/'raining'/'new.mp4'
    dataset.build(own, None, tmp_path/'out', **SMALL, cuts='split', per_shard=8)
    made = {p: p.stat().st_mtime_ns for p in (tmp_path/'out').rglob('*.tar')}
    try:
        film(extra, 7, seed=50, size=(64, 48))
        assert dataset.build(own, None, tmp_path/'out', **SMALL, cuts='split', per_shard=8)['looked'] == 1+2
        touched = [p for p, t in made.items() if p.stat().st_mtime_ns != t]
        assert all(p.parent == tmp_path/'out' for p in touched) and len(touched) <= 2     # its shards, and no piece
        dataset.build(own, None, tmp_path/'fresh', **SMALL, cuts='split', per_shard=8)
        assert files(tmp_path/'out') == files(tmp_path/'fresh')
    finally: extra.unlink()
    dataset.build(own, None, tmp_path/'out', **SMALL, cuts='split', per_shard=8)          # and gone again
    assert files(tmp_path/'out') == want

def started(own, out):
    call = f'build({str(own)!r}, None, {str(out)!r}, 3., 10, 32, "split", workers=2, per_shard=8)'
    code = f'from sgsvg.dataset import build; {call}'
    return subprocess.Popen([sys.executable, '-c', code], stderr=subprocess.PIPE)

def children(pid): return [int(c) for c in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]

def gone(pid):
    try: return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z'
    except OSError: return True

def test_killed_and_started_again(small, tmp_path):
    own, _, want = small
    orphans = []
    for n in (1, 20, 33):
        p = started(own, tmp_path/'out')
        while len(list((tmp_path/'out').rglob('.work/*/*.tar'))) < n and p.poll() is None: time.sleep(.005)
        orphans += children(p.pid) if p.poll() is None else []
        p.kill()
        p.communicate()
    for left in (tmp_path/'out'/'.test-00000.0123.tmp.tar', tmp_path/'out'/'.work'/'aa'/'.x.0123.tmp.tar'):
        left.parent.mkdir(exist_ok=True)
        left.write_text('half')
    assert dataset.build(own, None, tmp_path/'out', **SMALL, cuts='split', per_shard=8)['looked'] < 43
    assert files(tmp_path/'out') == want and not list(tmp_path.rglob('*.tmp*'))
    end = time.monotonic()+20
    while not all(map(gone, orphans)) and time.monotonic() < end: time.sleep(.1)
    assert orphans and all(map(gone, orphans)), 'a worker outlives its parent'

def test_killed_while_packing(small, tmp_path, monkeypatch):
    own, _, want = small
    real, calls = shards._sample_of, []
    def dies(*args):
        calls.append(args)
        if len(calls) == 12: raise KeyboardInterrupt
        return real(*args)
    monkeypatch.setattr(shards, '_sample_of', dies)
    with pytest.raises(KeyboardInterrupt): dataset.build(own, None, tmp_path/'out', **SMALL, cuts='split', per_shard=8)
    assert not (tmp_path/'out'/'dataset.json').exists()
    monkeypatch.undo()
    assert dataset.build(own, None, tmp_path/'out', **SMALL, cuts='split', per_shard=8)['looked'] == 0
    assert files(tmp_path/'out') == want

def test_slow_and_deadly_files_are_rows_and_tried_again(small, tmp_path, monkeypatch):
    own, card, want = small
    real = dataset.make_piece
    def work(job):
        if job[3] and job[4] and 'raining/0' in job[1]: time.sleep(60)
        if job[4] and 'raining/2.' in job[1]: os.kill(os.getpid(), signal.SIGKILL)
        if job[4] and 'raining/4' in job[1]: raise ZeroDivisionError('in the decoder')
        return real(job)
    monkeypatch.setattr(dataset, 'make_piece', work)
    t = time.perf_counter()
    dataset.build(own, None, tmp_path/'out', **SMALL, cuts='split', workers=2, limit=2, per_shard=8)
    assert time.perf_counter()-t < 30
    why = {(r['source'], r['start']): r['reason'] for r in report(tmp_path/'out')}
    assert why['raining/0.mp4', '0'] == why['raining/0.mp4', '3'] == 'time limit: more than 2 s'
    assert why['raining/2.mp4', '0'] == 'crash: exit -9'
    assert why['raining/4.mp4', '0'] == 'unreadable: ZeroDivisionError: in the decoder'
    monkeypatch.undo()
    assert dataset.build(own, None, tmp_path/'out', **SMALL, cuts='split', per_shard=8)['looked'] == 6
    assert files(tmp_path/'out') == want

def test_damaged_anywhere(small, tmp_path):
    "Bytes of small films overwritten here and there: rows, never an end of the work."
    own, _, _ = small
    rng = np.random.default_rng(0)
    (tmp_path/'v').mkdir()
    more = {'.webm': dict(sr=48000, deadline='realtime'), '.mpg': dict(sr=48000)}
    endings = '.mp4 .mkv .avi .ts .webm .mpg .flv'.split()
    kinds = [film(tmp_path/f'a{e}', 3.5, seed=60, size=(64, 48), **more.get(e, {})) for e in endings]
    rows = []
    for k in range(42):
        f = kinds[k % len(kinds)]
        data = bytearray(f.read_bytes())
        for at in rng.integers(0, len(data) if k % 3 else 2000, 1+k): data[at] = rng.integers(256)
        (tmp_path/'v'/f'{k}{f.suffix}').write_bytes(data)
        rows.append((k, 0, 'raining', 'train'))
    card = dataset.build(manifest(tmp_path/'m.csv', rows), tmp_path/'v', tmp_path/'out', **SMALL, workers=2, limit=30)
    assert len(report(tmp_path/'out')) == 42 and not {'crash', 'time limit'} & card['left_out'].keys()

def test_long_footage_is_not_decoded_from_its_beginning(tmp_path):
    for ending, kw in (('.mp4', {}), ('.mkv', {}), ('.ts', {}), ('.webm', dict(sr=48000, deadline='realtime'))):
        f = film(tmp_path/f'long{ending}', 90, 10, (64, 48), **(kw | dict(g=30)))
        seen = 0
        class Counted(checks.Stretch):
            def _decoded(self, *args):
                nonlocal seen
                for x in super()._decoded(*args):
                    seen += 1
                    yield x
        w = Counted(f, 71.4, 10, 10, 32)
        assert len(list(w.frames())) == 100 and w.track.have == 10*w.track.sr
        assert seen <= (300 if ending == '.ts' else 150), ending     # of 900; a transport stream has no index

def test_memory_does_not_grow_with_the_list(tmp_path):
    (tmp_path/'v').mkdir()
    code = ('import sys, resource; from sgsvg.dataset import build; build(*sys.argv[1:], media=False); '
            'print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)')
    rss = []
    for n in (200, 40_000):
        m = manifest(tmp_path/f'{n}.csv', [(f'id{i:09d}', i % 300, 'raining', 'train') for i in range(n)])
        run = [sys.executable, '-c', code, m, tmp_path/'v', tmp_path/f'o{n}']
        rss.append(int(subprocess.run(run, capture_output=True, check=True, text=True).stdout))
    assert (rss[1]-rss[0])*1024/40_000 < 1500, rss     # bytes a clip

PUBLIC = Path(__file__).resolve().parents[2]/'shared'/'data'/'landscape.csv'

@pytest.mark.skipif(not PUBLIC.exists(), reason='the public list is not here')
def test_the_public_list(tmp_path):
    (tmp_path/'v').mkdir()
    card = dataset.build(PUBLIC, tmp_path/'v', tmp_path/'out', media=False)
    assert (card['asked_for'], card['left_out']) == (1178, {'missing': 1178})
    assert card['moved'] == ['Xn8tufsbSz0', 'bn9F19Hi1Lk', 'kg3ElG-H7Wo']
    rows = report(tmp_path/'out')
    assert {r['split'] for r in rows if r['source'] in card['moved']} == {'test'}
    assert [r['put right'] for r in rows if r['put right']] == ['moved: from train, its source is in test']*3
    # one id of the list, n4DEfAKk0&t, is none of YouTube's
    assert len((tmp_path/'out'/'missing.txt').read_text().split()) == len({r['source'] for r in rows})-1
    assert card['download'].startswith('yt-dlp -a ')

def call(capsys, *argv):
    status = cli.main([str(a) for a in argv])
    return status, *capsys.readouterr()

def test_commands(small, tmp_path, capsys):
    own, card, want = small
    options = '--seconds 3 --fps 10 --size 32 --cuts split --workers 2'.split()
    status, out, err = call(capsys, 'data', 'build', own, tmp_path/'out', *options)
    assert (status, err) == (0, '') and f'{card["clips"]} of {card["asked_for"]} clips are good' in out
    assert call(capsys, 'data', 'show', tmp_path/'out')[0] == 0
    assert min(Image.open(tmp_path/'out'/'sheet.png').size) > 200
    status, out, err = call(capsys, 'data', 'check', own, '-o', tmp_path/'check', *options)
    assert (status, err) == (0, '') and sorted(files(tmp_path/'check')) == ['report.csv', 'report.html']
    assert files(tmp_path/'check') == {n: files(tmp_path/'out')[n] for n in ('report.csv', 'report.html')}

MANIFESTS = dict(
    empty=b'', binary=bytes(range(256))*9, other=b'id;label\nx;rain\n', one_column=b'ytid\nx\n',
    nul=b'ytid,class\nx,\0\n', quotes=b'ytid,class\n"x,rain\ny,rain\n')

@pytest.mark.parametrize('case', MANIFESTS)
def test_bad_manifests_are_a_line_or_rows(case, tmp_path, capsys):
    (tmp_path/'v').mkdir()
    (tmp_path/'m.csv').write_bytes(MANIFESTS[case])
    status, out, err = call(capsys, 'data', 'build', tmp_path/'m.csv', tmp_path/'v', tmp_path/'out')
    assert status == 1 and err.count('\n') == 1 and err.startswith('sgsvg: ') and 'unexpected' not in err

def test_unwritable(tmp_path, small, capsys):
    (tmp_path/'file').touch()
    status, _, err = call(capsys, 'data', 'build', small[0], tmp_path/'file')
    assert status == 1 and err.count('\n') == 1 and 'file' in err and 'unexpected' not in err

def test_lengths_that_no_file_has(tmp_path):
    "A tag of infinite or too many hours, and a stream whose clock leaps by a day: what is there counts."
    film(tmp_path/'a.mkv', 5)
    whole = (tmp_path/'a.mkv').read_bytes()
    assert whole.count(b'00:00:05.') >= 1
    for told in (b'inf:0:05.', b'nan:0:05.', b'99:59:05.', b'-9:00:05.'):
        (tmp_path/'b.mkv').write_bytes(whole.replace(b'00:00:05.', told))
        assert checks.file_facts(tmp_path/'b.mkv')['seconds'] == pytest.approx(5, abs=.1)
    film(tmp_path/'c.ts', 5)
    film(tmp_path/'d.ts', 5, times=[80_000+i/25 for i in range(125)], sound=None)
    (tmp_path/'e.ts').write_bytes((tmp_path/'c.ts').read_bytes()+(tmp_path/'d.ts').read_bytes())
    assert checks.file_facts(tmp_path/'e.ts')['seconds'] == pytest.approx(5, abs=.2)

def test_files_that_only_seem_the_same(tmp_path):
    """Two films of one name, size and time, of different content, are two clips; a folder that is a link counts, once;
    a built set inside is no class."""
    for i, cls in enumerate(('rain', 'fire')):
        (tmp_path/'own'/cls).mkdir(parents=True)
        film(tmp_path/'own'/cls/'a.avi', 2, size=(64, 48), seed=i, codec='rawvideo', pix_fmt='yuv420p')
    sizes = {p.stat().st_size for p in tmp_path.glob('own/*/a.avi')}
    assert len(sizes) == 1
    for p in tmp_path.glob('own/*/a.avi'): os.utime(p, (1e9, 1e9))
    (tmp_path/'apart').mkdir()
    film(tmp_path/'apart'/'b.mp4', 2, seed=2)
    (tmp_path/'own'/'wind').symlink_to(tmp_path/'apart')
    (tmp_path/'own'/'rain'/'round').symlink_to(tmp_path/'own')
    (tmp_path/'own'/'loose.txt').write_text('x')                 # a row of its own, once
    kw = dict(seconds=2, fps=10, size=32, holdout=0, workers=1)
    card = dataset.build(tmp_path/'own', None, tmp_path/'own'/'set', **kw)
    assert (card['clips'], card['asked_for'], list(card['classes'])) == (3, 4, ['fire', 'rain', 'wind'])
    again = dataset.build(tmp_path/'own', None, tmp_path/'own'/'set2', **kw)
    assert again['asked_for'] == 4 and again['sha256'] == card['sha256']
    with pytest.raises(SgsvgError, match='another folder'): dataset.build(tmp_path/'own', None, tmp_path/'own', **kw)
    for p in list(tmp_path.glob('own/set/.work/*/*.tar'))[:2]: p.write_bytes(b'')       # a disk that lost something
    assert dataset.build(tmp_path/'own', None, tmp_path/'own'/'set', **kw)['sha256'] == card['sha256']

def test_a_lowered_clipping(tmp_path):
    "What was clipped and made softer afterwards stands still at its peak."
    def harsh(seconds, sr, seed): return (4*rain(seconds, sr, seed)/np.abs(rain(seconds, sr, seed)).max()).clip(-.5, .5)
    def soft(seconds, sr, seed): return .5*rain(seconds, sr, seed)/np.abs(rain(seconds, sr, seed)).max()
    for name, sound in dict(harsh=harsh, soft=soft).items():
        film(tmp_path/f'{name}.mkv', 3, sound=sound, sound_codec='pcm_s16le')
    found = {n: [str(d) for d in checks.look(tmp_path/f'{n}.mkv', 0, 2, 10, 32)[2]] for n in ('harsh', 'soft')}
    assert found['harsh'][0].startswith('clipped') and found['soft'] == []
    for level in (.012, .1, .25, .9):
        tone = np.round(32767*level*np.sin(2*np.pi*50*np.arange(88200)/44100)).astype('int16')[:,None]
        assert checks.sound_stats(tone, 44100)['clipped'] < .01

def test_a_sound_rate_that_nothing_has(tmp_path):
    film(tmp_path/'a.mkv', 2, sr=44100, sound_codec='pcm_s16le')
    data, rate = (tmp_path/'a.mkv').read_bytes(), np.array([44100.], '>f8').tobytes()
    assert rate in data
    (tmp_path/'b.mkv').write_bytes(data.replace(rate, np.array([2e9], '>f8').tobytes()))
    with pytest.raises(checks.Defect, match='sound of'): checks.look(tmp_path/'b.mkv', 0, 2, 10, 32)
