"Protocols, pools and quotes from a local server that speaks the documented shapes and misbehaves; nothing may be lost, doubled, changed or invented."
import os, subprocess, sys
from pathlib import Path
import numpy as np, pandas as pd, pytest, stamina
from cortex.artifacts import CortexError, content_hash
from cortex.clients import Api, Miss, Page
from cortex.opportunities import (COLUMNS, TOKENS, check_opportunities, fetch_pool_history, fetch_pools, fetch_protocols, fetch_quotes, list_pools, list_protocols,
    net_gains, simulate_pools, simulate_protocols, simulate_quotes, token_keys)
from cortex.sources import simulate_market
from cortex.store import KEYS, MarketStore
sys.path.insert(0, str(Path(__file__).parent))
from market_server import Faults, MarketServer, make_truth

CHAINS, COINS, SINCE, UNTIL, NOON = ('near','optimism'), ('near','ethereum'), '2026-02-22', '2026-03-01', '2026-03-02 12:00'
LLAMA = dict(near='Near', ethereum='Ethereum', optimism='OP Mainnet')
KINDS = ('429','429_0','500','502','503','cut_body','cut_json','cut_gzip','html','nan','reset','drip','redirect')

@pytest.fixture(autouse=True)
def no_waiting():
    "Retry as often as in life, without the waiting."
    stamina.set_testing(True, attempts=6, cap=True)
    yield
    stamina.set_testing(False)

def make_world():
    "Invent protocols that live on several chains, pools, and what they did."
    market = simulate_market(CHAINS, start='2026-02-15', end='2026-03-05')
    protocols, pools = simulate_protocols(market), simulate_pools(market)
    return protocols.assign(protocol=[p.split('-', 1)[1] for p in protocols.protocol]), pools

class Server(MarketServer):
    "Serve protocols, pools and token prices as well."
    def __init__(self, world, faults=None, **kw):
        super().__init__(make_truth(chains=COINS, days=30, missing=0), faults, **kw)
        self.protocols, self.pools = world
        self.closed = self.gone = ()
    def odd_rows(self, rows, rng):
        "Shuffle, repeat two rows."
        if not self.odd: return rows
        rows = rows + [rows[i] for i in rng.integers(len(rows), size=2)] if rows else rows
        return [rows[i] for i in rng.permutation(len(rows))]
    def text(self, x, rng): return None if x != x else repr(float(x)) if self.odd and rng.random() < .3 else float(x)
    def answer(self, host, path, q, body, rng, contradict):
        if any(part in path for part in self.closed): return 402, {'message': 'payment required'}
        if any(part in path for part in self.gone): return 404, 'not found'
        kind, _, last = path.strip('/').rpartition('/')
        if host == 'api.llama.fi' and path == '/protocols': return 200, self.listed(rng)
        if host == 'api.llama.fi' and kind == 'protocol': return self.protocol(last, rng, contradict)
        if host == 'api.llama.fi' and kind == 'summary/fees' and last in set(self.protocols.protocol): return self.fees(last, rng)
        if host == 'yields.llama.fi': return self.pool_list(rng) if path == '/pools' else self.chart(last, rng)
        if host == 'coins.llama.fi' and kind.startswith('prices/historical'): return self.coins(int(kind.split('/')[-1]), last, rng)
        return super().answer(host, path, q, body, rng, contradict)
    def listed(self, rng):
        newest = self.protocols[self.protocols.date == self.protocols.date.max()]
        rows = [dict(id='1', slug=p, name=p.title(), category=g.category.iloc[0], chainTvls={LLAMA[c]: self.text(x, rng) for c, x in zip(g.chain, g.tvl_usd)} | {'borrowed': 1e12, 'Near-borrowed': 1e12}, mcap=None)
                for p, g in newest.groupby('protocol')]
        return self.odd_rows(rows[:], np.random.default_rng(1)) + [dict(slug='hot-wallets', category='CEX', chainTvls={'Near': 1e13}), dict(slug='../../etc', category='Lending', chainTvls={'Near': 1e13}), dict(slug='elsewhere', category='Dexs', chainTvls={'Moon': 5})]
    def protocol(self, slug, rng, contradict):
        g = self.protocols[self.protocols.protocol == slug]
        if g.empty: return 400, 'Protocol not found'
        out = {}
        for c, h in g.groupby('chain'):
            points = [dict(date=self.unix(d), totalLiquidityUSD=self.text(x, rng)) for d, x in zip(h.date, h.tvl_usd) if d < self.today]
            points = self.odd_rows(points, rng) + [dict(date=self.unix(self.today) + 3600, totalLiquidityUSD=1.)]
            if contradict: points.append(points[0] | dict(totalLiquidityUSD=7.))
            out |= {LLAMA[c]: dict(tvl=points, tokens=[]), f'{LLAMA[c]}-borrowed': dict(tvl=[dict(date=0, totalLiquidityUSD=1)])}
        return 200, dict(name=slug, chainTvls=out, currentChainTvls={})
    def fees(self, slug, rng):
        g = self.protocols[(self.protocols.protocol == slug) & self.protocols.fees_usd.notna()]
        if g.empty: return 404, 'not found'
        rows = [[self.unix(d), {LLAMA[c].lower() if self.odd else LLAMA[c]: {'v1': self.text(x/2, rng), 'v2': x/2} for c, x in zip(h.chain, h.fees_usd)} | {'moon': {'v1': 5}}] for d, h in g.groupby('date')]
        return 200, dict(totalDataChartBreakdown=self.odd_rows(rows, rng))
    def pool_list(self, rng):
        newest = self.pools[self.pools.date == self.pools.date.max()]
        rows = [dict(pool=r.pool, chain={'optimism': 'Optimism'}.get(r.chain, LLAMA[r.chain]), project=r.project, symbol=r.symbol, tvlUsd=self.text(r.tvl_usd, rng), apy=99., stablecoin=r.stablecoin, ilRisk='yes' if r.il_risk else 'no') for r in newest.itertuples()]
        bad = [dict(pool='x'*100, chain='Near', project='p', symbol='s', tvlUsd=1e12), dict(pool='evil', chain='Near', project='p', symbol='\u202egpj', tvlUsd=1e12), dict(pool='none', chain='Near', project='p', symbol='s', tvlUsd=None)]
        return 200, dict(status='success', data=rows + (bad if self.odd else []))
    def chart(self, pool, rng):
        g = self.pools[self.pools.pool == pool]
        percent = lambda x: None if x != x else 100*x if not self.odd or rng.random() < .7 else repr(100*x)
        rows = [dict(timestamp=f'{d:%Y-%m-%d}T23:01:11.000Z', tvlUsd=t, apy=percent(a), apyBase=percent(b), apyReward=percent(r), il7d=None)
                for d, t, a, b, r in zip(g.date, g.tvl_usd, g.apy, g.apy_base, g.apy_reward) if d < self.today]
        early = [dict(r, timestamp=r['timestamp'].replace('T23', 'T11'), apy=50., tvlUsd=1.) for r in rows[:3]]   # an earlier value of the same day
        return 200, dict(status='success', data=self.odd_rows(rows + early, rng) + [dict(timestamp=f'{self.today:%Y-%m-%d}T08:00:00.000Z', tvlUsd=1., apy=1.)])
    def coins(self, at, keys, rng):
        day, out = pd.Timestamp(at, unit='s') - pd.Timedelta(days=1), {}
        for key in keys.split(','):
            asset, chain = token_keys(TOKENS)[key]
            home = dict(ETH='ethereum', NEAR='near', OP='optimism').get(asset)
            if home is None: continue
            price = dex_price(self.truth[home, 'price_usd'][day], chain)
            if chain == 'polygon': out[key] = dict(price=price, symbol=asset, timestamp=at - 7200, confidence=.99)                # old
            elif chain == 'avalanche': out[key] = dict(price=dex_price(self.truth[home, 'price_usd'][day], 'ethereum'), symbol=asset, timestamp=at + 20, confidence=.99)   # an echo
            else: out[key] = dict(price=self.text(price, rng), symbol=asset, timestamp=at + 20, confidence=.99)
        return 200, {'coins': out}

def dex_price(price, chain): return price*(1 + sum(map(ord, chain))/1e6)

@pytest.fixture(scope='module')
def world(): return make_world()

def api_of(server, **kw): return Api({}, mirror=server.url, now=NOON, **{'read': 5., **kw})

def collect(parts, kind):
    "Check what a fetcher promises of its parts, and join the rows."
    parts = list(parts)
    for p in parts:
        if isinstance(p, Page):
            check_opportunities(p.rows, kind)
            assert p.covers and all(m == kind for _, m in p.covers)
        else: assert isinstance(p, Miss) and p.why and p.metric == kind
    rows = pd.concat([p.rows for p in parts if isinstance(p, Page)], ignore_index=True) if any(isinstance(p, Page) for p in parts) else pd.DataFrame(columns=COLUMNS[kind])
    return rows, [p for p in parts if isinstance(p, Miss)]

def same(got, want, kind):
    "Compare the values, whatever the order."
    keys = [k for k in KEYS[kind] if k != 'source']
    cut = lambda t: t.drop(columns=['source','fetched_at','licence']).astype({'date': 'datetime64[ns]'}).sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(cut(got), cut(want), check_dtype=False, rtol=1e-12)

inside = lambda t: t[t.date.between(SINCE, UNTIL)]

def want_quotes(server):
    rows = []
    for asset, home in dict(ETH='ethereum', NEAR='near').items():
        for day, p in server.truth[home, 'price_usd'][SINCE:UNTIL].items():
            rows += [(day, asset, 'binance', home, p)] + [(day, asset, 'dex', c, dex_price(p, c)) for c in TOKENS[asset] if c not in ('polygon','avalanche')]
    return pd.DataFrame(rows, columns=['date','asset','venue','chain','price_usd'])

def fetch_all(server, world, api):
    "Fetch all three frames and compare them with what happened."
    rows, misses = collect(fetch_protocols(api, CHAINS, since=SINCE, until=UNTIL), 'protocols'); assert not misses, misses
    same(rows, inside(world[0]), 'protocols')
    rows, misses = collect(fetch_pools(api, CHAINS, min_tvl_usd=0, since=SINCE, until=UNTIL), 'pools'); assert not misses, misses
    same(rows, inside(world[1]), 'pools')
    rows, misses = collect(fetch_quotes(api, ('ETH','NEAR'), SINCE, UNTIL), 'quotes')
    assert {(m.chain, m.why.split(', ')[0]) for m in misses} == {('polygon', 'ETH: no quote'), ('avalanche', 'ETH: no quote')}, misses
    same(rows[['date','asset','venue','chain','price_usd']].assign(source=0, fetched_at=0, licence=0), want_quotes(server).assign(source=0, fetched_at=0, licence=0), 'quotes')

def test_plain_and_odd_answers(world):
    for odd in (False, True):
        with Server(world, odd=odd) as s: fetch_all(s, world, api_of(s))

@pytest.mark.parametrize('seed', range(8))
def test_no_row_is_lost_doubled_or_changed(world, seed):
    with Server(world, Faults(seed, .25, KINDS), seed=seed) as s: fetch_all(s, world, api_of(s))

def test_a_stall_is_cut_off(world):
    with Server(world, ['stall', None, 'stall_body'], stall=.6) as s:
        rows, misses = collect(fetch_pools(api_of(s, read=.2), ['near'], min_tvl_usd=0, since=SINCE, until=UNTIL), 'pools')
        assert not misses; same(rows, inside(world[1][world[1].chain == 'near']), 'pools')

def test_pages_come_one_by_one_and_end_once(world):
    with Server(world) as s:
        parts = fetch_protocols(api_of(s), CHAINS, since=SINCE, until=UNTIL)
        next(parts); assert len(s.requests) == 3   # the list, one history, its fees: a kill costs no more than that
        rest = list(parts)
        assert [p.covers[0][0] for p in rest if p.last] == list(CHAINS)
        asked = [r[2] for r in s.requests]; assert len(asked) == len(set(asked)), 'a protocol on three chains is asked once'
    with Server(world) as s:
        parts = fetch_pools(api_of(s), ['near'], min_tvl_usd=0, since=SINCE, until=UNTIL)
        next(parts); assert len(s.requests) == 2

def test_top_and_least_size(world):
    with Server(world) as s:
        found = list_protocols(api_of(s), ['near'], top=3)['near']
        newest = world[0][(world[0].chain == 'near') & (world[0].date == world[0].date.max())].nlargest(3, 'tvl_usd')
        assert [p for p, _ in found] == list(newest.protocol)
        pools = list_pools(api_of(s), CHAINS, min_tvl_usd=1e7, top=2)
        assert (pools.tvl_usd >= 1e7).all() and pools.groupby('chain').size().max() == 2 and 'evil' not in set(pools.pool)

def test_closed_yields_cost_one_request(world):
    with Server(world) as s:
        s.closed = ('chart/',)
        rows, misses = collect(fetch_pools(api_of(s), CHAINS, min_tvl_usd=0, since=SINCE, until=UNTIL), 'pools')
        assert len(rows) == 0 and [m.chain for m in misses] == list(CHAINS) and len(s.requests) == 2
        assert all('402' in m.why for m in misses)
        s.closed = ('pools',)
        _, misses = collect(fetch_pools(api_of(s), CHAINS), 'pools'); assert len(misses) == 2 and len(s.requests) == 3

@pytest.mark.parametrize('fault', ['401','402','403','404','451','bomb','429_3600','redirect_out','html','500','nan','reset'])
def test_lasting_faults_end_in_misses(world, fault):
    with Server(world, lambda key: fault) as s:
        api = api_of(s)
        for kind, parts in (('protocols', fetch_protocols(api, CHAINS, since=SINCE, until=UNTIL)), ('pools', fetch_pools(api, CHAINS, since=SINCE, until=UNTIL)), ('quotes', fetch_quotes(api, ('ETH','NEAR'), SINCE, UNTIL))):
            rows, misses = collect(parts, kind)
            assert len(rows) == 0 and {m.chain for m in misses} >= {'near', 'ethereum' if kind == 'quotes' else 'optimism'}
        assert len(s.requests) < 80, len(s.requests)

def test_one_failing_protocol_costs_only_itself(world):
    with Server(world) as s:
        s.gone = ('protocol/lending',)
        rows, misses = collect(fetch_protocols(api_of(s), CHAINS, since=SINCE, until=UNTIL), 'protocols')
        same(rows, inside(world[0][world[0].protocol != 'lending']), 'protocols')
        assert [m.chain for m in misses] == list(CHAINS) and all('1 of 8 failed: lending' in m.why for m in misses)

def test_a_contradiction_is_named(world):
    with Server(world, lambda key: 'contradict' if '/protocol/vault' in key else None) as s:
        rows, misses = collect(fetch_protocols(api_of(s), ['near'], since=SINCE, until=UNTIL), 'protocols')
        assert 'two different values for 2026-' in misses[0].why and 'vault' not in set(rows.protocol)

def test_missing_fees_stay_missing(world):
    with Server(world) as s:
        s.gone = ('summary/fees/swap',)
        rows, misses = collect(fetch_protocols(api_of(s), ['near'], since=SINCE, until=UNTIL), 'protocols')
        assert not misses and rows[rows.protocol.isin(['swap','bridge'])].fees_usd.isna().all() and rows[rows.protocol == 'vault'].fees_usd.notna().all()

def test_the_running_day_and_the_future_are_not_asked(world):
    with Server(world) as s:
        rows, _ = collect(fetch_pools(api_of(s), ['near'], min_tvl_usd=0, since=SINCE, until='2999-01-01'), 'pools')
        assert rows.date.max() == pd.Timestamp('2026-03-01')
        with pytest.raises(CortexError, match='lies after until'): list(fetch_pools(api_of(s), ['near'], since='2026-03-02'))
        with pytest.raises(CortexError, match="is not a pool's id"): fetch_pool_history(api_of(s), dict(pool='../pools'))
        with pytest.raises(CortexError, match='Nearest: near'): list(fetch_protocols(api_of(s), ['neer']))
        with pytest.raises(CortexError, match='No coin is called'): list(fetch_quotes(api_of(s), ['DOGGO']))

def test_through_the_store(world, tmp_path):
    "What is fetched can be kept, is kept once, and comes back the same."
    store = MarketStore(tmp_path/'store')
    with Server(world) as s:
        for kind, fetch in (('protocols', lambda: fetch_protocols(api_of(s), CHAINS, since=SINCE, until=UNTIL)), ('pools', lambda: fetch_pools(api_of(s), CHAINS, min_tvl_usd=0, since=SINCE, until=UNTIL)),
                            ('quotes', lambda: fetch_quotes(api_of(s), ('ETH','NEAR'), SINCE, UNTIL))):
            rows = [p.rows for p in fetch() if isinstance(p, Page)]
            assert sum(store.add(r, kind).new for r in rows) == sum(map(len, rows))
            assert sum(store.add(p.rows, kind).new for p in fetch() if isinstance(p, Page)) == 0
            back = store.rows(table=kind)[list(COLUMNS[kind])]
            check_opportunities(back, kind); same(back.astype({c: str for c in back if isinstance(back[c].dtype, pd.CategoricalDtype)}), pd.concat(rows), kind)

SPOILT = [('date', pd.Timestamp('2999-01-01'), 'not over yet'), ('date', pd.NaT, 'missing'), ('fetched_at', pd.Timestamp('2020-01-01'), 'before the end of that day'), ('chain', 'x'*65, '65 characters'),
    ('chain', 'a\nb', 'control'), ('source', '', 'not a name'), ('tvl_usd', -1., 'outside'), ('tvl_usd', 1e18, 'outside'), ('tvl_usd', np.nan, 'missing'), ('apy', np.inf, 'outside'), ('apy', -1.5, 'outside'),
    ('apy_reward', -.1, 'outside'), ('symbol', '\x1b[2J', 'control'), ('symbol', '\u202ex', 'control'), ('price_usd', 0., 'outside'), ('price_usd', np.nan, 'missing'), ('fee', .5, 'outside'), ('fee', np.nan, 'missing'),
    ('gas_usd', -1., 'outside'), ('minutes', 1e9, 'outside'), ('fees_usd', 1e11, 'outside')]

@pytest.mark.parametrize('column,value,why', SPOILT)
def test_a_spoilt_cell_is_named(column, value, why):
    market = simulate_market(['near'], start='2025-06-01', end='2025-06-30')
    hit = 0
    for kind, f in (('protocols', simulate_protocols(market)), ('pools', simulate_pools(market)), ('quotes', simulate_quotes(market))):
        if column not in f: continue
        at = len(f)//2; f.loc[at, column] = value; hit += 1
        with pytest.raises(CortexError) as e: check_opportunities(f, kind)
        text = str(e.value); assert why in text and column in text and kind in text and text.isprintable() and len(text) < 400, text
    assert hit

def test_simulated_in_another_process():
    "The same seed is the same world, whatever the hash seed, and needs no network."
    code = ("from cortex.artifacts import content_hash; from cortex.sources import simulate_market; from cortex.opportunities import *; m = simulate_market(['near','base'][:1], end='2024-06-30'); "
            "print(*(content_hash(f(m)) for f in (simulate_protocols, simulate_pools, simulate_quotes)))")
    run = subprocess.run([sys.executable, '-c', code], env={**os.environ, 'PYTHONHASHSEED': '7'}, capture_output=True, text=True, check=True)
    m = simulate_market(['near'], end='2024-06-30')
    assert run.stdout.split() == [content_hash(f(m)) for f in (simulate_protocols, simulate_pools, simulate_quotes)]

def test_simulated_days_do_not_know_the_future_nor_each_other():
    full = simulate_market(['near','ethereum','polygon'], end='2025-06-30')
    part = full[(full.chain == 'near') & full.date.between('2022-03-01', '2023-02-28')]
    for f in (simulate_protocols, simulate_pools, simulate_quotes):
        a, b = f(full), f(part)
        a = a[a.date.between('2022-03-01', '2023-02-28')]; a = a[a.asset == 'NEAR'] if 'asset' in a else a[a.chain == 'near']
        pd.testing.assert_frame_equal(a.reset_index(drop=True), b)
        assert (b.fetched_at == b.date + pd.Timedelta(days=1)).all() and set(b.source) == {'simulated'}

def test_net_gains_by_hand():
    q = pd.DataFrame(dict(date=pd.Timestamp('2025-01-01'), asset='ETH', venue=['a','b','c'], chain='ethereum', price_usd=[100., 102., 101.], fee=[.001, .002, .003], gas_usd=[1., 2., 3.], minutes=[5., 6., 7.]))
    t = net_gains(q, 1000, .001).set_index(['venue_buy','venue_sell'])
    coins = 1000*(1 - .001 - .001)/100
    assert len(t) == 6 and abs(t.net_usd['a','b'] - (coins*102*(1 - .002 - .001) - 1000 - 3)) < 1e-9 and t.minutes['a','b'] == 5
    assert (t.net_usd[[('b','a'), ('c','a'), ('b','c')]] < 0).all() and abs(t.net['a','b']*1000 - t.net_usd['a','b']) < 1e-9
