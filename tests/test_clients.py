"Every client against a local server that misbehaves as the real ones do: no row is lost, doubled or changed."
import logging, sys, time
from pathlib import Path
import httpx, pandas as pd, pytest, stamina
sys.path.insert(0, str(Path(__file__).parent))
from market_server import FINAL, PASSING, Faults, MarketServer, expected, make_truth, renamed
from cortex.catalogue import SOURCES, serves
from cortex.clients import CLIENTS, Api, ApiError, Ask, Miss, Page, documented, iso_seconds, number, place, quoted, seconds

CHAINS = ('bitcoin','ethereum','near','polygon','base')
TRUTH = make_truth(0, CHAINS, days=60)
FIRST, LAST = pd.Timestamp('2026-01-05'), pd.Timestamp('2026-03-01')
NOW = LAST + pd.Timedelta(hours=36)
KEYS = {'FLIPSIDE_URL': 'https://flipside.example/json-rpc', 'FLIPSIDE_API_KEY': 'fs-5ecret', 'COINGECKO_API_KEY': 'CG-5ecret', 'NEARBLOCKS_API_KEY': 'nb-5ecret'}
METRICS = {'defillama': ('price_usd','tvl_usd','dex_volume_usd','fees_usd','stablecoin_supply_usd'), 'coingecko': ('price_usd','market_cap_usd'), 'binance': ('price_usd',)}

def metrics_of(source): return METRICS.get(source, SOURCES[source].metrics)

def small_ask(source):
    "Choose chains and metrics that take a handful of requests, with every kind of paging."
    chains = {'binance': ('polygon',), 'coinmetrics': ('ethereum',), 'growthepie': ('ethereum','base')}.get(source, ('near',))
    return chains, ('tx_count','fees_usd') if source == 'coinmetrics' else metrics_of(source)[:3]

def make_api(server, keys=KEYS, **kw):
    "Make an Api that talks to the local server, sleeps for nobody and gives up on a stall soon."
    api = Api(keys, mirror=server.url, now=NOW, transport=httpx.HTTPTransport(verify=False), **{'read': 5., **kw})
    api.throttle.sleep = lambda s: None
    return api

def fetch(api, source, chains=CHAINS, metrics=None, since=FIRST, until=LAST):
    "Ask a client; check the contract of its stream; return rows and misses."
    metrics = metrics or metrics_of(source)
    out = list(CLIENTS[source](api, Ask(chains, metrics, since, until)))
    ends = [(x.chain, x.metric) for x in out if isinstance(x, Miss)] + [p for x in out if isinstance(x, Page) and x.last for p in x.covers]
    assert sorted(ends) == sorted((c, m) for c in chains for m in metrics), f'{source}: every pair ends once'
    pages = [x for x in out if isinstance(x, Page)]
    for p in pages:
        assert set(zip(p.rows.chain, p.rows.metric)) <= set(p.covers) and (p.rows.source == source).all() and (p.rows.licence == SOURCES[source].licence).all()
    return pages, [x for x in out if isinstance(x, Miss)]

def tidy(pages):
    if not pages: return pd.DataFrame(columns=['date','chain','metric','value'])
    return pd.concat([p.rows for p in pages])[['date','chain','metric','value']].sort_values(['chain','metric','date'], ignore_index=True)

def check_rows(source, pages, chains=CHAINS, metrics=None, since=FIRST, until=LAST):
    "Compare rows with what the server's world holds."
    want = expected(TRUTH, source, chains, metrics or metrics_of(source), since, until)
    pd.testing.assert_frame_equal(tidy(pages), want, check_dtype=False, check_exact=True)

@pytest.fixture(scope='module')
def server():
    with MarketServer(TRUTH, page=25, stall=.8) as s: yield s

@pytest.fixture(autouse=True)
def no_waiting():
    with stamina.set_testing(True, attempts=6, cap=True): yield

@pytest.mark.parametrize('source', CLIENTS)
def test_a_good_day(source, server):
    "With all oddities of the data but no failure, every row comes, as it is, once."
    server.set_faults(None)
    pages, misses = fetch(make_api(server), source)
    check_rows(source, pages)
    assert all(not serves(source, m.chain, m.metric) for m in misses)
    assert max(p.rows.date.max() for p in pages if len(p.rows)) <= LAST and all(p.rows.value.notna().all() for p in pages)

@pytest.mark.parametrize('source', CLIENTS)
@pytest.mark.parametrize('fault', PASSING)
def test_what_passes(source, fault, server):
    "Each failure that passes by itself, on the first try of every request."
    tried = set()
    def once(key):
        if key in tried or ('stall' in fault and len(tried) > 1): return None
        tried.add(key)
        return fault
    server.set_faults(once)
    chains, metrics = small_ask(source)
    if 'stall' in fault: metrics = metrics[:1]
    pages, misses = fetch(make_api(server, read=.5 if 'stall' in fault else 5.), source, chains, metrics)
    check_rows(source, pages, chains, metrics)
    assert all(not serves(source, m.chain, m.metric) for m in misses)

def test_two_hundred_schedules(server):
    "Random failures in random order: no row is lost, doubled or changed."
    made, kinds = 0, [k for k in PASSING if 'stall' not in k]
    for seed in range(200):
        faults = Faults(seed, .4, kinds if seed % 20 else PASSING)
        server.set_faults(faults)
        server.seed, api = seed, make_api(server, read=5. if seed % 20 else .5)
        source = list(CLIENTS)[seed % len(CLIENTS)]
        chains, metrics = small_ask(source)
        pages, misses = fetch(api, source, chains, metrics)
        check_rows(source, pages, chains, metrics)
        assert all(not serves(source, m.chain, m.metric) for m in misses)
        made += len(faults.made)
    assert made > 300, made

@pytest.mark.parametrize('fault', FINAL)
def test_what_does_not_pass(fault, server):
    "An answer that is final is a miss with its reason, after one request."
    server.set_faults(lambda key: fault)
    server.requests.clear()
    pages, misses = fetch(make_api(server, read=10.), 'defillama', ('near',), ('tvl_usd',))
    assert not pages and len(server.requests) == 1
    words = {'bomb': 'unpacks to more than', 'redirect_out': 'another host', 'contradict': 'two values for 2026-0', '429_3600': 'asks to wait 3,600 s', '402': 'paid plan', '403': '--source'}
    assert words.get(fault, f'HTTP {fault[:3]}') in misses[0].why and '\x1b' not in misses[0].why

def test_a_refused_key_is_refused_once(server):
    "After a refused key nothing more is sent, and nobody repeats the key: not errors, not logs, not pages."
    heard = []
    class Ear(logging.Handler):
        def emit(self, record): heard.append(str(record.__dict__))
    root, ear = logging.getLogger(), Ear()
    root.addHandler(ear); level = root.level; root.setLevel(logging.DEBUG)
    server.set_faults(None)
    server.keys = {'api.coingecko.com': 'CG-right', 'api.nearblocks.io': 'nb-right', 'flipside.example': 'fs-right'}
    try:
        for source in ('coingecko','nearblocks','flipside'):
            server.requests.clear()
            pages, misses = fetch(make_api(server), source)
            assert not pages and len(server.requests) == 1 and any('5ecret' in str(r) for r in server.requests)
            assert 'keys are refused' in misses[-1].why and SOURCES[source].key in misses[-1].why
            assert '5ecret' not in str(misses)
    finally: server.keys = {}; root.removeHandler(ear); root.setLevel(level)
    server.set_faults(Faults(0, .3, [k for k in PASSING if 'stall' not in k]))
    for source in CLIENTS: assert '5ecret' not in str(fetch(make_api(server), source, ('near',))) + repr(make_api(server))
    assert heard and '5ecret' not in ''.join(heard)

def test_keys_go_to_their_own_host_only(server):
    server.set_faults(None); server.requests.clear()
    for source in CLIENTS: fetch(make_api(server), source, ('near','ethereum'))
    for _, host, _, query, headers in server.requests:
        own = {'api.coingecko.com': 'CG-5ecret', 'api.nearblocks.io': 'nb-5ecret', 'flipside.example': 'fs-5ecret'}.get(host)
        for key in ('CG-5ecret','nb-5ecret','fs-5ecret'): assert (key in str(headers)) == (key == own), host
        assert '5ecret' not in str(query)

def test_a_server_that_is_gone(server):
    "Nobody answers: one series is tried six times, the rest not at all."
    api = make_api(server); api.mirror = 'http://127.0.0.1:9'
    pages, misses = fetch(api, 'defillama', ('near','ethereum'), ('tvl_usd','fees_usd'))
    assert not pages and all('no whole answer from api.llama.fi' in m.why for m in misses) and 'api.llama.fi' in api.left

def test_a_server_that_always_fails_is_left_alone(server):
    server.set_faults(lambda key: '500'); server.requests.clear()
    pages, misses = fetch(make_api(server), 'defillama', CHAINS, ('tvl_usd',))
    assert not pages and len(misses) == 5 and len(server.requests) == 18

def test_a_page_at_a_time(server):
    "A page is handed over before the next is asked for: a kill costs at most the page in flight."
    server.set_faults(None); server.requests.clear()
    stream, seen = CLIENTS['binance'](make_api(server), Ask('bitcoin', 'price_usd', FIRST, LAST)), []
    for page in stream: seen.append(len(server.requests))
    assert seen == [1, 2, 3]

def test_half_of_a_series(server):
    "What came before a failure stays; the pair ends in a miss."
    n = []
    server.set_faults(lambda key: '403' if len(n) >= 2 else n.append(1))
    pages, misses = fetch(make_api(server), 'binance', ('bitcoin',))
    assert [p.last for p in pages] == [False, False] and 'HTTP 403' in misses[0].why
    check = expected(TRUTH, 'binance', ('bitcoin',), ('price_usd',), FIRST, pages[-1].until)
    pd.testing.assert_frame_equal(tidy(pages), check, check_dtype=False)

def test_it_waits_as_asked(server):
    "Retry-After is honoured, as seconds and as a date."
    for fault, least in (('429_1', 1.), ('429_date', .9)):
        server.set_faults([fault])
        with stamina.set_testing(False):
            t = time.monotonic()
            fetch(make_api(server), 'defillama', ('near',), ('tvl_usd',))
            assert least - .05 <= time.monotonic() - t < 4

def test_a_drip_has_an_end(server):
    "Bytes that keep coming, slowly, do not reset the clock of the whole body."
    server.set_faults(lambda key: 'drip')
    pages, misses = fetch(make_api(server, read=.005, attempts=2), 'defillama', ('near',), ('tvl_usd',))
    assert not pages and ('was not complete after' in misses[0].why or 'ReadTimeout' in misses[0].why)

def test_memory_of_a_bomb(server):
    "A bomb is refused while it unpacks, not afterwards."
    import tracemalloc
    server.set_faults(lambda key: 'bomb'); fetch(make_api(server), 'defillama', ('near',), ('tvl_usd',))  # packs the bomb
    tracemalloc.start()
    fetch(make_api(server, limit=4*2**20), 'defillama', ('near',), ('tvl_usd',))
    peak = tracemalloc.get_traced_memory()[1]; tracemalloc.stop()
    assert peak < 40*2**20, peak

def test_the_rename_of_polygon(server):
    "MATIC and POL are one series without overlap."
    server.set_faults(None)
    pages, _ = fetch(make_api(server), 'binance', ('polygon',), since=pd.Timestamp('2026-01-02'))
    turn = renamed(server.index)
    assert {p.url[-9:] for p in pages if p.rows.date.max() < turn} == {'MATICUSDT'} and {p.url[-7:] for p in pages if p.rows.date.min() >= turn} == {'POLUSDT'}
    assert tidy(pages).date.is_unique

def test_years_of_many_chains():
    "Full history is no slower than a person would expect, and the client's own work is linear."
    truth = make_truth(1, ('ethereum','base','arbitrum','optimism'), days=1500)
    with MarketServer(truth) as s:
        t = time.monotonic()
        pages, _ = fetch(make_api(s, read=20.), 'growthepie', ('ethereum','base','arbitrum','optimism'), since=pd.Timestamp('2022-01-22'))
        took = time.monotonic() - t
    want = expected(truth, 'growthepie', ('ethereum','base','arbitrum','optimism'), metrics_of('growthepie'), pd.Timestamp('2022-01-22'), LAST)
    pd.testing.assert_frame_equal(tidy(pages), want, check_dtype=False)
    assert took < 15, took

LONG_KEY = 'CG-' + 'q7Zx'*40   # no four letters of it may appear

def refused(answer):
    "Tell what an Api with a long key says of an answer."
    api = Api({'COINGECKO_API_KEY': LONG_KEY}, transport=httpx.MockTransport(lambda r: answer()), now=NOW, attempts=1)
    with pytest.raises(ApiError) as e: api.get('coingecko', 'https://api.coingecko.com/api/v3/ping')
    return str(e.value)

def test_no_part_of_an_echoed_key():
    "A key is taken out before a text is cut, wherever the cut falls."
    api = Api({'COINGECKO_API_KEY': LONG_KEY}, now=NOW)
    for read in (number, seconds, iso_seconds):
        for pad in ('', 'x'*25, ' '*39, 'n/a '*70):
            with pytest.raises(ApiError) as e:
                with documented(api, 'coingecko', 'https://api.coingecko.com/x'): read(pad + LONG_KEY)
            assert 'q7Z' not in str(e.value) and 'CG-' not in str(e.value)
        with pytest.raises(ApiError) as e:
            with documented(api, 'coingecko', 'https://api.coingecko.com/x'): read([LONG_KEY])
        assert 'q7Z' not in str(e.value)
    for n in [*range(0, 400, 7), *range(29_700, 30_300, 7)]:
        for c in ' x': assert 'q7Z' not in quoted(c*n + LONG_KEY*3, [LONG_KEY])

class Chunks(httpx.SyncByteStream):
    def __init__(self, parts): self.parts = parts
    def __iter__(self): yield from self.parts

@pytest.mark.parametrize('status', [403, 500])
def test_no_part_of_a_key_in_a_body_cut_short(status):
    "The first pieces of a long refusal may end inside a key."
    for cut in (3, 50, 160):
        parts = [b' '*4090 + b'bad key ' + LONG_KEY[:cut].encode(), LONG_KEY[cut:].encode() + b'!'*100]
        said = refused(lambda: httpx.Response(status, stream=Chunks(parts)))
        assert f'HTTP {status}' in said and 'q7Z' not in said and 'CG-' not in said, said

def test_keys_in_a_path_are_not_repeated():
    for key in ('5b1f0c9e7d3a4482b6f0a1c2d3e4f5a6', 'AbCdEfGhIjKlMnOpQrStUvWxYz', 'a%2Fb1'*9):
        for form in (f'https://h.example/v2/{key}', f'https://h.example/{key}/json-rpc', f'https://h.example/a//{key}/'):
            assert key not in place(form) and 'a/b1' not in place(form) and '***' in place(form)
        assert key not in repr(Api({}, mirror=f'https://h.example/{key}'))
    assert place('https://api.llama.fi/v2/historicalChainTvl/OP%20Mainnet') == 'api.llama.fi/v2/historicalChainTvl/OP Mainnet'
    assert place('https://data-api.binance.vision/api/v3/klines?symbol=x') == 'data-api.binance.vision/api/v3/klines'
