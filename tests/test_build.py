"`cortex synthesize` as a user calls it: a paid teacher that lies now and then, a budget that ends, a kill in the middle."
import hashlib, json, os, signal, subprocess, sys, time
from pathlib import Path
import pytest
from llm_server import LlmServer

KINDS = ('market', 'risk')
CORTEX = [sys.executable, '-c', 'from cortex.command import app; app()']

def cortex(*args, code=0, **env):
    r = subprocess.run([*CORTEX, *map(str, args)], capture_output=True, text=True, env=os.environ | env, timeout=240)
    assert r.returncode == code, r.stdout + r.stderr
    return r.stdout + r.stderr

@pytest.fixture(scope='module')
def store(tmp_path_factory):
    "Fill a small store, and write down what a right teacher answers to every question of it."
    from cortex.build import open_cases, pick_kinds
    from cortex.synthesis import make_problems
    from cortex.teachers import RuleTeacher
    path = tmp_path_factory.mktemp('data')/'store'
    cortex('data', 'simulate', '--chains', 'near', 'ethereum', '--since', '2019-01-01', '--until', '2021-12-31', '--store', path)
    parts, replies = open_cases(str(path), (7,)), {}
    for p in make_problems([*parts.train, *parts.valid], tuple(parts.targets), pick_kinds(KINDS)):
        text = RuleTeacher('full').answer(p['task']).text
        lie = hashlib.sha256(p['task'].task_id.encode()).digest()[0] % 4 == 0   # every fourth reply invents something
        replies[p['task'].prompt[-1]['content']] = text.replace('risk: ', 'risk: a 37% crash, ') if lie else text
    return path, replies

def arguments(store, server, out, *more):
    return ['synthesize', '--dataset-size', 40, '--chains', *KINDS, '--teacher', server.url, '--model', 'test/writer', '--data', store, '--horizons', 7, '--out', out, '--concurrency', 8, *more]

def test_a_dataset_from_a_paid_teacher(store, tmp_path):
    from cortex.dataset import read_dataset
    path, replies = store
    with LlmServer(replies, latency=.02, faults=.1, kinds=['429_0','500','empty','mid_stream_bare','error_200']) as server:
        args = arguments(path, server, tmp_path/'set', '--budget-usd', 2, '--verify-all')
        said = cortex(*args, CORTEX_TEACHER_KEY='sk-secret-1234567890')
        stats = server.stats()
        assert 'cost $' in said and 'sk-secret' not in said
        again = cortex(*args, '--resume', CORTEX_TEACHER_KEY='sk-secret-1234567890')
        assert server.stats()['requests'] == stats['requests'], again   # nothing is asked twice
    tables = read_dataset(tmp_path/'set')
    assert {k: len(v) for k, v in tables['sft'].items()} == {'train': 38, 'validation': 2}
    assert all(r['verified_share'] == 1 and r['model'] == 'test/writer' and 'a 37% crash' not in r['completion'][0]['content'] for part in tables['sft'].values() for r in part)
    card = (tmp_path/'set'/'README.md').read_text()
    assert 'simulated' in card and 'test/writer' in card and 'answer' in card
    verdicts = [json.loads(line) for line in (tmp_path/'set'/'work'/'verdicts.jsonl').read_text().splitlines()[1:]]
    assert any(not v['kept'] and '37%' in v['reason'] for v in verdicts) and sum(v['kept'] for v in verdicts) == 40
    assert not [f for f in (tmp_path/'set').rglob('*') if f.is_file() and b'sk-secret' in f.read_bytes()]

def test_a_budget_ends_and_a_kill_loses_nothing(store, tmp_path):
    path, replies = store
    with LlmServer(replies, latency=.05) as server:
        args = arguments(path, server, tmp_path/'set', '--max-tokens', 1000)
        said = cortex(*args, '--budget-usd', .015, code=3)
        assert 'budget' in said and 'fewer rows' in said and server.stats()['billed_usd'] <= .015
        p = subprocess.Popen([*CORTEX, *map(str, [*args, '--budget-usd', 2, '--resume'])], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        before, end = server.stats()['requests'], time.monotonic() + 120
        while server.stats()['requests'] < before + 6 and p.poll() is None and time.monotonic() < end: time.sleep(.02)
        p.send_signal(signal.SIGKILL); p.wait()
        cortex(*args, '--budget-usd', 2, '--resume')
        seen = server.stats()
        assert seen['requests'] - len(seen['seen']) <= 8, 'only what was in flight at the kill is asked twice'
        assert 'another configuration' in cortex(*args, '--resume', '--seed', 5, code=2)

@pytest.mark.parametrize('fault,words', [('credits', 'Buy credits'), ('401', 'CORTEX_TEACHER_KEY'), ('gone', 'another model')])
def test_an_account_that_fails_in_the_middle(fault, words, store, tmp_path):
    "What was accepted until then is listed, readable and enough to go on with; nothing of it is asked again."
    from cortex.dataset import read_dataset
    path, replies = store
    with LlmServer(replies, latency=.02, **(dict(credits=.006) if fault == 'credits' else dict(script=[None]*12 + [fault]*50))) as server:
        args = arguments(path, server, tmp_path/'set', '--budget-usd', 2)
        said, stats = cortex(*args, code=3), server.stats()
        assert words in said and 'finished replies are kept' in said and 'the same call with resume goes on' in said and 'Traceback' not in said, said
        kept = [r for part in read_dataset(tmp_path/'set')['sft'].values() for r in part]
        verdicts = [json.loads(line) for line in (tmp_path/'set'/'work'/'verdicts.jsonl').read_text().splitlines()[1:]]
        assert 0 < len(kept) < 38 and {v['task_id'] for v in verdicts if v['kept']} == {r['task_id'] for r in kept} and any('37%' in v['reason'] for v in verdicts)
        assert 'fewer rows than were planned' in (tmp_path/'set'/'README.md').read_text()
        assert stats['requests'] - sum(stats['answered'].values()) <= 8 + 1     # those in flight when it failed, and no more
        server.set(credits=None, script=[])
        cortex(*args, '--resume')
        assert all(n <= 1 for n in server.stats()['answered'].values()), 'an answered question was asked again'
    tables = read_dataset(tmp_path/'set')
    assert {k: len(v) for k, v in tables['sft'].items()} == {'train': 38, 'validation': 2} and {r['task_id'] for r in kept} <= {r['task_id'] for part in tables['sft'].values() for r in part}
    assert 'fewer rows than were planned' not in (tmp_path/'set'/'README.md').read_text()

def test_an_account_that_fails_at_once(store, tmp_path):
    path, replies = store
    with LlmServer(replies, script=['402']*50) as server:
        said = cortex(*arguments(path, server, tmp_path/'set'), code=2)
        assert 'Buy credits' in said and not (tmp_path/'set'/'data').exists()
        server.set(script=[])
        cortex(*arguments(path, server, tmp_path/'set'), '--resume')

def test_what_hugging_face_reads(store, tmp_path):
    path, _ = store
    cortex('synthesize', '--dataset-size', 30, '--kinds', 'risk.var,risk.drawdown', '--data', path, '--horizons', 7, '--out', tmp_path/'set')
    code = f"import datasets; datasets.disable_progress_bars(); d = datasets.load_dataset({str(tmp_path/'set')!r}, 'sft', cache_dir={str(tmp_path/'cache')!r}); print(len(d['train']), d['train'][0]['completion'][0]['role'])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.split()[-2:] == ['29', 'assistant']
    assert 'not there' not in cortex('dataset', 'verify', tmp_path/'nothing.jsonl', code=2)
