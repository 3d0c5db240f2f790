"Every kind of question, on many snapshots: nothing but the snapshot goes in, every figure is shown, the solution is what an independent calculation gives."
import json, math, os, re
from dataclasses import replace
from functools import cache
import numpy as np, pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from scipy.stats import norm
from cortex.artifacts import CortexError
from cortex.cases import Snapshot, make_cases
from cortex.features import TARGETS, add_features, label_condition
from cortex.metrics import METRICS, Metric, as_shown, format_value, metric, parse_value
from cortex.opportunities import simulate_pools, simulate_quotes
from cortex.replies import NUMBER_IN_TEXT, Forecast, read_number, write_reply
from cortex.sources import read_market, simulate_market
from cortex.tasks import (LIMITS, SLIPPAGE, TASKS, Task, counterfactual, decide, forecast_key, make_task, mask, result_metric, solve, work_out)
from cortex.verify import verify

REAL, KINDS, H = os.environ.get('CORTEX_REAL_DATA'), list(TASKS), (1, 7, 30)
CHAINS = ('near','ethereum','bitcoin','arbitrum','solana')
WORLDS = [0, 1] + ([pytest.param('real', id='real')] if REAL else [])
PLAIN = ('market.forecast','protocol.ratios')   # keep full precision in `shown`

# --- worlds

@cache
def market(world):
    return read_market(REAL) if world == 'real' else simulate_market(CHAINS, '2022-01-01', '2024-08-31', world)

@cache
def snapshots(world):
    "Make snapshots of a world over all horizons, and pick some at random."
    m = market(world)
    offers = {} if world == 'real' else dict(pools=simulate_pools(m, world), quotes=simulate_quotes(m, world))
    targets = [t for t in TARGETS if t in m]
    cases = make_cases(add_features(m, H), H, every=61, targets=targets, source=str(world), start='2019-01-01' if world == 'real' else '2023-01-01', **offers)
    some = [c.snapshot for c in cases]
    return [some[i] for i in sorted(np.random.default_rng(0).permutation(len(some))[:36])]

@cache
def tasks(world):
    "Make every task that the snapshots of a world allow: (snapshot, task) pairs."
    asked = [(k, t) for k in KINDS for t in (TARGETS if k == 'market.forecast' else (None,))]
    return [(s, t) for s in snapshots(world) for k, n in asked if (t := make_task(k, s, n))]

def of(kind): return [p for world in WORLDS for p in tasks(getattr(world, 'values', [world])[0]) if p[1].kind == kind]

def honest(t):
    "Write the reply that follows from the task, with a forecast made of its own interval."
    if not t.target: return write_reply(t)
    ends = work_out(solve(t), t.shown, displayed=True)
    return write_reply(t, Forecast(t.target, t.horizon, .5, as_shown(f'trend_{t.horizon}d', t.shown[f'trend_{t.horizon}d']), ends['low'], ends['high']))

def follows(t):
    "Check all that must hold of any task."
    text, steps, known = t.prompt[1]['content'], solve(t), {*t.shown}
    assert [s.name for s in steps] == list(t.asks) and t.asks
    for s in steps:   # an operand is shown, or an earlier result
        assert {*s.operands} <= known, (t.task_id, s)
        known.add(s.name)
    assert {n for s in steps for n in s.operands} & {*t.shown} or t.target
    for n, x in t.shown.items():
        assert math.isfinite(x) and f'\n{n}: {format_value(n, x)}\n' in text, (t.task_id, n)
        if t.kind not in PLAIN: assert x == as_shown(n, x), (t.task_id, n, x)
    reply = honest(t)
    found = verify(reply, t)
    wrong = [c for c in found.claims if c.status == 'unsupported'], [e for e in found.expressions if not e.recomputes]
    assert found.supported_share == 1 and wrong == ([], []), (t.task_id, reply, wrong)
    assert len(found.expressions) == len(steps) and found.reply.problems == (), (t.task_id, reply, found.reply.problems)
    assert Task.from_json(t.to_json()) == t
    word = decide(t)
    assert isinstance(word, str) and word == decide(Task.from_json(t.to_json()))

def hidden(t):
    "Check that a masked task names nothing and asks the same."
    m = mask(t)
    text = m.prompt[1]['content']
    for n in (t.chain, t.asof, t.asof[:4], t.asof[:7], *(n for n, _ in t.names)): assert not re.search(rf'(?<!\w){re.escape(n)}(?!\w)', text, re.I) or not n, (n, text)
    assert (m.shown, solve(m), decide(m), m.horizon, m.target) == (t.shown, solve(t), decide(t), t.horizon, t.target)
    assert honest(m) == honest(t) and mask(m) == m and m.task_id == t.task_id + ':masked'
    assert json.loads(m.to_json()).get('names', []) == []

# --- what goes in

def test_every_kind_and_target_over_every_horizon_is_there():
    for kind in KINDS: assert {t.horizon for _, t in of(kind)} == {*H}, kind
    assert {(t.target, t.horizon) for _, t in of('market.forecast')} >= {(n, h) for n in TARGETS if n in market(0) for h in H}

@pytest.mark.parametrize('kind', KINDS)
def test_only_a_snapshot_makes_a_task_and_it_is_always_the_same(kind):
    s, t = of(kind)[0]
    assert make_task(kind, replace(s), t.target).to_json() == t.to_json()
    for s, t in of(kind)[:20]: assert make_task(kind, s, t.target) == t
    case = next(iter(make_cases(add_features(market(0)), start='2024-06-01', end='2024-07-01')))
    for x in (case, case.outcome, s.__dict__, None, 'near', [s]):
        with pytest.raises(CortexError, match=f'not from {type(x).__name__}'): make_task(kind, x)

@pytest.mark.parametrize('kind', ('', 'market', 'market.Forecast', None, 3))
def test_unknown_kinds_are_refused(kind):
    with pytest.raises(CortexError, match='Kinds: market.forecast'): make_task(kind, snapshots(0)[0])

def test_the_future_changes_no_question():
    "The same days, and after the cut a crash in all series: the prompts stay, the keys do not."
    cut = '2024-03-03'
    m = market(0)
    late = (m.date > cut).to_numpy()
    other = m.assign(**{n: m[n].where(~late, m[n]*.37) for n in TARGETS if n in m})
    made = []
    for f in (m, other):
        cases = [c for c in make_cases(add_features(f, H), H, every=1, start=cut, end='2024-04-10', pools=simulate_pools(m), quotes=simulate_quotes(m)) if c.snapshot.asof == cut]
        made.append({t.task_id: (t, forecast_key(t, c.outcome)) for c in cases for k in KINDS if (t := make_task(k, c.snapshot))})
    assert len(made[0]) > 100 and made[0].keys() == made[1].keys()
    for i, (t, y) in made[0].items():
        u, z = made[1][i]
        assert t == u and t.prompt == u.prompt and honest(t) == honest(u), i
        if t.target: assert y != z and z < -.2

# --- what comes out

@pytest.mark.parametrize('world', WORLDS)
def test_figures_are_shown_and_solutions_verify(world):
    for _, t in tasks(world): follows(t)

@pytest.mark.parametrize('world', WORLDS)
def test_masked_tasks_name_nothing_and_ask_the_same(world):
    for _, t in tasks(world)[::3]: hidden(t)

@pytest.mark.parametrize('factor', (1.5, .4, -1.))
def test_counterfactuals_change_one_figure_and_the_answer_follows(factor):
    tried = changed = 0
    for kind in KINDS:
        for _, t in of(kind)[::29]:
            for name in t.shown:
                try: c = counterfactual(t, name, factor)
                except CortexError: continue
                assert f'\n{name}: {format_value(name, c.shown[name])}\n' in c.prompt[1]['content']
                assert {n: x for n, x in c.shown.items() if n != name} == {n: x for n, x in t.shown.items() if n != name} and list(c.shown) == list(t.shown)
                assert c.shown[name] == pytest.approx(t.shown[name]*factor, rel=.01, abs=.00051)
                assert (c.question, c.asks, c.chain, c.asof, c.horizon, c.target) == (t.question, t.asks, t.chain, t.asof, t.horizon, t.target)
                follows(c)
                if name.startswith('corr') or not any(name in step.operands for step in solve(t)): continue   # a level beside a forecast; a square has no sign
                tried += 1
                changed += work_out(solve(c), c.shown) != work_out(solve(t), t.shown) or decide(c) != decide(t)
    assert tried > 30 and changed > .98*tried, (tried, changed)

def test_a_counterfactual_turns_the_decision():
    "An arbitrage with a gap ten times as wide pays; a pool with ten times the yield is best; a wild fortnight is volatile."
    _, t = next(p for p in of('opportunity.arbitrage') if decide(p[1]) == 'no trade' and p[1].shown['size_usd'] == 10_000)
    assert decide(counterfactual(t, 'price_gap', 40)) == 'trade'
    _, t = next(p for p in of('opportunity.yield') if decide(p[1]) != 'pool a' and p[1].shown['base_a'] > .005)
    assert decide(counterfactual(t, 'base_a', 50)) == 'pool a'
    _, t = next(p for p in of('market.condition') if decide(p[1]) != 'volatile')
    assert decide(counterfactual(t, 'volatility_ratio_14d', 10)) == 'volatile'

# --- against other calculations

@pytest.mark.parametrize('world', WORLDS)
def test_the_condition_is_the_label(world):
    m = market(world)
    label = label_condition(m)
    said = {(c, f'{d:%Y-%m-%d}'): w for c, d, w in zip(m.chain, m.date, label)}
    made = [(s, t) for s, t in tasks(world) if t.kind == 'market.condition']
    for s, t in made: assert decide(t) == s.condition == said[s.chain, s.asof], (t.task_id, t.shown)
    assert len(made) > .95*sum(s.condition != 'unknown' for s in snapshots(world)) and len({decide(t) for _, t in made}) >= 5

def test_var_and_shortfall_are_those_of_the_normal_distribution():
    for s, t in of('risk.var'):
        mu, sigma = (s.features[f'price_usd_{k}_{t.horizon}d'] for k in ('trend','sigma'))
        got, tail = work_out(solve(t), t.shown), norm(loc=-mu, scale=sigma)   # losses
        assert got['value_at_risk'] == pytest.approx(tail.ppf(.95), abs=2e-3)   # sigma and trend are shown to a tenth of a percent
        assert got['expected_shortfall'] == pytest.approx(-mu + sigma*norm.pdf(norm.ppf(.95))/.05, abs=2.5e-3)
    assert norm.expect(lambda x: x, lb=norm.ppf(.95), conditional=True) == pytest.approx(2.063, abs=5e-4)

def test_arbitrage_takes_the_pair_that_leaves_most():
    for s, t in of('opportunity.arbitrage'):
        x, asset = t.shown, t.question.split()[1]
        size, best = x['size_usd'], -math.inf
        for a in s.quotes:
            for b in s.quotes:
                if a['asset'] == b['asset'] == asset and b['price_usd'] > a['price_usd']:
                    gain = size*(b['price_usd'] - a['price_usd'])/a['price_usd']
                    best = max(best, gain - size*a['fee'] - size*b['fee'] - 2*size*SLIPPAGE[size] - a['gas_usd'] - b['gas_usd'])
        net = work_out(solve(t), x)['net_gain_usd']
        assert net == pytest.approx(best, abs=.006*size*x['price_gap'] + .006*(x['gas_buy_usd'] + x['gas_sell_usd']) + 1e-9), t.task_id
        assert decide(t) == ('trade' if net > 0 else 'no trade')

def test_the_best_pool_is_best_net_of_risk():
    for s, t in of('opportunity.yield'):
        named = dict(re.findall(r'\b([abc]) = (.+?)(?=, [bc] = |\. Compute)', t.question))
        net = {}
        for letter, name in named.items():
            q = next(q for q in s.pools if f"{q['project']} {q['symbol']}" == name)
            net[f'pool {letter}'] = q['apy_base'] + .5*(q['apy'] - q['apy_base']) - (.05 if q.get('il_risk') else 0) - (0 if q['tvl_usd'] >= 1e7 else .02)
        assert len(net) in (2, 3) and net[decide(t)] >= max(net.values()) - .0021, (t.task_id, net)   # to a tenth of a percent in each of the figures

def test_risk_words_follow_from_the_snapshot():
    for s, t in of('protocol.risk'):
        loads = {k: s.features[f]/LIMITS[f'limit_{k}'] for k, f in (('volatility','volatility_30d'), ('drawdown','drawdown_90d'), ('outflow','tvl_usd_change_30d'), ('beta','beta_market_90d')) if f in s.features}
        assert loads[decide(t).split()[0]] >= max(loads.values()) - .02*max(1, max(loads.values()))
    for s, t in of('risk.mitigation'):
        most = t.shown['loss_limit_usd']/norm.ppf(.95)/s.features[f'price_usd_sigma_{t.horizon}d']
        if abs(most/10_000 - 1) > .03: assert decide(t) == ('reduce' if most < 10_000 else 'keep')
    for s, t in of('risk.drawdown'):
        got = work_out(solve(t), t.shown)
        assert (1 + got['fall_from_high'])*(1 + got['gain_needed']) == pytest.approx(1) and got['fall_from_high'] == pytest.approx(s.features['drawdown_365d'], abs=.011)

def test_no_word_is_always_right():
    "Whoever says the same word to every question of a kind is wrong in more than a tenth of them."
    for kind in KINDS:
        words = [decide(t) for s, t in of(kind) if s.source != 'real']
        if TASKS[kind].decide:
            for w in {*words}: assert words.count(w) <= .9*len(words), (kind, w, words.count(w), len(words))
    pays = [decide(t) == 'trade' for s, t in of('opportunity.arbitrage')]
    assert .1 < np.mean(pays) < .35, np.mean(pays)

# --- snapshots at the edge of what is legal

BASE = sorted({n for world in (0, 1) for s in snapshots(world)[:40] for n in s.features})

def extremes(name):
    "Draw values that the registry allows: its bounds, zero, tiny and huge numbers of either sign, and ordinary ones."
    m = metric(name)
    sizes = [0., 1e-300, 1e-12, 1e-9, 1e-4, .005, .01, .5, .6, 1., 1.5, 9.9995, 999.5, 1e6, 1e12, m.lo, m.hi]
    some = sorted({x*k for x in sizes for k in (1, -1) if m.lo <= x*k <= m.hi} | {x for x in (m.lo, m.hi) if abs(x) < 1e15})
    return st.one_of(st.sampled_from(some), st.floats(max(m.lo, -1e15), min(m.hi, 1e15), allow_nan=False), st.floats(max(m.lo, -2), min(m.hi, 2), allow_nan=False))

def some_of(names):
    "Draw a value for each of the names, or leave it out."
    return st.fixed_dictionaries({}, optional={n: extremes(n) for n in names})

RAW = [n for n, m in METRICS.items() if m.kind in ('level','flow') and n in (*TARGETS, 'market_cap_usd','active_senders','active_receivers')]
USED = [n for n in BASE if re.search(r'^(ret|drawdown|beta|corr|volatility|move|place)|_(mean_7d|mean_28d|zscore)|change_(1|7|30)d|^price_usd_(trend|range|sigma)|^tx_count_(trend|range|sigma)', n)]
YEARLY = st.one_of(st.sampled_from([-1., 0., 1e-9, .02, 1., 10., 1e4]), st.floats(-1, 11, allow_nan=False))
POOL = st.fixed_dictionaries({'date': st.just('2025-03-01'), 'chain': st.just('near')}, optional=dict(project=st.text(max_size=8), symbol=st.text(max_size=8), apy=YEARLY, apy_base=YEARLY, il_risk=st.booleans(), tvl_usd=st.sampled_from([0., 1e7, 1e13])))
QUOTE = st.fixed_dictionaries({'date': st.just('2025-03-01'), 'chain': st.sampled_from(['near','aurora'])}, optional=dict(asset=st.sampled_from(['NEAR','ETH','\u202e<b>\n1%']), venue=st.text(max_size=12),
    price_usd=st.sampled_from([1e-9, 1e-300, 0., 1., 1.0001, 1.02, 3., 1e7]), fee=st.sampled_from([0., 1e-12, .001, .1]), gas_usd=st.sampled_from([0., 1e-9, .03, 5., 1e4])))
SNAPSHOTS = st.builds(Snapshot, chain=st.sampled_from(['near','bitcoin']), asof=st.just('2025-03-01'), horizon=st.sampled_from(H), metrics=some_of(RAW), features=some_of(USED), condition=st.sampled_from(['bear','unknown']),
    peers=st.dictionaries(st.sampled_from(['a','b','c','d']), st.floats(-1, 1e4, allow_nan=False)), history=st.just(()), source=st.just('simulated'), pools=st.lists(POOL, max_size=4).map(tuple), quotes=st.lists(QUOTE, max_size=5).map(tuple))

@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(SNAPSHOTS)
def test_extreme_but_legal_snapshots(s):
    "A question is right or it is not asked."
    for kind in KINDS:
        for target in (('price_usd','tx_count') if kind == 'market.forecast' else (None,)):
            if (t := make_task(kind, s, target)) is None: continue
            follows(t)
            results = work_out(solve(t), t.shown, displayed=True)
            for n, x in zip(t.asks, solve(t)): assert math.isfinite(results[n]) and parse_value(format_value(result_metric(x), results[n])).value == pytest.approx(results[n], rel=.006, abs=1e-12)

@pytest.mark.parametrize('unit,kind', [(u, k) for u in ('', 'USD', '%', 'native', 'gwei') for k in ('level', 'flow', 'ratio', 'change')] + [('%', 'spread')])
def test_any_magnitude_reads_back(unit, kind):
    "A figure is written in at most 17 characters, and whoever reads it, alone or in a text, gets it back within half a unit of its last digit."
    m = Metric('result', unit, kind, -math.inf, math.inf)
    for x in (d*10.**e*sign for e in (*range(-12, 24), *range(24, 300, 12), 299) for d in (1, 1.2345, 4.995, 9.994, 9.996) for sign in (1, -1)):
        text = format_value(m, x)
        q, bare = parse_value(text), text.lstrip('+-')
        assert abs(q.value - x) <= q.step/2*(1+1e-9) and len(text) <= 17, (x, text)
        assert q.unit == (unit if unit in ('%', 'USD') else '') and (unit == '%' or q.digits == 3), (x, text)
        assert (found := re.fullmatch(NUMBER_IN_TEXT, bare)) and read_number(found, text[0] == '-') == q, (x, text)
    assert parse_value(format_value(m, 1e300)).value == 1e300
    with pytest.raises(CortexError, match='must be finite'): format_value(m, 1e301)

@pytest.mark.parametrize('text', ['1.23e16%', '2e5 bps', '1e-12 bn'])
def test_an_exponent_leaves_the_unit_alone(text):
    assert read_number(re.fullmatch(NUMBER_IN_TEXT, text)).unit == ('' if 'bn' in text else '%')

@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(KINDS), st.integers(0, 10**6))
def test_a_missing_figure_is_no_question_or_a_smaller_one(kind, draw):
    "Take figures out of a good snapshot: what is left is asked rightly, and nothing is made up."
    s, t = of(kind)[draw % len(of(kind))]
    gone = {n for i, n in enumerate([*s.metrics, *s.features]) if (draw >> (i % 17)) & 1}
    less = replace(s, metrics={n: x for n, x in s.metrics.items() if n not in gone}, features={n: x for n, x in s.features.items() if n not in gone})
    u = make_task(kind, less, t.target)
    if u is None: return
    follows(u)
    assert not gone & {*u.shown} and {n: x for n, x in u.shown.items() if n in t.shown} == {n: t.shown[n] for n in u.shown if n in t.shown}

def test_numbers_that_are_none_are_no_snapshot():
    s = snapshots(0)[0]
    for bad in (math.nan, math.inf, None, '3'):
        with pytest.raises(CortexError, match='finite numbers'): replace(s, metrics=s.metrics | {'tx_count': bad})
        with pytest.raises(CortexError, match='finite numbers'): replace(s, features=s.features | {'ret_7d': bad})
