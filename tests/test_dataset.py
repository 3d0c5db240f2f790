"Keeping and the dataset against what is hostile, large or foreign: TRL, the Hub's protocol, files by others, thousands of rows."
import gzip, http.server, json, os, random, re, subprocess, sys, threading, time, tracemalloc
from dataclasses import replace
from pathlib import Path
import pytest
from free_replies import FREE_REPLIES
from cortex.artifacts import CortexError
from cortex.catalogue import UNSTATED
from cortex.dataset import (MAX_FIELD, CardInfo, dataset_card, import_rows, named_numbers, push_dataset, read_dataset, rows_for, save_dataset,
                            to_grpo, to_sft, verification_report, verify_row)
from cortex.keeping import (best_of, count_tokens, decontaminate, drop_near_copies, fit_sizes, keep_verified, make_judge, match_traces, part_shares)
from cortex.rewards import sample_problems
from cortex.teachers import RuleTeacher, Trace

PROBLEMS = sample_problems(20)
TASKS = [p['task'] for p in PROBLEMS]
SIGMAS = [p['sigma'] for p in PROBLEMS]

@pytest.fixture(scope='module', params=['compact', 'full'])
def traces(request): return [RuleTeacher(request.param).answer(t) for t in TASKS]

def llm(trace, **kw): return replace(trace, teacher='openrouter', model='deepseek/deepseek-r1-0528', terms='MIT (DeepSeek R1, distillation permitted)', **kw)

# ---- keeping ----
def test_rule_traces_of_every_kind_are_kept(traces):
    kept, dropped = keep_verified(TASKS, traces, SIGMAS, threshold=.97)
    assert kept == traces and not dropped

def test_the_same_replies_pass_as_a_language_model(traces):
    kept, dropped = keep_verified(TASKS, [llm(t) for t in traces], SIGMAS)
    assert len(kept) == len(traces), dropped[:3]

def test_honest_analyses_whose_answer_verifies_are_kept():
    "The threshold of .75 is argued by these: where the answer holds, the total is far above it."
    scores = []
    for r in FREE_REPLIES:
        trace = Trace(r['task'].task_id, r['text'], 'openrouter', 'm', 0)
        kept, dropped = keep_verified([r['task']], [trace], [r['sigma']], tags=False)
        if part_shares(r['task'], r['text']).answer == 1: scores.append(bool(kept)); assert kept, (r['name'], dropped)
        else: assert dropped[0]['reason'].startswith('answer'), (r['name'], dropped)
    assert len(scores) >= 20

def test_outcomes_change_nothing(traces):
    "Neither keeping nor choosing takes an outcome, so turning all of them around changes nothing."
    turned = [p | dict(outcome=None if p['outcome'] is None else -p['outcome']) for p in PROBLEMS]
    for f in (lambda ps: keep_verified(*[(a := match_traces(ps, traces))[0], traces, a[1]]), lambda ps: decontaminate(ps, ps[:9])[1]): assert f(PROBLEMS) == f(turned)

def test_one_invented_figure_anywhere_in_an_answer_is_found(traces):
    rng = random.Random(0)
    for task, t, s in zip(TASKS, traces, SIGMAS):
        at = t.text.index('<answer>') + 8
        lines = t.text[at:].split('\n')
        lines.insert(rng.randrange(len(lines)), f'note: {rng.randrange(311, 987)}.{rng.randrange(10, 99)}M wallets were new')
        kept, dropped = keep_verified([task], [llm(t, text=t.text[:at] + '\n'.join(lines))], [s])
        assert not kept and dropped[0]['reason'].startswith('answer'), dropped

def test_judge_never_raises_on_what_a_model_writes():
    judge, task = make_judge(PROBLEMS), TASKS[0]
    for text in ('', '<think>', '</think></think>', '\0'*100, '9'*5000, '<answer></answer>', '١٢٣', '(' * 5000, '<answer>' * 500, 'x = ' * 3000):
        accepted, why = judge(task, Trace(task.task_id, text, 'openrouter', 'm', 0))
        assert not accepted and why

def test_best_of_prefers_what_verifies(traces):
    bad = [llm(t, text=t.text.replace('<answer>', '<answer>4.31M users left.\n'), seed=0) for t in traces]
    good = [llm(t, seed=1) for t in traces]
    assert best_of(TASKS + TASKS, bad + good, sigmas=SIGMAS*2) == good

def test_thousands_of_rows_are_compared_in_time_and_memory():
    "Distinct house replies stay; planted copies go; time is linear."
    rng, base = random.Random(1), RuleTeacher('full').answer(TASKS[0]).text.split()
    words = [f'{a}{b}' for a in 'ba ke li mo nu ra si to ve zu'.split() for b in 'dan fel gor hin jal kem lor mup nis pet'.split()]
    def make(n): return [Trace(TASKS[0].task_id, ' '.join(rng.choice(words) if rng.random() < .6 else w for w in base), 'openrouter', 'm', i) for i in range(n)]
    spent = {}
    for n in (500, 2000):
        rows = make(n); copies = [replace(t, text=t.text + ' Indeed.') for t in rows[:50]]
        start = time.process_time()
        kept, dropped = drop_near_copies([TASKS[0]]*(n + 50), rows + copies)
        spent[n] = time.process_time() - start
        assert len(dropped) == 50 and kept == rows
    assert spent[2000] < 8*spent[500] and spent[2000] < 20, spent

def test_house_replies_are_no_near_copies_of_each_other(traces):
    kept, dropped = drop_near_copies(TASKS, traces)
    shown = {t.task_id: tuple(f'{x:.3g}' for x in t.shown.values()) for t in TASKS}
    for d in dropped: assert shown[d['task_id']] == shown[d['reason'].removeprefix('near-copy of the reply to ')], d
    assert len(dropped) <= .02*len(TASKS)

def test_planted_test_rows_are_found(traces):
    test, train = PROBLEMS[::5], [p for i, p in enumerate(PROBLEMS) if i % 5]
    for rows in (train, to_grpo(train), to_sft([p['task'] for p in train], [t for i, t in enumerate(traces) if i % 5])):
        kept, dropped = decontaminate(rows, test)
        again = to_grpo(test) if 'completion' not in rows[0] else to_sft([p['task'] for p in test], traces[::5])
        kept2, dropped2 = decontaminate([*rows, *again], test)
        assert len(kept2) == len(kept) and len(dropped2) == len(dropped) + len(test)
    ids = {p['task'].task_id for p in decontaminate(PROBLEMS, test)[0]}
    assert not ids & {p['task'].task_id for p in test}

NANO = Path(os.path.expanduser('~/.cache/cortex/models/nano-b179c9523d0e'))

@pytest.mark.skipif(not NANO.is_dir(), reason='the embedded model is not in the cache')
def test_tokens_are_estimated_from_above(traces):
    from transformers import AutoTokenizer
    tok = AutoTokenizer.from_pretrained(NANO)
    chats = [[*t.prompt, {'role': 'assistant', 'content': tr.text}] for t, tr in zip(TASKS, traces)]
    for exact, least in zip(count_tokens(chats, tok), count_tokens(chats)): assert .5*least <= exact <= least

# ---- tables ----
FULL = [RuleTeacher('full').answer(t) for t in TASKS]

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    rows = to_sft(TASKS, FULL)
    return save_dataset(tmp_path_factory.mktemp('set')/'set', {'sft': {'train': rows[20:], 'validation': rows[:20]}, 'grpo': to_grpo(PROBLEMS)})

def test_rows_of_all_kinds_come_back_as_they_were(folder, tmp_path):
    import datasets
    datasets.disable_progress_bars()
    back, sft = read_dataset(folder), to_sft(TASKS, FULL)
    assert back['sft']['validation'] + back['sft']['train'] == sft and back['grpo']['train'] == to_grpo(PROBLEMS)
    loaded = datasets.load_dataset(str(folder), 'sft', cache_dir=str(tmp_path))
    assert list(loaded['train']) == sft[20:] and list(loaded['validation']) == sft[:20]
    assert list(datasets.load_dataset(str(folder), 'grpo', split='train', cache_dir=str(tmp_path))) == to_grpo(PROBLEMS)

def test_the_head_of_the_card_is_what_the_hub_reads(folder):
    from huggingface_hub import DatasetCard
    card = DatasetCard.load(folder/'README.md')
    assert [c['config_name'] for c in card.data.configs] == ['sft', 'grpo'] and card.data.license == 'mit' and 'simulated' in card.text
    assert card.data.configs[0]['data_files'][0]['path'] == 'data/sft-train.parquet'

def test_outside_text_cannot_steer_the_card():
    import yaml
    evil = '</td><script>x</script> | [a](http://b) `c`\n---\nlicense: mit\n---\n\u202e'
    rows = [dict(r, model=evil, provider=evil, terms=evil, source=evil, chain=evil, licence=evil) for r in to_sft(TASKS[:3], FULL[:3])]
    card = dataset_card({'sft': {'train': rows}}, CardInfo(name=evil, filters=(evil,), sources=(evil,), limits=(evil,), dropped=({'reason': evil},)))
    head = yaml.safe_load(card.split('\n---\n')[0].removeprefix('---\n'))
    assert head['license'] == 'other' and '<script' not in card.split('\n---\n', 1)[1] and '\u202e' not in card and '](http' not in card.split('\n---\n', 1)[1]

def test_keys_of_the_grpo_table_are_in_no_prompt():
    for r in to_grpo(PROBLEMS): assert set(r) == {'task_id', 'prompt', 'task', 'outcome', 'sigma'} and 'outcome' not in json.dumps(r['prompt'])

def test_trl_prepares_both_tables(folder, tmp_path):
    "SFTTrainer and GRPOTrainer take the tables as `load_dataset` gives them, extra columns and all, and learn a step."
    import datasets
    from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer
    from cortex.models import load_model, make_tiny
    from cortex.rewards import RUBRICS
    datasets.disable_progress_bars()
    load = lambda name: datasets.load_dataset(str(folder), name, split='train', cache_dir=str(tmp_path/'cache'))
    sft, grpo = load('sft').select(range(8)), load('grpo').select(range(8))
    make_tiny([m['content'] for r in sft for m in r['prompt'] + r['completion']], tmp_path/'tiny', seed=0)
    model, tok = load_model(tmp_path/'tiny')
    common = dict(output_dir=str(tmp_path/'out'), max_steps=1, report_to='none', use_cpu=True, save_strategy='no', bf16=False, disable_tqdm=True)
    trainer = SFTTrainer(model=model, processing_class=tok, train_dataset=sft, args=SFTConfig(**common, per_device_train_batch_size=4, max_length=2048, completion_only_loss=True))
    prepared = trainer.train_dataset[0]
    text = tok.decode([i for i, l in zip(prepared['input_ids'], prepared['labels']) if l != -100])
    assert sft[0]['completion'][0]['content'] in text and '<think>' in text and sft[0]['prompt'][1]['content'] not in text
    trainer.train()
    seen = {}
    def reward(completions, task, outcome, sigma, **kw): seen.update(n=len(task), outcome=outcome); return RUBRICS['verified'](completions, task, outcome, sigma)
    GRPOTrainer(model=model, processing_class=tok, reward_funcs=reward, train_dataset=grpo, args=GRPOConfig(**common, per_device_train_batch_size=4, num_generations=4, max_completion_length=8)).train()
    assert seen['n'] == 4

# ---- the Hub ----
class Hub(http.server.BaseHTTPRequestHandler):
    "Speak as much of the Hub's protocol as an upload needs."
    def log_message(self, *a): pass
    def _send(self, code, body):
        data = json.dumps(body).encode(); self.send_response(code); self.send_header('Content-Type', 'application/json'); self.send_header('Content-Length', str(len(data))); self.end_headers(); self.wfile.write(data)
    def _do(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0)); s = self.server
        s.asked.append((self.command, self.path.split('?')[0], body)); s.tokens.add(self.headers.get('Authorization'))
        if s.refuse: return self._send(s.refuse, {'error': f"no: {self.headers.get('Authorization')}"})
        if self.path.endswith('/repos/create'): return self._send(200, {'url': f'http://127.0.0.1:{s.server_port}/datasets/me/set', 'name': 'me/set'})
        if '/preupload/' in self.path: return self._send(200, {'files': [{'path': f['path'], 'uploadMode': 'regular', 'shouldIgnore': False, 'oid': None} for f in json.loads(body)['files']]})
        if '/commit/' in self.path: return self._send(200, {'commitUrl': f'http://127.0.0.1:{s.server_port}/datasets/me/set/commit/' + '1'*40, 'commitOid': '1'*40, 'success': True, 'hookOutput': ''})
        if '/tree/' in self.path: return self._send(200, [])
        return self._send(200, {'id': 'me/set', 'sha': '0'*40, 'siblings': []})
    do_GET = do_POST = do_PUT = _do

@pytest.fixture
def hub():
    s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Hub)
    s.asked, s.tokens, s.refuse = [], set(), 0
    threading.Thread(target=s.serve_forever, daemon=True).start()
    yield s
    s.shutdown(); s.server_close()

def push(folder, hub, token='hf_abcdefghijklmnop', private=True, repo='me/set'):
    "Push from a process of its own, since huggingface_hub reads its settings once."
    code = f'from cortex.dataset import push_dataset\ntry: print(push_dataset({str(folder)!r}, {repo!r}, {token!r}, private={private}))\nexcept ValueError as e: print("refused:", e)'
    env = os.environ | dict(HF_ENDPOINT=f'http://127.0.0.1:{hub.server_port}', HF_HUB_OFFLINE='0', HF_HUB_DISABLE_XET='1', HF_HUB_DISABLE_PROGRESS_BARS='1', NO_PROXY='127.0.0.1')
    p = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[1])
    assert token not in p.stdout + p.stderr
    return p.stdout + p.stderr

def test_a_folder_arrives_at_the_hub_whole(folder, hub):
    out = push(folder, hub)
    assert 'https://huggingface.co/datasets/me/set' in out, out
    commit = next(body for _, path, body in hub.asked if '/commit/' in path)
    import base64
    lines = [json.loads(x) for x in commit.splitlines()]
    files = {x['value']['path']: base64.b64decode(x['value']['content']) for x in lines if x['key'] == 'file'}
    assert {p: files[p] for p in files} == {p: (folder/p).read_bytes() for p in ('README.md', 'manifest.json', 'data/sft-train.parquet', 'data/sft-validation.parquet', 'data/grpo-train.parquet')}
    assert json.loads(next(b for _, p, b in hub.asked if p.endswith('/repos/create')))['visibility'] == 'private'
    assert hub.tokens == {'Bearer hf_abcdefghijklmnop'}

def test_a_refusal_of_the_hub_is_said_without_the_token(folder, hub):
    hub.refuse = 403
    assert 'refused: me/set could not be uploaded' in push(folder, hub)
    assert 'refused: a b could not be uploaded' in push(folder, hub, repo='a b')

def test_rows_without_terms_are_not_made_public(tmp_path, hub):
    rows = to_sft(TASKS[:3], FULL[:3], licence=UNSTATED)
    assert rows[0]['licence'] == UNSTATED
    assert 'does not permit' in push(save_dataset(tmp_path/'s', {'sft': rows}), hub, private=False) and not hub.asked

def test_a_changed_file_is_not_uploaded(tmp_path):
    f = save_dataset(tmp_path/'s', {'sft': to_sft(TASKS[:3], FULL[:3])})
    (f/'data/sft-train.parquet').write_bytes(b'PAR1')
    with pytest.raises(CortexError, match='changed since'): push_dataset(f, 'me/set', api=object())

def test_a_manifest_cannot_name_files_elsewhere(tmp_path):
    f = save_dataset(tmp_path/'s', {'sft': to_sft(TASKS[:3], FULL[:3])})
    state = json.loads((f/'manifest.json').read_text()); state['files'] = {'data/../../x-y.parquet': next(iter(state['files'].values()))}
    (f/'manifest.json').write_text(json.dumps(state))
    with pytest.raises(CortexError, match='no file of a dataset'): read_dataset(f)

# ---- rows by others ----
ROW = {'input': 'Daily transactions: 1,043,210. Active addresses: 402,411.', 'reasoning': '1,043,210 / 402,411 = 2.59', 'output': 'Each address sent 2.59 transactions.', 'metadata': {}}

@pytest.mark.parametrize('name,content,says', [
    ('a.jsonl', b'{"input": "x"', 'line 1: this is not JSON'), ('a.jsonl', b'\n\n', 'holds no rows'), ('a.jsonl', b'[1]\n', 'line 1: a row must be an object'), ('a.jsonl', b'{"input": "x", "output": NaN}\n', 'NaN is no number'),
    ('a.jsonl', b'{"input": "x", "output": ' + b'['*100_000 + b'}\n', 'line 1: this is not JSON'), ('a.jsonl', b'{"a": ' + b'9'*10_000 + b'}', 'line 1: this is not JSON'), ('a.jsonl', b'x'*5_000_000, 'longer than'),
    ('a.jsonl', json.dumps({'input': 'x', 'output': 'y'*(MAX_FIELD + 1)}).encode(), 'output has 100,001'), ('a.json', b'{"a": 1}', 'no input and no output'), ('a.json', b'', 'not JSON'), ('a.parquet', b'PAR1xxxxPAR1', 'not a Parquet file'),
    ('a.csv', b'x', 'not from .csv'), ('a.jsonl', b'\xff\xfe{"input"', 'not JSON'), ('a.jsonl', gzip.compress(b'x', mtime=0), 'not JSON')])
def test_a_bad_file_is_named_with_its_row(tmp_path, name, content, says):
    (tmp_path/name).write_bytes(content)
    with pytest.raises(CortexError, match=re.escape(says)): import_rows(tmp_path/name)

def test_a_parquet_bomb_is_refused_before_it_unpacks(tmp_path):
    import pyarrow as pa, pyarrow.parquet as pq
    text = 'x'*90_000
    with pq.ParquetWriter(tmp_path/'b.parquet', pa.schema([('input', pa.string()), ('output', pa.string())]), compression='zstd', use_dictionary=False) as w:
        for _ in range(20): w.write_table(pa.table({'input': [text]*200, 'output': [text]*200}))
    assert (tmp_path/'b.parquet').stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(CortexError, match='unpacks to'): import_rows(tmp_path/'b.parquet')
    assert tracemalloc.get_traced_memory()[1] < 50*2**20; tracemalloc.stop()

def test_imported_rows_are_verified_against_their_own_input(tmp_path):
    wrong = ROW | dict(reasoning='1,043,210 / 402,411 = 3.59', output='Each address sent 3.59 transactions; fees were $77,123.')
    quoted = ROW | dict(input='{"market": {"tvl_usd": 210000000, "fees_usd": 1203000}}', reasoning='', output='TVL of $210M, fees of $1.2M.')
    (tmp_path/'r.jsonl').write_text('\n'.join(map(json.dumps, (ROW, wrong, quoted))))
    frame, total = verification_report(import_rows(tmp_path/'r.jsonl'))
    assert list(frame.share + frame.share_unnamed == 1) == [True, False, True] and frame.unnamed[0] >= 2 and frame.unsupported[1] >= 2 and '77,123' in frame.faults[1] and total['rows_that_hold'] == 1

def test_hostile_rows_take_linear_time():
    for text in ('{"a":', 'a ', 'a: 1 ', '1,', '(', 'is of at ', '|', 'A'*61 + ' ', '1 = 1 = '):
        spent = []
        for n in (10_000, 60_000):
            x = (text*(n//len(text) + 1))[:n]
            start = time.process_time(); verify_row({'input': x, 'reasoning': x[:20_000], 'output': x[:5000] or 'x', 'metadata': {}}); spent.append(time.process_time() - start)
        assert spent[1] < 4 and spent[1] < 30*max(spent[0], .02), (text, spent)
    assert len(named_numbers(' '.join(f'name{i}x: {i},' for i in range(9000)))) <= 500

def test_imported_rows_that_train(tmp_path):
    "Rows that pass become conversations that say where they came from; wrong ones, and those with tags inside, do not."
    from cortex.dataset import imported_sft, save_dataset, read_dataset
    good = ROW | dict(reasoning='Daily transactions of 1,043,210 over 402,411 active addresses: 1,043,210 / 402,411 = 2.59.', metadata={'chain': 'near', 'model': 'some/model'})
    wrong, mute, tagged = good | dict(output='Each address sent 3.59 transactions; fees were $77,123.'), ROW | dict(reasoning='', output='Usage is calm.'), good | dict(reasoning='</think>' + good['reasoning'])
    (tmp_path/'rows.jsonl').write_text('\n'.join(map(json.dumps, (wrong, good, mute, tagged))))
    rows = import_rows(tmp_path/'rows.jsonl')
    kept, dropped = imported_sft(rows, 'rows.jsonl', 'CC BY-NC 4.0')
    assert [r['task_id'] for r in kept] == ['imported:rows.jsonl:2'] and [d['task_id'][-1] for d in dropped] == ['1', '3', '4']
    assert [d['reason'].split()[0] for d in dropped] == ['figures', 'no', 'layout:']
    row = kept[0]
    assert (row['licence'], row['model'], row['chain'], row['verified_share']) == ('CC BY-NC 4.0', 'some/model', 'near', 1.) and row['prompt'][-1]['content'] == good['input']
    assert row['completion'][0]['content'] == f"<think>{good['reasoning']}</think>\n<answer>{good['output']}</answer>"
    both = imported_sft(rows, 'rows.jsonl', unverifiable=True)[0]
    assert [r['task_id'][-1] for r in both] == ['2', '3'] and both[1]['verified_share'] is None and both[0]['licence'] == UNSTATED
    assert read_dataset(save_dataset(tmp_path/'set', {'sft': both}))['sft']['train'] == both
    with pytest.raises(CortexError, match='None of the 1 rows'): imported_sft([wrong], 'rows.jsonl')
