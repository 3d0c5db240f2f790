"Backtests agree with an independent library and an independent loop, keep their books, refuse what could not have been done, and their figures agree with second sources."
import os, math, time
import numpy as np, pandas as pd, pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from scipy.optimize import brentq
from cortex.artifacts import CortexError
from cortex.backtest import (FREE, Backtest, Costs, asset_prices, bench_backtest, capacity, check_lookahead, check_prices, check_weights, compare_sharpe, cost_sensitivity,
    deflated_sharpe, drawdown, drawdown_ci, edge_test, equal_weight, expected_best, fill_gaps, growth_ci, hold, judge_edge, load_assets, long_run_variance, momentum,
    probabilistic_sharpe, random_like, random_rank, sharpe, shift_test, simulate_many, simulate_portfolio, survivorship_note, tearsheet, universe)

settings.register_profile('cortex', max_examples=60, deadline=None, derandomize=True)
settings.load_profile('cortex')

FACTS = dict(source='simulated', simulated=True, hash='0'*16, licence='MIT')

def made_up(days=400, assets=6, seed=0, late=0, dead=0):
    "Random walks; the last `late` assets are listed later, the first `dead` vanish."
    rng = np.random.default_rng(seed)
    p = pd.DataFrame(100*np.exp(np.cumsum(.04*rng.standard_t(5, (days, assets)), 0)), pd.date_range('2020-01-01', periods=days), [f'C{i}' for i in range(assets)])
    for i in range(late): p.iloc[:days//3 + i, assets - 1 - i] = np.nan
    for i in range(dead): p.iloc[2*days//3 + 7*i:, i] = np.nan
    return p

def decisions(prices, every=5, seed=0, short=False, cash=True):
    "Random weights among the assets that are there."
    rng = np.random.default_rng(seed); rows = prices.iloc[:-2:every]
    w = rng.dirichlet(np.ones(prices.shape[1] + cash), len(rows))[:, :prices.shape[1]]*(rng.choice([-1, 1], (len(rows), prices.shape[1])) if short else 1)
    return pd.DataFrame(np.where(rows.isna(), 0., w), rows.index, prices.columns)

# --- the walk

def slow_equity(prices, weights, costs, capital):
    "The same walk written by somebody else: dictionaries, one asset at a time, and a root finder for the costs."
    coins, cash, out, rate = {}, capital, {}, lambda v, a: v[a] if isinstance(v, dict) else v
    days = list(prices.index[prices.index >= weights.index[0]]); last = {}
    for i, day in enumerate(days):
        for a in list(coins):
            if math.isnan(prices.at[day, a]): cash += coins.pop(a)*last[a]*(1 + costs.delisting)
            else: last[a] = prices.at[day, a]
        decided = days[i - costs.delay] if i >= costs.delay else None
        cash -= costs.funding/365*(sum(max(-q*last[a], 0) for a, q in coins.items()) + max(-cash, 0))
        if decided in weights.index:
            w = {a: x for a, x in weights.loc[decided].items() if not math.isnan(prices.at[day, a])}
            worth = {a: q*last[a] for a, q in coins.items()}; before = cash + sum(worth.values())
            names = set(w) | set(worth); each = {a: rate(costs.fee, a) + rate(costs.slippage, a) for a in names}
            gas = sum(rate(costs.gas_usd, a) for a in names if abs(w.get(a, 0)*before - worth.get(a, 0)) > 1e-9*before)
            left = lambda v: v + gas + sum(each[a]*abs(w.get(a, 0)*v - worth.get(a, 0)) for a in names) - before
            v = brentq(left, 0, 2*before, xtol=1e-12, rtol=1e-15)
            coins = {a: x*v/prices.at[day, a] for a, x in w.items() if x}; cash = v - sum(x*v for x in w.values()); last |= {a: prices.at[day, a] for a in coins}
        out[day] = cash + sum(q*last[a] for a, q in coins.items())
    return pd.Series(out).iloc[costs.delay - 1:]

@pytest.mark.parametrize('costs', [FREE, Costs(), Costs(fee={f'C{i}': .001*(i + 1) for i in range(6)}, slippage=.002, gas_usd={f'C{i}': 1.5*i for i in range(6)}, delay=3, delisting=-.6)])
@pytest.mark.parametrize('short', [False, True])
def test_equity_equals_an_independent_loop(costs, short):
    p = made_up(200, late=2, dead=2); w = decisions(p, short=short)
    got = simulate_portfolio(p, w, costs, 1e4, long_only=not short).equity
    np.testing.assert_allclose(got, slow_equity(p, w, costs, 1e4), rtol=1e-9)

def test_equity_equals_bt():
    "Without costs, and with decisions moved by the day that we trade later."
    bt = pytest.importorskip('bt')
    p = made_up(500, 8); w = decisions(p, 7)
    ours = simulate_portfolio(p, w, FREE, 1e6).equity
    moved = w.set_axis(w.index + pd.Timedelta(days=1))
    s = bt.Strategy('s', [bt.algos.RunOnDate(*moved.index), bt.algos.WeighTarget(moved), bt.algos.Rebalance()])
    run = bt.run(bt.Backtest(s, p, integer_positions=False, progress_bar=False))
    theirs = run.prices['s'].loc[ours.index]
    np.testing.assert_allclose(ours/ours.iloc[0], theirs/theirs.iloc[0], rtol=1e-9)

@given(seed=st.integers(0, 10**6), fee=st.sampled_from([0., .001, .05]), gas=st.sampled_from([0., 2.]), every=st.sampled_from([1, 3, 20]))
@settings(max_examples=25)
def test_the_books_balance(seed, fee, gas, every):
    "What is there today is what was there yesterday, moved by prices, less what was paid; nothing is bought on credit."
    p = made_up(60, 4, seed, late=1, dead=1); w = decisions(p, every, seed)
    b = simulate_portfolio(p, w, Costs(fee=fee, gas_usd=gas, delisting=0.), 1e4); q = p.loc[b.equity.index]
    moves = q.pct_change(fill_method=None).fillna(0.).iloc[1:]
    expected = b.equity.shift(1).iloc[1:]*(1 + (b.held.shift(1).iloc[1:]*moves).sum(axis=1)) - b.paid.iloc[1:].sum(axis=1)
    np.testing.assert_allclose(b.equity.iloc[1:], expected, rtol=1e-9)
    assert (b.held.sum(axis=1) <= 1 + 1e-9).all() and (b.held >= -1e-12).all(axis=None) and (b.paid >= 0).all(axis=None)
    assert not b.held.where(q.isna()).fillna(0).any(axis=None)   # nothing is held in what is not there
    assert b.equity.iloc[-1] <= simulate_portfolio(p, w, FREE, 1e4).equity.iloc[-1]*(1 + 1e-12)

def test_decisions_are_carried_out_late_and_not_before():
    p = made_up(50, 3); w = pd.DataFrame([[1., 0, 0]], p.index[[10]], p.columns)
    for delay in (1, 4):
        b = simulate_portfolio(p, w, Costs(delay=delay), 100)
        assert b.trades.abs().sum(axis=1).to_numpy().nonzero()[0].tolist() == [1] and b.trades.index[1] == p.index[10 + delay]
    changed = p.copy(); changed.iloc[:11] *= 3; changed.iloc[11] *= 1   # prices up to the decision do not matter, nor does the move to the trade
    np.testing.assert_allclose(simulate_portfolio(changed, w, FREE, 100).equity, simulate_portfolio(p, w, FREE, 100).equity, rtol=1e-12)

def test_a_ruined_portfolio_stays_ruined():
    p = made_up(40, 2); p.iloc[20:, 0] *= 30; w = pd.DataFrame(-.5, p.index[:1], p.columns)
    b = simulate_portfolio(p, w, Costs(), 100, long_only=False)
    assert (b.equity.iloc[20:] == 0).all() and np.isfinite(b.returns).all() and growth_ci(b.returns)[0] == -1
    assert tearsheet(b).set_index('metric').value['max_drawdown'] == pytest.approx(-1, abs=1e-6)

def test_impact_grows_with_the_capital_and_needs_volumes():
    p = made_up(300, 4); v = p*0 + 1e6; w = decisions(p.iloc[10:], 7)
    paid = [simulate_portfolio(p, w, Costs(impact=1.), c, volumes=v).paid.impact.sum()/c for c in (1e3, 1e5)]
    assert paid[1] > 5*paid[0] > 0
    with pytest.raises(CortexError, match='needs volumes'): simulate_portfolio(p, w, Costs(impact=1.))
    with pytest.raises(CortexError, match='what C0 usually trades'): simulate_portfolio(p, w, Costs(impact=1.), volumes=v.assign(C0=np.nan))

def test_impact_beyond_its_law_and_markets_without_trade_are_refused():
    "The square-root law says that buying a hundred times a day's volume costs several times its price: no such trade is simulated, and none is free either."
    p = made_up(300, 4); v = p*0 + 100.; w = decisions(p.iloc[40:], 7)
    with pytest.raises(CortexError, match='of what is traded, far beyond'): simulate_portfolio(p, w, Costs(impact=1.), 1e8, volumes=v)
    with pytest.raises(CortexError, match='what C0 usually trades'): simulate_portfolio(p, w, Costs(impact=1.), 1e4, volumes=v*0)
    s = bench_backtest(p, FACTS, costs=Costs(impact=1.), volumes=v*1e6, quick=True)
    assert any('without market impact' in n for n in s.notes)

def test_many_at_once_are_the_same_as_one_by_one():
    p = made_up(200, 5, late=1, dead=1); w = [decisions(p, 4, s) for s in range(3)]
    many = simulate_many(p, w[0].index, np.stack([x.to_numpy() for x in w], 1))
    for i, x in enumerate(w): np.testing.assert_allclose(many[i], simulate_portfolio(p, x).returns, rtol=0, atol=1e-12)
    t = cost_sensitivity(p, w[0], times=(0., 1., 3.))
    for k, s in zip(t.times, t.sharpe): assert s == pytest.approx(sharpe(simulate_portfolio(p, w[0], Costs().times(k)).returns.to_numpy())[0], rel=1e-6)
    short = pd.DataFrame(-.4, p.index[[50]], p.columns[1:2]); t = cost_sensitivity(p, short, Costs(funding=.5), (0., 1., 3.), long_only=False)   # what shorts pay is multiplied, too
    for k, s in zip(t.times, t.sharpe): assert s == pytest.approx(sharpe(simulate_portfolio(p, short, Costs(funding=.5).times(k), long_only=False).returns.to_numpy())[0], rel=1e-6)

# --- what is refused

P = made_up(30, 3, late=1, dead=1)   # C2 is listed from day 10 on, C0 is gone from day 20 on
def one(day=15, **w): return pd.DataFrame([w], P.index[[day]])

@pytest.mark.parametrize('prices, why', [
    (P.iloc[::-1], 'is followed by'), (pd.concat([P, P.iloc[-1:]]), 'occurs twice'), (P.drop(P.index[4]), 'a day is missing'), (P.tz_localize('UTC'), 'time zone'), (P.set_axis(P.index + pd.Timedelta(hours=3)), 'not a midnight'),
    (P.reset_index(drop=True), 'must be dates'), (P.iloc[:0], 'no row'), (P.assign(C1=-P.C1), 'C1 costs -'), (P.assign(C1=np.inf), 'C1 costs inf'), (P.assign(C1='x'), 'not all are numbers'),
    (P.assign(C1=P.C1.where(P.index != P.index[7])), 'C1 has none on 2020-01-08'), (P.set_axis(['A', 'A', 'B'], axis=1), "'A' occurs twice")])
def test_bad_prices_are_refused_with_the_place(prices, why):
    with pytest.raises(CortexError, match=why): simulate_portfolio(prices, one(C1=1.))

@pytest.mark.parametrize('w, kw, why', [
    (one(C1=-.1), {}, 'C1 has -0.1 on 2020-01-16, a short position'), (one(C1=.6), dict(cap=.5), 'over the cap of 0.5'), (one(C1=.6, C2=.6), {}, 'add up to 1.2'), (one(C1=np.nan), {}, 'no decision'),
    (one(C1=.5, C2=np.nan), {}, 'C2 has nan'), (one(C1=np.inf), {}, 'C1 has inf'), (one(5, C2=.5), {}, 'C2 has 0.5 on 2020-01-06, but had no price'), (one(25, C0=.5), {}, 'C0 has 0.5 on 2020-01-26, but had no price'),
    (one(C9=1.), {}, 'C9'), (pd.concat([one(8, C1=1.), one(3, C1=1.)]), {}, 'is followed by'), (pd.concat([one(C1=1.)]*2), {}, 'occurs twice'), (one(C1=1.).set_axis(pd.to_datetime(['2031-01-01'])), {}, 'not a day of the prices'),
    (one(29, C1=1.), {}, 'no day to earn'), (one(C1=-.9, C2=-.9), dict(long_only=False), 'add up to 1.8'), (one(C1='x'), {}, 'not all are numbers')])
def test_bad_weights_are_refused_with_the_place(w, kw, why):
    with pytest.raises(CortexError, match=why): simulate_portfolio(P, w, **kw)

def test_a_tiny_rounding_is_not_a_fault():
    simulate_portfolio(P, one(C1=1/3 + 1e-11, C2=2/3)); simulate_portfolio(P, one(C1=-1e-12, C2=1.))

@pytest.mark.parametrize('kw', [dict(delay=0), dict(delay=1.5), dict(delay=1.), dict(fee=-.01), dict(fee=math.nan), dict(slippage=.9), dict(delisting=-2), dict(gas_usd={'A': -1}), dict(funding='5%'), dict(fee=True)])
def test_bad_costs_are_refused(kw):
    with pytest.raises(CortexError, match=f'costs: {next(iter(kw))}'): Costs(**kw)

def test_a_vanished_asset_is_sold_at_a_loss_and_cannot_be_bought():
    day = P.index[20]; b = simulate_portfolio(P, one(15, C0=1.), Costs(fee=0., slippage=0., delisting=-.3), 100)
    last = P.C0[P.index[19]]/P.C0[P.index[16]]*100
    assert b.equity[P.index[19]] == pytest.approx(last) and b.equity[day] == pytest.approx(.7*last) and b.equity.iloc[-1] == b.equity[day] and b.held.C0[day] == 0
    late = simulate_portfolio(P, one(19, C0=1.), Costs(), 100); assert (late.equity == 100).all()   # gone before it could be bought
    assert '1 of 3 assets end before the last day (C0)' in survivorship_note(P)

# --- nothing later than the day

def test_the_universe_and_the_baselines_know_no_future():
    p = made_up(300, 6, late=2, dead=1); v = p*np.random.default_rng(0).lognormal(0, 1, p.shape)
    for f in (lambda q: universe(q, 30).astype(float), lambda q: universe(q, 30, v.loc[:q.index[-1]], 3).astype(float), lambda q: equal_weight(universe(q, 30)), lambda q: momentum(q, universe(q, 30), 10, 2)): check_lookahead(f, p)
    listed = universe(p, 30); assert not listed.where(p.isna(), False).any(axis=None) and not listed.C5.iloc[:100 + 29].any() and listed.C5.iloc[100 + 29]
    assert hold(listed).columns[hold(listed).iloc[0] > 0].tolist() == ['C0', 'C1', 'C2', 'C3']

@pytest.mark.parametrize('leak', [lambda q: momentum(q.shift(-1), universe(q, 30), 5, 2), lambda q: momentum(q/q.mean(), universe(q, 30), 5, 2).mul(q.mean().rank(pct=True)), lambda q: equal_weight(universe(q, 30)) * float(q.iloc[-1, 1] > q.iloc[0, 1])])
def test_planted_leaks_are_caught(leak):
    p = made_up(300, 6); p.iloc[:, 1] = 100*np.exp(.02*np.sin(np.arange(300)/9))   # ends now above, now below where it began
    with pytest.raises(CortexError, match='lookahead: '): check_lookahead(leak, p, cuts=12)

def test_data_moved_by_a_day_changes_the_result_as_it_should():
    p = made_up(800, 6, 3); decide = lambda q: momentum(q, universe(p, 30), 1, 1, 1); t = shift_test(decide, p, FREE).set_index('late')
    assert t.sharpe[-2] > 10 and t.diff_lo[-2] > 5                   # it knows the first day that it earns
    assert t[['sharpe']].loc[[-1, 0, 1, 2]].abs().max().item() < 3   # a trade at the very price that was peeped at earns nothing, and honest data never did
    leak = shift_test(lambda q: decide(q.shift(-2)), p, FREE).set_index('late')
    assert leak.sharpe[0] > 10 and leak.sharpe[1] < 3 and leak.diff_hi[1] < -5   # the leak dies with the first day
    # the whole world a day later: the same decisions, the same equity, a day later
    w = decide(p).loc['2020-06-01':]; day = pd.Timedelta(days=1)
    moved = simulate_portfolio(p.set_axis(p.index + day), w.set_axis(w.index + day)).equity
    np.testing.assert_array_equal(moved.to_numpy(), simulate_portfolio(p, w).equity.to_numpy())
    # decisions a day later are what one more day of delay does
    late = simulate_portfolio(p, w.set_axis(w.index + day).iloc[:-1]).equity; slow = simulate_portfolio(p, w.iloc[:-1], Costs(delay=2)).equity
    np.testing.assert_allclose(late.to_numpy(), slow.to_numpy(), rtol=1e-12)

def test_random_portfolios_trade_as_much_and_choose_otherwise():
    p = made_up(500, 10, late=2, dead=2); listed = universe(p, 30); w = momentum(p, listed, 14, 3).iloc[5:]; r = random_like(w, listed, 50)
    np.testing.assert_allclose(r.sum(2), np.broadcast_to(w.sum(axis=1).to_numpy()[:, None], r.shape[:2]), atol=1e-9)
    assert not (r*~listed.loc[w.index].to_numpy()[:, None]).any() and r.max() <= w.to_numpy().max() + 1e-9 and (r >= 0).all()
    turned = np.abs(np.diff(r, axis=0)).sum((0, 2)).mean()/np.abs(np.diff(w.to_numpy(), axis=0)).sum(); assert .95 < turned < 1.1
    same = (r*w.to_numpy()[:, None] > 0).sum(2).mean()/3; assert same < .6   # by chance about 3 of 8 to 10
    assert (random_like(w, listed, 5, 1) == random_like(w, listed, 5, 1)).all() and (random_like(w, listed, 5, 1) != random_like(w, listed, 5, 2)).any()

# --- figures against second sources

def test_sharpe_interval_is_mertens_without_lags_and_covers():
    r = stats.skewnorm.rvs(-4, size=1000, random_state=0)*.03 + .01; s = r.mean()/r.std()
    se = math.sqrt((1 + s*s/2 - stats.skew(r)*s + stats.kurtosis(r)/4*s*s)/len(r))   # Mertens 2002
    np.testing.assert_allclose(sharpe(r, lag=0), np.sqrt(365)*np.array([s, s - 1.959964*se, s + 1.959964*se]), rtol=1e-6)
    many = .03*np.random.default_rng(1).standard_t(5, (1500, 1500)) + .001; true = .001/(.03*math.sqrt(5/3))*math.sqrt(365)
    _, lo, hi = sharpe(many); assert abs(((lo <= true) & (true <= hi)).mean() - .95) < .02
    assert np.isnan(sharpe(np.full(50, .01))).all()

def test_long_run_variance_and_alpha_are_those_of_statsmodels():
    sm = pytest.importorskip('statsmodels.api'); rng = np.random.default_rng(2)
    b = rng.standard_t(5, (600, 2))*.02 + .001; r = .7*b[:, 0] - .2*b[:, 1] + .0005 + .01*rng.standard_normal(600); r[1:] += .3*(r[:-1].copy() - r.mean())
    for cols in ([0], [0, 1]):
        fit = sm.OLS(r, sm.add_constant(b[:, cols])).fit(cov_type='HAC', cov_kwds=dict(maxlags=5, use_correction=False)); t = edge_test(r, *b[:, cols].T, lag=5)
        assert t['alpha']/365 == pytest.approx(fit.params[0], rel=1e-9) and t['p'] == pytest.approx(stats.norm.sf(fit.params[0]/fit.bse[0]), rel=1e-6)
        np.testing.assert_allclose(t['beta'], fit.params[1:], rtol=1e-9)
    mean = sm.OLS(r, np.ones(600)).fit(cov_type='HAC', cov_kwds=dict(maxlags=7, use_correction=False))
    assert math.sqrt(long_run_variance(r, 7)/600) == pytest.approx(mean.bse[0], rel=1e-9)

def test_edge_test_holds_its_level_and_works_on_many_columns():
    rng = np.random.default_rng(5); b = .03*rng.standard_t(5, (1000, 2000)); r = b + .01*rng.standard_t(5, (1000, 2000)); t = edge_test(r, b)
    assert abs((t['p'] < .04).mean() - .04) < .013
    one = edge_test(r[:, 7], b[:, 7]); assert one['p'] == pytest.approx(t['p'][7], rel=1e-9) and t['beta'].shape == (2000, 1)
    with pytest.raises(CortexError, match='same days'): edge_test(r, b[1:])

def test_two_sharpe_ratios_are_compared_as_pairs():
    rng = np.random.default_rng(3); a = .02*rng.standard_normal((800, 1000)); b = a + .005*rng.standard_normal((800, 1000))
    gap, lo, hi, p = compare_sharpe(a, b); back = compare_sharpe(b, a)
    np.testing.assert_allclose(gap, -back[0], atol=1e-12); np.testing.assert_allclose(lo, -back[2], atol=1e-12)
    assert abs((p < .05).mean() - .05) < .02 and ((lo > 0) | (hi < 0)).mean() == pytest.approx((p < .05).mean(), abs=.002)

def test_deflated_sharpe_is_that_of_the_paper_and_the_best_of_many_is_as_expected():
    best = expected_best(100, math.sqrt(.5/250)); assert best == pytest.approx(.1132, abs=1e-4)
    assert probabilistic_sharpe(2.5/math.sqrt(250), best, 1250, -3, 10) == pytest.approx(.9004, abs=1e-4)   # Bailey & Lopez de Prado 2014
    for n in (10, 50): assert expected_best(n, 1.) == pytest.approx(np.random.default_rng(0).standard_normal((20_000, n)).max(1).mean(), abs=.05)
    r = .02*np.random.default_rng(1).standard_normal(900) + .001
    assert deflated_sharpe(r, [sharpe(r)[0]]) > deflated_sharpe(r, [sharpe(r)[0], 0., -1.]) and math.isnan(deflated_sharpe(0*r, [1.]))

def test_growth_and_drawdown_are_those_of_the_path():
    p = made_up(400, 4); b = simulate_portfolio(p, decisions(p)); g = growth_ci(b.returns); d = drawdown_ci(b.returns)
    assert g[0] == pytest.approx((b.equity.iloc[-1]/b.equity.iloc[0])**(365/len(b.returns)) - 1, rel=1e-9) and g[1] < g[0] < g[2]
    assert d[0] == pytest.approx(drawdown(b.equity).min(), rel=1e-9) and -1 <= d[1] <= d[2] <= 0 and drawdown_ci(b.returns) == d

def test_capacity_is_where_trades_reach_the_share_of_volume():
    p = made_up(100, 2); b = simulate_portfolio(p, one_buy(p), FREE); v = p*0 + 2e6
    assert capacity(b, v) == pytest.approx(.01*2e6/.5) and math.isnan(capacity(b, None)) and math.isnan(capacity(b, v*np.nan))

def one_buy(p): return pd.DataFrame(.5, p.index[[50]], p.columns)

def test_a_rank_among_random_portfolios_is_exact():
    rng = np.random.default_rng(0); r = rng.standard_normal((300, 99))*.01
    ranks = [random_rank(r[:, i], np.delete(r, i, 1))[1] for i in range(99)]
    assert sorted(ranks) == pytest.approx([(1 + k)/99 for k in range(99)])

# --- the section

def test_the_section_finds_a_prophet_and_nothing_in_noise():
    p = made_up(700, 6, 1, late=1, dead=1); listed = universe(p, 60); cut = slice('2020-06-01', None)
    noise = momentum(1/p, listed, 9, 2).loc[cut]; prophet = momentum(p.shift(-2), listed, 1, 1, 1).loc[cut].iloc[:-3]
    s = bench_backtest(p, FACTS, dict(noise=noise, prophet=prophet), history=60, randoms=20)
    assert s.words[0].startswith('No edge found: noise') and s.words[1].startswith('Edge found: prophet') and any('Survivorship: 1 of 6' in n for n in s.notes)
    t = s.table; joint = t[(t.metric == 'alpha') & t.p_holm.notna()].set_index('system')
    assert list(joint.against) == ['hold + equal weight + momentum']*2 and list(joint.verdict) == ['no edge found', 'edge'] and (joint.p_holm >= joint.p).all()
    assert set(t.system) == {'hold', 'equal weight', 'momentum', 'noise', 'prophet'} and (t.metric == 'sharpe').sum() == 5 and set(s.scores.system) == set(t.system)
    assert type(s).from_json(s.to_json()) == s and bench_backtest(p, FACTS, dict(noise=noise, prophet=prophet), history=60, randoms=20) == s

def test_strategies_that_begin_on_different_days_are_judged_on_the_same_days():
    p = made_up(500, 4, 2); listed = universe(p, 30); once = hold(listed.loc['2020-03-01':], ['C1']); later = momentum(1/p, listed, 9, 2).loc['2020-06-03':]
    s = bench_backtest(p, FACTS, dict(once=once, later=later), history=30, randoms=0); t = s.table[s.table.metric == 'sharpe'].set_index('system')
    assert s.settings['start'] == f'{later.index[0]:%Y-%m-%d}' and t.n.nunique() == 1 and t.n['once'] == len(p.loc[later.index[0]:]) - 1
    with pytest.raises(CortexError, match='no decision'): bench_backtest(p, FACTS, dict(none=once*np.nan))
    with pytest.raises(CortexError, match='must be dates'): bench_backtest(p, FACTS, dict(none=once.reset_index(drop=True)))

def test_a_strategy_that_sells_short_or_stays_in_cash_is_judged_too():
    p = made_up(500, 4, 2); w = decisions(p, 7, short=True).iloc[20:]; s = bench_backtest(p, FACTS, {'short': w, 'cash': w*0}, history=30, randoms=10)
    t = s.table.set_index(['system', 'against', 'metric']); assert t.left_out['cash', '', 'sharpe'].startswith('no spread') and ('short', 'random', 'beats_random') not in t.index and len(s.words) == 3

@pytest.mark.parametrize('kw, why', [(dict(start='soon'), "start is 'soon'"), (dict(start='2031-01-01'), 'and the prices end on'), (dict(randoms=-1), 'randoms -1'), (dict(every=0), 'every is 0')])
def test_what_cannot_be_benchmarked_is_said_in_a_line(kw, why):
    with pytest.raises(CortexError, match=why): bench_backtest(made_up(200, 3), FACTS, **kw)

def test_a_few_days_have_a_tear_sheet_too():
    b = simulate_portfolio(P, one(10, C1=1.)); assert tearsheet(b).left_out[0] == '19 days are too few' and '19 days are too few' in b._repr_html_()

# --- real data, and how long it takes

@pytest.mark.skipif(not os.environ.get('CORTEX_REAL_DATA'), reason='set CORTEX_REAL_DATA to a directory with market_daily')
def test_real_assets_are_read_whole():
    p, v, facts = load_assets(os.environ['CORTEX_REAL_DATA']); assert not facts['simulated'] and p.shape[1] >= 30 and (p.index[-1] - p.index[0]).days > 365*8
    assert p.POL.first_valid_index() == pd.Timestamp('2021-12-16') and 'MATIC' not in p and p.POL.loc['2021-12-16':'2025-06-30'].notna().all() and v.BTC.loc['2024'].median() > 1e8
    assert 'end before the last day' in survivorship_note(p)

@pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='measures time: set CORTEX_SLOW=1')
def test_thirty_assets_over_eight_years_take_a_second():
    p = made_up(2922, 30, late=5, dead=3); w = decisions(p, 1); simulate_portfolio(p.iloc[:50], w.iloc[:40])
    begin = time.process_time(); simulate_portfolio(p, w, Costs(gas_usd=2.)); assert time.process_time() - begin <= 1
