"""The two pictures of the README: `python tools/draw.py` writes them to nbs/images.

`house.svg` is drawn from what the modules import, so it holds whatever the tree holds.
`method.svg` names the rooms of each step, and a room that is not there is an error.
Both have a ground of their own, light or dark as the reader's system asks, and text that is legible 830 pixels wide.
"""
import ast
import re
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 880

FLOORS = {   # decade -> what its rooms are about
    90: 'command',
    80: 'evaluation',
    70: 'the whole way',
    60: 'training',
    50: 'the paper',
    40: 'generators',
    30: 'footage',
    20: 'the world',
    10: 'sound and film',
    0: 'ground'}

STYLE = '''
  svg { --ground: #ffffff; --box: #f2f4f7; --line: #8a93a0; --ink: #1c2128; --soft: #57606a }
  .a { --c: #b35900 } .b { --c: #6f42c1 } .c { --c: #1a7f37 }
  .d { --c: #0b63c5 } .e { --c: #bf3989 } .f { --c: #0f7b83 }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #0d1117; --box: #1b222c; --line: #7d8590; --ink: #e6edf3; --soft: #9da7b3 }
    .a { --c: #f0a04b } .b { --c: #b794f6 } .c { --c: #56d364 }
    .d { --c: #6cb6ff } .e { --c: #f778ba } .f { --c: #4fd1c5 }
  }
  text { font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--ink) }
  .room { font: 13px ui-monospace, Menlo, "DejaVu Sans Mono", monospace; fill: var(--soft) }
  .soft { fill: var(--soft); font-size: 13px } .head { font-weight: 600; font-size: 15px }
  .slim { font-size: 13px }
  .tiny { font-size: 12px } .band { fill: var(--ground); stroke: var(--c) }
  .math { font-family: "STIX Two Text", Georgia, "DejaVu Serif", serif; font-style: italic }
  .ground { fill: var(--ground) } .box { fill: var(--box); stroke: var(--line) }
  .net { fill: var(--box); stroke: var(--c); stroke-width: 2 }
  .way { fill: none; stroke: var(--line); stroke-width: 1.6 } .own { fill: none; stroke: var(--c); stroke-width: 1.8 }
  .dash { stroke-dasharray: 5 4 } .thin { stroke-width: 1; stroke-dasharray: 2 3 }
  .dot { fill: var(--c) } .tip { fill: var(--c, var(--line)) } .named { fill: var(--c) }
'''


# ---- what there is

def numbers(root=ROOT):
    "Room -> number, from the notebooks' names."
    found = sorted((root/'nbs').glob('[0-9][0-9]_*.ipynb'))
    return {p.stem[3:]: int(p.stem[:2]) for p in found}


def imports(root=ROOT):
    "Room -> rooms that its module imports."
    known = numbers(root)
    found = {}
    for room in known:
        tree = ast.parse((root/f'sgsvg/{room}.py').read_text(encoding='utf-8'))
        names = {n for node in ast.walk(tree) for n in named(node)}
        found[room] = {n for n in names if n in known and n != room}
    return found


def named(node):
    "Modules of the package that an import names, anywhere in a room."
    if not isinstance(node, ast.ImportFrom): return
    parts = (node.module or '').removeprefix('sgsvg').strip('.').split('.')
    ours = node.level or (node.module or '').split('.')[0] == 'sgsvg'
    if not ours: return
    if parts[0]: yield parts[0]
    else: yield from (a.name for a in node.names)


def floors(known):
    "Decade -> its rooms, the highest decade first."
    found = {}
    for room, n in known.items(): found.setdefault(n//10*10, []).append(room)
    return {k: found[k] for k in sorted(found, reverse=True)}


# ---- strokes

def text(x, y, words, kind='', anchor='start'):
    "A line of text; in a formula `_` and `^` lower and raise one letter or what stands in braces."
    said = _raised(words) if 'math' in kind else escape(words)
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{said}</text>'


def _raised(words):
    "Sub- and superscripts as spans that come back to the line."
    shift = {'_': 4, '^': -5}
    out, back = '', 0
    for plain, sign, braces, letter in re.findall(r'([^_^]+)|([_^])(?:\{([^}]*)\}|(.))', words):
        dy = shift[sign] if sign else 0
        size = ' font-size="11"' if sign else ''
        move = f' dy="{dy+back:g}"' if dy + back else ''
        said = escape(plain or braces or letter)
        out += f'<tspan{move}{size}>{said}</tspan>'
        back = -dy
    return out


def box(x, y, w, h, kind='box'):
    return f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="6" class="{kind}"/>'


def arrow(points, kind='way'):
    "A line through `points`, with a tip at the last one."
    path = 'M' + ' L'.join(f'{x:g} {y:g}' for x, y in points)
    (x0, y0), (x1, y1) = points[-2:]
    length = max(abs(x1-x0), abs(y1-y0))
    ux, uy = (x1-x0)/length, (y1-y0)/length
    left = f'{x1-8*ux-4*uy:g} {y1-8*uy+4*ux:g}'
    right = f'{x1-8*ux+4*uy:g} {y1-8*uy-4*ux:g}'
    return f'<path d="{path}" class="{kind}"/><path d="M{x1:g} {y1:g} L{left} L{right} Z" class="tip"/>'


def group(colour, *parts):
    return f'<g class="{colour}">' + ''.join(parts) + '</g>'


def picture(height, title, parts):
    "The whole file."
    ground = f'<rect width="{WIDTH}" height="{height}" rx="10" class="ground"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    return '\n'.join([head, f'<title>{escape(title)}</title>', f'<style>{STYLE}</style>', ground, *parts, '</svg>', ''])


# ---- the house

LABEL, ROOMS, RIGHT, LANE = 26, 190, 650, 23   # where labels, rooms and lanes begin, and how far lanes are apart


def lines_of(rooms):
    "Rooms as lines that fit between label and lanes: lists of `(room, x, width)`."
    lines, x = [[]], ROOMS
    for room in rooms:
        width = 7.9*len(room) + 16
        if x + width > RIGHT - 8:
            lines.append([])
            x = ROOMS
        lines[-1].append((room, x, width))
        x += width + 6
    return lines


def plan(rooms_of, top=84):
    "Decade -> `(top, height, lines)`."
    found = {}
    for decade, rooms in rooms_of.items():
        lines = lines_of(rooms)
        height = 16 + 32*len(lines)
        found[decade] = top, height, lines
        top += height + 8
    return found


def floor(decade, top, height, lines):
    "One floor: its label and its rooms."
    middle = top + height/2
    yield f'<rect x="16" y="{top}" width="{RIGHT-16}" height="{height}" class="box"/>'
    yield text(LABEL, middle+5, f'{decade:02}', 'soft')
    yield text(LABEL+26, middle+5, FLOORS[decade], 'head')
    for k, line in enumerate(lines):
        y = top + 8 + 32*k
        for room, x, width in line:
            yield box(x, y+3, width, 26)
            yield text(x+width/2, y+21, room, 'room', 'middle')


def lane(number, decade, plan, importers):
    "The lane of a floor: a dot where a floor imports from it, an arrow into it."
    x = RIGHT + 30 + LANE*number
    middle = {d: top + height/2 for d, (top, height, _) in plan.items()}
    start, end = middle[max(importers)] - 8, middle[decade] + 11   # dots stand above the arrows of their floor
    yield arrow([(x, start), (x, end), (RIGHT+3, end)], 'own')
    for d in importers: yield f'<circle cx="{x:g}" cy="{middle[d]-8:g}" r="5" class="dot"/>'


def house(root=ROOT):
    "The whole house: rooms by decade, and which floor imports from which."
    known, wanted = numbers(root), imports(root)
    places = plan(floors(known))
    parts = [f'<path d="M8 76 L{(16+RIGHT)/2:g} 14 L{RIGHT+8} 76 Z" class="box"/>',
        text((16+RIGHT)/2, 62, 'sgsvg', 'head', 'middle'),
        text(RIGHT+18, 46, 'dot: this floor imports', 'soft'), text(RIGHT+18, 64, 'arrow: from this floor', 'soft')]
    for decade, place in places.items(): parts += floor(decade, *place)
    for k, decade in enumerate(sorted(places)[:-1]):
        importers = {known[r]//10*10 for r in known for s in wanted[r] if known[s]//10*10 == decade} - {decade}
        if importers: parts.append(group('abcdef'[k % 6], *lane(k, decade, places, importers)))
    last, height, _ = places[min(places)]
    return picture(last+height+16, 'The rooms of sgsvg by floor; imports go down only', parts)


# ---- the method

WAY = (   # what a step is called, its formula, the room that does it, the colour of what is trained
    ('sound', 'x_a', 'audio', None),
    ('mel windows', 'x_a^t', 'audio', None),
    ('inversion', 'w_a^t = E_a(x_a^t)\n+ w_{avg}', 'inversion', 'a'),
    ('trajectory', '', 'trajectory', 'b'),
    ('path in W+', 'w_1 … w_T', 'model', None),
    ('StyleGAN', 'G', 'stylegan2', 'c'),
    ('frames', 'v_t = G(w_t)', 'video', None))

SHAPES = '(n)', '(T, 64, 64)', '(T, L, d)', '(T, L, d)', '(T, L, d)', '(T, 3, H, W)'   # of what goes along each arrow
LETTERS = 'n samples', 'T frames, H x W pixels', 'L style layers of d numbers'

LOSSES = (   # colour and name of what is trained, the loss, the room of the stage, its width
    ('a', 'E_a', (
        'L_{enc} = 1 − cos(F_v(G(w_a)), F_a(x_a))',
        '+ 1 − cos(F_v(G(w_a)), F_t)',
        '+ λ_b ‖w_a − w_{avg}‖^2'), 'stages_inversion', 258),
    ('b', 'the trajectory', (
        'L = L_{adv}(D_I, v_t) + L_{adv}(D_V, v_1 … v_T)',
        '+ λ_{enc} Σ_t (1 − cos(F_v(v_t), F_a(x_a^t)))',
        '+ λ_{enc} Σ_t (1 − cos(F_v(v_t), F_t))'), 'stages_trajectory', 288),
    ('c', 'G', ('‖G(z, c) − v‖', '+ feature distance', '+ L_{adv}(D, G(z, c))'), 'stages_generator', 152),
    ('d', 'F_a', ('InfoNCE, F_a(x_a)', 'with F_v(v), F_t', 'and masked x_a'), 'stages_embedding', 148))

TOP, TALL, WIDE = 92, 92, 108   # of the row of steps: its upper edge, height and width of a step

def left(k):
    "The left edge of step `k`."
    return 14 + 125*k


def step(k, title, formula, room, colour):
    "One step of the way, with its room below."
    x, middle = left(k), left(k) + WIDE/2
    lines = formula.split('\n')
    yield box(x, TOP, WIDE, TALL, 'net' if colour else 'box')
    yield text(middle, TOP+24, title, 'head slim', 'middle')
    for n, line in enumerate(lines): yield text(middle, TOP+62-12*(len(lines)-1)+24*n, line, 'math', 'middle')
    yield text(middle, TOP+TALL+18, room, 'room', 'middle')


def bands():
    "The three recurrent nets of the trajectory, the noise, and the way back from one step to the next."
    x, back = left(3), TOP-20
    for k, band in enumerate(('GRU, coarse', 'GRU, mid', 'GRU, fine')):
        yield box(x+10, TOP+32+19*k, WIDE-20, 16, 'band')
        yield text(x+WIDE/2, TOP+44+19*k, band, 'tiny', 'middle')
    yield arrow([(left(4)+WIDE/2, TOP), (left(4)+WIDE/2, back), (x+80, back), (x+80, TOP-2)], 'own')
    yield text(x+125, back-6, 'w_{t−1}', 'math', 'middle')
    yield arrow([(x+30, back-12), (x+30, TOP-2)], 'own')
    yield text(x+30, back-18, 'noise n_t', 'math', 'middle')


def shapes():
    "What goes along each arrow: its shape below, and what the letters are."
    for k, shape in enumerate(SHAPES, 1):
        x = left(k) - 8
        yield f'<path d="M{x:g} {TOP+76} V{TOP+TALL+24}" class="way thin"/>'
        yield text(x, TOP+TALL+38, shape, 'soft tiny', 'middle')
    for k, words in enumerate(LETTERS): yield text(left(0), 26+18*k, words, 'soft tiny')


def critics():
    "What looks at the frames: one critic a frame, one the whole clip."
    x = left(5) + 20
    yield box(x, 14, left(6)+WIDE-x, 50)
    yield text(x+12, 34, 'D_I a frame', 'math')
    yield text(x+104, 34, 'D_V the clip', 'math')
    yield text(x+12, 55, 'critics', 'room')
    yield arrow([(left(6)+WIDE/2, TOP), (left(6)+WIDE/2, 66)])


def clip_space(top=240, tall=96):
    "The embedding that sound, words and frames share."
    sound, frames = left(1)+WIDE/2, left(6)+WIDE/2
    words = left(4)+10
    yield box(left(0), top, left(6)+WIDE-left(0), tall)
    yield text(left(0)+14, top+26, 'CLIP space', 'head')
    yield text(left(0)+14, top+46, 'clipspace', 'room')
    yield arrow([(sound, TOP+TALL+26), (sound, top+14)], 'way')
    yield arrow([(frames, TOP+TALL+26), (frames, top+14)], 'way')
    yield f'<path d="M{sound+40} {top+32} H{frames-38}" class="way dash"/>'
    yield f'<path d="M{words+52} {top+68} H{frames-38} V{top+44}" class="way dash"/>'
    yield group('d', box(sound-38, top+16, 76, 32, 'net'))
    yield text(sound, top+37, 'F_a(x_a^t)', 'math', 'middle')
    yield box(words-52, top+52, 104, 32)
    yield text(words, top+73, 'F_t(“thunder”)', 'math', 'middle')
    yield box(frames-38, top+16, 76, 32)
    yield text(frames, top+37, 'F_v(v_t)', 'math', 'middle')
    yield text(left(3)+20, top+27, '1 − cos', 'math soft')
    yield text(left(5)+30, top+63, '1 − cos', 'math soft')


def losses(top=360):
    "What trains each net, in the colour of the net."
    x = left(0)
    for colour, net, terms, room, width in LOSSES:
        indent = 26 if width > 200 else 0   # of what is added
        lines = [text(x+12+indent*(k > 0), top+50+25*k, term, 'math') for k, term in enumerate(terms)]
        name = text(x+12, top+24, f'trains {net}', 'math named')
        yield group(colour, box(x, top, width, 138, 'net'), name, *lines, text(x+12, top+126, room, 'room'))
        x += width + 4


def method(root=ROOT):
    "The whole method, from a sound to frames, and what trains each net."
    rooms = {room for *_, room, _ in (*WAY, *LOSSES)} | {'clipspace', 'critics'}
    gone = sorted(rooms - set(numbers(root)))
    if gone: raise ValueError(f'method.svg names rooms that are not there: {gone}')
    parts = [*shapes(), *clip_space(), *critics()]
    for k, (title, formula, room, colour) in enumerate(WAY):
        more = bands() if title == 'trajectory' else ()
        parts.append(group(colour or '', *step(k, title, formula, room, colour), *more))
        if k: parts.append(arrow([(left(k)+WIDE-125, TOP+70), (left(k)-2, TOP+70)]))
    return picture(512, 'From a sound to frames, and what trains each net', [*parts, *losses()])


if __name__ == '__main__':
    images = ROOT/'nbs/images'
    images.mkdir(exist_ok=True)
    for name, draw in dict(house=house, method=method).items():
        (images/f'{name}.svg').write_text(draw(), encoding='utf-8')
