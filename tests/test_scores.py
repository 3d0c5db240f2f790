"Scores hold what they promise for any input: proper, bounded, indifferent to units, signs and order; and agree with second sources."
import math
import numpy as np, pandas as pd, pytest, scoringrules as sr
from hypothesis import given, settings, strategies as st
from scipy import stats
from cortex.artifacts import CortexError
from cortex.calibration import brier_parts, pit, pit_table, quantile_slots
from cortex.replies import Forecast
from cortex.scores import (BOUND, LEVELS, WORST, block_bootstrap_ci, block_length, brier, calibration, coverage, crps, date_means,
    diebold_mariano, ece, estimate, forecast_scores, interval_score, log_score, pinball, reliability_table, skill, skill_table, verdict, went_up, wilson_ci)

settings.register_profile('cortex', max_examples=60, deadline=None, derandomize=True)
settings.load_profile('cortex')

PROB = st.floats(0, 1)
CHANGE = st.floats(-3, 3).map(lambda x: round(x, 3))   # in sigmas or as fractions; ties and repeated values are frequent
WILD = st.floats(allow_nan=True, allow_infinity=True)
SAMPLE = st.lists(st.sampled_from([-9., -2., -.5, -.1, 0., 0., .1, .4, 1., 3., 12.]), min_size=1, max_size=12).map(np.array)
GRID = np.linspace(0, 1, 101)
days = lambda n, freq='D': pd.date_range('2024-01-01', periods=n, freq=freq).to_numpy()
def forecast(p, lo, median, hi): return Forecast('price_usd', 7, p, median, lo, hi)
def quantile(sample, level): return np.quantile(sample, level, method='inverted_cdf')

# --- proper: in expectation nothing beats the truth

@pytest.mark.parametrize('score', [brier, log_score, lambda p, y: log_score(p, y, floor=.01)])
@given(truth=st.integers(0, 100).map(lambda k: k/100))
def test_probability_scores_are_proper(score, truth):
    with np.errstate(invalid='ignore'):
        expected = np.nan_to_num(truth*score(GRID, 1), nan=0., posinf=np.inf) + np.nan_to_num((1 - truth)*score(GRID, 0), nan=0., posinf=np.inf)
    own = expected[round(truth*100)]
    assert own <= expected.min() + 1e-12
    if .01 < truth < .99: assert (np.delete(expected, round(truth*100)) > own).all()   # strictly, inside the bounds

@given(sample=SAMPLE, level=st.sampled_from([.05, .1, .5, .9, .99]), other=CHANGE)
def test_pinball_is_lowest_at_the_quantile(sample, level, other):
    best = pinball(quantile(sample, level), level, sample).mean()
    for q in (*sample, other): assert best <= pinball(q, level, sample).mean() + 1e-12

@given(sample=SAMPLE, lo=CHANGE, hi=CHANGE, level=st.sampled_from([.5, .8, .95]))
def test_interval_score_is_lowest_at_its_quantiles(sample, lo, hi, level):
    a, b = quantile(sample, (1 - level)/2), quantile(sample, (1 + level)/2)
    assert interval_score(a, b, sample, level).mean() <= interval_score(min(lo, hi), max(lo, hi), sample, level).mean() + 1e-9

@given(sample=SAMPLE, p=PROB, quantiles=st.tuples(CHANGE, CHANGE, CHANGE), sigma=st.sampled_from([.3, 1., 2.]))
def test_nobody_earns_more_than_the_honest(sample, p, quantiles, sigma):
    "The reward itself, ties and crashes beyond the bound included: any lie against the truth, all figures and one at a time."
    reward = lambda f: np.mean([forecast_scores(f, y, sigma)['reward'] for y in sample])
    truth = (went_up(sample).mean(), *(quantile(sample, u) for u in LEVELS))
    best, lie = reward(forecast(*truth)), (p, *quantiles)
    assert best >= reward(forecast(*lie)) - 1e-12
    for i in range(4): assert best >= reward(forecast(*truth[:i], lie[i], *truth[i+1:])) - 1e-12

@given(p=PROB, quantiles=st.tuples(CHANGE, CHANGE, CHANGE), y=st.one_of(CHANGE, st.floats(-99, 99)), sigma=st.sampled_from([.05, .3, 1.]))
def test_the_reward_is_a_straight_line_through_the_scores(p, quantiles, y, sigma):
    "Nothing is clipped or bent after scoring: a bent proper score is proper no more, and pays for overconfidence."
    held = [sorted((-BOUND, x/sigma, BOUND))[1] for x in (*quantiles, y)]
    parts = [(p - (y > 0 or .5*(y == 0)))**2, sr.interval_score(held[3], held[0], held[2], .2)/WORST['interval'],
             sr.crps_quantile(held[3], np.array(held[:3]), np.array(LEVELS))/WORST['crps']]
    assert forecast_scores(forecast(p, *quantiles), y, sigma)['reward'] == pytest.approx(1 - sum(map(float, parts))/3, abs=1e-9)

# --- bounded, whatever is said

@given(p=WILD, lo=WILD, median=WILD, hi=WILD, change=st.floats(allow_nan=False, allow_infinity=False), sigma=st.floats(1e-6, 1e6))
def test_scores_are_bounded(p, lo, median, hi, change, sigma):
    s = forecast_scores(forecast(p, lo, median, hi), change, sigma)
    assert -1e-12 <= s['reward'] <= 1 + 1e-12 and all(-1e-12 <= s[k] <= WORST[k] + 1e-9 for k in WORST)   # disordered bounds included

@given(p=PROB, y=st.sampled_from([0, .5, 1]), floor=st.floats(.001, .4))
def test_log_score_is_bounded_by_its_floor(p, y, floor): assert -1e-12 <= log_score(p, y, floor) <= -math.log(floor) + 1e-12

@pytest.mark.parametrize('f', [None, forecast(None, 0, 0, 0), forecast(.5, 0, 10**400, 0), forecast(math.nan, 0, 0, 0), forecast(1.0001, 0, 0, 0)])
def test_silence_and_nonsense_earn_nothing(f): assert forecast_scores(f, .01, .05) == dict(WORST, covered=False, reward=0.)

@pytest.mark.parametrize('change,sigma', [(None, .1), (math.nan, .1), (math.inf, .1), (.1, 0), (.1, -1), (.1, math.nan), (.1, math.inf)])
def test_an_unknown_outcome_or_scale_is_refused(change, sigma):
    with pytest.raises(CortexError, match='sigma is|not known yet'): forecast_scores(forecast(.5, -.1, 0, .1), change, sigma)

# --- indifferent to units, signs and order

FIGURES = st.tuples(PROB, CHANGE, CHANGE, CHANGE, CHANGE)

@given(x=FIGURES, unit=st.sampled_from([.001, .25, 4., 1024.]))
def test_units_do_not_matter(x, unit):
    p, *rest = x; lo, median, hi, y = rest
    a, b = forecast_scores(forecast(p, lo, median, hi), y, .5), forecast_scores(forecast(p, lo*unit, median*unit, hi*unit), y*unit, .5*unit)
    assert a['reward'] == pytest.approx(b['reward'], abs=1e-12)

@given(x=FIGURES)
def test_up_and_down_are_treated_alike(x):
    p, lo, median, hi, y = x
    a, b = forecast_scores(forecast(p, lo, median, hi), y, .5), forecast_scores(forecast(1 - p, -hi, -median, -lo), -y, .5)
    assert a['reward'] == pytest.approx(b['reward'], abs=1e-12)

@given(y=CHANGE, shift=CHANGE, level=st.floats(.1, .95))
def test_distances_count_and_not_places(y, shift, level):
    assert interval_score(-1 + shift, 1 + shift, y + shift, level) == pytest.approx(interval_score(-1, 1, y, level), abs=1e-9)
    assert crps([-1 + shift, shift, 1 + shift], LEVELS, y + shift) == pytest.approx(crps([-1, 0, 1], LEVELS, y), abs=1e-9)

@given(y=st.floats(1, 50), further=st.floats(0, 50))
def test_a_larger_miss_is_never_cheaper(y, further):
    assert interval_score(-1, 1, y + further) >= interval_score(-1, 1, y)
    near, far = (forecast_scores(forecast(.5, -1, 0, 1), x, 1.)['reward'] for x in (y, y + further))
    assert far <= near

# --- second sources

@given(x=st.lists(st.tuples(CHANGE, CHANGE, CHANGE, CHANGE), min_size=1, max_size=20).map(np.array))
def test_scoringrules_agree(x):
    q, y = np.sort(x[:, :3], axis=1), x[:, 3]
    np.testing.assert_allclose(crps(q, LEVELS, y), sr.crps_quantile(y, q, np.array(LEVELS)), atol=1e-12)
    np.testing.assert_allclose(interval_score(q[:, 0], q[:, 2], y), sr.interval_score(y, q[:, 0], q[:, 2], .2), atol=1e-12)
    np.testing.assert_allclose(pinball(q[:, 1], .3, y), sr.quantile_score(y, q[:, 1], .3), atol=1e-12)
    np.testing.assert_allclose(interval_score(q[:, 0], q[:, 2], y), 2/.2*(pinball(q[:, 0], .1, y) + pinball(q[:, 2], .9, y)), atol=1e-9)
    wis = (.5*np.abs(y - q[:, 1]) + .1*sr.interval_score(y, q[:, 0], q[:, 2], .2))/1.5   # the weighted interval score of Bracher et al. 2021, eq. 1
    np.testing.assert_allclose(crps(q, LEVELS, y), wis, atol=1e-12)

@given(pairs=st.lists(st.tuples(PROB, st.sampled_from([0, 1])), min_size=1, max_size=20).map(np.array))
def test_probability_scores_agree(pairs):
    p, y = pairs.T
    np.testing.assert_allclose(brier(p, y), sr.brier_score(y, p), atol=1e-12)
    np.testing.assert_allclose(log_score(p, y, floor=.01), -stats.bernoulli.logpmf(y.astype(int), np.clip(p, .01, .99)), atol=1e-9)

@given(mu=CHANGE, sd=st.floats(.1, 3), y=CHANGE)
def test_crps_converges_to_the_closed_form(mu, sd, y):
    levels = (np.arange(2000) + .5)/2000
    assert crps(stats.norm.ppf(levels, mu, sd), levels, y) == pytest.approx(float(sr.crps_normal(y, mu, sd)), abs=2e-3*sd + 2e-3)

@given(n=st.integers(1, 500), share=PROB, level=st.sampled_from([.8, .95, .99]))
def test_wilson(n, share, level):
    k = int(share*n); lo, hi = wilson_ci(k, n, level); want = stats.binomtest(k, n).proportion_ci(level, 'wilson')
    assert (lo, hi) == pytest.approx((want.low, want.high), abs=1e-9) and 0 <= lo <= k/n + 1e-12 and k/n - 1e-12 <= hi <= 1
    assert wilson_ci(n - k, n, level) == pytest.approx((1 - hi, 1 - lo), abs=1e-9)

# --- calibration

ROWS = st.lists(st.tuples(st.floats(0, 1).map(lambda p: round(p, 2)), st.sampled_from([0, .5, 1])), min_size=1, max_size=60).map(np.array)

@given(rows=ROWS, bins=st.integers(1, 12), by=st.sampled_from(['count', 'width']), seed=st.integers(0, 9))
def test_reliability_tables(rows, bins, by, seed):
    p, y = rows.T; table = reliability_table(p, y, bins, by)
    assert table.n.sum() == len(p) and (table.n > 0).all() and len(table) <= bins and 0 <= ece(table) <= 1
    assert table.p_mean.is_monotonic_increasing and (table.p_mean >= table.p_from - 1e-9).all() and (table.p_mean <= table.p_to + 1e-9).all()
    assert (table.n*table.freq).sum() == pytest.approx(y.sum()) and (table.lo <= table.freq + 1e-9).all() and (table.freq <= table.hi + 1e-9).all()
    shuffled = np.random.default_rng(seed).permutation(len(p))
    pd.testing.assert_frame_equal(table, reliability_table(p[shuffled], y[shuffled], bins, by))
    if by == 'width': pd.testing.assert_frame_equal(table, calibration(p, y, bins))

@given(rows=ROWS)
def test_brier_parts_add_up(rows):
    p, y = rows.T; parts = brier_parts(p, y)
    assert parts['brier'] == pytest.approx(parts['miscalibration'] - parts['discrimination'] + parts['uncertainty'], abs=1e-12)
    assert min(parts.values()) >= -1e-12
    assert parts['discrimination'] <= parts['uncertainty'] + 1e-12
    assert brier_parts(p**3, y)['discrimination'] == pytest.approx(parts['discrimination'], abs=1e-9)  # only the order counts for it

@given(n=st.integers(1, 80), bins=st.integers(1, 12))
def test_bins_of_equal_count(n, bins):
    "Statements that all differ spread evenly; statements that are all equal share one bin."
    p, y = np.linspace(.2, .7, n), np.ones(n); sizes = reliability_table(p, y, bins).n
    assert sizes.max() - sizes.min() <= 1 and len(sizes) == min(n, bins)
    assert reliability_table(np.full(n, .5), y, bins).n.tolist() == [n]

def test_brier_parts_equal_the_binned_ones_where_bins_are_exact():
    "Forecasts with five values whose frequencies rise: isotonic regression finds the same groups as Murphy's decomposition."
    p = np.repeat([.1, .3, .5, .7, .9], 40); y = np.concatenate([np.arange(40) < k for k in (2, 9, 22, 30, 39)]).astype(float)
    t = calibration(p, y); parts = brier_parts(p, y)
    assert parts['miscalibration'] == pytest.approx((t.n*(t.p_mean - t.freq)**2).sum()/200)
    assert parts['discrimination'] == pytest.approx((t.n*(t.freq - y.mean())**2).sum()/200)

@given(q=st.tuples(CHANGE, CHANGE, CHANGE), y=CHANGE)
def test_slots_are_the_ones_that_hold_the_outcome(q, y):
    lo, mid, hi = sorted(q); below, upto = quantile_slots([lo, mid, hi], LEVELS, y)
    inside = [(0, .1, -math.inf, lo), (.1, .5, lo, mid), (.5, .9, mid, hi), (.9, 1, hi, math.inf)]
    touched = [(a, b) for a, b, l, h in inside if l <= y <= h]
    assert (below, upto) == (touched[0][0], touched[-1][1])
    assert below <= pit(below, upto) <= upto

@given(weights=st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any))
def test_pit_is_uniform_for_any_discrete_truth(weights):
    "Each value as often as it should come, each slot filled evenly: every bin of the histogram gets its tenth."
    n = 400; F = np.cumsum(weights)/sum(weights); below, u = np.r_[0, F[:-1]], (np.arange(n) + .5)/n
    levels = np.concatenate([b + u*(f - b) for b, f in zip(below, F)]); mass = np.repeat((F - below)/n, n)
    share = np.histogram(levels, 10, (0, 1), weights=mass)[0]
    assert share == pytest.approx(np.full(10, .1), abs=.01)
    drawn = np.random.default_rng(0).choice(len(F), 4000, p=F - below)
    assert stats.kstest(pit(below[drawn], F[drawn], seed=1), 'uniform').pvalue > 1e-4

def test_pit_of_counts_forecast_by_quantiles():
    "Ties are frequent when counts are forecast by whole-number quantiles, and the histogram stays near flat only because they are drawn."
    y = np.random.default_rng(3).poisson(40, 20_000); table = pit_table(pit(*quantile_slots(stats.poisson.ppf(LEVELS, 40), LEVELS, y)))
    assert (table.share - .1).abs().max() < .02

# --- how sure

@given(d=st.lists(st.integers(-1000, 1000).map(lambda x: x/100), min_size=3, max_size=60).map(np.array), h=st.integers(1, 8))
def test_diebold_mariano(d, h):
    stat, p = diebold_mariano(d, h); n = len(d)
    if math.isnan(stat): return
    assert 0 <= p <= 1
    other, q = diebold_mariano(-d, h); assert (other, q) == pytest.approx((-stat, p))
    scaled = diebold_mariano(d*1024, h); assert scaled == pytest.approx((stat, p))
    e = d - d.mean(); total = sum(e[i]*e[j] for i in range(n) for j in range(n) if abs(i - j) < h)/n**2
    if total > 1e-9 and d.std() > 1e-6: assert stat == pytest.approx(d.mean()/math.sqrt(total)*math.sqrt((n + 1 - 2*h + h*(h - 1)/n)/n), abs=1e-6, rel=1e-6)

@pytest.mark.parametrize('h', [1, 2, 7])
def test_diebold_mariano_agrees_with_statsmodels(h):
    sm = pytest.importorskip('statsmodels.api', reason='statsmodels is not installed: the notebook holds its figures for one series')
    d = np.convolve(np.random.default_rng(21).standard_normal(206), np.ones(7), 'valid')/7 + .1; n = len(d)
    t = sm.OLS(d, np.ones(n)).fit(cov_type='HAC', cov_kwds=dict(maxlags=h - 1, kernel='uniform', use_correction=False)).tvalues[0]
    assert diebold_mariano(d, h)[0] == pytest.approx(t*math.sqrt((n + 1 - 2*h + h*(h - 1)/n)/n), rel=1e-9)

@pytest.mark.parametrize('n', [60, 120, 333])
def test_block_bootstrap_agrees_with_arch(n):
    boot = pytest.importorskip('arch.bootstrap', reason='arch is not installed: the notebook holds its figures for one series')
    from cortex.scores import overlap_stretch, tail_share
    x = np.convolve(np.random.default_rng(n).gamma(2, .1, n), np.ones(7), 'same'); L = block_length(days(n)); tail = tail_share(n/L, .95, overlap_stretch(7, L))
    means = boot.CircularBlockBootstrap(L, x, seed=0).apply(np.mean, 4000)[:, 0]
    assert block_bootstrap_ci(x, days(n), n=4000) == pytest.approx(np.quantile(means, [tail, 1 - tail]), abs=.05*means.std())

@given(seed=st.integers(0, 99), shift=CHANGE, unit=st.sampled_from([.5, 4.]))
def test_bootstrap_follows_units_and_ignores_order(seed, shift, unit):
    rng = np.random.default_rng(seed); x, when = rng.normal(size=90), np.repeat(days(30, '7D'), 3); order = rng.permutation(90)
    lo, hi = block_bootstrap_ci(x, when, n=200)
    assert lo <= hi and block_bootstrap_ci(x[order], when[order], n=200) == pytest.approx((lo, hi))
    assert block_bootstrap_ci(x*unit + shift, when, n=200) == pytest.approx((lo*unit + shift, hi*unit + shift))
    assert block_bootstrap_ci(np.r_[x, np.nan], np.r_[when, when[:1]], n=200) == (lo, hi)
    wide = block_bootstrap_ci(x, when, n=200, level=.99); assert wide[0] <= lo and hi <= wide[1]

@given(D=st.integers(2, 400), every=st.sampled_from([1, 7, 30]), horizon=st.sampled_from([1, 7, 30]))
def test_blocks_cover_the_horizon(D, every, horizon):
    L = block_length(days(D, f'{every}D'), horizon)
    assert L*every >= min(horizon, every*L) and L >= math.ceil(horizon/every) and L >= round(D**(1/3))

def test_date_means_are_what_pandas_says():
    rng = np.random.default_rng(0); x = rng.normal(size=300); x[::7] = np.nan; when = rng.choice(days(40), 300)
    means, steps = date_means(x, when, 7)
    assert steps == 7 and means == pytest.approx(pd.Series(x).groupby(when).mean().dropna().to_numpy())

@given(seed=st.integers(0, 30), edge=st.sampled_from([0., .3, -.3]))
def test_skill_tables_read_the_same_from_both_sides(seed, edge):
    rng = np.random.default_rng(seed); when = np.repeat(days(40, '7D'), 3)
    losses = pd.DataFrame(dict(naive=rng.gamma(9, .1, 120))); losses['mine'] = losses.naive - edge + rng.normal(0, .05, 120)
    a, b = skill_table(losses, 'naive', when, n=300).loc['mine'], skill_table(losses, 'mine', when, n=300).loc['naive']
    assert a.skill == pytest.approx(skill(losses.mine, losses.naive)) and a.dm == pytest.approx(-b.dm) and a.p == pytest.approx(b.p) and a.n == 120
    assert (1 - a.skill)*(1 - b.skill) == pytest.approx(1)
    assert (a.verdict, b.verdict) in {('better', 'worse'), ('worse', 'better'), ('no edge found', 'no edge found')}
    if edge: assert a.verdict == ('better' if edge > 0 else 'worse')

def test_nobody_beats_himself():
    losses = pd.DataFrame(dict(a=np.arange(40.), b=np.arange(40.))); row = skill_table(losses, 'a', days(40, '7D')).loc['b']
    assert (row.skill, row.dm, row.p, row.verdict) == (0, 0, 1, 'no edge found')
    assert verdict(estimate(np.zeros(3), days(3))) == 'not comparable'

def test_coverage_of_a_known_law():
    y = np.random.default_rng(5).standard_t(4, 50_000); lo, hi = stats.t.ppf([.1, .9], 4)
    assert abs(coverage(np.full(len(y), lo), np.full(len(y), hi), y) - .8) < 4*math.sqrt(.16/50_000)
