"The engine as whoever plays it meets it: bad input, long streams, pauses; and the two commands."
import json, os, re, shutil, subprocess, sys, threading, time, webbrowser

import numpy as np
import pytest, torch

from media import tone, write_sound
from repo import ROOT
from sgsvg import cli, live, studio
from sgsvg.core import SgsvgError
from sgsvg.ears import Ear
from sgsvg.inversion import HeardInversion, Inversion
from sgsvg.live import RATE, Controls, Hearing, Inbox, Live, Log, Performance, Reference, Route, perform, replay
from sgsvg.model import SoundVideo
from sgsvg.remote import Remote
from sgsvg.studio import Desk
from sgsvg.stylegan2 import Generator
from sgsvg.trajectory import Follow, ReleasedTrajectory

@pytest.fixture(scope='module')
def model():
    "Small, with an ear; it knows nothing."
    torch.manual_seed(0)
    g = Generator(z_dim=16, c_dim=14, w_dim=16, img_resolution=32, channel_base=256, channel_max=16, num_layers=2)
    bands = (0, 2), (2, 4), (4, g.num_ws)
    return SoundVideo(g, HeardInversion(g.num_ws, 16), Follow(g.num_ws, 16, bands), ear=Ear((4, 6, 8, 16)))

def blocks(wave, sr, size=2000):
    "A wave in pieces, each with its rate."
    cut = np.split(wave, range(size, wave.shape[1], size), 1)
    return [(torch.from_numpy(x.copy()), sr) for x in cut]

def steps(engine, given): return [s for x, sr in given for s in engine.push(x, sr)]

EVERY = [(8000, 1), (22050, 2), (192000, 3), (44100, 4), (16000, 5), (96000, 6), (32000, 7), (48000, 8)]

@pytest.mark.parametrize('sr, channels', EVERY)
def test_any_rate_and_channels(sr, channels, model):
    "As many frames as the sound is long, none of them early."
    x = np.repeat(tone(1., sr), channels, 0)
    engine = Live(model)
    found = steps(engine, blocks(x, sr)) + list(engine.end())
    assert [s.moment.t for s in found] == list(range(15)) and all(s.ws.isfinite().all() for s in found)

def test_a_stream_that_changes_on_the_way(model):
    "Another rate and other channels after a pause: the clock goes on."
    engine = Live(model)
    first = steps(engine, blocks(tone(1., 48000), 48000))
    later = steps(engine, blocks(np.repeat(tone(1., 16000), 2, 0), 16000))
    assert [s.moment.t for s in first + later] == list(range(len(first)+len(later))) and 27 <= engine.hearing.t <= 30

def test_the_clock_is_that_of_the_sound(model):
    "Twenty seconds of sound are 300 frames, whenever it comes, and nothing grows."
    h = Hearing(model)
    kept = []
    for _ in range(20):
        list(h.push(torch.zeros(1, RATE), RATE))
        kept.append((h.piece.nelement(), h.ear.who.cells.nelement(), len(h.intake.held[0])))
    assert h.t in (299, 300) and max(k[0] for k in kept) < RATE and max(k[1] for k in kept) < 200*16

def test_an_hour_of_silence_leaves_the_reference_where_it_was():
    r = Reference()
    for _ in range(3600*15): r.follow(-200., 1/15)
    assert r.level == r.floor

def size_of(engine):
    "Numbers that an engine keeps of what it heard."
    h, w = engine.hearing, engine.walk
    kept = h.piece, h.intake.held, h.ear.wave, h.ear.near, h.ear.who.cells, h.ear.who.power
    return sum(x.nelement() for x in kept) + len(h.pulse.past) + len(w.states)

def test_silence_for_minutes_and_then_a_sound(model):
    "Nothing grows, nothing is no number, the picture rests; and the sound after it moves the picture at once."
    engine, quiet = Live(model, controls=Controls(routes={'dial 1': Route('loudness', 0., 3.)})), torch.zeros(1, RATE)
    sizes, last = [], []
    for _ in range(90):
        found = list(engine.push(quiet, RATE))
        sizes.append(size_of(engine))
        last = found or last
        assert all(s.ws.isfinite().all() and s.moment.loud == 0 for s in found)
    assert engine.hearing.t in (1349, 1350) and max(sizes[60:]) < 1.02*max(sizes[30:60])
    after = steps(engine, blocks(tone(1., RATE), RATE))
    rest, moved = (torch.stack([s.ws for s in some]).diff(dim=0).abs().max() for some in (last, last[-1:]+after))
    assert moved > 3*rest and max(s.moment.loud for s in after) > .9
    assert engine.draw(after[-1]).isfinite().all()

def test_one_click_does_not_silence_the_next_minute(model):
    rng = np.random.default_rng(0)
    x = .05*rng.standard_normal((1, 18*22050)).astype('float32')
    x[0, 5*22050:5*22050+22] = 1.
    h = Hearing(model)
    found = [m.loud for b, sr in blocks(x, 22050, 22050) for m in h.push(b, sr)]
    before, after = np.mean(found[3*15:4*15]), np.mean(found[6*15:8*15])
    assert before > .8 and after > before-.4 and np.mean(found[16*15:18*15]) > before-.1

def test_samples_that_are_none(model, tmp_path):
    x = tone(1., RATE)
    x[0, 5000:9000] = np.nan
    engine = Live(model, log=Log(tmp_path/'log'))
    found = steps(engine, blocks(x, RATE)) + list(engine.end())
    assert all(s.ws.isfinite().all() for s in found) and engine.hearing.intake.mended == 4000
    assert np.isfinite(Performance(tmp_path/'log').wave()).all()

def test_silence_has_no_class(model, tmp_path):
    "Live and in a file: nothing can be named where nothing is heard; a sound after it can."
    nothing = torch.eye(10)[-1]
    engine = Live(model)
    quiet = [s.moment.probs for _ in range(20) for s in engine.push(torch.zeros(1, RATE), RATE)]
    assert all(torch.equal(p, nothing) for p in quiet)
    later = [s.moment.probs for s in steps(engine, blocks(tone(2., RATE), RATE))]
    assert not torch.equal(later[-1], nothing)
    file = write_sound(tmp_path/'a.wav', np.zeros((1, 22050), 'float32'), 22050)
    assert all(torch.equal(m.probs, nothing) for m in live.hear_all(model, file))

def test_two_engines_at_once(model):
    a, b = Live(model), Live(model, controls=Controls(seed=1))
    x = blocks(tone(1., RATE), RATE)
    both = [(list(a.push(*o)), list(b.push(*o))) for o in x]
    alone = steps(Live(model), x)
    assert all(torch.equal(s.ws, r.ws) for s, r in zip([s for o, _ in both for s in o], alone))

def test_a_stream_that_stops_and_comes_back(model, tmp_path):
    "In real time: what is played waits, and goes on with the next frame; its log has no hole."
    engine, inbox, x = Live(model, log=Log(tmp_path/'log')), Inbox(), blocks(tone(1., 48000), 48000)
    def come_and_go():
        for b in x: inbox.put(*b)
        time.sleep(.5)
        for b in x: inbox.put(*b)
        inbox.close()
    threading.Thread(target=come_and_go, daemon=True).start()
    shown = list(perform(engine, inbox))
    heard = [m.t for s in shown for m in s.heard]
    assert heard == list(range(len(heard))) and len(heard) > 27
    log = Performance(tmp_path/'log')
    assert abs(log.wave().shape[1]-2*RATE) < 10

def test_a_cable_that_is_pulled_leaves_a_whole_log(model, tmp_path):
    engine = Live(model, log=Log(tmp_path/'log'))
    def pulled():
        yield from blocks(tone(1., 48000), 48000)
        raise SgsvgError('the cable was pulled')
    with pytest.raises(SgsvgError, match='cable'): list(perform(engine, live.fed(pulled())))
    assert abs(Performance(tmp_path/'log').wave().shape[1]-RATE) < 10 and engine.hearing.t == 15

@pytest.mark.parametrize('sr', [44100, 48000, 8000])
def test_a_log_is_what_was_played(sr, model, tmp_path):
    "Whatever the rate, and though another thread turns knobs at any moment: the same codes, bit for bit."
    engine, over, played = Live(model, log=Log(tmp_path/'log')), threading.Event(), []
    def turn():
        for k in range(10**6):
            engine.set(Controls(seed=k % 50))
            if over.wait(.002): return
    hand = threading.Thread(target=turn)
    hand.start()
    for b in blocks(tone(2., sr), sr, 300): played += engine.push(*b)
    played += engine.end()
    over.set()
    hand.join()
    log = Performance(tmp_path/'log')
    again = torch.cat(list(log.paths(model)), 1)[0]
    assert len(log.script) > 3 and torch.equal(torch.stack([s.ws for s in played]), again)

def test_a_full_disk_ends_the_log_and_not_the_performance(model, tmp_path):
    said = []
    engine = Live(model, log=Log(tmp_path/'log', say=said.append))
    first = steps(engine, blocks(tone(1., RATE), RATE))
    engine.log.samples = open('/dev/full', 'wb')
    more = steps(engine, blocks(tone(1., RATE), RATE)) + list(engine.end())
    assert len(first+more) == 30 and len(said) == 1 and 'the performance goes on' in said[0]
    assert 0 <= RATE-Performance(tmp_path/'log').wave().shape[1] < live.GRAIN

class Slow:
    "An engine whose pictures take a fifth of a second."
    def __init__(self, engine): self.engine, self.fps = engine, engine.fps
    def push(self, *a): return self.engine.push(*a)
    def end(self): return self.engine.end()
    def draw(self, step):
        time.sleep(.2)
        return torch.zeros(3, 4, 4)

def test_what_comes_too_late_is_left_out_and_the_rate_is_said(model):
    said, x = [], tone(3., RATE)
    shown = list(perform(Slow(Live(model)), live.fed(paced(x)), live.Pace(15, said.append)))
    assert 5 < len(shown) < 18 and len(said) >= 1 and 'frames a second can be held' in said[0]
    assert shown[-1].step.moment.t > 35       # the last picture is of the end, not of what waited

def paced(x):
    start = time.monotonic()
    for i, b in enumerate(blocks(x, RATE, 1000)):
        time.sleep(max(0., start+1000*i/RATE-time.monotonic()))
        yield b

def test_the_released_variant_cannot_be_played(model):
    g = model.generator
    inversion = Inversion(g.num_ws, 16, bands=model.trajectory.bands, channels=(8, 8, 8, 8))
    released = SoundVideo(g, inversion, ReleasedTrajectory(g.num_ws, 16, bands=model.trajectory.bands, hidden=8))
    with pytest.raises(SgsvgError, match='cannot be played live'): Hearing(released)

@pytest.fixture(scope='module')
def log(tmp_path_factory):
    "A second of the default."
    d = tmp_path_factory.mktemp('log')/'log'
    engine = Live(SoundVideo.load(device='cpu'), log=Log(d))
    steps(engine, blocks(tone(.5, RATE), RATE))
    engine.set(Controls(seed=4))
    steps(engine, blocks(tone(.5, RATE), RATE))
    list(engine.end())
    return d

def test_a_log_that_was_cut_off_is_a_shorter_performance(log, tmp_path):
    shutil.copytree(log, tmp_path/'cut')
    f = tmp_path/'cut'/'sound.f32'
    f.write_bytes(f.read_bytes()[:4*RATE//2+3])
    assert replay(tmp_path/'cut', tmp_path/'o.mp4', 64) == 8

def test_a_last_line_that_was_cut_off(log, tmp_path):
    shutil.copytree(log, tmp_path/'cut')
    f = tmp_path/'cut'/'log.jsonl'
    f.write_text(f.read_text()[:-20])
    cut = Performance(tmp_path/'cut')
    assert cut.script == Performance(log).script[:-1] and cut.wave().shape == Performance(log).wave().shape
    f.write_text(f.read_text().replace('"frame"', '"frame', 1))
    with pytest.raises(SgsvgError, match='damaged'): Performance(tmp_path/'cut')

WRONG = [('"fps": 15', '"rate of frames": 15'), ('"fps": 15', '"fps": 0'), ('"attack": 0.5', '"attack": 0'),
    ('"channels": 1', '"channels": 0'), ('"ahead": 0.0', '"ahead": null'), ('"beside": []', '"beside": 3'),
    ('"frame": 0', '"frame": "x"')]

@pytest.mark.parametrize('old, new', WRONG)
def test_a_log_with_a_fault(old, new, log, tmp_path, capsys):
    shutil.copytree(log, tmp_path/'bad')
    f = tmp_path/'bad'/'log.jsonl'
    assert old in f.read_text()
    f.write_text(f.read_text().replace(old, new))
    assert cli.main(['replay', str(tmp_path/'bad')]) == 1
    err = capsys.readouterr().err
    assert err.count('\n') == 1 and 'is no log of a performance' in err

SGSVG = [sys.executable, '-c', 'import sys; from sgsvg.cli import main; sys.exit(main(sys.argv[1:]))']

def test_programs_feed_it_and_take_its_frames(tmp_path):
    "A pipe that has two seconds at once, and stays open; one that takes a few frames and closes."
    raw = (tone(2., RATE)*2**14).astype('<i2').T.tobytes()
    done = subprocess.run([*SGSVG, 'live', '-', '--log', tmp_path/'log'], input=raw, capture_output=True)
    assert done.returncode == 0 and done.stderr.startswith(b'sgsvg: 128x128, rgb24, 15 frames a second\n')
    frames, rest = divmod(len(done.stdout), 128*128*3)
    assert 10 < frames <= 30 and rest == 0 and Performance(tmp_path/'log').wave().shape[1] == 2*RATE
    p = subprocess.Popen([*SGSVG, 'live', '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdin.write(raw)
    p.stdin.flush()
    assert len(p.stdout.read(100000)) == 100000
    p.stdout.close()
    try:
        while p.poll() is None: p.stdin.write(raw[:8820])
    except BrokenPipeError: pass
    assert p.wait(60) == 0 and b'Traceback' not in p.stderr.read()

@pytest.mark.parametrize('wrong', [['--rate', '3'], ['--channels', '0'], ['--model', 'none.safetensors']])
def test_programs_are_told_what_is_wrong(wrong):
    done = subprocess.run([*SGSVG, 'live', '-', *wrong], input=bytes(9000), capture_output=True)
    assert done.returncode == 1 and done.stdout == b'' and done.stderr.splitlines()[-1].startswith(b'sgsvg: ')
    assert b'Traceback' not in done.stderr

def test_live_does_not_write_over_its_sound_or_nowhere(tmp_path):
    sound = write_sound(tmp_path/'a.wav', torch.zeros(1, 4410), 44100)
    before = sound.read_bytes()
    for out in (sound, tmp_path/'none'/'x.rgb'):
        done = subprocess.run([*SGSVG, 'live', sound, '-o', out], capture_output=True, text=True)
        assert done.returncode == 1 and str(out) in done.stderr and 'unexpected' not in done.stderr, done.stderr
    assert sound.read_bytes() == before

def test_replay_in_a_shell(log, tmp_path, capsys):
    assert cli.main(['replay', str(log), '-o', str(tmp_path/'o.mp4'), '--size', '64']) == 0
    assert capsys.readouterr().out == f'{tmp_path/"o.mp4"}\n' and (tmp_path/'o.mp4').stat().st_size > 1000
    for bad in ((tmp_path, tmp_path/'x.mp4'), (log, tmp_path/'x.avi')):
        assert cli.main(['replay', str(bad[0]), '-o', str(bad[1])]) == 1
        assert capsys.readouterr().err.count('\n') == 1
    assert not (tmp_path/'x.mp4').exists()
    shutil.copytree(log, tmp_path/'mine')
    assert cli.main(['replay', str(tmp_path/'mine') + '/', '--size', '64']) == 0
    assert capsys.readouterr().out == f'{tmp_path/"mine"}.mp4\n' and (tmp_path/'mine.mp4').is_file()

def test_the_studio_without_a_browser_says_so_in_one_line(tmp_path, capsys, monkeypatch):
    def none(): raise webbrowser.Error
    monkeypatch.setattr('webbrowser.get', none)
    monkeypatch.chdir(tmp_path)
    ran = []
    monkeypatch.setattr('os.execv', lambda *a: ran.append(a))
    write_sound(tmp_path/'a.wav', tone(.5), 22050)
    assert cli.main(['studio', str(tmp_path/'a.wav')]) == 0
    said = capsys.readouterr()
    assert said.err.count('\n') == 1 and 'browser' in said.err and len(ran) == 1
    assert (tmp_path/'studio.ipynb').is_file() and cli.main(['studio', str(tmp_path/'none.wav')]) == 1

@pytest.mark.parametrize('lesson', [True, False])
def test_the_notebook_of_the_studio(lesson, tmp_path, monkeypatch):
    "With the lesson or without; another's studio.ipynb is left alone, a lesson that is there is taken."
    if not lesson: monkeypatch.setattr(cli, '__file__', str(tmp_path/'sgsvg'/'cli.py'))
    (tmp_path/'studio.ipynb').write_text('{}')
    found = cli._lesson(tmp_path)
    assert found.name == 'studio-2.ipynb' and cli._lesson(tmp_path) == found
    cells = json.loads(found.read_text())['cells']
    assert (len(cells) > 3) == lesson and any('from sgsvg.studio import Studio' in ''.join(c['source']) for c in cells)
    assert (tmp_path/'studio.ipynb').read_text() == '{}'
    if os.geteuid() != 0: (tmp_path/'shut').mkdir(mode=0o500)
    assert cli._lesson(tmp_path/'shut').is_file()

@pytest.fixture
def desk(model, tmp_path, monkeypatch):
    "A studio without its page, what it sent, and a call to it; a model of ours has no file to be named by in a log."
    monkeypatch.setattr(live, 'file_hash', lambda path: '')
    sent = []
    desk = Desk(lambda message, buffers: sent.append(message), model, tmp_path)
    def ask(do, *buffers, **more): desk.handle(dict(do=do, **more), buffers)
    return desk, sent, ask

def until(true):
    end = time.monotonic()+60
    while not true() and time.monotonic() < end: time.sleep(.01)
    assert true()

def lines(sent): return [m['line'] for m in sent if m['kind'] == 'said']

@pytest.mark.parametrize('sr, channels', EVERY)
def test_the_desk_takes_any_file(sr, channels, desk, tmp_path):
    _, sent, ask = desk
    file = write_sound(tmp_path/'a.wav', np.repeat(tone(1., sr), channels, 0), sr)
    ask('sound', file.read_bytes(), name='a.wav')
    ask('frame', t=14)
    assert [m['frames'] for m in sent if m['kind'] == 'sound'] == [15]
    assert [m['t'] for m in sent if m['kind'] == 'frame'] == [14] and lines(sent) == []

def mic(ask, seconds=1.): ask('mic', tone(seconds, 48000).astype('<f4').tobytes(), sr=48000)

def test_a_page_that_is_closed_ends_its_performance(desk, tmp_path, monkeypatch):
    monkeypatch.setattr(studio, 'QUIET', .5)
    desk, sent, ask = desk
    ask('live', on=True)
    mic(ask)
    until(lambda: any(m['kind'] == 'over' for m in sent))
    assert desk.live is None and desk.inbox is None and 'holds what was played' in lines(sent)[-1]
    assert abs(Performance(tmp_path/'studio-live').wave().shape[1]-RATE) < 10
    mic(ask)    # too late, and nothing happens
    ask('live', on=True)
    mic(ask)
    ask('live', on=False)
    until(lambda: 'studio-live-2 holds' in lines(sent)[-1])
    assert sum(m['kind'] == 'over' for m in sent) == 1      # that time the page ended it

def test_a_model_that_cannot_be_played_closes_the_microphone(desk, model, tmp_path):
    desk, sent, ask = desk
    g = model.generator
    inversion = Inversion(g.num_ws, 16, bands=model.trajectory.bands, channels=(8, 8, 8, 8))
    released = ReleasedTrajectory(g.num_ws, 16, bands=model.trajectory.bands, hidden=8)
    desk.sides[0].model = SoundVideo(g, inversion, released)
    ask('live', on=True)
    assert sent[-2]['kind'] == 'over' and 'cannot be played live' in sent[-1]['line'] and list(tmp_path.iterdir()) == []

def test_hands_and_the_page_at_once(desk):
    "Three threads turn a knob each; nothing that one did is lost by another."
    desk, sent, ask = desk
    hand, dials = Remote(desk, desk.say), ('dial/1', 'dial/2')
    page = dict(desk.controls.as_dict())    # what the page knows, which is never up to date
    def turn(name):
        for k in range(200): hand.put(name, k/100)
    def by_page():
        before = page
        for k in range(200):
            after = before | dict(seed=k)
            ask('set', side=0, t=0, controls=after, before=before)
            before = after
    threads = [threading.Thread(target=turn, args=(d,)) for d in dials] + [threading.Thread(target=by_page)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert (desk.controls['dial 1'], desk.controls['dial 2'], desk.controls.seed) == (1.99, 1.99, 199)
    assert sent[-1]['controls'] == desk.controls.as_dict() and lines(sent) == []

def test_two_views_of_one_studio(desk, tmp_path):
    "Each has its own answers; the second does not end what the first plays; both know what was moved."
    desk, sent, ask = desk
    file = write_sound(tmp_path/'a.wav', tone(1.), 22050)
    ask('sound', file.read_bytes(), name='a.wav', view='one', id=0)
    def told(view): return any(m['kind'] == 'heard' and m['first'] + m['n'] == 15 and m['to'] == view for m in sent)
    until(lambda: told(None))
    for view, t in (('one', 3), ('two', 9)): ask('frame', t=t, view=view)
    assert [(m['to'], m['t']) for m in sent if m['kind'] == 'frame'] == [('one', 3), ('two', 9)]
    sent.clear()
    ask('hello', view='two')
    until(lambda: told('two'))
    assert {m['to'] for m in sent} == {'two'}
    sent.clear()
    ask('set', side=0, t=0, view='one', controls=Controls(seed=3).as_dict())
    assert [(m['but'], m['controls']['seed']) for m in sent] == [('one', 3)]
    ask('live', on=True, view='one')
    playing = desk.live
    ask('live', on=False, view='two')
    for do in ('hello', 'live', 'sound', 'beside'):
        ask(do, on=True, path=file, view='two')
        assert desk.live is playing
        assert sent[-1]['to'] == 'two' and re.search('another view|end the performance', sent[-1]['line'])
    assert not any(m['kind'] == 'over' and m['to'] != 'two' for m in sent)
    ask('live', on=False, view='one')

def test_a_sound_that_is_replaced_while_it_is_heard_says_nothing_more(desk, tmp_path):
    desk, sent, ask = desk
    long, short = (write_sound(tmp_path/f'{s}.wav', tone(s), 22050) for s in (60., 1.))
    ask('sound', path=long)
    ask('sound', path=short)
    until(lambda: not any('_tell_heard' in t.name for t in threading.enumerate()))
    assert lines(sent) == [] and [m['name'] for m in sent if m['kind'] == 'sound'] == [long.name, short.name]

def test_a_performance_that_the_disk_or_the_machine_ends_says_so(desk, monkeypatch):
    desk, sent, ask = desk
    def broken(*a): raise OSError('no space left')
    monkeypatch.setattr(Live, 'draw', broken)
    ask('live', on=True)
    mic(ask)
    until(lambda: desk.live is None)
    assert 'the performance ended: OSError: no space left' in lines(sent)

def test_two_studios_at_once(model, tmp_path):
    "In one folder: the pictures of each are those that it has alone, and no file is lost."
    file = write_sound(tmp_path/'a.wav', tone(1.), 22050)
    def played(folder, seed):
        folder.mkdir(exist_ok=True)
        sent = []
        desk = Desk(lambda message, buffers: sent.append((message, buffers)), model, folder)
        for m in (dict(do='sound', path=file), dict(do='set', side=0, controls=dict(seed=seed), t=0),
                  *(dict(do='frame', t=t) for t in range(15)), dict(do='export', what='png', size='native')):
            desk.handle(m)
        return [b[0] for m, b in sent if m['kind'] == 'frame'], [m['line'] for m, _ in sent if m['kind'] == 'said']
    alone, both = [played(tmp_path/'alone', k)[0] for k in (1, 2)], [None, None]
    def run(k): both[k] = played(tmp_path/'both', k+1)
    threads = [threading.Thread(target=run, args=(k,)) for k in (0, 1)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert [b[0] for b in both] == alone and alone[0] != alone[1]
    assert all('is written' in b[1][-1] for b in both)
    assert [len(list(d.iterdir())) for d in sorted((tmp_path/'both').iterdir())] == [15, 15]

def test_whatever_fails_is_said_and_the_next_is_answered(desk, monkeypatch):
    desk, sent, ask = desk
    def full(*a): raise OSError('no space left')
    monkeypatch.setattr(Desk, 'do_explain', full)
    ask('explain', t=0)
    ask('hello')
    assert 'no space left' in lines(sent)[0] and sent[-1]['kind'] == 'controls'

def test_a_studio_that_is_closed_ends_its_thread(model):
    page, before = studio.Studio(model=model), threading.active_count()
    page.close()
    until(lambda: threading.active_count() < before)

def test_the_page_is_there():
    assert len(studio.presets()) == 5 and 'render' in studio.Studio._esm and '.sgsvg-studio' in studio.Studio._css

# ---- colours

SEEN_BY = dict(     # linear red, green and blue, as eyes of these kinds have them (Machado et al. 2009, severity 1)
    all=np.eye(3),
    protanopes=[[.152286, 1.052583, -.204868], [.114503, .786281, .099216], [-.003882, -.048116, 1.051998]],
    deuteranopes=[[.367322, .860646, -.227968], [.280085, .672501, .047413], [-.011820, .042940, .968881]],
    tritanopes=[[1.255528, -.076749, -.178779], [-.078411, .930809, .147602], [.004733, .691367, .303900]])
TO_XYZ = np.array([[.4124, .3576, .1805], [.2126, .7152, .0722], [.0193, .1192, .9505]])

def lab(linear):
    "CIE L*a*b* (n,3) of linear sRGB (n,3)."
    xyz = linear@TO_XYZ.T/TO_XYZ.sum(1)
    f = np.where(xyz > .008856, np.cbrt(xyz), 7.787*xyz + 16/116)
    return np.stack([116*f[:,1] - 16, 500*(f[:,0] - f[:,1]), 200*(f[:,1] - f[:,2])], 1)

@pytest.mark.parametrize('eyes', SEEN_BY)
def test_lines_can_be_told_apart(eyes):
    "The five colours of the studio's lines, which are solid or dashed besides; 2.3 is what can just be seen."
    script = (ROOT/'sgsvg'/'assets'/'studio.js').read_text()
    found = re.findall('#([0-9a-f]{6})', re.search(r'COLOURS = \[(.*)\]', script)[1])
    rgb = np.array([[int(c[i:i+2], 16)/255 for i in (0, 2, 4)] for c in found])
    linear = np.where(rgb <= .04045, rgb/12.92, ((rgb + .055)/1.055)**2.4)
    x = lab((linear@np.array(SEEN_BY[eyes]).T).clip(0, 1))
    apart = np.linalg.norm(x[:,None] - x, axis=2)[~np.eye(len(x), dtype=bool)]
    assert len(found) == 5 and apart.min() > 12
