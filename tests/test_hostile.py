"Weights files that would run something, or eat the machine: each ends in one line, at once, and leaves no mark."
import copyreg, gzip, io, marshal, pickle, resource, struct, time, warnings, zipfile
from pathlib import Path

import numpy as np, pytest, torch

from sgsvg import cli, pretrained, stylegan2, unpickle
from sgsvg.core import SgsvgError

# --- a small assembler of pickles -------------------------------------------------------------------------------------------------

def text(s): return b'X' + struct.pack('<I', len(s.encode())) + s.encode()
def data(b): return b'B' + struct.pack('<I', len(b)) + b
def num(n): return pickle.dumps(n, 2)[2:-1]
def name(module, attribute): return f'c{module}\n{attribute}\n'.encode()
def dotted(module, attribute): return text(module) + text(attribute) + b'\x93'
def tup(*items): return b'(' + b''.join(items) + b't'
def dic(**items): return b'}(' + b''.join(text(k)+v for k,v in items.items()) + b'u'
def call(f, *args): return f + tup(*args) + b'R'
def whole(body, protocol=4): return b'\x80' + bytes([protocol]) + body + b'.'
def touch(mark): return text(f'touch {mark}')
def code(mark): return text(f'open({str(mark)!r}, "w").close()')
def system(mark): return call(name('os', 'system'), touch(mark))

def torch_zip(pkl, storages=(), **kw):
    "The newer layout of torch"
    f = io.BytesIO()
    with zipfile.ZipFile(f, 'w', **kw) as z:
        z.writestr('archive/data.pkl', pkl)
        z.writestr('archive/version', '3\n')
        for key,b in dict(storages).items(): z.writestr(f'archive/data/{key}', b)
    return f.getvalue()

def torch_stream(pkl, storages=(), info=None):
    "The older layout of torch"
    head = [unpickle.MAGIC, 1001, info or dict(protocol_version=1001, little_endian=True, type_sizes={})]
    return b''.join(pickle.dumps(o, 2) for o in head) + pkl + pickle.dumps([k for k,_,_ in storages], 2) + b''.join(struct.pack('<q', n)+b for _,n,b in storages)

def storage(key='0', n=4, kind='FloatStorage'): return tup(text('storage'), name('torch', kind), text(key), text('cpu'), num(n)) + b'Q'
def tensor(offset=0, size=(4,), stride=(1,), **kw): return call(name('torch._utils', '_rebuild_tensor_v2'), storage(**kw), num(offset), tup(*map(num, size)), tup(*map(num, stride)), b'\x89', b'}')
def tensor_file(t, n=16): return torch_zip(whole(dic(g_ema=b'}' + text('input.input') + t + b's'), 2), {'0': bytes(n)})
def persistent(state=b'}', kind='class', cls='Generator', source=b'N'):
    return call(name('torch_utils.persistence', '_reconstruct_persistent_obj'), dic(type=text(kind), version=num(6), module_src=source, class_name=text(cls), state=state))

class Trap:
    def __init__(self, f, *args): self.made = f, args
    def __reduce__(self): return self.made

# --- files that run something -------------------------------------------------------------------------------------------------------
# name: (mark -> bytes, what the error names); with pickle.loads or torch.load each of these leaves its mark (`test_it_is_a_trap`)

RUN = dict(
    os_system=(lambda m: whole(system(m), 2), 'os.system'),
    posix=(lambda m: whole(call(name('posix', 'system'), touch(m)), 2), 'posix.system'),
    subprocess=(lambda m: whole(call(name('subprocess', 'check_output'), b'](' + text('touch') + text(str(m)) + b'e'), 3), 'subprocess.check_output'),
    eval=(lambda m: whole(call(name('builtins', 'eval'), code(m)), 3), 'builtins.eval'),
    exec=(lambda m: whole(call(name('builtins', 'exec'), code(m)), 5), 'builtins.exec'),
    python2_builtins=(lambda m: whole(call(name('__builtin__', 'eval'), code(m)), 2), 'builtins.eval'),
    builtins_by_detour=(lambda m: whole(call(dotted('codecs', 'builtins.eval'), code(m))), 'codecs.builtins.eval'),
    os_by_detour=(lambda m: whole(call(dotted('shutil', 'os.system'), touch(m))), 'shutil.os.system'),
    torch_by_detour=(lambda m: whole(call(dotted('torch.serialization', 'os.system'), touch(m))), 'torch.serialization.os.system'),
    detour_through_an_allowed_class=(lambda m: whole(call(dotted('collections', 'OrderedDict.__class__'), text('X'), b')', b'}') + b'0' + system(m)), 'collections.OrderedDict.__class__'),
    getattr_chain=(lambda m: whole(call(call(name('builtins', 'getattr'), call(name('importlib', 'import_module'), text('os')), text('system')), touch(m))), 'builtins.getattr'),
    dunder_import=(lambda m: whole(call(call(name('operator', 'attrgetter'), text('system')), call(name('builtins', '__import__'), text('os'))) + b'0' + system(m)), 'operator.attrgetter'),
    methodcaller=(lambda m: whole(call(call(name('operator', 'methodcaller'), text('system'), touch(m)), call(name('importlib', 'import_module'), text('os')))), 'operator.methodcaller'),
    partial=(lambda m: whole(call(call(name('functools', 'partial'), name('os', 'system'), touch(m)))), 'functools.partial'),
    map_and_list=(lambda m: whole(call(name('builtins', 'list'), call(name('builtins', 'map'), name('os', 'system'), b'](' + touch(m) + b'e'))), 'builtins.list'),
    codecs_encode=(lambda m: whole(call(name('codecs', 'encode'), text('flfgrz'), text('rot13')) + b'0' + system(m)), 'codecs.encode'),
    codecs_to_another_coding=(lambda m: whole(call(name('_codecs', 'encode'), text('x'), text('idna')) + b'0' + system(m)), '_codecs.encode to idna'),
    timeit=(lambda m: whole(call(name('timeit', 'timeit'), code(m), text('pass'), name('time', 'time'), num(1))), 'timeit.timeit'),
    cprofile=(lambda m: whole(call(name('profile', 'run'), code(m), text(str(m)+'.prof'))), 'profile.run'),
    numpy_helper=(lambda m: whole(call(name('numpy.testing._private.utils', 'runstring'), code(m), b'}')), 'numpy.testing._private.utils.runstring'),
    torch_load=(lambda m: whole(name('torch', 'load') + b'0' + system(m)), 'torch.load'),
    inst=(lambda m: whole(b'(' + touch(m) + b'ios\nsystem\n', 2), 'instruction INST'),
    obj=(lambda m: whole(b'(' + name('collections', 'OrderedDict') + b'o0' + system(m), 2), 'instruction OBJ'),
    newobj_ex=(lambda m: whole(name('collections', 'OrderedDict') + b')}\x92' + b'0' + system(m)), 'instruction NEWOBJ_EX'),
    newobj_with_arguments=(lambda m: whole(name('collections', 'OrderedDict') + tup(b']') + b'\x81' + b'0' + system(m)), 'a new collections.OrderedDict'),
    newobj_of_a_thread=(lambda m: whole(name('threading', 'Thread') + b')\x81' + b'0' + system(m)), 'threading.Thread'),
    dict_from_a_call=(lambda m: whole(call(name('collections', 'OrderedDict'), b']') + b'0' + system(m)), 'a dict made from a value'),
    extension=(lambda m: whole(call(b'\x82\xc8', touch(m)), 2), 'instruction EXT1'),
    setstate_on_an_allowed_class=(lambda m: whole(name('collections', 'OrderedDict') + b')R' + dic(__setstate__=name('os', 'system')) + b'b' + touch(m) + b'b', 2), 'os.system'),
    setstate_twice=(lambda m: whole(name('collections', 'OrderedDict') + b')R' + tup(b'N', b'}') + b'b0' + system(m), 2), 'attributes set on a dict'),
    build_on_an_allowed_function=(lambda m: whole(name('torch._utils', '_rebuild_tensor_v2') + dic(x=b'N') + b'b0' + system(m), 2), 'attributes set on torch._utils._rebuild_tensor_v2'),
    memory_swapped=(lambda m: whole(name('collections', 'OrderedDict') + b'q\x000' + name('os', 'system') + b'q\x000' + call(b'h\x00', touch(m)), 2), 'os.system'),
    name_out_of_memory=(lambda m: whole(text('os') + b'\x940' + text('system') + b'\x940' + b'h\x00h\x01\x93' + tup(touch(m)) + b'R'), 'os.system'),
    old_memory_of_the_inner_file=(lambda m: whole(call(name('torch.storage', '_load_from_bytes'), data(torch_stream(whole(name('os', 'system') + b'q\x00' + tup(touch(m)) + b'R', 2)))), 3), 'os.system'),
    load_from_bytes=(lambda m: whole(call(name('torch.storage', '_load_from_bytes'), data(torch_stream(whole(system(m), 2)))), 3), 'os.system'),
    load_from_bytes_zip=(lambda m: whole(call(name('torch.storage', '_load_from_bytes'), data(torch_zip(whole(system(m), 2)))), 3), 'os.system'),
    inside_inside=(lambda m: whole(call(name('torch.storage', '_load_from_bytes'), data(torch_stream(whole(call(name('torch.storage', '_load_from_bytes'), data(torch_stream(whole(system(m), 2)))), 2)))), 3), 'a torch file inside a torch file'),
    zip_with_a_program=(lambda m: torch_zip(whole(system(m), 2)), 'os.system'),
    stream_with_a_program=(lambda m: torch_stream(whole(system(m), 2)), 'os.system'),
    numpy_of_objects=(lambda m: pickle.dumps(np.array([Trap(eval, f'open({str(m)!r}, "w").close()')])), 'numpy'),
    among_the_hooks=(lambda m: pickle.dumps({'G_ema': {'_forward_hooks': {0: Trap(eval, f'open({str(m)!r}, "w").close()')}}}, 4), 'builtins.eval'),
    among_the_keys=(lambda m: pickle.dumps({Trap(exec, f'open({str(m)!r}, "w").close()'): 1}, 4), 'builtins.exec'),
    protocol_0=(lambda m: b"cos\nsystem\n(S'touch " + str(m).encode() + b"'\ntR.", 'neither a pickle of protocol 2'),
    code_object=(lambda m: whole(call(call(name('types', 'FunctionType'), call(name('marshal', 'loads'), data(marshal.dumps(compile(f'open({str(m)!r}, "w").close()', 'x', 'exec')))), b'}'))), 'types.FunctionType'),
)

# --- files that lie about sizes, or never end; a program at their end would leave the mark -------------------------------------------------

def claimed_zip(m):
    "A record that says it has 4 GB"
    b = bytearray(torch_zip(whole(b'}', 2), {'0': b'1234'}))
    at = b.rfind(b'PK\1\2')
    b[at+20:at+28] = struct.pack('<II', 0xfffffff0, 0xfffffff0)
    return bytes(b)

def two_records(m):
    f = io.BytesIO()
    with zipfile.ZipFile(f, 'w') as z, warnings.catch_warnings(action='ignore'):
        for body in (b'}', system(m)):
            z.writestr('archive/data.pkl', whole(body, 2))
    return f.getvalue()

def doubled(at=0):
    "A tuple of a tuple twice, 60 levels: two to the power of 60 when it is hashed, compared or printed. It is memory `at+60`."
    return b')' + b''.join(b'\x940h' + bytes([at+i]) + b'h' + bytes([at+i]) + b'\x86' for i in range(60)) + b'\x94'

def deep_networks(m):
    start = name('torch_utils.persistence', '_reconstruct_persistent_obj') + b'(}(' + text('type') + text('class') + text('class_name') + text('Generator') + text('state') + b'}(' + text('_modules') + b'}(' + text('a')
    return whole(b'}' + text('G_ema') + start*10_000 + b'N' + b'uuutR'*10_000 + b's')

def itself(m):
    "A network that is one of its own parts"
    return whole(b'}\x940' + call(name('torch_utils.persistence', '_reconstruct_persistent_obj'), dic(type=text('class'), class_name=text('Generator'), state=b'h\x00')) + b'\x94' + b'0h\x00(' + text('_init_kwargs') + b'}'
                 + text('_modules') + b'}' + text('a') + b'h\x01' + b's' + b'u0' + b'}' + text('G_ema') + b'h\x01s')

def generator_with(part='b4', tensor='const', **kwargs):
    "A network that was built with these arguments"
    one = call(name('numpy.core.numeric', '_frombuffer'), data(bytes(4)), call(name('numpy', 'dtype'), text('f4')), tup(num(1)), text('C'))
    inner = persistent(dic(_parameters=dic(**{tensor: one}), _modules=dic(conv1=persistent(b'}'))))
    return persistent(dic(_init_kwargs=dic(**kwargs), _modules=dic(synthesis=persistent(dic(_modules=dic(**{part: inner}))))))

def generator(*what, **kwargs): return whole(dic(G_ema=generator_with(*what, **{k: num(v) for k,v in kwargs.items()})))

def shared_dicts(m):
    "A dict of a dict twice, 60 levels: two to the power of 60 names. The trap behind them is never reached, but by a reader that runs it."
    level = lambda i: b'}(' + text('a') + b'h' + bytes([i]) + text('b') + b'h' + bytes([i]) + b'u\x94'
    return whole(dic(x=b'N') + b'\x94' + b''.join(b'0' + level(i) for i in range(60)))

def dict_in_itself(m): return whole(b'}\x94' + text('state_dict') + b'h\x00s')

def dict_twice_in_itself(m): return whole(b'}\x94(' + text('a') + b'h\x00' + text('b') + b'h\x00u')

def wrapped_deep(m):
    "Dicts in dicts, 100,000 levels, each called as PyTorch calls a wrapper"
    return whole((b'}' + text('module'))*100_000 + b'N' + b's'*100_000)

def many_names(m): return whole(b'}(' + b''.join(text(f'k{i}') + b'N' for i in range(110_000)) + b'u')

def two_at_one_name(m):
    "The same tensor under a name, and under that name behind a wrapper's"
    t = tensor()
    return torch_zip(whole(b'}(' + text('input.input') + t + text('module.input.input') + t + b'u', 2), {'0': bytes(16)})

def parts_for_many(m):
    "2,000 networks with the same 2,000 parameters: four million names"
    state = dic(_parameters=dic(**{f'p{i}': b'K\x01' for i in range(2000)}))
    meta = dic(type=text('class'), class_name=text('Generator'), state=state)
    f = name('torch_utils.persistence', '_reconstruct_persistent_obj')
    return whole(f + b'\x940' + tup(meta) + b'\x940' + dic(G_ema=persistent(dic(_modules=dic(**{f'm{i}': b'h\x00h\x01R' for i in range(2000)})))))

def wide_tensors(m):
    "1,000 tensors of two numbers each, the first and the last of a long storage"
    n = 1 << 19
    return torch_zip(whole(dic(g_ema=b'}' + tensor(n=n, size=(2,), stride=(n-1,)) + b'\x940(' + text('input.input') + b'h\x00' + b''.join(text(f'k{i}') + b'h\x00' for i in range(1000)) + b'u')), {'0': bytes(4*n)})

BOMBS = dict(
    shared_dicts=(shared_dicts, 'more than 100,000 names'),
    dict_in_itself=(dict_in_itself, 'no StyleGAN that is known here'),
    dict_twice_in_itself=(dict_twice_in_itself, 'more than 100,000 names'),
    wrapped_deep=(wrapped_deep, 'no StyleGAN that is known here'),
    many_names=(many_names, 'more than 100,000 names'),
    two_at_one_name=(two_at_one_name, 'two tensors are called input.input'),
    program_in_a_wrapping=(lambda m: whole(dic(state_dict=dic(**{'generator.module.synthesis.b4.const': system(m)}))), 'os.system'),
    list_as_a_filter=(lambda m: whole(dic(G_ema=generator_with(architecture=b']', use_noise=num(0), z_dim=num(8)))), 'architecture='),
    parts_for_many=(parts_for_many, 'which stand there twice'),
    wide_tensors=(wide_tensors, 'several names for the same numbers'),
    many_arguments=(lambda m: whole(name('torch', 'device') + b'\x940(' + b'N'*100_000 + b't\x940(' + b'h\x00h\x01R'*70_000 + b't'), 'a call with 100,000 arguments'),
    same_hash=(lambda m: whole(b'}(' + b''.join(b'\x8a\x0a' + (i*((1 << 61)-1)).to_bytes(10, 'little') + b'N' for i in range(1, 50_000)) + b'u'), 'as a key'),
    zip_bomb=(lambda m: torch_zip(bytes(100 << 20), compression=zipfile.ZIP_DEFLATED), 'the compressed record archive/data.pkl (104,857,600 bytes)'),
    zip_claims_4_gb=(claimed_zip, 'announced'),
    zip_with_two_pickles=(two_records, 'two records archive/data.pkl'),
    zip_without_pickle=(lambda m: torch_zip(whole(system(m), 2)).replace(b'data.pkl', b'dota.pkl'), 'a zip without data.pkl'),
    zip_cut=(lambda m: torch_zip(whole(system(m), 2))[:-30], 'truncated zip'),
    torchscript=(lambda m: torch_zip(whole(b'}', 2)).replace(b'data.pkl', b'code/pkl'), 'a TorchScript program'),
    storage_claims_10_gb_in_a_zip=(lambda m: tensor_file(tensor(n=5 << 29)), 'storage 0 of 2,684,354,560 numbers in 16 bytes'),
    storage_claims_10_gb_in_a_stream=(lambda m: torch_stream(whole(storage(n=5 << 29), 2), [('0', 5 << 29, b'')]), '10,737,418,240 bytes are announced'),
    storage_that_is_not_there=(lambda m: torch_zip(whole(dic(a=tensor()), 2)), 'storage 0, which is not in the file'),
    storage_of_two_types=(lambda m: tensor_file(tensor() + b'0' + tensor(kind='DoubleStorage', n=2)), 'two types or sizes'),
    storage_not_listed=(lambda m: torch_stream(whole(storage(), 2), []), 'list of storages'),
    storage_with_two_sizes=(lambda m: torch_stream(whole(storage(), 2), [('0', 5, bytes(20))]), 'two sizes'),
    storage_of_no_type=(lambda m: tensor_file(tensor(kind='Size')), 'persistent id'),
    big_endian=(lambda m: torch_stream(whole(system(m), 2), info=dict(little_endian=False)), 'big-endian'),
    negative_stride=(lambda m: tensor_file(tensor(3, (4,), (-1,))), 'strides (-1)'),
    negative_offset=(lambda m: tensor_file(tensor(-1)), 'offset -1'),
    out_of_range=(lambda m: tensor_file(tensor(1)), 'needs 5 numbers of a storage of 4'),
    overlapping=(lambda m: tensor_file(tensor(0, (100_000, 100_000), (0, 0))), 'overlap'),
    overlapping_windows=(lambda m: tensor_file(tensor(0, (3, 2), (1, 1))), 'overlap'),
    astronomic_size=(lambda m: tensor_file(tensor(0, (10**30,), (1,))), 'refused'),
    many_dimensions=(lambda m: tensor_file(tensor(0, (1,)*9, (1,)*9)), 'refused'),
    size_of_true=(lambda m: tensor_file(call(name('torch._utils', '_rebuild_tensor_v2'), storage(), b'\x88', tup(num(1)), tup(num(1)), b'\x89', b'}')), 'offset True'),
    tensor_of_a_text=(lambda m: whole(call(name('torch._utils', '_rebuild_tensor_v2'), text('x'), num(0), b')', b')', b'\x89', b'}')), 'a tensor made from a str'),
    tensor_of_nothing=(lambda m: whole(call(name('torch._utils', '_rebuild_tensor_v2'))), '0 arguments of the wrong kind'),
    parameter_of_a_text=(lambda m: whole(call(name('torch._utils', '_rebuild_parameter'), text('x'), b'\x88', b'}')), 'a parameter made from a str'),
    numpy_of_another_size=(lambda m: pickle.dumps(np.zeros(2)).replace(b'K\x02\x85', b'K\x63\x85'), 'a numpy array of shape (99) in 16 bytes'),
    numpy_never_filled=(lambda m: whole(dic(g_ema=b'}' + text('input.input') + call(name('numpy.core.multiarray', '_reconstruct'), name('numpy', 'ndarray'), tup(num(0)), data(b'b')) + b's')), 'never filled'),
    numpy_of_another_class=(lambda m: whole(call(name('numpy.core.multiarray', '_reconstruct'), name('torch', 'FloatStorage'), tup(num(0)), data(b'b'))), 'a numpy array of kind'),
    one_name_for_much=(lambda m: torch_zip(whole(dic(g_ema=b'}(' + b''.join(text(f'input.{i or "input"}') + tensor(size=(4000,), n=4000) for i in range(50)) + b'u'), 2), {'0': bytes(16000)}), 'several names for the same numbers'),
    deep_lists=(lambda m: whole(b']'*50_000 + b'a'*49_999), 'holds a list'),
    deep_tuples=(lambda m: whole(b')' + b'\x85'*50_000), 'holds a tuple'),
    deep_networks=(deep_networks, 'names of more than 200 characters'),
    long_class=(lambda m: whole(dic(G_ema=persistent(dic(_init_kwargs=b'}'), cls='A'*5000))), 'G_ema is a AAAA'),
    long_names=(lambda m: whole(dic(G_ema=persistent(dic(_init_kwargs=b'}', _modules=dic(**{'a'*1_000_000: b'N'}) + b'0' + dic(**{'a'*1_000_000: persistent()}))))), 'names of more than 200 characters'),
    network_in_itself=(itself, 'stands there twice'),
    hash_bomb=(lambda m: whole(doubled() + b'0' + b'}h\x3cNs'), 'a tuple as a key'),
    hash_bomb_in_a_list=(lambda m: whole(doubled() + b'0' + dic(G_ema=generator_with(mapping_kwargs=b']' + tup(b'h\x3c', b'N') + b'a'))), 'the arguments of the generator are no dicts'),
    long_error=(lambda m: tensor_file(doubled() + b'0' + call(name('torch._utils', '_rebuild_tensor_v2'), storage(), num(0), b'h\x3c', b'h\x3c', b'\x89', b'}')), 'size (tuple, tuple)'),
    long_comparison=(lambda m: whole(doubled() + b'0' + doubled(61) + b'0' + dic(G_ema=generator_with(w_dim=b'h\x3c', mapping_kwargs=dic(embed_features=b'h\x79')))), 'embed_features=(tuple, tuple)'),
    long_sort=(lambda m: torch_stream(whole(b'N', 2))[:-len(pickle.dumps([], 2))] + whole(doubled() + b'0' + doubled(61) + b'0' + b'](h\x3ch\x79e'), 'list of storages'),
    size_times_list=(lambda m: whole(dic(G_ema=generator_with('input', 'freqs', img_resolution=num(64), filter_size=b']Na'))), 'filter_size=(NoneType)'),
    many_instructions=(lambda m: whole(b'N0'*600_000 + system(m)), 'more than 500,000 instructions'),
    many_copies=(lambda m: whole(text('x'*400_000) + b'\x94' + text('latin1') + b'\x94' + b''.join(call(name('_codecs', 'encode'), b'h\x00', b'h\x01') for _ in range(200)) + system(m)), 'copies of more bytes than the file has'),
    long_text=(lambda m: whole(b'\x8d' + struct.pack('<Q', 10 << 30) + b'abc'), '10,737,418,240 bytes are announced'),
    long_text_that_is_there=(lambda m: whole(b'X' + struct.pack('<I', 5 << 20) + bytes(5 << 20)), 'a text of 5,242,880 bytes'),
    long_bytes=(lambda m: whole(b'\x8e' + struct.pack('<Q', 1 << 62) + b'abc'), 'bytes are announced'),
    long_bytearray=(lambda m: whole(b'\x96' + struct.pack('<Q', (1 << 64)-1) + b'abc', 5), 'bytes are announced'),
    long_frame=(lambda m: whole(b'\x95' + struct.pack('<Q', 10 << 30) + system(m)), '10,737,418,240 bytes are announced'),
    long_number=(lambda m: whole(b'\x8b' + struct.pack('<i', 1 << 20) + bytes(1 << 20)), 'a number of 1,048,576 bytes'),
    negative_number=(lambda m: whole(b'\x8b' + struct.pack('<i', -1) + system(m)), 'cut short'),
    long_name=(lambda m: whole(b'c' + b'a'*5000 + b'\nb\n'), 'a name of more than 1000 bytes'),
    decimal_number=(lambda m: whole(b'L' + b'9'*1_000_000 + b'L\n'), 'instruction LONG'),
    persid=(lambda m: whole(b'P' + str(m).encode() + b'\n' + system(m), 2), 'instruction PERSID'),
    persid_outside=(lambda m: whole(touch(m) + b'Q' + system(m), 2), 'a persistent id outside of a torch file'),
    persid_of_a_path=(lambda m: torch_zip(whole(touch(m) + b'Q' + system(m), 2)), 'persistent id touch'),
    out_of_band=(lambda m: whole(b'\x97' + system(m), 5), 'instruction NEXT_BUFFER'),
    unknown_instruction=(lambda m: whole(b'\xff' + system(m)), 'instruction 0xff'),
    empty_memory=(lambda m: whole(b'h\x07' + system(m)), 'memory 7'),
    underflow=(lambda m: whole(b'R' + system(m)), 'takes more than it put'),
    underflow_of_marks=(lambda m: whole(b't' + system(m)), 'IndexError'),
    items_into_a_name=(lambda m: whole(name('torch.storage', '_load_from_bytes') + b'Na' + system(m)), 'as if it were a list'),
    call_of_a_dict=(lambda m: whole(b'})R' + system(m)), 'a call of a dict'),
    call_of_a_class=(lambda m: whole(call(name('argparse', 'Namespace')) + system(m)), 'a call of argparse.Namespace'),
    arguments_in_a_list=(lambda m: whole(name('torch', 'Size') + b']R' + system(m)), 'a call with a list as arguments'),
    leftovers=(lambda m: whole(b'NN'), 'something left over'),
    second_program_behind_the_end=(lambda m: whole(b'}') + whole(system(m)), 'bytes behind the end'),
    cut_before_the_end=(lambda m: whole(dic(G_ema=persistent()))[:-20], 'cut short'),
    no_pickle=(lambda m: b'<!DOCTYPE html>\n'*99, 'neither a pickle of protocol 2 to 5'),
    gzip=(lambda m: gzip.compress(whole(system(m))), 'neither a pickle of protocol 2 to 5'),
    escape_sequences=(lambda m: whole(name('os\x1b[2J\r', 'system')), 'os\\x1b[2J\\r.system'),
    tensorflow=(lambda m: whole(name('dnnlib.tflib.network', 'Network') + b')\x81'), 'a network of TensorFlow'),
    source_code=(lambda m: whole(dic(G_ema=persistent(dic(_init_kwargs=b'}'), cls='Tracer', source=code(m)))), 'G_ema is a Tracer'),
    persistent_function=(lambda m: whole(dic(G_ema=persistent(kind='function', source=code(m)))), 'a persistent object that is no class'),
    network_of_a_list=(lambda m: whole(dic(G_ema=persistent(dic(_init_kwargs=b'}', _parameters=b']')))), 'not the network that it says'),
    parameter_of_a_number=(lambda m: whole(dic(G_ema=persistent(dic(_init_kwargs=b'}', _parameters=dic(a=num(1)))))), 'a is no tensor'),
    endless_mapping=(lambda m: whole(dic(G_ema=generator_with(z_dim=num(8), w_dim=num(8), img_resolution=num(8), img_channels=num(3), mapping_kwargs=dic(num_layers=num(10**9))))), 'a generator with num_layers=1000000000'),
    huge_picture=(lambda m: generator(z_dim=8, c_dim=0, w_dim=8, img_resolution=1 << 40, img_channels=3), 'a generator with img_resolution=1099511627776'),
    huge_net=(lambda m: generator(z_dim=1 << 16, c_dim=1 << 16, w_dim=1 << 16, img_resolution=1 << 15, img_channels=1 << 16, channel_max=1 << 16), 'synthesis.b4.const has shape (1,)'),
    long_filters=(lambda m: generator('input', 'freqs', z_dim=8, w_dim=8, img_resolution=64, img_channels=3, filter_size=1 << 30), 'filter_size=1073741824'),
    many_layers=(lambda m: generator('input', 'freqs', z_dim=8, w_dim=8, img_resolution=64, img_channels=3, num_layers=10**9), 'num_layers=1000000000'),
)

# --- the promise --------------------------------------------------------------------------------------------------------------------

def address_space(): return int(Path('/proc/self/statm').read_text().split()[0])*resource.getpagesize()

def refused(path, words, mark, read=pretrained.load_stylegan):
    "`read(path)` ends in one line with `words`, within 256 MB and without hanging, and nothing was run."
    limits,start = resource.getrlimit(resource.RLIMIT_AS),time.process_time()
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + 2*path.stat().st_size + (256 << 20), limits[1]))
    try:
        with pytest.raises(SgsvgError) as e: read(path)
    finally: resource.setrlimit(resource.RLIMIT_AS, limits)
    line = str(e.value)
    assert time.process_time()-start < 20   # what it keeps out works for minutes; a slow machine is no failure
    assert words in line and line.startswith(str(path)) and line.isprintable() and 'MemoryError' not in line
    assert not mark.exists()

@pytest.fixture(autouse=True)
def extension():
    "What `EXT1` needs: somebody registered a function"
    copyreg.add_extension('os', 'system', 200)
    yield
    copyreg.remove_extension('os', 'system', 200)

@pytest.mark.parametrize('case', RUN)
def test_it_is_a_trap(case, tmp_path):
    "Python's and torch's own readers run it: the mark is there."
    data,mark = RUN[case][0](tmp_path/'mark'),tmp_path/'mark'
    for read in (pickle.loads, lambda b: torch.load(io.BytesIO(b), weights_only=False)):
        try: read(data)
        except Exception: pass
    assert mark.exists()

@pytest.mark.parametrize('case', RUN|BOMBS)
def test_it_is_refused(case, tmp_path):
    make,words = (RUN|BOMBS)[case]
    path,mark = tmp_path/'net.pkl',tmp_path/'mark'
    path.write_bytes(make(mark))
    refused(path, words, mark)
    assert not mark.exists()

def test_a_few_bytes_do_not_become_gigabytes(tmp_path):
    "What is missing is made only where most of the generator is there."
    from sgsvg.core import save_model
    path = tmp_path/'net.safetensors'
    save_model(path, {'generator.mapping.w_avg': torch.zeros(512)}, dict(nets=dict(generator={'class': 'Generator', 'kwargs': dict(z_dim=1 << 16, w_dim=512, num_layers=200)})))
    refused(path, 'of the', tmp_path/'mark', lambda p: pretrained.read_stylegan(p, strict=False))

@pytest.mark.parametrize('wrap', ['list', 'inside', 'hidden'])
@pytest.mark.parametrize('where', ['os.system', 'nt.system', 'pty.spawn', 'sys.modules', 'bdb.Bdb', 'pip.main', 'pydoc.pipepager', 'runpy.run_path', 'ctypes.CDLL', 'webbrowser.open', 'asyncio.run',
    'builtins.open', 'builtins.compile', 'builtins.globals', 'builtins.object', 'copyreg._reconstructor', 'collections.Counter', 'torch.hub.load', 'torch.jit.load', 'torch.ops.load_library', 'torch.nn.Module',
    'torch._utils._rebuild_tensor_v2.__globals__', 'torch.storage._load_from_bytes.__code__', 'torch.FloatStorage.from_file', 'torch_utils.persistence._src_to_module', 'dnnlib.util.construct_class_by_name',
    'dnnlib.util.open_url', 'numpy.load', 'numpy.ndarray.tofile', 'numpy.core.multiarray.frombuffer', '_codecs.lookup', 'argparse.FileType'])
def test_any_other_name_is_refused(where, wrap, tmp_path):
    module,_,attribute = where.partition('.')
    f = dotted(module, attribute)
    body = dict(list=b']' + f + b'a', inside=dic(G_ema=persistent(dic(_forward_hooks=f))), hidden=f + b'0}')[wrap]
    path = tmp_path/'net.pkl'
    path.write_bytes(whole(body))
    refused(path, where, tmp_path/'mark')

def test_a_file_of_ten_empty_gigabytes(tmp_path):
    path = tmp_path/'net.pkl'
    with open(path, 'wb') as f: f.truncate(10 << 30)
    with pytest.raises(SgsvgError, match='neither a pickle'): pretrained.load_stylegan(path)

# --- the command, and files that were damaged on the way ------------------------------------------------------------------------------------

@pytest.fixture(scope='module', autouse=True)
def good(tmp_path_factory):
    "A whole file in each layout of torch, and as safetensors"
    from safetensors.torch import save_file
    g,folder = stylegan2.Generator(z_dim=4, w_dim=4, img_resolution=8, channel_base=32, channel_max=4, num_layers=1),tmp_path_factory.mktemp('good')
    torch.save(g.state_dict(), folder/'zip.pt')
    torch.save(g.state_dict(), folder/'stream.pt', _use_new_zipfile_serialization=False)
    save_file(g.state_dict(), folder/'tensors.safetensors')
    pretrained.load_stylegan(folder/'zip.pt')   # what torch imports at the first use is not counted below
    return folder

@pytest.mark.parametrize('file', ['zip.pt', 'stream.pt', 'tensors.safetensors'])
def test_one_changed_byte(file, good, tmp_path):
    data,rng,path = (good/file).read_bytes(),np.random.default_rng(0),tmp_path/file
    for i in range(100):
        b = bytearray(data)
        b[rng.integers(len(b) if i%2 else 2000)] = rng.integers(256)
        path.write_bytes(b)
        try: pretrained.load_stylegan(path)
        except SgsvgError as e: assert str(path) in str(e) and '\n' not in str(e)

@pytest.mark.parametrize('file', ['zip.pt', 'stream.pt', 'tensors.safetensors'])
def test_cut(file, good, tmp_path):
    data,path = (good/file).read_bytes(),tmp_path/file
    for n in (1, 8, 9, 20, 100, len(data)//2, len(data)-1):
        path.write_bytes(data[:n])
        with pytest.raises(SgsvgError): pretrained.load_stylegan(path)

def run(capsys, *argv):
    status = cli.main([str(a) for a in argv])
    return status, *capsys.readouterr()

def test_import(good, tmp_path, capsys):
    status,out,err = run(capsys, 'import', good/'zip.pt', tmp_path/'net.safetensors')
    assert (status, err) == (0, '') and 'read' in out and out.endswith(f"{tmp_path/'net.safetensors'}\n")
    a,b = pretrained.load_stylegan(tmp_path/'net.safetensors'),pretrained.load_stylegan(good/'stream.pt')
    assert all(torch.equal(v, b.state_dict()[k]) for k,v in a.state_dict().items())

@pytest.mark.parametrize('case', ['os_system', 'zip_with_a_program', 'zip_bomb', 'cut_before_the_end', 'no_pickle'])
def test_import_leaves_nothing(case, tmp_path, capsys):
    (tmp_path/'net.pkl').write_bytes((RUN|BOMBS)[case][0](tmp_path/'mark'))
    status,out,err = run(capsys, 'import', tmp_path/'net.pkl', tmp_path/'net.safetensors')
    assert (status, out, err.count('\n')) == (1, '', 1) and 'unexpected' not in err
    assert [p.name for p in tmp_path.iterdir()] == ['net.pkl']

def test_import_says_what_is_wrong(good, tmp_path, capsys):
    net = good/'zip.pt'
    partial = tmp_path/'partial.pt'
    torch.save({k: v for k,v in torch.load(net).items() if k != 'mapping.w_avg'}, partial)
    for argv,words in (((tmp_path/'none.pkl', tmp_path/'o.safetensors'), 'check the name'), ((net, tmp_path/'o.pt'), 'ends in .safetensors'), ((net, net, tmp_path/'o.safetensors'), 'a second generator'),
                       ((net, tmp_path/'no'/'o.safetensors'), 'does not exist'), ((good, tmp_path/'o.safetensors'), 'it is a folder'), ((partial, tmp_path/'o.safetensors'), 'missing: mapping.w_avg')):
        status,out,err = run(capsys, 'import', *argv)
        assert (status, out, err.count('\n'), words in err) == (1, '', 1, True), err
    assert not (tmp_path/'o.safetensors').exists()
    status,out,_ = run(capsys, 'import', partial, tmp_path/'o.safetensors', '--partial')
    assert status == 0 and 'missing    mapping.w_avg' in out
