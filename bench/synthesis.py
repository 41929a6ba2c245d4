"""Frames per second and peak memory of both generators over size, batch and precision, beside the floor: operations
over the measured matrix rate, bytes over the measured bandwidth. Not part of the test run:

    export SGSVG_BENCH=full SGSVG_BENCH_OUT=results/speed/synthesis.json
    python -m pytest bench/synthesis.py -n 0 -s --benchmark-columns=min,median --benchmark-sort=name

needs pytest-benchmark (`pip install -e .[dev]`) and a machine that does nothing else. `full` adds 1024 x 1024; the file
is what `nbs/43_stylegan3.ipynb` plots. A GPU is used where there is one."""
import ctypes, os, resource, time
from pathlib import Path

import pytest, torch

pytest.importorskip('pytest_benchmark')
from sgsvg import stylegan2, stylegan3
from sgsvg.core import keep_memory, pick_device, write_json

keep_memory()
torch.set_num_threads(len(os.sched_getaffinity(0)))
DEVICE = pick_device('auto')
FULL = os.environ.get('SGSVG_BENCH') == 'full'
OUT = os.environ.get('SGSVG_BENCH_OUT')
NETS = dict(
    stylegan2=(stylegan2.Generator, {}),
    stylegan3_t=(stylegan3.Generator, stylegan3.CONFIGS['t']),
    stylegan3_r=(stylegan3.Generator, stylegan3.CONFIGS['r']))
LAYERS = stylegan2.StyledConv, stylegan2.ToRGB, stylegan3.Layer
DTYPES = dict(float32=torch.float32, bfloat16=torch.bfloat16)

def reset_peak():
    "Start a new peak: give back what `keep_memory` kept, and Linux forgets the old peak on request."
    if DEVICE.type == 'cuda': torch.cuda.reset_peak_memory_stats()
    elif Path('/proc/self/clear_refs').exists():
        getattr(ctypes.CDLL(None), 'malloc_trim', id)(0)
        Path('/proc/self/clear_refs').write_text('5')

def peak_mb():
    "Peak memory in MiB since `reset_peak`: of the GPU, or of the whole process."
    if DEVICE.type == 'cuda': return torch.cuda.max_memory_allocated()/2**20
    try:
        lines = Path('/proc/self/status').read_text().splitlines()
        return int(next(o for o in lines if o.startswith('VmHWM')).split()[1])/1024
    except (OSError, StopIteration): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024

def best(fn, times=5):
    "Seconds of the quickest of several calls."
    took = []
    for _ in range(times):
        start = time.perf_counter()
        fn()
        if DEVICE.type == 'cuda': torch.cuda.synchronize()
        took.append(time.perf_counter()-start)
    return min(took)

def operations(g):
    """Of one frame, a multiplication and an addition as two: convolutions where they are smallest, separable filters,
    no stuffed zeros."""
    if isinstance(g, stylegan3.Generator): return sum(map(sum, stylegan3.flops(g).values()))
    convs = [m for m in g.modules() if isinstance(m, stylegan2.StyledConv)]
    rgbs = [(getattr(g.synthesis, f'b{r}').torgb, r) for r in g.synthesis.res]
    drawn = sum(2*m.weight.numel()*r**2 for m,r in rgbs)
    return drawn + sum(2*m.weight.numel()*(m.res>>m.up)**2 + m.up*8*len(m.weight)*m.res**2 for m in convs)

def traffic(g, ws):
    "Numbers that one frame must move: `(weights, maps)`, each layer reading its input and writing its output once."
    maps = []
    def count(m, i, o): maps.append(i[0].numel() + o.numel())
    hooks = [m.register_forward_hook(count) for m in g.modules() if isinstance(m, LAYERS)]
    with torch.no_grad(): g.synthesis(ws[:1])
    for h in hooks: h.remove()
    return sum(p.numel() for p in g.synthesis.parameters()), sum(maps)

@pytest.fixture(scope='module')
def machine():
    "What this machine can do at best: operations a second by precision, bytes a second."
    a, big = torch.randn(2048, 2048, device=DEVICE), torch.zeros(1 << 26, device=DEVICE)
    to = torch.empty_like(big)
    def product(x): return best(lambda: x@x)
    rate = {k: 2*2048**3/product(a.to(d)) for k,d in DTYPES.items()}
    return dict(rate=rate, bandwidth=2*big.nbytes/best(lambda: to.copy_(big)))

@pytest.fixture(scope='module')
def table(machine):
    "Rows, written to `SGSVG_BENCH_OUT` when all is done."
    rows = []
    yield rows
    device = torch.cuda.get_device_name() if DEVICE.type == 'cuda' else 'cpu'
    about = dict(device=device, threads=torch.get_num_threads(), torch=torch.__version__)
    if OUT: write_json(OUT, dict(**about, **machine, rows=rows))

@pytest.fixture(scope='module')
def nets():
    made = {}
    def get(name, size):
        if (name, size) not in made:
            made.clear()
            torch.manual_seed(0)
            cls, kw = NETS[name]
            made[name, size] = cls(img_resolution=size, **kw).eval().requires_grad_(False).to(DEVICE)
        return made[name, size]
    return get

@pytest.mark.parametrize('precision', DTYPES)
@pytest.mark.parametrize('size,batch', [(256, 1), (256, 4)] + [(1024, 1)]*FULL)
@pytest.mark.parametrize('name', NETS)
def test_synthesis(benchmark, nets, machine, table, name, size, batch, precision):
    g = nets(name, size)
    ws = g.mapping(torch.randn(batch, g.z_dim, generator=torch.Generator().manual_seed(1)).to(DEVICE))
    def frame():
        half = torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == 'bfloat16')
        with torch.no_grad(), half: img = g.synthesis(ws)
        if DEVICE.type == 'cuda': torch.cuda.synchronize()
        return img
    # float32, the way that gradients go: nothing folded into the weights, no Winograd
    exact = g.synthesis(ws)
    reset_peak()
    img = benchmark.pedantic(frame, rounds=5 if DEVICE.type == 'cpu' else 10, warmup_rounds=1)
    error = ((img-exact).square().mean().sqrt()/exact.std()).item()
    took = benchmark.stats.stats
    weights, maps = traffic(g, ws)
    seconds = took.median/batch
    row = dict(
        net=name, size=size, batch=batch, precision=precision,
        seconds=seconds, best=took.min/batch, worst=took.max/batch, fps=1/seconds,
        peak_mb=peak_mb(), error=error,
        operations_s=operations(g)/machine['rate'][precision],
        bytes_s=(4*weights/batch + DTYPES[precision].itemsize*maps)/machine['bandwidth'])
    table.append(row)
    benchmark.extra_info.update(row)
    print(f"\n{name} {size} px, batch {batch}, {precision}: {seconds:.3f} s a frame "
          f"({row['best']:.3f} to {row['worst']:.3f}), "
          f"floor {row['operations_s']:.3f} s (operations), {row['bytes_s']:.3f} s (bytes), "
          f"peak {row['peak_mb']:.0f} MB, deviation {error:.1e}")
    assert error < (.05 if precision == 'bfloat16' else 1e-4)
