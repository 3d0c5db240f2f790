"Launches with real processes: two on a CPU train as one does, hold half of the weights each, stop in time and go on. The slow ones want CORTEX_SLOW=1."
import importlib.util, json, os, shlex, signal, subprocess, sys, time
from pathlib import Path
import pytest
import toy_rows

ROOT = Path(__file__).resolve().parents[1]
slow = pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='slow: set CORTEX_SLOW=1')
deepspeed = pytest.mark.skipif(not importlib.util.find_spec('deepspeed'), reason='deepspeed is not installed')
QUIET = dict(OMP_NUM_THREADS='1', TOKENIZERS_PARALLELISM='false', TRL_EXPERIMENTAL_SILENCE='1', PYTHONPATH=os.pathsep.join([p for p in sys.path if p]))

def made_up(n, seed=0): return toy_rows.made_up(n, lambda rng, m: f'\nforecast: tx_count 7d: median {m:+.1f}%', seed=seed)

@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    from cortex.models import make_tiny
    return make_tiny([m['content'] for r in made_up(64) for m in r['prompt'] + r['completion']], tmp_path_factory.mktemp('model')/'tiny')

def plan(where, tiny, launcher, devices, **changes):
    "Write a launch of six steps of eight rows each, on however many devices."
    from cortex.launch import write_launch
    from cortex.recipes import make_recipe
    recipe = make_recipe('sft', 'custom', **{**dict(lr=1e-2, batch=8//devices, accumulate=1, epochs=1., max_steps=6, max_tokens=256, warmup=0., schedule='linear', eval_every=None, patience=None,
                                                    save_steps=2, save_minutes=60.), **changes})
    return write_launch(recipe, made_up(64), where/'run', launcher, devices, machine='cpu', model=tiny, folder=where/'launch')

def start(p, wait=True):
    "Start a launch as the command line would, in a session of its own."
    log = open(p.folder/'log', 'a')
    proc = subprocess.Popen([sys.executable, '-m', 'cortex.launch', str(p.folder)], env=dict(os.environ, **QUIET), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    if not wait: return proc
    try: code = proc.wait(600)
    finally: end(proc)
    return code

def end(proc):
    "Kill a launch with all its ranks, each of which has a session of its own."
    import psutil
    try: everybody = [*psutil.Process(proc.pid).children(recursive=True), proc]
    except psutil.NoSuchProcess: everybody = [proc]
    for p in everybody:
        try: os.kill(p.pid, signal.SIGKILL)
        except ProcessLookupError: pass
    proc.wait()

def said(p):
    "The log rows of the first process; several starts add up."
    rows = []
    for line in (p.folder/'log').read_text().splitlines():
        if line.startswith('{'):
            try: rows.append(json.loads(line))
            except ValueError: pass
    return rows

def losses(p): return {r['step']: r['loss'] for r in said(p) if 'loss' in r and 'step' in r}
def result(p): return [r['result'] for r in said(p) if 'result' in r][-1]
def told(p): return (p.folder/'log').read_text()[-3000:]

def worth(tiny, adapter=None):
    "What a saved adapter or model is worth: its loss on rows, computed by one plain process."
    import torch
    from cortex.models import load_model
    model, tok = load_model(tiny, adapter=adapter)
    texts = [tok.apply_chat_template(r['prompt'] + r['completion'], tokenize=False) for r in made_up(8, seed=1)]
    with torch.inference_mode(): return sum(model(input_ids=x, labels=x).loss.item() for t in texts for x in [torch.tensor([tok(t).input_ids])])/len(texts)

@pytest.fixture(scope='module')
def alone(tiny, tmp_path_factory):
    "The same training by one process."
    p = plan(tmp_path_factory.mktemp('alone'), tiny, 'single', 1)
    assert start(p) == 0, told(p)
    return p

def same_training(p, alone, tiny, share):
    "A launch took the same steps, held its share of the weights, and saved an adapter that is worth the same."
    got, want = losses(p), losses(alone)
    assert sorted(got) == sorted(want) == list(range(1, 7)) and want[6] < want[1]
    assert got == pytest.approx(want, rel=1e-3)
    r = result(p)
    assert r['devices'] == 2 and r['held_share'] == pytest.approx(share, abs=.1)
    assert worth(tiny, r['adapter']) == pytest.approx(worth(tiny, result(alone)['adapter']), rel=1e-3)

def test_fsdp_shards_and_trains_like_one_process(alone, tiny, tmp_path):
    p = plan(tmp_path, tiny, 'fsdp', 2)
    assert start(p) == 0, told(p)
    same_training(p, alone, tiny, .5)

@deepspeed
def test_zero3_shards_and_trains_like_one_process(alone, tiny, tmp_path):
    p = plan(tmp_path, tiny, 'zero3', 2)
    assert start(p) == 0, told(p)
    same_training(p, alone, tiny, .5)

@slow
def test_ddp_trains_like_one_process(alone, tiny, tmp_path):
    p = plan(tmp_path, tiny, 'ddp', 2)
    assert start(p) == 0, told(p)
    same_training(p, alone, tiny, 1.)

def sealed(p): return sorted(x.parent.name for x in (p.folder.parent/'run').glob('checkpoint-*/complete.json'))

def wait_for(p, proc, check, seconds=400):
    for _ in range(seconds*10):
        if check(): return
        if proc.poll() is not None: break
        time.sleep(.1)
    pytest.fail('never happened: ' + told(p))

@slow
@pytest.mark.parametrize('launcher,devices', [('single', 1), ('fsdp', 2), pytest.param('zero3', 2, marks=deepspeed)])
def test_told_to_stop_a_launch_seals_a_checkpoint_and_goes_on(launcher, devices, tiny, tmp_path):
    whole, p = plan(tmp_path/'a', tiny, launcher, devices, max_steps=40), plan(tmp_path/'b', tiny, launcher, devices, max_steps=40)
    assert start(whole) == 0, told(whole)
    proc = start(p, wait=False)
    try:
        wait_for(p, proc, lambda: len(losses(p)) >= 3)
        proc.send_signal(signal.SIGTERM)
        assert proc.wait(300) == 75, told(p)
    finally: end(proc)
    before = len(losses(p))
    assert before < 40 and f'checkpoint-{before}' in sealed(p)
    assert start(p) == 0, told(p)
    assert result(p)['resumed_from'] == f'checkpoint-{before}'
    assert losses(p) == pytest.approx(losses(whole), rel=1e-3)

@slow
@pytest.mark.parametrize('launcher', ['fsdp', pytest.param('zero3', marks=deepspeed)])
def test_killed_two_processes_resume_the_same_curve(launcher, tiny, tmp_path):
    whole, p = plan(tmp_path/'a', tiny, launcher, 2, max_steps=40), plan(tmp_path/'b', tiny, launcher, 2, max_steps=40)
    assert start(whole) == 0, told(whole)
    proc = start(p, wait=False)
    try: wait_for(p, proc, lambda: len(losses(p)) >= 5)
    finally: end(proc)      # kill -9 for all of them, wherever they are
    assert start(p) == 0, told(p)
    assert result(p)['resumed_from'] in {f'checkpoint-{n}' for n in range(2, 40, 2)}
    assert losses(p) == pytest.approx(losses(whole), rel=1e-3)

@slow
def test_all_weights_are_whole_again_after_fsdp(tiny, tmp_path):
    one, two = plan(tmp_path/'a', tiny, 'single', 1, tune='full', lr=1e-3), plan(tmp_path/'b', tiny, 'fsdp', 2, tune='full', lr=1e-3)
    for p in (one, two): assert start(p) == 0, told(p)
    assert losses(two) == pytest.approx(losses(one), rel=.01)      # FSDP2 gives the loss in bfloat16
    assert worth(result(two)['model']) == pytest.approx(worth(result(one)['model']), rel=.01) and worth(result(two)['model']) < .8*worth(tiny)

@slow
@deepspeed
def test_zero3_trains_the_embedded_model(tmp_path, embedded_model):
    "135M weights in bfloat16: sharded, and the loss falls as it does for one process."
    from cortex.launch import write_launch
    from cortex.recipes import make_recipe
    plans = [write_launch(make_recipe('sft', 'nano', batch=8//n, max_steps=3, save_steps=3), made_up(24), tmp_path/f'{n}', launcher, n, machine='cpu', model=embedded_model, folder=tmp_path/f'l{n}')
             for n, launcher in ((1, 'single'), (2, 'zero3'))]
    for p in plans: assert start(p) == 0, told(p)
    assert losses(plans[1]) == pytest.approx(losses(plans[0]), rel=.05)      # the adapter is bfloat16 under ZeRO-3, float32 alone
    assert result(plans[1])['held_share'] < .6

def two_ranks(code, folder):
    "Run a script in two processes that joined a group, without this project's launcher."
    (folder/'script.py').write_text(code)
    return subprocess.run([sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', str(folder/'script.py')], env=dict(os.environ, **QUIET, ACCELERATE_USE_FSDP='true', FSDP_VERSION='2'),
                          capture_output=True, text=True, timeout=300, cwd=ROOT)

def test_sharding_that_did_not_happen_is_an_error(tiny, tmp_path):
    "accelerate, asked for FSDP on a CPU, copies the model without a word."
    (tmp_path/'rows.json').write_text(json.dumps(made_up(16)))
    code = f'''
import json
from accelerate import PartialState
from cortex.recipes import make_recipe
from cortex.sft import train_sft
PartialState(cpu=True)
try: train_sft(json.load(open({str(tmp_path/'rows.json')!r})), make_recipe('sft', 'custom', batch=4, accumulate=1, max_steps=2, max_tokens=256, patience=None, eval_every=None), {str(tmp_path/'run')!r}, model={str(tiny)!r})
except ValueError as e: print('REFUSED', e, flush=True)
'''
    p = two_ranks(code, tmp_path)
    said = p.stdout.count('REFUSED'), p.stdout.count('fsdp was asked to shard the weights, but this process, one of 2, holds 100% of them')   # two ranks may write into each other's line
    assert said == (2, 2), p.stdout + p.stderr[-3000:]

def test_a_launch_started_the_wrong_way_is_one_line(tiny, tmp_path):
    p = plan(tmp_path, tiny, 'ddp', 2)
    done = subprocess.run([sys.executable, '-m', 'cortex.launch', str(p.folder/'worker.json')], env=dict(os.environ, **QUIET), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith('cortex: this launch was planned for 2 processes, and 1 came: start it by'), done.stderr[-2000:]

def sky_plan(folder, launcher='fsdp', nodes=1):
    from cortex.launch import sky_task, write_launch
    from cortex.recipes import make_recipe
    return sky_task(write_launch(make_recipe('sft', 'large'), made_up(4), '/checkpoints/large', launcher, 8, nodes, folder=folder, valid_rows=made_up(4)), 'my-bucket')

@pytest.mark.parametrize('launcher,nodes', [('fsdp', 1), ('zero3', 2)])
def test_sky_tasks_obey_the_schema(launcher, nodes, tmp_path, monkeypatch):
    "The schema is SkyPilot's own, cut down to what a task here may hold; what is not in it is refused."
    import jsonschema, yaml
    monkeypatch.chdir(tmp_path)
    schema, task = json.loads((ROOT/'tests'/'sky_schema.json').read_text()), yaml.safe_load(sky_plan(f'l-{launcher}', launcher, nodes).file.read_text())
    jsonschema.validate(task, schema['task']); jsonschema.validate(task['resources'], schema['resources'])
    jsonschema.validate(task['file_mounts']['/checkpoints'], schema['storage'])
    assert (tmp_path/task['file_mounts']['~/cortex-launch']/'worker.json').exists()
    with pytest.raises(jsonschema.ValidationError): jsonschema.validate(dict(task['resources'], spot=True), schema['resources'])
    assert subprocess.run(['bash', '-n', '-c', task['setup'] + task['run']]).returncode == 0
    assert (task['num_nodes'], task['resources']['use_spot']) == (nodes, True)

@slow
@pytest.mark.skipif(not os.environ.get('CORTEX_SKY'), reason='CORTEX_SKY is not set: give the Python of an environment with skypilot')
def test_skypilot_reads_the_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = sky_plan('l', 'zero3', 2).file
    code = f"import sky, yaml; t = sky.Task.from_yaml_config(yaml.safe_load(open({str(file)!r})), secrets_overrides=[('HF_TOKEN', 'x')]); r = list(t.resources)[0]; print(t.num_nodes, r.use_spot, r.accelerators)"
    done = subprocess.run([os.environ['CORTEX_SKY'], '-c', code], env=dict(PATH=os.environ['PATH'], HOME=str(tmp_path), SKYPILOT_DISABLE_USAGE_COLLECTION='1'), capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().endswith("2 True {'A100-80GB': 8}"), done.stderr[-2000:]
