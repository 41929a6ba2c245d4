"Controls turned from outside: OSC over this machine's network, MIDI from ports that need no device."
import queue, sys, time

import pytest

from sgsvg import remote
from sgsvg.core import SgsvgError
from sgsvg.live import Controls
from sgsvg.remote import CONTROLLERS, KNOBS, Remote, midi_port
from sgsvg.studio import Desk

class Player:
    "Has controls, and remembers them."
    controls = Controls()
    def change(self, how): self.controls = how(self.controls)

def until(true):
    end = time.monotonic()+10
    while not true() and time.monotonic() < end: time.sleep(.01)
    assert true()

@pytest.fixture
def listening():
    "A player, what it said, and a client of its OSC server."
    client = pytest.importorskip('pythonosc.udp_client')
    player, said = Player(), []
    server = remote.osc(Remote(player, said.append), port=0)
    yield player, said, client.SimpleUDPClient(*server.server_address)
    server.shutdown()
    server.server_close()

def test_every_knob_has_an_address(listening):
    player, said, client = listening
    for name, knob in KNOBS.items(): client.send_message(f'/sgsvg/{name}', knob.high)
    until(lambda: player.controls.held == (True,)*3)
    c = player.controls
    assert (c['dial 8'], c.step, c.seed, said) == (3, 'beat', 127, [])

def test_bad_messages_are_one_line_and_the_next_counts(listening):
    player, said, client = listening
    bad = ('/sgsvg/volume', 1), ('/other', 1), ('/sgsvg/seed', 'x'), ('/sgsvg/walk', 7.), ('/sgsvg/walk', [])
    for address, value in bad:
        client.send_message(address, value)
    client._sock.sendto(b'no osc', (client._address, client._port))
    client.send_message('/sgsvg/seed', 3)
    until(lambda: player.controls.seed == 3)
    assert len(said) == 5 and all('\n' not in line for line in said)

def test_a_port_that_is_taken(listening):
    with pytest.raises(SgsvgError, match='cannot listen'): remote.osc(Remote(Player()), listening[2]._port)

@pytest.mark.parametrize('port', ['x', 10**6, 1.5])
def test_a_port_that_cannot_be(port):
    with pytest.raises(SgsvgError, match='cannot listen'): remote.osc(Remote(Player()), port)

@pytest.mark.parametrize('start', [remote.osc, midi_port])
def test_without_the_packages_one_line_says_what_to_install(start, monkeypatch):
    for name in ('pythonosc', 'pythonosc.dispatcher', 'mido'): monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SgsvgError, match=r"pip install 'sgsvg\[studio\]'$"): start(Remote(Player()))

def test_a_port_without_a_device(monkeypatch):
    mido = pytest.importorskip('mido')
    player, sent = Player(), queue.Queue()
    port = (sent.get() for _ in range(2))   # as of a port: the next message, when it comes
    monkeypatch.setattr(mido, 'open_input', lambda name: port)
    assert midi_port(Remote(player)) is port
    wheel = next(k for k, name in CONTROLLERS.items() if name == 'walk')
    sent.put(mido.Message('note_on', note=60))
    sent.put(mido.Message('control_change', control=wheel, value=127))
    until(lambda: player.controls['walk'] == 1)

def test_no_such_device(monkeypatch):
    mido = pytest.importorskip('mido')
    def none(name): raise OSError('unknown port')
    monkeypatch.setattr(mido, 'open_input', none)
    with pytest.raises(SgsvgError, match='MIDI port x'): midi_port(Remote(Player()), 'x')

def test_a_desk_is_a_player_and_tells_its_page():
    sent = []
    desk = Desk(lambda message, buffers: sent.append(message))
    Remote(desk, desk.say).put('seed', 9)
    Remote(desk, desk.say).put('sound/fine', 3)     # there is no such sound
    assert sent[0]['controls']['seed'] == 9 and 'no sound 3' in sent[-1]['line'] and desk.controls.seed == 9
