"The engine as whoever plays it meets it: bad input, long streams, pauses; and the two commands."
import shutil, time, webbrowser

import numpy as np
import pytest, torch

from media import tone, write_sound
from sgsvg import cli, live, studio
from sgsvg.core import SgsvgError
from sgsvg.ears import Ear
from sgsvg.inversion import HeardInversion, Inversion
from sgsvg.live import RATE, Controls, Hearing, Live, Log, Performance, Reference, perform, replay
from sgsvg.model import SoundVideo
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

@pytest.mark.parametrize('sr, channels', [(8000, 1), (22050, 2), (48000, 8), (192000, 3)])
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

def test_two_engines_at_once(model):
    a, b = Live(model), Live(model, controls=Controls(seed=1))
    x = blocks(tone(1., RATE), RATE)
    both = [(list(a.push(*o)), list(b.push(*o))) for o in x]
    alone = steps(Live(model), x)
    assert all(torch.equal(s.ws, r.ws) for s, r in zip([s for o, _ in both for s in o], alone))

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

def test_replay_in_a_shell(log, tmp_path, capsys):
    assert cli.main(['replay', str(log), '-o', str(tmp_path/'o.mp4'), '--size', '64']) == 0
    assert capsys.readouterr().out == f'{tmp_path/"o.mp4"}\n' and (tmp_path/'o.mp4').stat().st_size > 1000
    for bad in ((tmp_path, tmp_path/'x.mp4'), (log, tmp_path/'x.avi')):
        assert cli.main(['replay', str(bad[0]), '-o', str(bad[1])]) == 1
        assert capsys.readouterr().err.count('\n') == 1
    assert not (tmp_path/'x.mp4').exists()

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

def test_the_page_is_there():
    assert len(studio.presets()) == 5 and 'render' in studio.Studio._esm and '.sgsvg-studio' in studio.Studio._css
