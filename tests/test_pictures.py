"Pictures as a player shows them: orientation, time stamps, names, and the moment of each frame."
import json, struct
from fractions import Fraction
from pathlib import Path

import av, numpy as np, pytest, torch

from films import corners, film
from sgsvg import audio, video
from sgsvg.checks import Defect, file_facts, look, luma
from sgsvg.dataset import build
from sgsvg.shards import read_shard
from sgsvg.media import MediaError

SIZE = 96, 64   # width, height
EIGHT = dict(stored=(1, 0, 0, 1), clockwise=(0, 1, -1, 0), half=(-1, 0, 0, -1), counter=(0, -1, 1, 0),
             left_right=(-1, 0, 0, 1), up_down=(1, 0, 0, -1), transposed=(0, 1, 1, 0), crossed=(0, -1, -1, 0))
SHOWN = dict(stored=lambda x: x, clockwise=lambda x: np.rot90(x, -1), half=lambda x: np.rot90(x, 2), counter=np.rot90,
             left_right=lambda x: x[:,::-1], up_down=lambda x: x[::-1],
             transposed=lambda x: x.transpose(1, 0, 2), crossed=lambda x: np.rot90(x, 2).transpose(1, 0, 2))

def with_matrix(path, to, a, b, c, d):
    "A copy of an mp4 whose picture has another display matrix (the nine numbers in the header of its track)."
    data = path.read_bytes()
    at = data.index(b'tkhd')+44
    to.write_bytes(data[:at]+struct.pack('>9i', a<<16, b<<16, 0, c<<16, d<<16, 0, 0, 0, 1<<30)+data[at+36:])
    return to

def again(path, to, keep=lambda p: True, stamp=lambda t, kind: t, **options):
    "A file with the same packets, some of them left out, their times (in seconds) changed by `stamp`."
    with av.open(str(path)) as a, av.open(str(to), 'w', options=options) as b:
        out = {s.index: b.add_stream_from_template(s) for s in a.streams}
        for p in a.demux():
            if p.dts is None or not keep(p): continue
            kind, s = p.stream.type, p.stream.index
            p.pts, p.dts = (round(stamp(float(t*p.time_base), kind)/p.time_base) for t in (p.pts, p.dts))
            p.stream = out[s]
            b.mux(p)
    return to

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    d = tmp_path_factory.mktemp('pictures')
    film(d/'corners.mp4', 2, 15, SIZE, picture=corners)
    return d

@pytest.mark.parametrize('name', EIGHT)
def test_every_orientation(folder, name):
    turned = with_matrix(folder/'corners.mp4', folder/f'{name}.mp4', *EIGHT[name])
    plain = video.to_uint8(video.read(folder/'corners.mp4')[0][:1])[0].astype(int)
    seen = video.to_uint8(video.read(turned)[0][:1])[0]
    want = SHOWN[name](plain)
    assert seen.shape == want.shape and np.abs(seen-want).mean() < 2
    w, found, _, _ = look(turned, 0, 1, 15, 64)
    side = min(SIZE)
    y, x = (n-side for n in want.shape[:2])
    middle = want[y//2:y//2+side,x//2:x//2+side]
    grey = middle @ [.2126, .7152, .0722]
    assert np.corrcoef(np.array(w.small[0]).ravel(), grey.reshape(32, 2, 32, 2).mean((1, 3)).ravel())[0,1] > .99
    a, b, c, d = EIGHT[name]
    assert found['mirrored'] == (a*d < b*c)

def test_a_degenerate_matrix_turns_nothing(folder):
    flat = with_matrix(folder/'corners.mp4', folder/'flat.mp4', 0, 0, 0, 0)
    assert torch.equal(video.read(flat)[0], video.read(folder/'corners.mp4')[0])
    assert file_facts(flat)['rotation'] == 0

FORMATS = '''
    gray gray10le gray16le monow pal8 rgb24 bgra rgb48le gbrp gbrp10le rgb565le ya8 yuv410p yuv411p yuv422p yuv440p
    yuv444p yuvj444p yuva420p yuv420p10le yuv444p12le nv12 p010le uyvy422'''.split()

def in_a_palette(bright):
    "A frame of two greys, 40 and 200, whose pixels are numbers of a palette's colours."
    colours = [[255, 40, 40, 40], [255, 200, 200, 200]] + [[255, 0, 0, 0]]*254
    return av.VideoFrame.from_ndarray((bright.astype('uint8'), np.array(colours, 'uint8')), 'pal8')

@pytest.mark.parametrize('kind', FORMATS)
def test_any_pixel_format(kind):
    "Grey stays grey, bright stays bright, whatever the pixels are stored as."
    grey = np.full((48, 80, 3), 40, 'uint8')
    grey[:,40:] = 200
    f = av.VideoFrame.from_ndarray(grey, 'rgb24')
    f = in_a_palette(grey[...,0] > 99) if kind == 'pal8' else f.reformat(format=kind)
    x = video.Fit(form='rgb24')(f).to_ndarray().astype(int)
    small = video.Fit(16)(f)
    assert x.shape == (48, 80, 3) and (small.format.name, small.width, small.height) == ('yuv420p', 16, 16)
    off = 75 if kind == 'monow' else 16   # black and white dots
    assert abs(x[:,:36].mean()-40) < off and abs(x[:,44:].mean()-200) < off

def test_hdr_is_bright_in_both(tmp_path):
    "White paper, 100 candela as PQ, is bright; the naive way shows it as dark grey."
    code = lambda nits: ((.8359375+18.8515625*(y := (nits/10000)**.1593017578125))/(1+18.6875*y))**78.84375
    a = np.full((144, 96), 512, 'uint16')
    a[:96] = round(64+876*code(100))
    with av.open(str(tmp_path/'x.mkv'), 'w') as c:
        v = c.add_stream('ffv1', rate=10)
        v.width, v.height, v.pix_fmt = 96, 96, 'yuv420p10le'
        v.codec_context.color_trc, v.codec_context.color_primaries, v.codec_context.colorspace = 16, 9, 9
        for i in range(12):
            f = av.VideoFrame.from_ndarray(a, 'yuv420p10le')
            f.pts, f.time_base, f.color_trc, f.color_primaries, f.colorspace = i, Fraction(1, 10), 16, 9, 9
            c.mux(v.encode(f))
    x = video.to_uint8(video.read(tmp_path/'x.mkv', size=32)[0])
    w, found, _, _ = look(tmp_path/'x.mkv', 0, 1, 10, 32)
    assert found['hdr'] == 'PQ' and x.mean() > 110 and abs(x.mean()-(w.small[0].mean()-16)*255/219) < 6

@pytest.mark.parametrize('matrix, name', [(8, 'YCgCo'), (10, 'constant luminance'), (14, 'ICtCp')])
def test_a_matrix_that_is_not_read_is_named(tmp_path, matrix, name):
    path = tmp_path/'a.mkv'
    with av.open(str(path), 'w') as c:
        s = c.add_stream('ffv1', rate=10)
        s.width, s.height, s.pix_fmt = *SIZE, 'yuv444p'
        s.codec_context.colorspace = matrix
        for _ in range(10):
            f = av.VideoFrame.from_ndarray(np.zeros((SIZE[1], SIZE[0], 3), 'uint8'), 'rgb24').reformat(format='yuv444p')
            f.colorspace = matrix
            c.mux(s.encode(f))
        c.mux(s.encode(None))
    with pytest.raises(MediaError, match=name): video.read(path)
    with pytest.raises(Defect, match=name): look(path, 0, .5, 10, 64)


def test_pixels_that_are_not_square(tmp_path):
    "A circle in a film of wide pixels is a circle in a square."
    def disc(t, w, h, seed):
        y, x = np.mgrid[:h,:w]
        return np.where(((x-w/2)*2)**2+(y-h/2)**2 < 28**2, 230, 20).astype('uint8')[...,None].repeat(3, 2)
    film(tmp_path/'x.mp4', .4, 10, (64, 96), picture=disc, sound=None, shape=Fraction(2))
    x = video.read(tmp_path/'x.mp4', size=96)[0][1].mean(0) > 0
    high, wide = x.any(1).sum(), x.any(0).sum()
    assert abs(int(high)-int(wide)) <= 2 and 54 <= high <= 60
    assert video.read(tmp_path/'x.mp4')[0].shape[2:] == (96, 64)

def numbered(t, w, h, seed=0):
    "A grey level for each of 15 pictures a second: picture i is as bright as i."
    p = np.full((h, w, 3), 20+4*round(t*15), 'uint8')
    p[:8,:8] = 255
    return p

def numbers(path, fps=15):
    "Which pictures `read` shows."
    x = video.to_uint8(video.read(path, fps)[0]).astype(float)
    return np.round((x[:,40:,40:].mean((1, 2, 3))-20)/4).astype(int).tolist()

@pytest.fixture(scope='module')
def clock(folder):
    "Three seconds of numbered pictures, a key frame every second, B frames."
    return film(folder/'clock.mp4', 3, 15, SIZE, picture=numbered, g=15, bf=2, sc_threshold=0)

def test_containers_show_the_same(clock, folder):
    assert numbers(clock) == list(range(45))
    for name, options in {'a.mkv': {}, 'a.ts': {}, 'a.mov': {}, 'a.flv': {}}.items():
        assert numbers(again(clock, folder/name, **options)) == list(range(45)), name
    odd = {'frag.mp4': dict(movflags='frag_keyframe+empty_moov'), 'noedit.mp4': dict(use_editlist='0')}
    for name, options in odd.items():
        # without an edit list the picture begins two frames after the sound
        seen = numbers(again(clock, folder/name, **options))
        assert seen == [0]*(len(seen)-45)+list(range(45)) and len(seen) <= 47, name

def test_an_edit_list_that_starts_between_key_frames(clock, folder):
    "Packets from the key frame at 1 s, of which the first 6 pictures are cut away by an edit list."
    cut = again(clock, folder/'cut.mp4', keep=lambda p: p.dts*p.time_base >= .85, stamp=lambda t, kind: t-1.4)
    assert numbers(cut) == list(range(21, 45))
    w, found, wrong, _ = look(cut, 0, 1, 15, 64)
    assert len(w.small) == 15 and not any('too short' in str(x) for x in wrong)

@pytest.mark.parametrize('late', (-.6, .6))
def test_pictures_that_begin_before_or_after_the_sound(clock, folder, late):
    moved = again(clock, folder/f'moved{late}.mkv', stamp=lambda t, kind: t+1+late*(kind == 'video'))
    seen = numbers(moved)
    held = round(max(0, late)*15)
    assert seen == [0]*held+list(range(45))
    # in the data kit too the sound may begin the file: then the first clip has no picture
    w, _, wrong, _ = look(moved, 0, 1, 15, 64)
    if late > 0: assert [str(x) for x in wrong] == ['too short: the picture begins at 0.6 s']
    else: assert len(w.small) == 15 and abs(w.track.have/w.track.sr-.4) < .05
    lead = file_facts(moved)['lead']
    assert abs(lead-max(0, late)) < .03
    w, *_ = look(moved, lead, 1, 15, 64)
    assert len(w.small) == 15 and abs(w.track.have/w.track.sr-min(1, 1+late)) < .05

def test_a_clock_that_starts_anew(clock, folder):
    "Two broadcasts, one behind the other."
    again(clock, folder/'one.ts')
    (folder/'two.ts').write_bytes((folder/'one.ts').read_bytes()*2)
    seen = numbers(folder/'two.ts')
    assert abs(len(seen)-90) <= 1 and seen[:44] == list(range(44)) and seen[-30:] == list(range(15, 45))

def test_uneven_times_and_a_hole(folder):
    times = np.r_[np.arange(10), [14, 20], np.arange(25, 30)]/15
    film(folder/'hole.mp4', 2, 15, SIZE, picture=numbered, times=times, sound=None)
    want = [max(t for t in np.round(times*15).astype(int) if t <= i) for i in range(30)]
    assert numbers(folder/'hole.mp4') == want
    assert len(video.read(folder/'hole.mp4', 30)[0]) == 60

def test_a_hole_of_hours_is_one_line(clock, folder):
    far = again(clock, folder/'far.mkv', stamp=lambda t, kind: t+9999*(t > 2))
    with pytest.raises(MediaError, match='no picture from'): video.read(far, 15)

@pytest.mark.parametrize('ending', ('mp4', 'mkv', 'avi'))
@pytest.mark.parametrize('count', (1, 2))
def test_a_film_shorter_than_half_a_frame_is_one_frame(count, ending, tmp_path):
    path = film(tmp_path/f'a.{ending}', count/25, 25, SIZE, picture=numbered, sound=None)
    for fps in (.5, 1, 5, 12): assert video.read(path, fps)[0].shape[0] == 1
    assert numbers(path)[0] == 0 and len(video.read(path, 25)[0]) == count

def test_cut_short_is_read_as_far_as_it_goes(clock, folder):
    data = again(clock, folder/'fast.mp4', movflags='faststart').read_bytes()
    (folder/'short.mp4').write_bytes(data[:len(data)*2//3])
    seen = numbers(folder/'short.mp4')
    assert 15 < len(seen) < 45 and seen[:15] == list(range(15))

@pytest.mark.parametrize('size', (0, 1, 4, 7, 16, 2**31, 2**32-1))
def test_a_malformed_free_box(clock, folder, size):
    "Behind everything else and inside the header it does not matter; before the header, there is a line or the film."
    data, box = clock.read_bytes(), struct.pack('>I', size)+b'free'
    (folder/'behind.mp4').write_bytes(again(clock, folder/'fast.mp4', movflags='faststart').read_bytes()+box+bytes(9))
    at, moov = data.index(b'free')-4, data.index(b'moov')-4
    end = moov+struct.unpack('>I', data[moov:moov+4])[0]
    longer = struct.pack('>I', end-moov+8)
    (folder/'inside.mp4').write_bytes(data[:moov]+longer+data[moov+4:end]+box+data[end:])
    for place in ('behind', 'inside'): assert numbers(folder/f'{place}.mp4') == list(range(45)), place
    (folder/'early.mp4').write_bytes(data[:at]+box+data[at+8:])
    (folder/'before.mp4').write_bytes(data[:moov]+box+data[moov:])
    for place in ('early', 'before'):
        try: assert numbers(folder/f'{place}.mp4') == list(range(45))
        except MediaError as e: assert f'{place}.mp4' in str(e) and '\n' not in str(e)

RATES = dict(r24=24, r25=25, r29=29.97, r30=30, r60=60, uneven=None)

@pytest.mark.parametrize('name', RATES)
def test_picture_and_window_are_one_moment(tmp_path, name):
    """Flashes and beeps at odd times, shards of clips that begin anywhere:
    on the average a flash is where its beep is, to a tenth of a frame."""
    rate, fps = RATES[name], 15
    rng = np.random.default_rng(3)
    at = np.cumsum(rng.uniform(.5, .7, 60))
    at = at[at < 29]
    if rate: times = np.arange(round(30*rate))/rate
    else: times = np.cumsum(rng.choice([1/50, 1/30, 1/24, 1/15], 900))[:760]
    times = times[times < 30]
    begin = times[np.searchsorted(times, at-1e-6)]           # a flash begins with a picture, its beep then
    lit = lambda t: bool(((t >= begin-1e-4) & (t < begin+.2)).any())
    def picture(t, w, h, seed): return np.full((h, w, 3), 230 if lit(t) else 30, 'uint8')
    def beep(seconds, sr, seed):
        t = np.arange(round(seconds*sr))/sr
        on = np.zeros(len(t), bool)
        for b in begin: on |= (t >= b) & (t < b+.2)
        return (.5*np.sin(2*np.pi*2000*t)*on)[None].astype('float32')
    film(tmp_path/'x.mov', 30, rate or 30, (32, 32), picture=picture, sound=beep, times=times, g=15, preset='ultrafast')
    found = []
    for start in rng.uniform(0, 20, 14):
        frames = []
        def record(fs, frames=frames): frames.extend(luma(f).mean() > 120 for f in fs)
        w, *_ = look(tmp_path/'x.mov', start, 8, fps, 32, record=record)
        light, wave = np.array(frames), np.abs(w.track.wave[:,0].astype(float)) > 3000
        first = np.flatnonzero(light[1:] & ~light[:-1])+1
        loud = np.flatnonzero(wave)
        loud = loud[np.diff(loud, prepend=-10**9) > .1*w.track.sr]/w.track.sr
        for t in first/fps:
            near = loud[np.abs(loud-t).argmin()]
            if near > .05: found.append((t-near)*fps)
    assert len(found) > 100 and abs(np.mean(found)) < .1, np.mean(found)

@pytest.fixture(scope='module')
def beats(folder):
    "Flashes and beeps at pictures of 64 a second, evenly spread between frames of 15 a second; all are key frames."
    begin = np.arange(97, 736, 41)/64
    def lit(t): return ((t >= begin-1e-4) & (t < begin+.2)).any()
    def picture(t, w, h, seed): return np.full((h, w, 3), 230 if lit(t) else 30, 'uint8')
    def beep(seconds, sr, seed):
        t = np.arange(round(seconds*sr))/sr
        on = ((t[:,None] >= begin) & (t[:,None] < begin+.2)).any(1)
        return (.5*np.sin(2*np.pi*2000*t)*on)[None].astype('float32')
    return film(folder/'beats.mp4', 12, 64, (32, 32), picture=picture, sound=beep, g=1, preset='ultrafast')

def rises(on, apart):
    "Where something begins that was off for `apart` before"
    at = np.flatnonzero(on)
    at = at[np.diff(at, prepend=-10**9) > apart]
    return at[at > 0]

def apart(light, loud, rate, fps=15):
    "By how much flashes are later than the beeps next to them, frames on the average; more than ten of them"
    flash, beep = rises(light, 2)/fps, rises(loud, .1*rate)/rate
    late = [t-beep[np.abs(beep-t).argmin()] for t in flash]
    assert len(late) > 10
    return np.mean(late)*fps

def middles(x):
    "Where the events of a row of frames have their middle, frames; those at the ends are left out"
    around = [(a-2, x[a-2:a+6]) for a in rises(x > .3*x.max(), 2) if 2 < a < len(x)-12]
    return np.array([a+(np.arange(8)*y).sum()/y.sum() for a, y in around])

@pytest.mark.parametrize('ending', ('mp4', 'mkv', 'ts'))
@pytest.mark.parametrize('lead', (-1, -.3, -.05, .05, .3, 1))
def test_one_zero_for_picture_and_sound(beats, folder, lead, ending):
    "The sound begins so many seconds before the picture: what is read as pictures, sound, windows and clips agrees."
    def keep(p): return float(p.pts*p.time_base) >= (lead if p.stream.type == 'video' else -lead)-1e-4
    path = again(beats, folder/f'beats{lead}.{ending}', keep)
    wave, sr = audio.read(path)
    light = video.read(path, 15)[0].mean((1, 2, 3)).numpy() > 0
    assert abs(apart(light, wave[0].abs().numpy() > .1, sr)) < .1
    loud = torch.cat([x for _, x in audio.stream_windows(path, 15)])
    power = torch.where(loud > 0, 10**(4*(loud-1)), 0.).numpy()
    n = min(len(light), len(power))
    assert n > 178 and abs(np.mean(middles(light[:n])-middles(power[:n]))) < .1
    frames = []
    start = max(.2, round(15*file_facts(path)['lead']+.5)/15)
    w, *_ = look(path, start, 9, 15, 32, record=lambda fs: frames.extend(luma(f).mean() > 120 for f in fs))
    at = round(15*start)
    if at == 15*start: assert np.mean(light[at:at+135] == frames) > .97   # a clip shows what is read at its moments
    assert abs(apart(np.array(frames), np.abs(w.track.wave[:,0].astype(float)) > 3000, w.track.sr)) < .1

NAMES = ['12:30.mp4', '-rain.mp4', '%d.mp4', '%03d:x.mp4', 'two  blanks.mp4', '"quoted\'.mp4', 'line\nbreak.mp4',
    'Überschwemmung-雨.mp4', 'what?.mp4', 'no#1.mp4', 'a&b=c.mp4', 'file:x.mp4', 'http:x.mp4',
    '[a]*.mp4', 'a|b.mp4', '\\.mp4']

@pytest.mark.parametrize('name', NAMES)
def test_paths_are_paths(tmp_path, monkeypatch, name):
    "Written under its name, read under its name, with the sound from a file of such a name; nothing else appears."
    monkeypatch.chdir(tmp_path)
    wave = np.random.default_rng(0).normal(0, .1, (1, 8000)).astype('float32')
    assert video.write(name, torch.zeros(10, 3, 32, 32), 10, (wave, 8000)) == 10
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert video.read(name)[0].shape[0] == 10 and file_facts(name)['sound_seconds']

def test_a_film_is_not_written_over_its_own_sound(tmp_path):
    path = film(tmp_path/'a.mp4', 1, 15, (32, 32))
    before = path.read_bytes()
    (tmp_path/'same.mp4').symlink_to(path)
    for out in (path, tmp_path/'same.mp4'):
        with pytest.raises(video.SgsvgError, match='is the sound itself; give another name'):
            video.write(out, torch.zeros(10, 3, 32, 32), 10, path)
    assert path.read_bytes() == before and sorted(o.name for o in tmp_path.iterdir()) == ['a.mp4', 'same.mp4']

def test_names_in_the_data_kit(tmp_path):
    "Files and ids of such names are found, looked at and packed."
    (tmp_path/'v').mkdir()
    ids = [Path(n).stem for n in NAMES if '\n' not in n][:6]
    for i, n in enumerate(ids): film(tmp_path/'v'/f'{n}.mp4', 2, 15, (64, 64), seed=i)
    quoted = ('"'+n.replace('"', '""')+'"' for n in ids)
    (tmp_path/'list.csv').write_text('ytid, start_time, class\n'+''.join(f'{n}, 0, rain\n' for n in quoted))
    card = build(tmp_path/'list.csv', tmp_path/'v', tmp_path/'out', 2, 15, 64, workers=1)
    assert card['clips'] == len(ids), card['left_out']
    told = [json.loads(s['json'])['source'] for p in (tmp_path/'out').glob('*.tar') for s in read_shard(p)]
    assert sorted(told) == sorted(ids)

def test_old_sets_are_not_mixed_with_new_ones(tmp_path):
    "A set whose frames stand for other moments is refused in a line."
    from sgsvg.shards import Shards
    from sgsvg.core import SgsvgError
    (tmp_path/'rain').mkdir()
    film(tmp_path/'rain'/'a.mp4', 2, 15, (64, 64))
    build(tmp_path/'rain'/'..', None, tmp_path.parent/f'{tmp_path.name}-out', 2, 15, 64, workers=1, holdout=0.)
    card = tmp_path.parent/f'{tmp_path.name}-out'/'dataset.json'
    assert len(Shards(card.parent)) == 1
    card.write_text(json.dumps(json.loads(card.read_text()) | dict(format=1)))
    with pytest.raises(SgsvgError, match='of another version; build the data set again'): Shards(card.parent)

ODD = Path(__file__).parents[2]/'shared/data/odd'

REAL = [   # a file, its frames at 15 a second, its height and width
    ('mp4_sample_12_5fps_720p_1s.mp4', 16, (720, 1280)),
    ('mp4_sample_edit_list_only_preroll_sync_sample.mp4', 8, (360, 640)),
    ('vp9_bear-vp9-odd-dimensions.webm', 15, (121, 161)),
    ('mp4_sample_sef_slow_motion.mp4', 32, (240, 320)),
    ('images-mov_with-gps.mov', 60, (568, 320)),
    ('mp4_sample_shorter_audio.mp4', 18, (240, 320)),
    ('mkv_sample_with_htc_rotation_track_name.mkv', 15, (720, 1080)),
    ('ts_bbb_2500ms.ts', 38, (1080, 1920)),
    ('mp4_bt601.mov', 15, (428, 640))]

@pytest.mark.skipif(not ODD.is_dir(), reason='needs the real files')
@pytest.mark.parametrize('name,frames,shape', REAL)
def test_real_files(name, frames, shape):
    "As many frames at 15 a second as ffmpeg's `fps` filter gives, upright."
    path = next(ODD.glob(f'*{name}'))
    x = [f for f in video.stream(path, 15)]
    assert abs(len(x)-frames) <= 1 and x[0].shape[1:] == shape
