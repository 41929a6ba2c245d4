"""`make lab`: JupyterLab on copies of the notebooks, so that a pull never meets what somebody tried out.
`--fresh` sets changed copies anew and keeps what was there beside them."""
import argparse, hashlib, json, os, shutil, sys, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEWS = {'@jupyterlab/apputils-extension:notification': dict(fetchNews='false', checkForUpdates=False)}

def joined(x):
    "JSON with lists of lines as one text each: a notebook may be written either way."
    if isinstance(x, dict): return {k: joined(v) for k, v in x.items()}
    if not isinstance(x, list): return x
    return ''.join(x) if all(isinstance(o, str) for o in x) else [joined(o) for o in x]

def mark(path):
    "A hash of a notebook's cells and outputs, or of a file's bytes. What else a notebook holds, Jupyter rewrites."
    data = path.read_bytes()
    if path.suffix == '.ipynb':
        try:
            cells = json.loads(data)['cells']
            told = [(c['cell_type'], joined(c['source']), joined(c.get('outputs'))) for c in cells]
            data = json.dumps(told, sort_keys=True).encode()
        except (ValueError, KeyError, TypeError): pass   # no notebook any more: its bytes then
    return hashlib.sha256(data).hexdigest()

def put(source, copy):
    "`source` under the name `copy`, whole or not at all."
    copy.parent.mkdir(parents=True, exist_ok=True)
    half = copy.with_name(f'.{copy.name}.tmp')
    shutil.copyfile(source, half)
    half.replace(copy)

def aside(copy):
    "Keep a changed copy under another name in its folder, where its links and paths still hold; the name."
    kept = copy.with_name(f'{copy.stem}.mine-{time.strftime("%Y%m%d-%H%M%S")}{copy.suffix}')
    copy.rename(kept)
    return kept

def shipped(nbs):
    "The files to copy, by their names below `nbs`."
    found = (p.relative_to(nbs) for p in nbs.rglob('*') if p.is_file())
    return {p.as_posix(): nbs/p for p in found if not any(part.startswith('.') for part in p.parts)}

def refresh(
    nbs,          # the project's notebooks
    lab,          # the folder of the copies, made if there is none
    fresh=False,  # set changed copies anew too; what was changed is kept beside
):                # names placed; names kept aside, with their new paths; names that stay though the project's are newer
    "Bring the copies up to date. A copy that somebody changed is never overwritten."
    record = lab/'.placed.json'
    placed = json.loads(record.read_text()) if record.exists() else {}
    files, new = shipped(nbs), []
    kept, stay = {}, []
    for name, source in files.items():
        copy, want = lab/name, mark(source)
        have = mark(copy) if copy.is_file() else None
        mine = have not in (None, want, placed.get(name))
        if mine and not fresh:
            if placed.get(name) != want: stay.append(name)
            continue
        if mine: kept[name] = aside(copy)
        if have != want:
            put(source, copy)
            new.append(name)
        placed[name] = want
    for name in placed.keys()-files.keys():   # no longer the project's
        copy = lab/name
        if copy.is_file() and mark(copy) == placed[name]: copy.unlink()
        del placed[name]
    lab.mkdir(exist_ok=True)
    record.write_text(json.dumps(placed, indent=1))
    return new, kept, stay

def trust(paths):
    "Let the stored outputs of these notebooks run: they are the project's own."
    import nbformat
    from nbformat.sign import NotebookNotary
    notary = NotebookNotary()
    for p in paths: notary.sign(nbformat.read(p, as_version=4))

def options(lab):
    "JupyterLab's: the repository as its root, the index open, no news."
    settings = lab/'.settings'
    settings.mkdir(exist_ok=True)
    (settings/'overrides.json').write_text(json.dumps(NEWS))
    lab_app = dict(default_url=f'/lab/tree/{lab.name}/index.ipynb', app_settings_dir=settings,
                   check_for_updates_class='jupyterlab.NeverCheckForUpdate')
    root = ['--allow-root'] if os.geteuid() == 0 else []
    return [f'--ServerApp.root_dir={ROOT}', *(f'--LabApp.{k}={v}' for k, v in lab_app.items()), *root]

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--fresh', action='store_true', help='set changed copies anew; what was changed is kept beside')
    p.add_argument('more', nargs='*', help="options for JupyterLab, after --")
    args = p.parse_args()
    lab = ROOT/'lab'
    new, kept, stay = refresh(ROOT/'nbs', lab, args.fresh)
    trust(lab/n for n in new if n.endswith('.ipynb'))
    for name, path in kept.items(): print(f'lab/{name} is new; what you had there is {path.relative_to(ROOT)}')
    if stay:
        names = ', '.join(f'lab/{n}' for n in stay)
        print(f'you changed {names}, and the project has newer ones: '
              'make lab FRESH=1 puts them in place and keeps yours beside')
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, '-m', 'jupyterlab', *options(lab), *args.more])

if __name__ == '__main__': main()
