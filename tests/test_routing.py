"From forecasts to weights and to a plan on paper: known answers, limits that hold, reasons that cannot be altered, and nothing that is ever sent."
import ast, json, math, os, re, socket
from dataclasses import replace
from pathlib import Path
import numpy as np, pandas as pd, pytest

pytest.importorskip('skfolio')
from cortex.artifacts import CortexError
from cortex.backtest import Costs, asset_prices, check_weights, simulate_portfolio
from cortex.replies import Forecast
from cortex.routing import (METHODS, Limits, Plan, check_limits, choose_weights, expected_moments, forecast_table, make_move, net_moves, parse_holdings, plan_html, plan_page, read_plan, route_capital,
                            scenarios, take_snapshots, walk_forward_weights, whole)
from cortex.sources import simulate_market

ROOT, CHAINS = Path(__file__).parent.parent, ['bitcoin', 'ethereum', 'solana', 'near', 'avalanche']

def drawn(seed:int, n:int=5, days:int=200):
    "Draw scenarios with a common factor."
    rng = np.random.default_rng(seed)
    r = rng.normal(0, .03, (days, 1))*rng.uniform(.5, 1.5, n) + rng.normal(0, 1, (days, n))*rng.uniform(.01, .05, n)
    return pd.DataFrame(r, pd.date_range('2024-01-01', periods=days), [f'c{i}' for i in range(n)]), rng

@pytest.fixture(scope='module')
def market(): return simulate_market(CHAINS, '2021-06-01', '2023-06-30')

@pytest.fixture(scope='module')
def opinions(): return {c: Forecast('price_usd', 7, .6, m, m - w, m + w) for c, m, w in zip(CHAINS, (.01, .004, .03, -.01, .02), (.12, .14, .2, .2, .22))}

@pytest.fixture(scope='module')
def plan(market, opinions): return route_capital(market, dict(bitcoin=7000, cash=3000), opinions, 'hrp', Limits(cap=.3, cash_min=.1))

# ---- known answers

def test_quantiles_of_a_normal_give_its_mean_and_deviation():
    from scipy.stats import norm
    for mean, sd in ((.0, .05), (-.03, .2), (.4, .01)):
        assert np.allclose(expected_moments(*norm.ppf([.1, .5, .9], mean, sd)), (mean, sd), atol=1e-9)
        lo, mid, hi = norm.ppf([.05, .5, .95], mean, sd)
        assert np.allclose(expected_moments(lo, mid, hi, .9), (mean, sd), atol=1e-9)

@pytest.mark.parametrize('seed', range(4))
def test_mean_risk_is_as_good_as_another_solver(seed):
    from scipy.optimize import minimize
    r, rng = drawn(seed)
    X = scenarios(r, pd.Series(rng.normal(.004, .01, 5), r.columns), pd.Series(rng.uniform(.05, .2, 5), r.columns))
    before = pd.Series(rng.dirichlet(np.ones(6))[:5]*.5, r.columns)
    limits, rate = Limits(cap=.5, turnover=.8), .002
    w = choose_weights(X, 'mean-risk', limits, before, rate).to_numpy()
    mean, cov = X.mean().to_numpy(), X.cov().to_numpy()
    worth = lambda w: w @ mean - w @ cov @ w - rate*np.abs(w - before.to_numpy()).sum()
    fits = [dict(type='ineq', fun=lambda w: 1 - w.sum()), dict(type='ineq', fun=lambda w: .8 - np.abs(w - before.to_numpy()).sum())]
    best = max((minimize(lambda w: -worth(w), start, bounds=[(0, .5)]*5, constraints=fits, method='SLSQP', options=dict(maxiter=500)) for start in (before.to_numpy(), np.full(5, .1), w)), key=lambda f: -f.fun if f.success else -9)
    assert worth(w) >= -best.fun - 1e-5

def test_risk_budgets_are_kept():
    r, rng = drawn(7)
    X = scenarios(r, pd.Series(0., r.columns), pd.Series(rng.uniform(.05, .2, 5), r.columns))
    for budgets in (None, dict(zip(r.columns, (.4, .3, .1, .1, .1)))):
        w = choose_weights(X, 'risk-budget', Limits(cap=1.), budgets=budgets).to_numpy()
        parts = w*(X.cov().to_numpy() @ w)
        assert np.allclose(parts/parts.sum(), [.2]*5 if budgets is None else list(budgets.values()), atol=2e-3)

def test_hrp_of_two_groups_is_that_of_lopez_de_prado():
    "Two pairs that move together inside and not across: bisection splits by the inverse variance of the clusters, worked out here by hand."
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(np.column_stack([np.ones(300), rng.standard_normal((300, 4))]))
    e, sd = Q[:, 1:]*math.sqrt(299), np.array([.1, .2, .05, .1])
    X = pd.DataFrame(np.column_stack([e[:, 0], .9*e[:, 0] + math.sqrt(.19)*e[:, 1], e[:, 2], .9*e[:, 2] + math.sqrt(.19)*e[:, 3]])*sd, columns=list('abcd'))
    cov = X.cov().to_numpy()
    def cluster(i): v = 1/np.diag(cov)[i]; v = v/v.sum(); return v @ cov[np.ix_(i, i)] @ v
    left, right = cluster([0, 1]), cluster([2, 3])
    share = np.repeat([1 - left/(left + right), left/(left + right)], 2)
    inside = np.concatenate([(1/sd[:2]**2)/(1/sd[:2]**2).sum(), (1/sd[2:]**2)/(1/sd[2:]**2).sum()])
    assert np.allclose(choose_weights(X, 'hrp', Limits(cap=1.)).to_numpy(), share*inside, atol=1e-4)

# ---- limits

@pytest.mark.parametrize('method', list(METHODS))
def test_limits_hold_whatever_is_drawn(method):
    kept = 0
    for seed in range(8):
        r, rng = drawn(seed, n=int(np.random.default_rng(seed).integers(2, 8)), days=120)
        X = scenarios(r, pd.Series(rng.normal(.005, .02, r.shape[1]), r.columns), pd.Series(rng.uniform(.03, .3, r.shape[1]), r.columns))
        limits = Limits(cap=float(rng.uniform(.2, 1)), cash_min=float(rng.uniform(0, .4)), turnover=float(rng.uniform(.2, 2)))
        before = pd.Series(rng.dirichlet(np.ones(r.shape[1] + 1))[:-1], r.columns)
        try: w = choose_weights(X, method, limits, before, .001)
        except CortexError as e: assert 'turnover limit' in str(e); continue
        kept += 1
        assert (w >= 0).all() and (w <= limits.cap + 1e-9).all() and w.sum() <= 1 - limits.cash_min + 1e-9
        assert (w - before).abs().sum() <= limits.turnover + 1e-5
    assert kept >= 4

def test_small_steps_arrive_at_the_target():
    r, rng = drawn(3)
    X = scenarios(r, pd.Series(0., r.columns), pd.Series(rng.uniform(.03, .3, 5), r.columns))
    w = pd.Series([.3, .3, .3, .05, .05], r.columns)
    for _ in range(10):
        new = choose_weights(X, 'hrp', Limits(cap=.3, turnover=.1), w)
        assert (new <= .3 + 1e-9).all() and (new - w).abs().sum() <= .1 + 1e-5
        w = new
    assert np.allclose(w, choose_weights(X, 'hrp', Limits(cap=.3)), atol=2e-3)

# ---- bad inputs, each one line

def test_bad_inputs_are_one_clear_line(market, opinions):
    r, rng = drawn(1)
    mean, sd = pd.Series(0., r.columns), pd.Series(.1, r.columns)
    hole = r.copy(); hole.iloc[5, 2] = np.nan
    bad = {
        'c2 has no return on 2024-01-06': lambda: scenarios(hole, mean, sd), 'c0 and twin determine each other': lambda: scenarios(r.assign(twin=-r.c0), mean, sd), 'still does not move': lambda: scenarios(r.assign(still=0.), mean, sd),
        'mixed': lambda: scenarios(r.assign(mixed=r.c0 + r.c1), mean, sd), 'no forecast for c1': lambda: scenarios(r, mean.drop('c1'), sd), 'the risk of c0 is 0': lambda: scenarios(r, mean, sd*0), 'the risk of c0 is -0.1': lambda: scenarios(r, mean, -sd),
        'one chain only (c0)': lambda: scenarios(r[['c0']], mean, sd), 'singular': lambda: scenarios(r.head(4), mean, sd), 'has no place': lambda: choose_weights(scenarios(r, mean, sd), limits=Limits(cap=.1, cash_max=.3)),
        'at least 60.0% of the capital traded': lambda: choose_weights(scenarios(r, mean, sd), limits=Limits(cap=.2, turnover=.1), previous=dict(c0=.8)), 'weights must not be negative': lambda: choose_weights(scenarios(r, mean, sd), previous=dict(c0=-.1)),
        'more than the capital': lambda: choose_weights(scenarios(r, mean, sd), previous=dict(c0=1.1)), 'which is held': lambda: choose_weights(scenarios(r, mean, sd), previous=dict(c9=.1)), 'No method': lambda: choose_weights(scenarios(r, mean, sd), 'magic'),
        'near (no forecast given)': lambda: route_capital(market, dict(near=5), {c: f for c, f in opinions.items() if c != 'near'}), 'solana (no forecast given)': lambda: route_capital(market, dict(cash=5), {c: f for c, f in opinions.items() if c != 'solana'}, chains=CHAINS),
        'nothing is known on 2019-01-01': lambda: route_capital(market, dict(cash=5), asof='2019-01-01'), 'nothing is known on 2030-01-01': lambda: route_capital(market, dict(cash=5), asof='2030-01-01'), "No chain is called 'bitcon'": lambda: route_capital(market, dict(bitcon=5)),
        'nothing is held': lambda: route_capital(market, dict(cash=0)), 'near is held with nan': lambda: route_capital(market, dict(near=math.nan)), 'is no holding': lambda: parse_holdings(['bitcoin:5']),
        'gas_usd says nothing about': lambda: route_capital(market, dict(cash=1e4), opinions, 'hrp', costs=Costs(gas_usd=dict(bitcoin=1.))),
        'of the last 180 days have no return': lambda: route_capital(market[(market.chain != 'near') | (market.date > '2023-05-01')], dict(near=5), opinions)}
    for said, call in bad.items():
        with pytest.raises(CortexError) as e: call()
        assert said in str(e.value), (said, str(e.value))
        assert '\n' not in str(e.value) and len(str(e.value)) < 500

def test_forecasts_missing_for_some_chains_leave_them_out_and_say_so(market, opinions):
    plan = route_capital(market, dict(cash=1000), {c: f for c, f in opinions.items() if c != 'near'}, 'hrp')
    assert plan.left_out == {'near': 'no forecast given'} and 'near' not in set(plan.frame.to) and 'left out: near' in str(plan)

# ---- walking forward

def forecasts_of(prices, seed=0):
    "Make up a forecast for every chain and day."
    rng = np.random.default_rng(seed); t = prices.stack().rename('p').reset_index().set_axis(['date', 'chain', 'p'], axis=1)
    return t.assign(median=rng.normal(0, .03, len(t)))[lambda t: t.p.notna()].assign(lo=lambda t: t['median'] - .15, hi=lambda t: t['median'] + .15).drop(columns='p')

@pytest.mark.parametrize('method', list(METHODS))
def test_weights_use_nothing_later_than_their_day(market, method):
    prices = asset_prices(market); f = forecasts_of(prices)
    whole_way = walk_forward_weights(prices, f, method, Limits(cap=.4, turnover=.6), every=60, window=90)
    cut = whole_way.index[len(whole_way)//2]
    rng = np.random.default_rng(1)
    later = prices.copy(); later.loc[later.index > cut] *= np.exp(rng.normal(0, .2, later[later.index > cut].shape))
    other = pd.concat([f[f.date <= cut], f[f.date > cut].assign(median=lambda t: -t['median'], lo=lambda t: -t.hi, hi=lambda t: -t.lo)])
    changed = walk_forward_weights(later, other, method, Limits(cap=.4, turnover=.6), every=60, window=90)
    pd.testing.assert_frame_equal(whole_way[:cut], changed[:cut])
    assert method != 'mean-risk' or not np.allclose(whole_way.loc[whole_way.index > cut], changed.loc[changed.index > cut])   # and it does use what is known by then

def test_listing_and_delisting_are_followed_and_the_backtest_takes_the_weights(market):
    prices = asset_prices(market).copy()
    prices.loc[:'2022-06-30', 'near'] = np.nan; prices.loc['2023-01-15':, 'solana'] = np.nan
    w = walk_forward_weights(prices, forecasts_of(prices), 'hrp', Limits(cap=.5), every=28, window=90)
    assert (w.loc[:'2022-09-27', 'near'] == 0).all() and (w.loc['2022-11-01':, 'near'] > 0).all()
    assert (w.loc[:'2023-01-14', 'solana'] > 0).all() and (w.loc['2023-01-15':, 'solana'] == 0).all()
    pd.testing.assert_frame_equal(check_weights(w, prices, cap=.5), w)
    b = simulate_portfolio(prices, w, Costs(), 1e4)
    assert np.isfinite(b.equity).all() and (b.equity > 0).all()

def test_forecast_frames_of_other_makers_are_read_or_refused():
    f = pd.DataFrame(dict(asof=['2024-01-01']*4, chain=['a', 'a', 'b', 'b'], target=['price_usd', 'tx_count']*2, horizon=7, system='x', lo=-.1, median=0., hi=.1))
    assert len(forecast_table(f)) == 2
    with pytest.raises(CortexError, match='mix 2 kinds of system'): forecast_table(f.assign(system=['x', 'x', 'y', 'y']))
    with pytest.raises(CortexError, match='two forecasts'): forecast_table(f.assign(chain='a'))

# ---- the plan

def test_every_number_of_every_reason_is_supported_and_traced(plan, market, opinions):
    assert len(plan.moves) >= 3
    snapshots, _ = take_snapshots(market, plan.asof)
    for m in plan.moves:
        v = m.verification
        assert m.faults == [] and v.supported_share == 1 and v.counts['cited'] >= 6 and v.counts['derived'] >= 1
        for name, value in m.shown.items():
            chain = next((c for c in CHAINS if name.startswith(c + '_')), None)
            if chain is None: assert name in ('amount_usd', 'cost_usd') or name.startswith('cash_') and value == 0; continue
            rest = name.removeprefix(chain + '_')
            if rest in snapshots[chain].features: assert value == snapshots[chain].features[rest]
            else: assert abs(value - dict(zip(('expected_7d', 'risk_7d'), expected_moments(opinions[chain].lo, opinions[chain].median, opinions[chain].hi)))[rest]) <= 5e-5

def test_the_plan_adds_up(plan):
    assert math.isclose(sum(h['before_usd'] for h in plan.holdings), 10_000, abs_tol=.05)
    assert math.isclose(sum(h['after_usd'] for h in plan.holdings), 10_000 - plan.summary['cost_usd'], abs_tol=.05)
    assert math.isclose(sum(m.cost_usd for m in plan.moves), plan.summary['cost_usd'], abs_tol=.01)
    sold = {c: sum(m.amount_usd for m in plan.moves if m.source == c) for c in ('bitcoin', 'cash')}
    assert sold['bitcoin'] <= 7000 and sold['cash'] <= 2000.01
    assert all(h['after_usd'] <= 3000.01 for h in plan.holdings if h['chain'] != 'cash')   # costs make the whole a little smaller, not the part larger
    assert plan.summary['after']['risk'] < plan.summary['before']['risk']*1.5 and plan.dry_run is True and plan.simulated

def test_any_altered_figure_is_found(plan):
    "Change each digit of each reason, one at a time: the file must not be read."
    text, missed, tried = plan.to_json(), [], 0
    for m in plan.moves[:2]:
        for at in (k.start() for k in re.finditer(r'\d', m.why)):
            digit = str((int(m.why[at]) + 1) % 10)
            told = json.loads(text)
            told['moves'][plan.moves.index(m)]['why'] = m.why[:at] + digit + m.why[at+1:]
            tried += 1
            try: read_plan(json.dumps(told)); missed.append(m.why[max(0, at-20):at+12])
            except CortexError: pass
    assert tried > 50 and not missed, missed

def test_a_plan_file_survives_and_a_broken_one_is_refused(plan):
    assert read_plan(plan.to_json()) == plan
    for broken in ('', '[]', '{"moves": 3}', plan.to_json().replace('"amount_usd"', '"amount"', 1), plan.to_json().replace('"dry_run": true', '"dry_run": false')):
        with pytest.raises(CortexError): read_plan(broken)

def test_nothing_is_sent_and_nothing_could_be(monkeypatch, market, opinions):
    "The module knows no network, no key and no other program, and works with sockets taken away."
    tree = ast.parse((ROOT/'cortex'/'routing.py').read_text())
    known = {a.name.split('.')[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names} | {n.module.split('.')[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level}
    assert known <= {'json', 'math', 're', 'dataclasses', 'functools', 'statistics', 'numpy', 'pandas', 'cvxpy', 'skfolio'}
    def no(*a, **kw): raise AssertionError('a socket was opened')
    monkeypatch.setattr(socket, 'socket', no); monkeypatch.setattr(socket, 'create_connection', no)
    assert route_capital(market, dict(cash=1000), opinions, 'risk-budget').moves
    with pytest.raises(CortexError, match='dry run'): Plan('2024-01-01', 7, 'hrp', (), (), {}, {}, {}, {}, dry_run=False)

def test_outside_names_are_escaped(plan):
    evil = '<script>alert(1)</script>'
    bad = replace(plan, asof=evil, left_out={evil: evil}, holdings=tuple({**h, 'chain': evil} for h in plan.holdings), moves=tuple(replace(m, source=evil, why=f'{evil} {m.why}') for m in plan.moves))
    for text in (plan_html(bad), plan_page(bad), bad._repr_html_()): assert '<script' not in text and '&lt;script' in text

def test_no_expectation_means_cash_and_no_moves(market):
    "The rule teacher expects no change of prices: mean-risk stays in cash, and says so."
    plan = route_capital(market, dict(cash=1000))
    assert plan.moves == () and 'Nothing to move' in str(plan) and 'Nothing to move' in plan_html(plan)

@pytest.mark.parametrize('given, why', [
    (dict(holdings=dict(bitcoin=1e308, cash=1e308)), 'more than there is'), (dict(least=float('nan')), 'least is nan'), (dict(least=-5.), 'least is -5'), (dict(limits=dict(caps=dict(nera=.1))), 'Nearest: near'),
    (dict(forecasts='nera'), 'Nearest: near'), (dict(forecasts=30), 'over 30 days'), (dict(limits=dict(turnover=float('inf'))), 'turnover is inf')])
def test_amounts_names_and_horizons_that_make_no_plan(market, opinions, given, why):
    "Endless amounts used to run for ever, and a forecast under a misspelt name or over other days used to pass."
    forecasts = dict(opinions); odd = given.get('forecasts')
    if odd == 'nera': forecasts['nera'] = forecasts['near']
    if odd == 30: forecasts['near'] = replace(forecasts['near'], horizon=30)
    with pytest.raises(CortexError, match=why):
        route_capital(market, given.get('holdings', dict(bitcoin=5000)), forecasts, 'hrp', Limits(**given.get('limits', {})), least=given.get('least', 50.))

def test_moves_are_few_and_complete():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(2, 9)); names = [f'c{i}' for i in range(n)]
        before, after = (dict(zip(names, np.round(x/x.sum()*1e4, 2))) for x in rng.random((2, n)))
        after[names[0]] += sum(before.values()) - sum(after.values())
        moves = net_moves(before, after, .01)
        assert len(moves) < n
        for a, b, x in moves: before[a] -= x; before[b] += x
        assert max(abs(before[c] - after[c]) for c in names) < .02*n

@pytest.mark.skipif(not os.environ.get('CORTEX_REAL_DATA'), reason='CORTEX_REAL_DATA names no directory of real data')
def test_a_plan_on_real_data():
    from cortex.store import open_market
    from cortex.sections import data_of
    market, meta = open_market(os.environ['CORTEX_REAL_DATA'], ['bitcoin', 'ethereum', 'solana', 'near'])
    plan = route_capital(market, dict(bitcoin=5000, cash=5000), method='hrp', data=data_of(market, meta))
    assert not plan.simulated and plan.moves and all(m.faults == [] for m in plan.moves)
