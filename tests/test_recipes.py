"Recipes, plans and the models they are made for: files, refusals, a real Hub server, other devices, measured memory."
import contextlib, http.server, json, math, os, re, subprocess, sys, threading
from dataclasses import asdict, fields, replace
from pathlib import Path
import pytest
from hypothesis import given, settings, strategies as st
from cortex.artifacts import CortexError
from cortex.models import SIZES, Load, estimate_load
from cortex.recipes import (MACHINES, RECIPES, GRPORecipe, Machine, Recipe, SFTRecipe, largest_fit, load_recipe, make_recipe, plan_training, planned_steps,
                            save_recipe, this_machine)

def python(code, *args, **env):
    "Run a script in a process of its own; give what it printed."
    done = subprocess.run([sys.executable, '-c', code, *map(str, args)], capture_output=True, text=True, timeout=600, env=os.environ | {k: str(v) for k, v in env.items()})
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout

# --- the settings that released runs were made with

def test_defaults_are_those_of_nano():
    sft = dict(lr=2e-3, lora_rank=16, lora_alpha=32, batch=8, epochs=1., max_steps=None, warmup=.1, max_tokens=512, eval_every=None, save_steps=10, save_minutes=2., seed=0)
    grpo = dict(lr=1e-4, steps=8, groups=4, group_size=4, temperature=1., top_p=1., max_new_tokens=120, calculator=True, batch=4, lora_rank=16, lora_alpha=32, warmup=0.,
                check_sync=True, save_steps=4, save_minutes=2., seed=0)
    for recipe, expected in ((SFTRecipe(), sft), (GRPORecipe(), grpo)):
        assert {k: asdict(recipe)[k] for k in expected} == expected
        assert make_recipe(recipe.stage) == recipe

def test_the_trainers_use_these_recipes():
    import cortex.grpo, cortex.sft
    assert {f.name for f in fields(cortex.sft.SFTRecipe)} <= {f.name for f in fields(SFTRecipe)}
    assert {f.name for f in fields(cortex.grpo.GRPORecipe)} <= {f.name for f in fields(GRPORecipe)}

def test_reading_a_recipe_needs_no_torch():
    code = "import sys, cortex.recipes as r; r.load_recipe('{\"stage\": \"grpo\", \"size\": \"large\"}'); print([m for m in ('torch', 'transformers', 'trl') if m in sys.modules])"
    assert python(code).strip() == '[]'

# --- files

changes = st.fixed_dictionaries({}, optional=dict(
    lr=st.floats(1e-7, .5), seed=st.integers(0, 2**31), batch=st.integers(1, 64), warmup=st.floats(0, .99), save_minutes=st.floats(.01, 1e4), keep=st.integers(1, 9),
    schedule=st.sampled_from(('linear', 'cosine', 'constant')), tune=st.sampled_from(('lora', 'qlora', 'full')), eval_every=st.integers(1, 500)))

@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(RECIPES)), changes)
def test_every_recipe_survives_its_file(tmp_path_factory, which, changed):
    stage, size = which
    if stage == 'grpo': changed = {k: v for k, v in changed.items() if k != 'batch'}
    recipe = make_recipe(stage, size, **changed)
    path = save_recipe(recipe, tmp_path_factory.mktemp('recipe')/'r.json')
    assert load_recipe(path) == load_recipe(path, stage) == Recipe.from_json(json.loads(path.read_text())) == type(recipe).from_json(recipe.to_json()) == recipe
    assert json.loads(path.read_text())['stage'] == stage

@pytest.mark.parametrize('text, words', [
    ('', 'give a recipe in JSON'), ('[]', 'is not a file'), ('{"stage": "sft"', 'is not JSON'), ('{"stage": "sft", "lr": Infinity}', 'is not a number'),
    ('{"stage": "sft", "lr": 1e999}', 'lr must be a number'), ('{"stage": "sft", "lr": "1e-5"}', "lr must be a number, got '1e-5' (str)"),
    ('{"stage": "sft", "batch": 8.5}', 'batch must be a whole number'), ('{"stage": "sft", "batch": true}', 'batch must be a whole number'), ('{"stage": "sft", "batch": null}', 'got \'None\''),
    ('{"stage": "sft", "size": 8}', 'size must be a name'), ('{"stage": "sft", "size": "smal"}', 'Nearest: small'), ('{"stage": "sft", "size": {"a": 1}}', 'size must be a name'),
    ('{"stage": "sft", "steps": 5}', "No setting of the sft recipe is called 'steps'"), ('{"stage": "sft", "lr": 1e-3, "lr": 1e-4}', "'lr' stands twice"),
    ('{"stage": "sft", "epoch": 5}', 'Nearest: epochs'), ('{"stage": 5}', 'stage'), ('{"stage": "rl"}', "No stage is called 'rl'"), ('{"size": "nano"}', 'does not say its stage'),
    ('{"stage": "grpo", "weights": {"citation": "much"}}', 'weights must be numbers'), ('{"stage": "grpo", "weights": ["citation"]}', 'weights must be a'),
    ('{"stage": "grpo", "groups": 3, "group_size": 3}', 'must be a multiple of batch'), ('{"stage": "grpo", "reward": "pay"}', "No rubric is called 'pay'"),
    ('{"stage": "sft", "seed": -1}', 'seed must be at least 0'), ('{"stage": "sft", "seed": ' + '9'*5000 + '}', 'is not JSON'), ('{"a":'*50_000 + '1' + '}'*50_000, 'is not JSON'),
    ('{"stage": "sft", "__class__": "x"}', "No setting of the sft recipe is called '__class__'")])
def test_a_bad_recipe_is_one_clear_line(text, words):
    with pytest.raises(CortexError) as e: load_recipe(text)
    assert words in str(e.value) and '\n' not in str(e.value) and len(str(e.value)) < 700

def test_a_bad_file_is_one_clear_line(tmp_path):
    (tmp_path/'latin.json').write_bytes(b'{"stage": "sft\xe9"}'); (tmp_path/'big.json').write_text(' '*2_000_000)
    for name, words in (('latin.json', 'not text in UTF-8'), ('big.json', '2,000,000 bytes'), ('none.json', 'is not a file'), ('.', 'is not a file')):
        with pytest.raises(CortexError, match=words): load_recipe(tmp_path/name)

# --- plans

def test_what_a_refusal_names_does_fit():
    refused = 0
    for (stage, size), recipe in RECIPES.items():
        if size == 'custom': continue
        for tune in ('lora', 'qlora', 'full'):
            for machine in (*MACHINES.values(), Machine('cpu', 1, 6e9, 'laptop', 2e11)):
                r = make_recipe(stage, size, tune=tune)
                if stage == 'grpo' and r.per_step() % (r.batch*machine.devices): continue
                plan = plan_training(r, 900, 10_000, machine)
                if plan.fits: assert plan.check() is plan; continue
                refused += 1
                with pytest.raises(CortexError) as e: plan.check()
                if 'no size fits rows of' in str(e.value):
                    assert not plan_training(make_recipe(stage, 'nano', batch=1), 900, 10_000, machine, longest=plan.longest).memory.fits; continue
                if m := re.search(r"fits with batch=(\d+)(?: and accumulate=(\d+))?", str(e.value)):
                    better = replace(r, batch=int(m[1]), **({'accumulate': int(m[2])} if m[2] else {}))
                    assert better.per_step() >= r.per_step()
                else:
                    m = re.search(r"size '([\w-]+)' with tune='(\w+)', batch=(\d+)", str(e.value)); assert m, str(e.value)
                    better = make_recipe(stage, m[1], tune=m[2], batch=int(m[3]))
                    assert better.tune != 'qlora' or machine.kind == 'cuda'
                assert plan_training(better, 900, 10_000, machine, longest=plan.longest).fits, (str(e.value), better)
    assert refused > 20

def test_presets_fit_the_machines_they_are_made_for():
    for stage in ('sft', 'grpo'):
        for size, machine in (('small', '24gb'), ('base', '24gb'), ('base-qwen', '24gb'), ('mac', 'mac-64gb'), ('large', '8x80gb'), ('large', '2x8x80gb')):
            if stage == 'grpo' and size == 'large': assert make_recipe('grpo', 'large').accumulation(MACHINES[machine].devices) >= 4
            plan_training(make_recipe(stage, size), 900, 10_000, machine).check()

def test_steps_follow_from_rows_and_devices():
    for devices in (1, 2, 8):
        r = SFTRecipe(batch=4, accumulate=2, epochs=3)
        assert planned_steps(r, 1000, devices) == math.ceil(3000/(8*devices))
    plan = plan_training(make_recipe('grpo', 'large'), 900, 100, '8x80gb', price_per_hour=16.)
    assert plan.tokens == 500*64*900 and plan.cost == 16*plan.hours and 'each question is asked 40.0 times' in str(plan)

def test_a_plan_escapes_what_it_shows():
    plan = plan_training(SFTRecipe(), 353, 640, Machine('cpu', 1, 2**34, '<script>alert(1)</script>', 1e11))
    assert '<script>' not in plan._repr_html_() and '&lt;script&gt;' in plan._repr_html_()

def test_deepspeed_agrees_about_seventy_billion_weights():
    pytest.importorskip('deepspeed')
    from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs
    _, theirs, _ = estimate_zero3_model_states_mem_needs(70_600_000_000, 128256*8192, num_gpus_per_node=8, num_nodes=2, cpu_offload=False, cpu_offload_params=False, zero_init=True)
    ours = estimate_load('large', Load('full', shards=16, logits=0), available=0)
    assert (ours.needed - ours.overhead)/theirs == pytest.approx(1, abs=.15)

# --- memory, measured

PEAK = '''
import json, sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
from peft import LoraConfig, get_peft_model
torch.set_num_threads(1); torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=512, hidden_size=192, intermediate_size=512, num_hidden_layers=12, num_attention_heads=3, num_key_value_heads=1)).bfloat16()
model = get_peft_model(model, LoraConfig(r=16, target_modules='all-linear', task_type='CAUSAL_LM')).train()
peak = lambda: 1024*int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])   # ru_maxrss begins with the parent's
def step(tokens):
    model.get_base_model().model(input_ids=torch.randint(5, 500, (tokens//256, 256)), use_cache=False).last_hidden_state.float().mean().backward()
step(256); out = [peak()]
model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=dict(use_reentrant=False)); model.enable_input_require_grads(); step(2048); out.append(peak())
model.gradient_checkpointing_disable(); step(2048); out.append(peak())
print(json.dumps(out))
'''

def test_activations_are_as_estimated():
    from cortex.models import Size, activation_bytes
    size = Size('toy', 'toy', 6e6, 12, 192, 64, 512, ffn=512)
    small, checkpointed, plain = json.loads(python(PEAK, MALLOC_MMAP_THRESHOLD_=262144))
    assert plain - small == pytest.approx(activation_bytes(size, 2048 - 256, False), rel=.3)
    assert checkpointed - small < 2*activation_bytes(size, 2048, True) < .4*(plain - small)

SFT = '''
import json, random, sys, torch
from cortex.sft import train_sft
from cortex.recipes import SFTRecipe
torch.set_num_threads(1); r = random.Random(0)
words = lambda n: ' '.join(r.choice('network fees rose while users stayed the price fell quickly'.split()) for _ in range(n))
rows = [dict(prompt=[dict(role='user', content=words(200))], completion=[dict(role='assistant', content=words(120))]) for _ in range(16)]
done = train_sft(rows, SFTRecipe(batch=int(sys.argv[2]), max_steps=2), sys.argv[1])
peak = 1024*int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])
print(json.dumps(dict(peak=peak, row=done['tokens']/done['steps']/int(sys.argv[2]))))
'''

@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='slow: set CORTEX_SLOW=1')
@pytest.mark.parametrize('batch', [2, 8])
def test_the_plan_for_nano_is_within_30_percent_of_the_peak(tmp_path, users_cache, batch):
    got = json.loads(python(SFT, tmp_path/'sft', batch).splitlines()[-1])
    plan = plan_training(SFTRecipe(batch=batch, max_steps=2), got['row'], 16, Machine('cpu', 1, 32e9, 'this', 1e11), longest=round(got['row']))
    assert plan.memory.needed == pytest.approx(got['peak'], rel=.3)

def test_this_machine_describes_what_is_here():
    m = this_machine()
    assert m.devices >= 1 and 1e8 < m.memory_each <= 8e12 and m.flops > 1e8 and m.bandwidth > 1e8

# --- models from a Hub that is really spoken to

SHA = 'a'*40

class Hub(http.server.BaseHTTPRequestHandler):
    "Speak as much of the Hub's protocol as a download needs."
    protocol_version = 'HTTP/1.1'
    def log_message(self, *args): pass
    def answer(self, code, body=b'', **headers):
        self.send_response(code)
        for k, v in {'Content-Length': str(len(body)), **headers}.items(): self.send_header(k.replace('_', '-'), v)
        self.end_headers()
        if self.command == 'GET': self.wfile.write(body)
    def do_HEAD(self): self.do_GET()
    def do_GET(self):
        path, files = self.path.split('?')[0], self.server.files
        self.server.seen.append((self.command, path, self.headers.get('Authorization')))
        if '/acme/none' in path: return self.answer(404, X_Error_Code='RepoNotFound')
        if path.startswith('/api/models/') and '/tree/' in path:
            return self.answer(200, json.dumps([dict(type='file', path=k, size=len(v), oid=('%040x' % (i + 1))) for i, (k, v) in enumerate(files.items())]).encode(), Content_Type='application/json')
        if path.startswith('/api/models/'):
            if '/revision/gone' in path: return self.answer(404, X_Error_Code='RevisionNotFound')
            return self.answer(200, json.dumps(dict(id='acme/model', sha=SHA, siblings=[dict(rfilename=k) for k in files])).encode(), Content_Type='application/json')
        if '/acme/gated/' in path: return self.answer(403, X_Error_Code='GatedRepo')
        name = path.split(f'/resolve/{SHA}/')[-1]
        if name not in files: return self.answer(404, X_Error_Code='EntryNotFound')
        self.answer(200, files[name], ETag=f'"{list(files).index(name) + 1:040x}"', X_Repo_Commit=SHA, Accept_Ranges='bytes')

@pytest.fixture
def hub(tmp_path):
    "Serve one small real model, with files beside it that nobody should take."
    from cortex.models import make_tiny
    folder = make_tiny(['7 8 9']*4, tmp_path/'tiny')
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Hub); server.seen = []
    server.files = {p.name: p.read_bytes() for p in folder.iterdir()} | {'pytorch_model.bin': b'pickle', 'modeling_evil.py': b'raise SystemExit', 'original/consolidated.safetensors': b'big', 'README.md': b'x'}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try: yield server
    finally: server.shutdown(); server.server_close()

FETCH = '''
import sys
from dataclasses import replace
from cortex.artifacts import CortexError
from cortex.models import SIZES, hub_model, load_model
size = replace(SIZES['small'], model_id=sys.argv[1], revision=sys.argv[2] or None, params=float(sys.argv[3]))
try: path = hub_model(size)
except CortexError as e: print('REFUSED', e)
else:
    print(sorted(p.name for p in path.rglob('*') if p.is_file()))
    if len(sys.argv) > 4: print(sum(p.numel() for p in load_model(path, device='cpu')[0].parameters()))
'''

def fetch(hub, tmp_path, repo='acme/model', revision='', params=1e5, *more, **env):
    return python(FETCH, repo, revision, params, *more, HF_ENDPOINT=f'http://127.0.0.1:{hub.server_port}', HF_HOME=tmp_path/'hf', **{'HF_HUB_OFFLINE': 0, 'HF_TOKEN': 'hf_sEcReT', **env})

def test_a_model_comes_from_the_hub_without_code_or_pickles(hub, tmp_path):
    first = fetch(hub, tmp_path, 'acme/model', '', 1e5, 'load')
    names = set(eval(first.splitlines()[0]))
    assert {'config.json', 'model.safetensors', 'tokenizer.json'} <= names and not names & {'pytorch_model.bin', 'modeling_evil.py', 'consolidated.safetensors', 'README.md'}
    assert int(first.splitlines()[1]) > 3e5
    hub.seen.clear()
    assert fetch(hub, tmp_path) == first.splitlines()[0] + '\n' and not hub.seen     # from the cache, without a question
    assert fetch(hub, tmp_path, HF_HUB_OFFLINE=1) == first.splitlines()[0] + '\n'

def test_a_half_finished_download_is_gone_on_with(hub, tmp_path):
    fetch(hub, tmp_path)
    lost, = (p for p in (tmp_path/'hf').rglob('model.safetensors')); os.remove(lost)
    assert 'model.safetensors' in fetch(hub, tmp_path)

@pytest.mark.parametrize('repo, revision, params, env, words', [
    ('acme/gated', '', 1e5, {}, 'accept its licence'), ('acme/none', '', 1e5, {}, 'is not on the Hub, or not for this account'), ('acme/model', 'gone', 1e5, {}, "has no revision 'gone'"),
    ('acme/model', '', 1e17, {}, 'takes 200000000 GB and the disk'), ('acme/model', '', 1e5, dict(HF_HUB_OFFLINE=1), 'run once where there is a network'),
    ('acme/model', '', 1e5, dict(HF_ENDPOINT='http://127.0.0.1:9'), 'run once where there is a network')])
def test_what_goes_wrong_with_the_hub_is_one_clear_line(hub, tmp_path, repo, revision, params, env, words):
    if 'HF_ENDPOINT' in env:
        out = python(FETCH, repo, revision, params, HF_HOME=tmp_path/'hf', HF_HUB_OFFLINE=0, HF_TOKEN='hf_sEcReT', **env)
    else: out = fetch(hub, tmp_path, repo, revision, params, **env)
    assert out.startswith('REFUSED') and words in out and out.count('\n') == 1 and 'sEcReT' not in out

# --- other devices, without having one

DEVICES = '''
import sys, torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend as pretend
from transformers import AutoConfig, AutoModelForCausalLM
from cortex.models import Decoder, grouped_attention, load_model, number_tails, pick_tokens
pretend('pretend')
tok = load_model(sys.argv[1], device='cpu')[1]
with torch.device('meta'): model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(sys.argv[1])).eval()
mode = FakeTensorMode(allow_non_fake_inputs=True); mode.may_turn_const = lambda t: False
with mode, torch.no_grad(): model = model.to_empty(device='pretend')
mode.allow_non_fake_inputs = False
with mode, torch.no_grad(), grouped_attention(model):
    torch._C._set_only_lift_cpu_tensors(True)   # as on a machine whose accelerator must not be woken
    u = torch.rand(3, 4); d = Decoder(model, tok, [[5, 6, 7], [5, 6, 7], [8]], 4, u); logits = d.read_prompts()
    for temperature, top_p in ((1., 1.), (.7, .9)):
        picked, logp = pick_tokens(logits, u[[0, 1, 2], 0], temperature, top_p, barred=([1], number_tails(tok)))
        assert picked.device.type == logp.device.type == 'pretend'
        logp.gather(1, torch.tensor([1, 2, 3]).to(logp.device).unsqueeze(1))
    d.keep(torch.tensor([0, 2])); out = d.next_logits(torch.tensor([9, 9]))
    try: torch.tensor([1.]) + logits
    except RuntimeError as e: print('mixing is refused')
print(out.device.type, tuple(out.shape))
'''

def test_replies_stay_on_the_device_of_the_model(tmp_path):
    "PyTorch's fake tensors know their device and refuse to mix two, so the rules of an accelerator can be tested without one."
    from cortex.models import make_tiny
    out = python(DEVICES, make_tiny(['7 8 9']*4, tmp_path/'tiny'))
    assert out.splitlines() == ['mixing is refused', 'pretend (2, 259)'], out
