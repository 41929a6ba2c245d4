"""How large the tree's functions, lines and cells are: `python tools/sizes.py [--worst N] [--limits]`.

A line is one that is not blank; the list `__all__`, which a machine writes, has none.
A syntax node is a statement or an expression of Python's `ast`; it counts for the line on which it starts.
A cell is exported if it starts with `#| export`, which does not count as one of its lines.
A function runs from its `def` to its last line, and functions inside of others count too.
Prose to code: characters of markdown cells to those of code cells, in the numbered notebooks.
"""
import argparse
import ast
import json
import re
import statistics
import sys
from collections import Counter, defaultdict
from pathlib import Path

COLUMNS = 120
CELL = 20          # lines of an exported cell
FUNCTION = 40      # lines of a function
TARGETS = 2        # of a tuple assignment

# Two kinds of one thing, called in the same way, share its name: `audio.read` and `video.read`, and the published
# generators, which have the same names in their authors' two modules.
KINDS = {
    'read': {'audio', 'video'}, 'stream': {'audio', 'video'},
    'Generator': {'stylegan2', 'stylegan3'}, 'Synthesis': {'stylegan2', 'stylegan3'},
}

LIMITS = {         # measure -> the most it may be
    'lines of code over 120 columns, %': 1,
    'syntax nodes a line, p90': 16,
    'exported cells over 20 lines, %': 12,
    'function length, max': FUNCTION,
    'lines with ;': 0,
    'tuple assignments of more than two targets': 0,
    'public functions without docments': 0,
    'public parameters without a type': 0,
    'public names in two modules': 0,
}


def percent(some, of):
    return 100*some/max(of, 1)


def p90(values):
    "The value that nine tenths of `values` do not exceed."
    values = sorted(values)
    return values[int(.9*(len(values)-1))]


def modules(root):
    "Path -> source of each exported module, its `__all__` as blank lines."
    made = ('_modidx.py', '__init__.py')
    paths = [p for p in sorted((root/'sgsvg').glob('*.py')) if p.name not in made]
    blank = lambda m: '\n'*m[0].count('\n')
    return {p: re.sub(r'^__all__ = \[[^]]*\]', blank, p.read_text(), flags=re.M) for p in paths}


def notebooks(root):
    "Path -> list of `(kind, source)`, in the order of the cells."
    found = {}
    for path in sorted((root/'nbs').rglob('*.ipynb')):
        if '.ipynb_checkpoints' in path.parts: continue
        cells = json.loads(path.read_text())['cells']
        found[path] = [(c['cell_type'], ''.join(c['source'])) for c in cells]
    return found


def long_lines(path, text):
    "`(columns, place)` of lines over the limit."
    lines = enumerate(text.split('\n'), 1)
    return [(len(line), f'{path}:{n}') for n,line in lines if len(line) > COLUMNS]


def functions(tree):
    return [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def nodes(tree):
    "Line number -> syntax nodes that start there."
    return Counter(n.lineno for n in ast.walk(tree) if isinstance(n, (ast.stmt, ast.expr)))


def targets(node):
    "How many names the widest tuple of an assignment has."
    if not isinstance(node, ast.Assign): return 0
    return max(len(t.elts) if isinstance(t, (ast.Tuple, ast.List)) else 1 for t in node.targets)


def semicolons(source):
    "Line numbers on which a second statement starts."
    tree = ast.parse(source)
    ends = defaultdict(list)
    for node in ast.walk(tree):
        for block in ('body', 'orelse', 'finalbody'):
            some = getattr(node, block, None)
            if not isinstance(some, list): continue
            for a,b in zip(some, some[1:]):
                if a.end_lineno == b.lineno: ends[b.lineno].append(b)
    return sorted(ends)


def is_method(node):
    "Is this function added to a class by `patch`?"
    calls = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(isinstance(d, ast.Name) and d.id == 'patch' for d in calls)


def assigned(node):
    "Names that an assignment gives."
    return {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}


def public(tree):
    "Top-level names that a module defines for others."
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef): names.add(node.name)
        if isinstance(node, ast.FunctionDef) and not is_method(node): names.add(node.name)
        if isinstance(node, ast.Assign): names |= assigned(node)
    return {n for n in names if not n.startswith('_')}


def parameters(node):
    "The parameters of a function, without the object that a method belongs to."
    args = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
    return [a for a in args if a.arg not in ('self', 'cls')]


def public_functions(tree):
    "`(name, function)` of all that others call: functions, methods of public classes, and what `patch` adds."
    for node in tree.body:
        if isinstance(node, ast.FunctionDef): yield node.name, node
        if not isinstance(node, ast.ClassDef) or node.name.startswith('_'): continue
        for method in methods(node): yield f'{node.name}.{method.name}', method


def untyped(tree):
    "`function.parameter` of all that others call, where the parameter has no annotation."
    for name,node in public_functions(tree):
        last = name.split('.')[-1]
        if last.startswith('_') and last != '__init__': continue
        for a in parameters(node):
            if a.annotation is None: yield f'{name}.{a.arg}'


def methods(node):
    "The methods in the body of a class."
    return [n for n in node.body if isinstance(n, ast.FunctionDef)]


def bases(node):
    "Names of the classes that a class stands on, without their modules."
    return [b.attr if isinstance(b, ast.Attribute) else getattr(b, 'id', '') for b in node.bases]


def inherited(name, classes):
    "Methods that the ancestors of the class `name` define; PyTorch's modules define `forward`."
    above = [b for node in classes.get(name, []) for b in bases(node) if b != name]
    found = {'forward'} if 'Module' in above else set()
    for base in above:
        found |= {m.name for node in classes.get(base, []) for m in methods(node)} | inherited(base, classes)
    return found - {'__init__'}


def class_table(trees):
    "Name -> the classes of that name in all modules."
    found = defaultdict(list)
    for node in (n for tree in trees for n in tree.body):
        if isinstance(node, ast.ClassDef): found[node.name].append(node)
    return found


def undocumented(source, tree, classes):
    "Public functions of two parameters or more, one of which has no comment on its line, and that no ancestor has."
    lines = source.split('\n')
    for name,node in public_functions(tree):
        owner, _, last = name.rpartition('.')
        if last.startswith('_') and last != '__init__' or last in inherited(owner, classes): continue
        args = parameters(node)
        bare = [a for a in args if '#' not in lines[a.end_lineno-1]]
        if len(args) > 1 and bare: yield name, node


def twice(homes):
    "`(modules, place)` of names that stand in several, unless these are `KINDS`."
    several = {n: where for n,where in homes.items() if len(where) > 1}
    wrong = {n: where for n,where in several.items() if {p.stem for p in where} != KINDS.get(n)}
    return [(len(where), f'{n}: {", ".join(map(str, where))}') for n,where in wrong.items()]


def measure_modules(root, places):
    "Measures of the exported modules; fills `places`: measure -> `(size, place)`."
    all_nodes, lengths, homes = [], [], defaultdict(list)
    lines = 0
    classes = class_table(map(ast.parse, modules(root).values()))
    for path,source in modules(root).items():
        tree, name = ast.parse(source), path.relative_to(root)
        lines += sum(bool(line.strip()) for line in source.split('\n'))
        places['lines of code over 120 columns, %'] += long_lines(name, source)
        for line,n in nodes(tree).items():
            all_nodes.append(n)
            places['syntax nodes a line, p90'].append((n, f'{name}:{line}'))
        for f in functions(tree):
            lengths.append(f.end_lineno-f.lineno+1)
            places['function length, max'].append((lengths[-1], f'{name}:{f.lineno} {f.name}'))
        places['lines with ;'] += [(1, f'{name}:{n}') for n in semicolons(source)]
        wide = [n for n in ast.walk(tree) if targets(n) > TARGETS]
        places['tuple assignments of more than two targets'] += [(targets(n), f'{name}:{n.lineno}') for n in wide]
        places['public parameters without a type'] += [(1, f'{name}: {o}') for o in untyped(tree)]
        bare = undocumented(source, tree, classes)
        places['public functions without docments'] += [(1, f'{name}:{f.lineno} {n}') for n,f in bare]
        for n in public(tree): homes[n].append(name)
    places['public names in two modules'] += twice(homes)
    count = {k: len(places[k]) for k in ('lines with ;', 'tuple assignments of more than two targets',
        'public functions without docments', 'public parameters without a type', 'public names in two modules')}
    return {
        'function length, median': statistics.median(lengths),
        'function length, p90': p90(lengths),
        'function length, max': max(lengths),
        'lines of code over 120 columns, %': percent(len(places['lines of code over 120 columns, %']), lines),
        'syntax nodes a line, p90': p90(all_nodes),
        **count}


def measure_notebooks(root, places):
    "Measures of the notebooks; fills `places`."
    cells, prose_lines = [], 0
    characters = Counter()
    for path,parts in notebooks(root).items():
        name = path.relative_to(root)
        for i,(kind,source) in enumerate(parts):
            if name.name[:1].isdigit(): characters[kind] += len(source)
            if kind == 'markdown':
                prose_lines += sum(bool(line.strip()) for line in source.split('\n'))
                places['lines of prose over 120 columns, %'] += long_lines(f'{name} cell {i}', source)
            if kind == 'code' and source.startswith('#| export'):
                cells.append(len(source.split('\n'))-1)
                places['exported cells over 20 lines, %'].append((cells[-1], f'{name} cell {i}'))
    long = len(places['lines of prose over 120 columns, %'])
    return {
        'lines of prose over 120 columns, %': percent(long, prose_lines),
        'exported cell length, median': statistics.median(cells),
        'exported cells over 20 lines, %': percent(sum(n > CELL for n in cells), len(cells)),
        'prose to code': characters['markdown']/max(characters['code'], 1)}


def measure(root):
    "`(measure -> number, measure -> [(size, place)])` of a tree."
    places = defaultdict(list)
    return measure_modules(root, places) | measure_notebooks(root, places), places


def table(sizes):
    "Lines of text: measure, number, limit."
    for k,v in sizes.items():
        number = f'{v:.2f}' if k == 'prose to code' else f'{v:.1f}' if k.endswith('%') else f'{v:g}'
        limit = f'at most {LIMITS[k]}' + ' !'*(v > LIMITS[k]) if k in LIMITS else ''
        yield f'{k:46}{number:>8}  {limit}'.rstrip()


def main(argv=None):
    parser = argparse.ArgumentParser(description='How large functions, lines and cells are.')
    parser.add_argument('--root', type=Path, default=Path(__file__).parents[1])
    parser.add_argument('--worst', type=int, default=0, metavar='N', help='the N largest places of each measure')
    parser.add_argument('--limits', action='store_true', help='exit status 1 beyond a limit')
    args = parser.parse_args(argv)
    sizes, places = measure(args.root)
    print('\n'.join(table(sizes)))
    for k,found in places.items() if args.worst else ():
        print(f'\n{k}')
        for size,place in sorted(found, key=lambda o: -o[0])[:args.worst]: print(f'{size:6}  {place}')
    beyond = [k for k,most in LIMITS.items() if sizes[k] > most]
    return int(args.limits and bool(beyond))


if __name__ == '__main__': sys.exit(main())
