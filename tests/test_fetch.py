"A fetch from start to store, over HTTP: faults, kills, two at a time, and the `cortex data` command."
import json, os, signal, subprocess, sys, threading, time
from pathlib import Path
import numpy as np, pandas as pd, pytest, stamina
sys.path.insert(0, str(Path(__file__).parent))
from market_server import FINAL, PASSING, Faults, MarketServer, expected, make_truth
from cortex.catalogue import SOURCES, plan_for
from cortex.clients import Api
from cortex.fetch import fetch_market
from cortex.store import MarketStore

CHAINS = ('ethereum','near')
FIRST, LAST = '2026-01-05', '2026-03-01'
TRUTH = make_truth(0, CHAINS, days=60)
NOW = pd.Timestamp(LAST) + pd.Timedelta(hours=36)
CORTEX = [sys.executable, '-c', 'from cortex.command import app; app()']
KEYS = dict(COINGECKO_API_KEY='CG-5ecret', NEARBLOCKS_API_KEY='nb-5ecret')

def make_api(server):
    api = Api(KEYS, mirror=server.url, now=NOW, read=.5)
    api.throttle.sleep = lambda s: None
    return api

def check_store(path, pairs, truth=TRUTH, first=FIRST, last=LAST, cut=()):
    "Compare what a store holds of (chain, metric, source) with what the server's world holds; series that were cut short hold its beginning."
    rows = MarketStore(path).rows()
    assert not rows.duplicated(['chain','date','metric','source']).any()
    for chain, metric, source in pairs:
        got = rows[(rows.chain == chain) & (rows.metric == metric) & (rows.source == source)].sort_values('date')
        want = expected(truth, source, [chain], [metric], first, last)
        if (chain, metric, source) in cut: want = want[:len(got)]
        assert got.date.tolist() == want.date.tolist() and got.value.tolist() == want.value.tolist(), (chain, metric, source)
        assert set(got.licence) == {SOURCES[source].licence} and got.fetched_at.notna().all()
    return rows

@pytest.fixture(scope='module')
def server():
    with MarketServer(TRUTH, page=40, stall=.7) as s: yield s

@pytest.fixture
def no_waiting():
    with stamina.set_testing(True, attempts=6, cap=True): yield

def test_two_hundred_fault_schedules_end_in_a_whole_store(server, tmp_path, no_waiting):
    "Whatever passes is waited out: no row is lost, doubled or changed; the plan's first source has answered for every series."
    kinds, made = [k for k in PASSING if 'stall' not in k], 0
    for seed in range(200):
        server.set_faults(faults := Faults(seed, .25, kinds)); server.seed = seed
        chain = CHAINS[seed % 2]
        metrics = ['price_usd','tx_count','fees_usd'] if seed % 4 < 2 else ['tvl_usd','active_addresses','stablecoin_supply_usd']
        report = fetch_market([chain], since=FIRST, until=LAST, metrics=metrics, store=tmp_path/str(seed), api=make_api(server))
        assert not report.partial and not report.failed, (seed, report.failed)
        assert {(c, m, plan_for(c, m)[0]) for c in [chain] for m in metrics} <= set(report.got)
        check_store(tmp_path/str(seed), report.got)
        made += len(faults.made)
    assert made > 200, made

def test_what_does_not_pass_is_listed_and_had_the_next_time(server, tmp_path, no_waiting):
    "With failures that do not pass, what is there is true, what is not is listed, and a later fetch brings it."
    wanted = ['price_usd','tx_count','tvl_usd','fees_usd']
    some = 0
    for seed in range(12):
        server.set_faults(Faults(seed, .5, FINAL))
        report = fetch_market(CHAINS, since=FIRST, until=LAST, metrics=wanted, store=tmp_path/str(seed), api=make_api(server))
        lost = {(c, m) for c, m, _ in report.missing}; some += len(lost)
        assert lost | {k[:2] for k in report.got} == {(c, m) for c in CHAINS for m in wanted} and lost <= {f[:2] for f in report.failed}
        assert all('5ecret' not in why for *_, why in report.failed)
        check_store(tmp_path/str(seed), report.got, cut={f[:3] for f in report.failed})
        server.set_faults(None)
        again = fetch_market(CHAINS, since=FIRST, until=LAST, metrics=wanted, store=tmp_path/str(seed), api=make_api(server))
        assert not again.partial and {k[:2] for k in again.got} >= lost
        check_store(tmp_path/str(seed), [*report.got, *again.got], cut={f[:3] for f in report.failed} - set(again.got))
    assert some > 10, some

def test_a_revision_is_kept_beside_what_was_known(server, tmp_path):
    server.set_faults(None)
    fetch_market(['near'], since=FIRST, until=LAST, metrics=['tvl_usd'], store=tmp_path/'s', api=make_api(server))
    first = MarketStore(tmp_path/'s').rows()
    changed = dict(TRUTH); changed['near','tvl_usd'] = TRUTH['near','tvl_usd'].copy(); day = changed['near','tvl_usd'].index[-2]; changed['near','tvl_usd'][day] *= 1.5
    with MarketServer(changed) as other:
        api = Api({}, mirror=other.url, now=NOW + pd.Timedelta(days=1))
        report = fetch_market(['near'], since=FIRST, until=LAST, metrics=['tvl_usd'], store=tmp_path/'s', api=api, refresh=True)
    assert (report.new, report.revised) == (0, 1)
    store = MarketStore(tmp_path/'s')
    value = lambda rows: float(rows.set_index('date').value[day])
    assert value(store.rows(as_of=NOW + pd.Timedelta(minutes=1))) == value(first) and value(store.rows()) == pytest.approx(1.5*value(first))

def test_a_column_in_wei_is_refused_and_named(tmp_path):
    truth = dict(TRUTH); truth['ethereum','fees_usd'] = TRUTH['ethereum','fees_usd']*1e18
    with MarketServer(truth) as s:
        report = fetch_market(['ethereum'], since=FIRST, until=LAST, metrics=['fees_usd','tx_count'], source='growthepie', store=tmp_path/'s', api=make_api(s))
    (chain, metric, why), = report.missing
    assert (chain, metric) == ('ethereum','fees_usd') and 'ethereum 2026-01-05' in why.replace(',', '') and 'wei' in why
    assert set(MarketStore(tmp_path/'s').rows().metric) == {'tx_count'}

def test_two_fetches_into_one_store(server, tmp_path):
    server.set_faults(None)
    out = {}
    def go(chain): out[chain] = fetch_market([chain], since=FIRST, until=LAST, store=tmp_path/'s', api=make_api(server))
    threads = [threading.Thread(target=go, args=(c,)) for c in CHAINS]
    for t in threads: t.start()
    for t in threads: t.join()
    check_store(tmp_path/'s', [*out['ethereum'].got, *out['near'].got])

# ---- the command, in processes of its own

def start_server(*args):
    "Run the server as a program; give the process and its address."
    p = subprocess.Popen([sys.executable, str(Path(__file__).parent/'market_server.py'), *map(str, args)], stdout=subprocess.PIPE, text=True)
    return p, p.stdout.readline().strip()

@pytest.fixture(scope='module')
def program():
    p, url = start_server('--days', 400, '--page', 50)
    yield url
    p.kill(); p.wait()

def world(days=400):
    "The same world as the program's."
    yesterday = pd.Timestamp.now('UTC').tz_localize(None).normalize() - pd.Timedelta(days=1)
    return make_truth(0, days=days, end=yesterday), yesterday

def cortex(*args, check=0, url=None, cwd=None, **env):
    env = os.environ | ({'CORTEX_MIRROR': url} if url else {}) | env
    r = subprocess.run([*CORTEX, 'data', *map(str, args)], env=env, capture_output=True, text=True, timeout=200, cwd=cwd)
    assert r.returncode == check and 'Traceback' not in r.stderr, (r.returncode, r.stdout[-2000:], r.stderr[-3000:])
    return r

def test_fetch_and_status(program, tmp_path):
    r = cortex('fetch', '--chains', 'ethereum', 'near', '--days', 30, url=program, cwd=tmp_path, **KEYS)
    truth, last = world()
    rows = check_store(tmp_path/'market', [('ethereum','tx_count','growthepie'), ('near','tx_count','nearblocks'), ('near','price_usd','binance')], truth, last - pd.Timedelta(days=29), last)
    assert rows.date.nunique() == 30 and 'growthepie  ethereum tx_count: ' in r.stderr
    s = cortex('status', cwd=tmp_path).stdout
    assert all(w in s for w in ('near','tx_count','nearblocks', f'{last:%Y-%m-%d}', 'CC BY 4.0', 'terms of a frame of all of them: no terms stated'))
    again = cortex('fetch', '--chains', 'ethereum,near', '--days', 30, url=program, cwd=tmp_path)
    assert again.stdout.startswith('0 rows new, 0 revised') and 'could not be had' not in again.stdout
    everything = b''.join(p.read_bytes() for p in (tmp_path/'market').rglob('*') if p.is_file())
    assert b'5ecret' not in everything and '5ecret' not in r.stdout + r.stderr

@pytest.mark.parametrize('form', [('--chains','near','base'), ('--chains','near,base'), ('--chains','near','--chains','base'), ('--chains=near,base',)])
def test_lists_in_any_form(program, tmp_path, form):
    cortex('fetch', *form, '--metrics', 'tvl_usd', '--days', 3, '--store', tmp_path/'s', url=program)
    assert set(MarketStore(tmp_path/'s').rows().chain) == {'near','base'}

def test_partly_is_exit_code_3(program, tmp_path):
    "Base has no coin, so it has no price: that is listed, and the rest is there."
    r = cortex('fetch', '--chains', 'base', '--metrics', 'price_usd', 'tx_count', '--days', 10, '--store', tmp_path/'s', url=program, check=3)
    assert 'could not be had (1):\n  base price_usd: no source publishes it' in r.stdout
    assert set(MarketStore(tmp_path/'s').rows().metric) == {'tx_count'}

def test_nobody_answers(tmp_path, no_waiting, monkeypatch):
    "No network at all: everything is listed, nothing is made up."
    from typer.testing import CliRunner
    from cortex.command import app
    monkeypatch.setenv('CORTEX_MIRROR', 'http://127.0.0.1:9')
    r = CliRunner().invoke(app, ['data','fetch','--chains','near','--metrics','tvl_usd','--days','3','--store',str(tmp_path/'s')])
    assert r.exit_code == 3 and 'near tvl_usd: defillama: ' in r.stdout and 'ConnectError' in r.stdout and not len(MarketStore(tmp_path/'s').rows())

def test_refusals_are_one_line(tmp_path):
    for args, said in ((('fetch','--chains','neer'), 'Nearest: near'), (('fetch','--chains','near','--metrics','tx_cuont'), 'Nearest: tx_count'), (('fetch','--chains','near','--since','2999-01-01'), 'in the future'),
                       (('fetch','--chains','near','--source','flipside'), 'FLIPSIDE'), (('status','--store',tmp_path/'none'), str(tmp_path/'none')), (('import',tmp_path/'none.csv'), 'none.csv'),
                       (('simulate','--chains','bitcoi','--store',tmp_path/'x'), 'bitcoi')):
        r = cortex(*args, check=3 if 'flipside' in args else 2, cwd=tmp_path)
        assert said in r.stderr + r.stdout and len(r.stderr.strip().splitlines()) <= (10 if 'flipside' in args else 1), (args, r.stderr)

def test_import_and_simulate_stay_apart(tmp_path):
    cortex('simulate', '--chains', 'near', '--since', '2024-01-01', '--until', '2024-03-31', '--store', tmp_path/'s')
    (tmp_path/'mine.csv').write_text('date,chain,metric,value\n2024-01-01,near,tx_count,100000\n2024-01-02,near,tx_count,110000\n')
    assert 'simulated' in cortex('import', tmp_path/'mine.csv', '--store', tmp_path/'s', check=2).stderr
    assert '2 rows new' in cortex('import', tmp_path/'mine.csv', '--store', tmp_path/'own', '--licence', 'CC0-1.0').stdout
    assert set(MarketStore(tmp_path/'own').rows().licence) == {'CC0-1.0'}
    (tmp_path/'mine.csv').write_text('date,chain,metric,value\n2024-01-01,near,tx_count,100000\n2024-01-02,near,tx_count,many\n')
    assert all(w in cortex('import', tmp_path/'mine.csv', '--store', tmp_path/'own', check=2).stderr for w in ('mine.csv', 'line 3', "'many'"))

def test_kill_9_in_the_middle(tmp_path):
    "Killed again and again, each fetch goes on where the last one stopped; in the end every row is there, once, as it is."
    p, url = start_server('--days', 300, '--page', 20, '--faults', .1, '--stall', .3)
    rng, counts = np.random.default_rng(0), []
    args = ['fetch', '--chains', 'bitcoin', 'ethereum', 'near', 'base', '--days', '300', '--store', str(tmp_path/'s'), '--quiet']
    try:
        for i in range(5):
            f = subprocess.Popen([*CORTEX, 'data', *args], env=os.environ | {'CORTEX_MIRROR': url}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            files = lambda: len(list((tmp_path/'s').rglob('*.parquet')))
            until, before = time.monotonic() + 60, files()
            while f.poll() is None and files() < before + 2 + i and time.monotonic() < until: time.sleep(.01)
            time.sleep(rng.random()*.1)
            if f.poll() is None: os.killpg(f.pid, signal.SIGKILL)
            f.wait()
            store = MarketStore(tmp_path/'s'); counts.append(len(store.rows())); assert not store.damaged
        r = cortex(*args, url=url)
    finally: p.kill(); p.wait()
    truth, last = world(300)
    first = last - pd.Timedelta(days=299)
    assert counts == sorted(counts) and counts[0] > 0, counts     # nothing that was kept is lost
    pairs = {tuple(k) for k in MarketStore(tmp_path/'s').status()[['chain','metric','source']].itertuples(index=False)}
    assert {('bitcoin','tx_count','coinmetrics'), ('base','tx_count','growthepie'), ('near','fees_usd','nearblocks'), ('ethereum','price_usd','binance'), ('ethereum','price_usd','defillama')} <= pairs
    check_store(tmp_path/'s', pairs, truth, first, last)

def test_a_run_reads_a_store(tmp_path):
    "From a store to cases; what rests on simulated days says so."
    from cortex.artifacts import Run
    from cortex.pipeline import STAGES, Progress, Work, data_name, run_stage
    cortex('simulate', '--chains', 'bitcoin', 'ethereum', '--since', '2019-01-01', '--until', '2024-12-31', '--store', tmp_path/'s')
    w = Work(Run.open(tmp_path/'run', dict(size='tiny')), 'tiny', str(tmp_path/'s'), 5, 0, Progress(quiet=True))
    for s in [s for s in STAGES if s.name in ('weights','data','features','cases')]: run_stage(w, s)
    done = w.run.state['stages']
    assert done['data']['source'] == 'simulated' and done['data']['chains'] == ['bitcoin','ethereum'] and done['cases']['train'] > 100
    before = data_name(str(tmp_path/'s'))
    MarketStore(tmp_path/'s').pack()
    assert data_name(str(tmp_path/'s')) == before and before.startswith('s ')

def test_too_few_days_for_a_run(tmp_path):
    cortex('simulate', '--chains', 'bitcoin', '--since', '2024-01-01', '--until', '2024-03-31', '--store', tmp_path/'s')
    r = subprocess.run([*CORTEX, 'run', '--size', 'tiny', '--data', str(tmp_path/'s'), '--out', str(tmp_path/'run')], capture_output=True, text=True, timeout=100)
    assert r.returncode == 2 and 'the longest has 91 days' in r.stderr and 'cortex data fetch' in r.stderr and 'Traceback' not in r.stderr

def test_a_series_cut_short_goes_on_at_its_page(tmp_path, no_waiting):
    "What was answered is not asked for again: after a failure on the eighth page, two more requests bring the rest."
    truth = make_truth(0, ('near',), days=300)
    n = []
    def late(key): n.append(key); return '403' if len(n) > 7 else None
    with MarketServer(truth, page=30, odd=False) as s:
        s.set_faults(late)
        args = dict(since='2025-06-01', until=LAST, metrics=['price_usd'], source='binance', store=tmp_path/'s')
        first = fetch_market(['near'], api=make_api(s), **args)
        assert first.partial and first.new >= 150
        s.set_faults(None); s.requests.clear()
        again = fetch_market(['near'], api=make_api(s), **args)
        assert not again.partial and len(s.requests) <= 4, len(s.requests)
    check_store(tmp_path/'s', [('near','price_usd','binance')], truth, '2025-06-01', LAST)

def test_damaged_days_are_fetched_again(program, tmp_path):
    args = ('fetch','--chains','near','--metrics','tvl_usd','--days','30')
    cortex(*args, url=program, cwd=tmp_path)
    before = MarketStore(tmp_path/'market').rows()
    for f in (tmp_path/'market'/'market').rglob('*.parquet'): os.truncate(f, 500)
    r = cortex(*args, url=program, cwd=tmp_path)
    assert 'damaged and set aside' in r.stdout + cortex('status', cwd=tmp_path).stdout
    cortex(*args, url=program, cwd=tmp_path)
    after = MarketStore(tmp_path/'market').rows()
    assert before.value.tolist() == after.value.tolist()

def test_a_silent_publisher_is_not_an_answer(tmp_path, no_waiting):
    "A source that stopped a month ago is kept, the next one is asked, and if there is none the days are listed."
    truth = dict(TRUTH); truth['near','tvl_usd'] = TRUTH['near','tvl_usd'][:-30]
    with MarketServer(truth) as s:
        report = fetch_market(['near'], since=FIRST, until=LAST, metrics=['tvl_usd'], store=tmp_path/'s', api=make_api(s))
    assert report.partial and 'days early' in report.missing[0][2] and len(MarketStore(tmp_path/'s').rows()) > 20

def test_a_place_that_cannot_be_used_is_refused_before_anybody_is_asked(server, tmp_path):
    server.set_faults(None); server.requests.clear()
    (tmp_path/'file').write_text('x'); (tmp_path/'full').mkdir(); (tmp_path/'full'/'letter.txt').write_text('dear')
    cortex('simulate', '--chains', 'near', '--since', '2024-01-01', '--until', '2024-03-31', '--store', tmp_path/'sim')
    for place in ('file','full','sim'):
        r = cortex('fetch', '--chains', 'near', '--days', '3', '--store', tmp_path/place, url=server.url, check=2)
        assert str(tmp_path/place) in r.stderr and len(r.stderr.strip().splitlines()) == 1, r.stderr
    assert not server.requests
    assert 'seed' in cortex('simulate', '--chains', 'near', '--since', '2024-01-01', '--until', '2024-03-31', '--seed', 1, '--store', tmp_path/'sim', check=2).stderr
