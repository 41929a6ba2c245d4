"Every experiment runs from start to end, tiny, on the CPU, each on what the ones before it left (so this file runs in one process)."
import papermill as pm
import pytest

from repo import EXPERIMENTS

ORDER = 'train_judge train_generator train_clip train_sound train_inversion train_trajectory pack generate evaluate'.split()
rank = {n: i for i, n in enumerate(ORDER)}
ordered = sorted(EXPERIMENTS, key=lambda p: (rank.get(p.stem, len(ORDER)), p.stem))

@pytest.fixture(scope='module')
def place(tmp_path_factory): return tmp_path_factory.mktemp('experiments')

@pytest.mark.parametrize('nb', ordered, ids=lambda p: p.stem)
def test_experiment(nb, place):
    known = pm.inspect_notebook(str(nb))
    wanted = dict(tiny=True, root=str(place/'runs'), device='cpu')
    pm.execute_notebook(str(nb), str(place/nb.name), {k: v for k, v in wanted.items() if k in known},
                        kernel_name='python3', cwd=str(place), progress_bar=False, execution_timeout=500)
