"""Frames per second and peak memory of both generators over size, batch and precision. Not part of the test run:

    python -m pytest tests/bench_synthesis.py -n 0 --benchmark-columns=min,median --benchmark-sort=name

needs pytest-benchmark. `--benchmark-json=FILE` keeps everything; `extra_info` holds frames per second, memory and the deviation from float32.
`SGSVG_BENCH=full` adds 1024 x 1024. A GPU is used where there is one."""
import os, resource
from pathlib import Path

import pytest, torch

pytest.importorskip('pytest_benchmark')
from sgsvg import stylegan2, stylegan3
from sgsvg.core import pick_device

DEVICE, FULL = pick_device('auto'), os.environ.get('SGSVG_BENCH') == 'full'
NETS = dict(stylegan2=(stylegan2.Generator, {}), stylegan3_t=(stylegan3.Generator, stylegan3.CONFIGS['t']), stylegan3_r=(stylegan3.Generator, stylegan3.CONFIGS['r']))

def reset_peak():
    "Start a new peak: Linux forgets the old one on request."
    if DEVICE.type == 'cuda': torch.cuda.reset_peak_memory_stats()
    elif Path('/proc/self/clear_refs').exists(): Path('/proc/self/clear_refs').write_text('5')

def peak_mb():
    "Peak memory in MB since `reset_peak`: of the GPU, or of the whole process."
    if DEVICE.type == 'cuda': return torch.cuda.max_memory_allocated()/2**20
    try: return int(next(o for o in Path('/proc/self/status').read_text().splitlines() if o.startswith('VmHWM')).split()[1])/1024
    except (OSError, StopIteration): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024

@pytest.fixture(scope='module')
def nets():
    made = {}
    def get(name, size):
        if (name, size) not in made:
            made.clear(); torch.manual_seed(0)
            cls, kw = NETS[name]
            made[name, size] = cls(img_resolution=size, **kw).eval().requires_grad_(False).to(DEVICE)
        return made[name, size]
    return get

@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
@pytest.mark.parametrize('batch', [1, 4])
@pytest.mark.parametrize('size', [256, 1024] if FULL else [256])
@pytest.mark.parametrize('name', NETS)
def test_synthesis(benchmark, nets, name, size, batch, precision):
    g = nets(name, size)
    ws = g.mapping(torch.randn(batch, g.z_dim, generator=torch.Generator().manual_seed(1)).to(DEVICE))
    def frame(on=precision == 'bfloat16'):
        with torch.no_grad(), torch.autocast(DEVICE.type, torch.bfloat16, enabled=on): img = g.synthesis(ws)
        if DEVICE.type == 'cuda': torch.cuda.synchronize()
        return img
    exact = frame(False)
    reset_peak()
    img = benchmark.pedantic(frame, rounds=2 if DEVICE.type == 'cpu' else 10, warmup_rounds=1)
    error = ((img-exact).square().mean().sqrt()/exact.std()).item()
    fps = batch/benchmark.stats.stats.min
    benchmark.extra_info.update(fps=fps, peak_mb=peak_mb(), error=error, threads=torch.get_num_threads(), device=str(DEVICE), torch=torch.__version__)
    print(f'\n{name} {size} px, batch {batch}, {precision}: {fps:.2f} frames/s, peak {peak_mb():.0f} MB, deviation from float32 {error:.1e}')
    assert error < (.05 if precision == 'bfloat16' else 1e-6)
