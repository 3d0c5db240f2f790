"Arbitrage and yield net of all costs: gains worked out by hand, planted truth found again, and quotes that nobody may trade on."
import math
import numpy as np, pandas as pd, pytest
from cortex.arbitrage import (KINDS, bench_arbitrage, break_even, by_kind, carry, check_quotes, cries, detection_rows, doubts, entry_cost, find_arbitrage, net_yields, plant_quotes, policies, slippage_at,
                              with_spread, yield_path)
from cortex.artifacts import CortexError
from cortex.opportunities import net_gains, simulate_pools, simulate_quotes
from cortex.scores import wilson_ci
from cortex.sections import load_section, save_section
from cortex.sources import simulate_market

@pytest.fixture(scope='module')
def market(): return simulate_market(['bitcoin', 'ethereum', 'solana', 'near'], '2022-01-01', '2023-06-30')

@pytest.fixture(scope='module')
def quotes(market): return simulate_quotes(market[market.date >= '2023-01-01'])

def two_places(buy=100., sell=101., **kw):
    rows = [dict(date=pd.Timestamp('2024-01-01'), asset='X', venue=v, chain='c', price_usd=p, fee=f, gas_usd=g, minutes=m) | {k: x[i] for k, x in kw.items()}
            for i, (v, p, f, g, m) in enumerate((('a', buy, .001, 2., 10.), ('b', sell, .002, 3., 20.)))]
    return pd.DataFrame(rows)

# ---- known answers

def test_a_trade_worked_out_by_hand():
    t = find_arbitrage(two_places(), sizes=(10_000,), funding=.10)
    bought = 10_000*(1 - .001 - .0005)/100                    # coins that arrive
    proceeds = bought*101*(1 - .002 - .0005)
    want = proceeds - 10_000 - 2 - 3 - 10_000*.10*10/(365*24*60)
    assert len(t) == 1 and (t.venue_buy[0], t.venue_sell[0]) == ('a', 'b') and math.isclose(t.net_usd[0], want, rel_tol=1e-12)
    sd = 10_000*.70*math.sqrt(10/(365*24*60))
    assert math.isclose(t.risk_usd[0], sd, rel_tol=1e-12)
    from scipy.stats import norm
    assert math.isclose(t.p_gain[0], norm.cdf(want/sd), rel_tol=1e-9)

def test_no_gap_below_the_costs_is_called_and_every_cost_lowers_the_gain():
    assert not len(find_arbitrage(two_places(100, 100.2)))
    q = two_places(100, 102); net = lambda q, **kw: find_arbitrage(q, sizes=(10_000,), **kw).net_usd.iloc[0]
    base = net(q, funding=0.)
    assert net(q, funding=.5) < base and net(q.assign(fee=q.fee + .001), funding=0.) < base and net(q.assign(gas_usd=q.gas_usd + 1), funding=0.) < base
    assert math.isclose(base - net(q.assign(gas_usd=q.gas_usd + 1), funding=0.), 2, rel_tol=1e-9)

def test_break_even_is_where_nothing_is_left():
    rng = np.random.default_rng(0)
    for _ in range(30):
        n = int(rng.integers(2, 6)); price, fee, gas = 100*np.exp(rng.normal(0, .01, n)), rng.uniform(0, .005, n), rng.uniform(0, 5, n)
        k = int(rng.integers(n)); price[k] = break_even(price, fee, gas, k, 10_000, .0005)
        q = pd.DataFrame(dict(date=pd.Timestamp('2024-01-01'), asset='X', venue=[f'v{i}' for i in range(n)], chain='', price_usd=price, fee=fee, gas_usd=gas, minutes=1.))
        gains = net_gains(q)
        assert abs(gains[gains.venue_sell == f'v{k}'].net_usd.max()) < 1e-6

def test_both_sides_of_a_quote_cost_half_the_spread():
    q = two_places(bid_usd=[99.9, 100.9], ask_usd=[100.1, 101.1])
    w = with_spread(q)
    assert np.allclose(w.fee - q.fee, [.001, .1/101]) and find_arbitrage(q, (10_000,)).net_usd.iloc[0] < find_arbitrage(two_places(), (10_000,)).net_usd.iloc[0]
    exact = 10_000*((1 - .0015)*(100.9/100.1)*(1 - .0025) - 1) - 5
    assert abs(net_gains(w).net_usd.max() - exact) < .6   # to the square of the half-spread, on the careful side
    assert net_gains(w).net_usd.max() <= exact + .01

# ---- bad quotes

def test_bad_quotes_are_one_clear_line():
    q = two_places()
    bad = {'the price is missing': q.assign(price_usd=[100, np.nan]), 'the price is -1': q.assign(price_usd=[100, -1.]), 'the price is inf': q.assign(price_usd=[np.inf, 1.]), 'the fee is 5': q.assign(fee=5.), 'gas is -2': q.assign(gas_usd=-2.),
           'crossed': q.assign(bid_usd=[101., 100.], ask_usd=[100., 101.]), 'lacks a side': q.assign(bid_usd=[np.nan, 100.], ask_usd=101.), 'the second quote': pd.concat([q, q]), 'no column gas_usd': q.drop(columns='gas_usd')}
    for said, frame in bad.items():
        for call in (lambda: check_quotes(frame), lambda: find_arbitrage(frame)):
            with pytest.raises(CortexError) as e: call()
            assert said in str(e.value) and '\n' not in str(e.value), (said, str(e.value))

def test_no_frame_at_all_is_no_opportunity(): assert len(find_arbitrage(two_places().iloc[:0])) == 0 and len(find_arbitrage(two_places().iloc[:1])) == 0

def test_unknown_gas_is_never_free():
    q = two_places(100, 150); q.loc[0, 'gas_usd'] = np.nan
    assert list(doubts(q)) == ['cost unknown', ''] and len(find_arbitrage(q)) == 0

def test_stale_and_slipped_quotes_are_doubted_and_live_ones_are_not(quotes):
    assert (doubts(quotes) == '').mean() > .98
    q = quotes[quotes.asset == 'ETH'].reset_index(drop=True)
    days = sorted(q.date.unique()); one = (q.venue == 'binance')
    middle = q.groupby('date').price_usd.median()
    stale = [d for a, d in zip(days[::3], days[1::3]) if abs(middle[d]/middle[a] - 1) > .005][:20]   # never two days running: a repeat of a repeat would not be one
    for d in stale: q.loc[one & (q.date == d), 'price_usd'] = float(quotes[(quotes.asset == 'ETH') & (quotes.venue == 'binance') & (quotes.date == d - pd.Timedelta(days=1))].price_usd.iloc[0])
    assert (doubts(q)[one & q.date.isin(stale)] == 'stale').mean() > .9
    slip = q.assign(price_usd=q.price_usd.where(~(one & (q.date == days[40])), q.price_usd*1e3))
    assert set(doubts(slip)[one & (q.date == days[40])]) == {'far from the others'}

# ---- planted truth

def test_without_noise_all_that_was_planted_is_found_and_nothing_else(quotes):
    seen, truth = plant_quotes(quotes, seed=3, noise=0.)
    hit = truth.merge(find_arbitrage(seen, sizes=(10_000,), funding=0.)[['date', 'asset', 'net']], on=['date', 'asset'], how='left', suffixes=('', '_found'))
    assert (hit.net_found.notna() == hit.pays).all() and truth.pays.sum() > 50 and set(truth.kind) == set(KINDS)
    assert np.allclose(hit.net_found[hit.pays], hit.net[hit.pays], atol=1e-4)

def test_planting_is_the_same_again_and_differs_by_seed(quotes):
    a, b, c = (plant_quotes(quotes, seed=s) for s in (0, 0, 1))
    pd.testing.assert_frame_equal(a[0], b[0]); pd.testing.assert_frame_equal(a[1], b[1])
    assert not a[1].kind.equals(c[1].kind) and set(a[0].source) == {'simulated'}

def test_noise_costs_precision_and_a_margin_trades_recall_for_it(quotes):
    def rates(noise, margin):
        seen, truth = plant_quotes(quotes, 0, noise=noise)
        found = find_arbitrage(seen, (10_000,), margin)[['date', 'asset']].assign(hit=True)
        hit = truth.merge(found, on=['date', 'asset'], how='left').hit.eq(True)
        return (hit & truth.pays).sum()/hit.sum(), (hit & truth.pays).sum()/truth.pays.sum()
    quiet, loud, careful = rates(.0002, 0.), rates(.0015, 0.), rates(.0015, .002)
    assert quiet[0] > loud[0] and careful[0] > loud[0] and careful[1] < loud[1]

def test_precision_and_recall_are_counts_with_wilson_intervals(quotes):
    seen, truth = plant_quotes(quotes)
    said = cries(seen, truth)
    rows = {(r['system'], r['metric']): r for r in detection_rows(said, truth)}
    for name in said:
        hits, called = int((said[name] & truth.pays).sum()), int(said[name].sum())
        r = rows[name, 'precision']; assert (r['n'], r['value']) == (called, hits/called) and np.allclose((r['lo'], r['hi']), wilson_ci(hits, called))
        r = rows[name, 'recall']; assert (r['n'], r['value']) == (int(truth.pays.sum()), hits/truth.pays.sum())
    assert rows['all costs', 'precision']['lo'] > rows['after fees', 'precision']['hi']       # counting all costs is worth it
    assert rows['all costs', 'precision']['diff_lo'] > 0 and rows['coin', 'precision']['baseline'] == ''
    assert abs(rows['coin', 'precision']['value'] - truth.pays.mean()) < .15
    t = by_kind(said, truth); assert list(t.planted) == list(KINDS) and t.n.sum() == len(truth)

# ---- yields

def test_what_a_pool_leaves_worked_out_by_hand():
    pool = dict(date=pd.Timestamp('2024-01-01'), chain='arbitrum', apy_reward=.04, tvl_usd=5e7, il_risk=False)
    t = net_yields(pd.DataFrame([dict(pool, pool='p', apy=.10, apy_base=.06), dict(pool, pool='q', apy=.30, apy_base=.28, il_risk=True, tvl_usd=1e6)]), days=73, size_usd=10_000).set_index('pool')
    cost = 10_000*(.0005 + .0005) + .10 + .50
    assert math.isclose(entry_cost('arbitrum', 10_000), cost) and math.isclose(t.kept['p'], .06 + .5*.04) and math.isclose(t.kept['q'], .28 + .5*.02 - .05 - .02)
    assert math.isclose(t.net_usd['p'], 10_000*.08*73/365 - cost) and math.isnan(entry_cost('bitcoin', 1.))

def test_staying_is_free_and_a_small_gain_is_not_worth_a_move():
    pool = dict(date=pd.Timestamp('2024-01-01'), chain='ethereum', apy_reward=np.nan, tvl_usd=5e7, il_risk=False)
    day = pd.DataFrame([dict(pool, pool='here', apy=.050, apy_base=.050), dict(pool, pool='there', apy=.055, apy_base=.055)])
    best = policies(30, 10_000)['net of costs and risk']
    assert best(day, 'here') == 'here' and best(day, '') == 'there'
    assert net_yields(day, 30, current='here').set_index('pool').cost_usd['there'] == 2*entry_cost('ethereum', 10_000)

def test_a_choice_sees_its_day_and_nothing_later(market):
    pools = simulate_pools(market); pools = pools[pools.chain == 'near']
    seen = []
    def spy(today, held): seen.append(today.date.unique()); return today.pool.iloc[0]
    path = yield_path(pools, spy)
    assert all(len(d) == 1 for d in seen) and [d[0] for d in seen] == list(path.date)
    later = pools.assign(apy=pools.apy.where(pools.date <= path.date[3], pools.apy*3))
    for choose in (policies(30, 1e4)[n] for n in ('net of costs and risk', 'highest yield shown', 'stay', 'largest pool')):
        assert list(yield_path(pools, choose).pool[:4]) == list(yield_path(later, choose).pool[:4])

# ---- the section

def test_the_section_says_what_it_is_and_survives_a_file(tmp_path):
    s = bench_arbitrage(quick=True)
    assert s.data['simulated'] is True and any('planted' in n for n in s.notes) and any('called profitable' in w for w in s.words)
    assert load_section(save_section(s, tmp_path)) == s
    for r in s.rows: assert r['lo'] <= r['value'] <= r['hi']
