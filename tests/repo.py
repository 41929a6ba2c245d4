"What several tests need to know about the repository."
import json, re, subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT/'nbs'
ROOMS = sorted(NBS.glob('[0-9][0-9]_*.ipynb'))
EXPERIMENTS = sorted((NBS/'experiments').glob('*.ipynb'))
WALKTHROUGHS = sorted((NBS/'walkthroughs').glob('*.ipynb'))
NOTEBOOKS = sorted(p for p in NBS.rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts)

def rel(path): return path.relative_to(ROOT).as_posix()

def cells(nb, kind='code'):
    "The cells of one kind in the notebook file `nb`, each with its source as one string."
    found = [c for c in json.loads(nb.read_text(encoding='utf-8'))['cells'] if c['cell_type']==kind]
    return [{**c, 'source': ''.join(c['source'])} for c in found]

def default_exp(nb):
    "The module that `nb` exports to, or None."
    names = [m[1] for c in cells(nb) for m in re.finditer(r'^#\|\s*default_exp\s+(\S+)', c['source'], re.M)]
    assert len(names) <= 1, f'{nb.name} has {len(names)} default_exp lines'
    return names[0] if names else None

def tracked():
    "Every file that is or would be committed, or None outside git."
    command = ['git', 'ls-files', '-coz', '--exclude-standard']
    try: out = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError): return None
    return sorted(p for n in set(out.decode().split('\0')) if n and (p := ROOT/n).is_file())
