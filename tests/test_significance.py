"The tests keep the error rates that they promise, the intervals their coverage, and the small formulas agree with second sources."
import math, os
import numpy as np, pandas as pd, pytest
from hypothesis import given, settings, strategies as st
from cortex.artifacts import CortexError
from cortex.scores import block_bootstrap_ci, diebold_mariano, estimate, hac_t, overlap_stretch, wilson_ci
from cortex.significance import (bootstrap_coverage, difference_test, direction_hits, dm_lag, dm_size, holm, LONG, mase, mase_scale, overlapping_nulls, resample_dates)

SLOW = pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='minutes of simulation: set CORTEX_SLOW=1')
days = lambda n, freq='D': pd.date_range('2024-01-01', periods=n, freq=freq).to_numpy()
P = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.array)

@settings(max_examples=60, deadline=None, derandomize=True)
@given(p=P)
def test_holm(p):
    "Adjusted values never shrink, keep the order, ignore what was not tested, and reject exactly what the step-down procedure rejects."
    out = holm(p); assert (out >= p).all() and (out <= 1).all() and (np.diff(out[np.argsort(p, kind='stable')]) >= 0).all()
    assert holm(np.r_[np.nan, p, np.nan])[1:-1] == pytest.approx(out)
    rejected, m = np.zeros(len(p), bool), len(p)
    for k, i in enumerate(np.argsort(p, kind='stable')):
        if p[i]*(m - k) > .05: break
        rejected[i] = True
    assert ((out <= .05) == rejected).all()

def test_holm_agrees_with_statsmodels():
    multi = pytest.importorskip('statsmodels.stats.multitest', reason='statsmodels is not installed')
    for seed in range(20):
        p = np.random.default_rng(seed).uniform(0, .2, 25)
        assert holm(p) == pytest.approx(multi.multipletests(p, method='holm')[1])

def test_wilson_agrees_with_statsmodels():
    prop = pytest.importorskip('statsmodels.stats.proportion', reason='statsmodels is not installed')
    for k, n in ((0, 7), (3, 9), (250, 400)): assert wilson_ci(k, n) == pytest.approx(prop.proportion_confint(k, n, method='wilson'))

def test_scores_agree_with_scikit_learn():
    skl = pytest.importorskip('sklearn.metrics', reason='scikit-learn is not installed')
    from cortex.scores import brier, log_score, pinball
    rng = np.random.default_rng(0); y, p, q, x = rng.integers(0, 2, 200), rng.uniform(.01, .99, 200), rng.normal(size=200), rng.normal(size=200)
    assert brier(p, y).mean() == pytest.approx(skl.brier_score_loss(y, p)) and log_score(p, y).mean() == pytest.approx(skl.log_loss(y, p))
    assert pinball(q, .1, x).mean() == pytest.approx(skl.mean_pinball_loss(x, q, alpha=.1)) and np.abs(q - x).mean() == pytest.approx(skl.mean_absolute_error(x, q))
    assert direction_hits(p, y).mean() == pytest.approx(skl.accuracy_score(y, p > .5))

@pytest.mark.parametrize('lag', [0, 6, 12])
def test_t_values_agree_with_statsmodels(lag):
    sm = pytest.importorskip('statsmodels.api', reason='statsmodels is not installed')
    d = overlapping_nulls(300, 7, 1, np.random.default_rng(lag))[0]; n, m = 300, lag + 1
    t = sm.OLS(d, np.ones(n)).fit(cov_type='HAC', cov_kwds=dict(maxlags=lag, kernel='uniform', use_correction=False)).tvalues[0]
    assert float(hac_t(d, lag)) == pytest.approx(t*math.sqrt((n + 1 - 2*m + m*lag/n)/n), rel=1e-9)

def test_mase_is_its_definition():
    rng = np.random.default_rng(3); y, f = rng.normal(size=400), rng.normal(size=400)
    for h in (1, 7):
        scale = mase_scale(y, h); by_hand = np.array([np.abs(y[:i - h + 1]).mean() if i - h + 1 >= 30 else np.nan for i in range(400)])
        assert scale == pytest.approx(by_hand, nan_ok=True)
        assert mase(f - y, scale) == pytest.approx(np.nanmean(np.abs(f - y)/by_hand))
    assert mase(y, np.abs(y).mean()) == pytest.approx(1) and math.isnan(mase([], []))

@pytest.mark.parametrize('horizon,freq,per_day', [(1, 'D', 1), (7, 'D', 3), (30, 'D', 2), (7, '7D', 4)])
def test_one_resampling_is_the_bootstrap_of_each_column(horizon, freq, per_day):
    rng = np.random.default_rng(horizon); when = np.repeat(days(300, freq), per_day); x = rng.gamma(2, 1, (len(when), 4))
    r = resample_dates(x, when, horizon, 300, seed=5)
    for k in range(4):
        e = r.estimate(lambda m: m[..., k]); assert (e.lo, e.hi) == pytest.approx(block_bootstrap_ci(x[:, k], when, 300, 5, horizon=horizon)) and e.value == pytest.approx(x[:, k].mean())
    one, e = estimate(x[:, :2], when, lambda a, b: a/b, n=300, seed=5, horizon=horizon), r.estimate(lambda m: m[..., 0]/m[..., 1])
    assert (e.value, e.lo, e.hi, e.n, e.dates) == pytest.approx((one.value, one.lo, one.hi, one.n, one.dates))
    order = rng.permutation(len(x)); again = resample_dates(x[order], when[order], horizon, 300, seed=5); assert again.draws == pytest.approx(r.draws)

def test_p_values_of_nothing_are_uniform_enough():
    "250 weekly dates, no difference: the bootstrap's 5% test rejects about 5%, and never what its own interval holds comfortably."
    rng, p = np.random.default_rng(0), []
    for i in range(300): p.append(resample_dates(rng.normal(size=(250, 1)), days(250, '7D'), 7, 300, i).p_value(lambda m: m[..., 0]))
    assert .02 < np.mean(np.array(p) < .05) < .09 and .4 < np.median(p) < .6

def test_nulls_have_the_covariance_of_overlapping_outcomes():
    x = overlapping_nulls(60, 7, 20_000, np.random.default_rng(1))
    for k in (0, 3, 7): assert (x[:, 20]*x[:, 20 + k]).mean() == pytest.approx(max(0, 7 - k), abs=.2)

def test_which_test_decides():
    d = overlapping_nulls(LONG, 7, 1, np.random.default_rng(2))[0]
    assert difference_test(d, 7, .5) == dict(p=diebold_mariano(d, 7, dm_lag(LONG, 7))[1], test='DM', dm_p=diebold_mariano(d, 7, dm_lag(LONG, 7))[1])
    assert difference_test(d[1:], 7, .5)['p'] == .5 and difference_test(np.full(2000, .1), 1, .5)['test'] == 'bootstrap'
    assert math.isnan(difference_test(d[:30], 7, math.nan)['dm_p'])

def test_bad_input():
    for fn, told in ((lambda: holm([1.2]), 'p values run from 1.2'), (lambda: resample_dates(np.full((3, 1), np.nan), days(3)), 'row 0 has a missing value'), (lambda: mase_scale([1.], 0), 'horizon=0')):
        with pytest.raises(CortexError, match=told): fn()
    assert math.isnan(dm_size(50, 7, 10)) and math.isnan(bootstrap_coverage(60, 30, 10)) and overlap_stretch(1, 1) == 1

def test_error_rates_roughly():
    "The slow tests below with fewer draws."
    for h in (1, 30): assert abs(dm_size(1000, h, 1500, seed=1) - .05) < .02
    assert abs(bootstrap_coverage(500, 7, 600, 300, seed=1) - .95) < .035

@SLOW
@pytest.mark.parametrize('n', [1000, 2000])
@pytest.mark.parametrize('h', [1, 2, 7, 14, 30])
def test_size_of_diebold_mariano(n, h):
    "5% within one point, with 10,000 draws, for both choices of the lag."
    for lag in (h - 1, None):
        size = dm_size(n, h, 10_000, seed=n + h, lag=lag); print(f'n={n} h={h} lag={"h-1" if lag is not None else dm_lag(n, h)}: {size:.2%}')
        assert abs(size - .05) <= .01

@SLOW
@pytest.mark.parametrize('dates', [500, 1000])
@pytest.mark.parametrize('horizon', [1, 7, 30])
def test_coverage_of_the_bootstrap(dates, horizon):
    "95% within two points, from 500 dates."
    held = bootstrap_coverage(dates, horizon, 4000, 1000, seed=dates + horizon); print(f'{dates} dates, {horizon} days: {held:.2%}')
    assert abs(held - .95) <= .02
