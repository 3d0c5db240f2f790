"Forecasters see only what was known, answer the same cases, and are scored as a reply in training is; what is missing costs."
import math, os
import numpy as np, pandas as pd, pytest
from cortex.artifacts import CortexError
from cortex.cases import make_cases
from cortex.features import TARGETS, add_features
from cortex.forecasts import (BINS, CUTOFFS, FIGURES, LOSSES, MODELS, SYSTEMS, WORST_ERROR, Z80, add_replies, bench_market, case_rows, correlation_walk, figure_columns, figure_of, group_lines, impulse_response,
    advance, knowledge_cutoff, knowledge_windows, main_lines, model_forecasts, new_model, path_covariance, path_figures, quietly, refit_days, score_rows, section_of, slice_lines, small_samples, walk_forward)
from cortex.replies import Forecast
from cortex.scores import LEVELS, fit_baselines, forecast_baseline, forecast_scores
from cortex.sections import Section
from cortex.sources import simulate_market
from cortex.tasks import make_task
from cortex.teachers import rival_forecasts

REAL = os.environ.get('CORTEX_REAL_DATA')

@pytest.fixture(scope='module')
def market(): return simulate_market(['bitcoin', 'near', 'solana'], '2021-06-01', '2023-06-30', seed=3)[['chain', 'date', 'price_usd', 'tx_count', 'tvl_usd']]

@pytest.fixture(scope='module')
def rows(market): return walk_forward(market, ('tx_count', 'tvl_usd'), (1, 7), every=7, models=())

def test_rivals_are_those_of_the_teacher(market, rows):
    "The forecasters that `rival_forecasts` makes one case at a time; climatology, which learns monthly here, is held against `fit_baselines` in the notebook."
    from cortex.teachers import four_week_change
    frame = add_features(market, (1, 7)); frame = frame.assign(**{f'tx_count_four_weeks_{h}d': four_week_change(frame, 'tx_count', h) for h in (1, 7)})
    for h in (1, 7):
        cases = make_cases(frame, h, every=7, targets=('tx_count',), start='2022-12-01')
        train = [c for c in make_cases(frame, h, every=7, targets=('tx_count',)) if c.outcome.closes <= '2022-12-01']
        params = fit_baselines(train, 'tx_count'); mine = rows[(rows.target == 'tx_count') & (rows.horizon == h)].set_index(['system', 'chain', 'date'])
        for c in cases[:40:3]:
            said = rival_forecasts(c, 'tx_count', params); at = c.snapshot.chain, pd.Timestamp(c.snapshot.asof)
            for name in ('rules', 'persistence', 'seasonal naive'):
                r, f = mine.loc[(name, *at)], said[name]
                assert [r[k] for k in FIGURES] == pytest.approx([f.p_up, f.lo, f.median, f.hi], abs=1e-9), (name, at)
                assert r.change == pytest.approx(c.outcome.changes['tx_count'])

def test_everybody_answers_the_same_cases_and_only_known_ones(rows):
    assert rows.notna().all().all() and set(rows.system) == set(SYSTEMS) - set(MODELS)
    key = ['target', 'horizon', 'chain', 'date']
    assert (rows.groupby(key).size() == rows.system.nunique()).all()
    assert (rows.lo <= rows['median']).all() and (rows['median'] <= rows.hi).all() and rows.p_up.between(0, 1).all()

def test_no_forecast_moves_when_the_future_does(market):
    pytest.importorskip('statsforecast')
    cut = pd.Timestamp('2023-03-05'); later = market.copy(); later.loc[later.date > cut, ['tx_count', 'tvl_usd', 'price_usd']] *= 4
    a, b = (walk_forward(m, ('tx_count', 'tvl_usd'), (7,), every=7, models=('AutoETS',)) for m in (market, later)); a, b = (d[d.date <= cut].reset_index(drop=True) for d in (a, b))
    pd.testing.assert_frame_equal(a[['system', 'chain', 'date', *FIGURES, 'sigma', 'scale']], b[['system', 'chain', 'date', *FIGURES, 'sigma', 'scale']])
    assert not np.allclose(a.change, b.change)   # the outcome of the last days did move

def test_a_planted_leak_is_seen(market):
    "The walk of tomorrow's data: a forecaster who knows the outcome wins by far, so the scores would show it."
    rows = walk_forward(market, ('tx_count',), (7,), every=7, models=())
    cheat = rows[rows.system == 'persistence'].assign(p_up=lambda d: (d.change > 0).astype(float), lo=lambda d: d.change, median=lambda d: d.change, hi=lambda d: d.change)
    mine = score_rows(add_replies(rows, cheat, 'oracle')); assert mine[mine.system == 'oracle'][list(LOSSES)].max().max() < 1e-9
    t = main_lines(mine, 200); t = t[(t.system == 'oracle') & (t.metric == 'crps')]; assert (t.p_holm < .01).all() and (t.skill > .99).all()

@pytest.mark.parametrize('h', [1, 7])
def test_scores_are_those_of_training(rows, h):
    rng, some = np.random.default_rng(h), rows[(rows.horizon == h)].sample(60, random_state=h)
    some = some.assign(p_up=rng.uniform(0, 1, 60), lo=some.lo*rng.uniform(0, 9, 60), hi=some.hi*rng.uniform(0, 9, 60))
    some.iloc[:5, some.columns.get_loc('p_up')] = [np.nan, 1.5, -.1, .5, .5]; some.iloc[3:5, some.columns.get_loc('hi')] = [np.inf, np.nan]
    for r in score_rows(some).itertuples():
        want = forecast_scores(Forecast(r.target, h, r.p_up, r.median, r.lo, r.hi), r.change, r.sigma)
        assert (r.brier, r.crps, r.interval, bool(r.coverage)) == pytest.approx((want['brier'], want['crps'], want['interval'], want['covered']))
    assert score_rows(some).missing.sum() == 5

def test_crps_and_interval_agree_with_scoringrules(rows):
    sr = pytest.importorskip('scoringrules'); s = score_rows(rows[(rows.change.abs() < 2*rows.sigma) & (rows[['lo', 'hi']].abs().max(axis=1) < 4*rows.sigma)])
    assert s.crps.to_numpy() == pytest.approx(sr.crps_quantile(s.change.to_numpy(), s[['lo', 'median', 'hi']].to_numpy(), np.array(LEVELS))/s.sigma.to_numpy())
    assert s.interval.to_numpy() == pytest.approx(sr.interval_score(s.change.to_numpy(), s.lo.to_numpy(), s.hi.to_numpy(), .2)/s.sigma.to_numpy())
    assert s.brier.to_numpy() == pytest.approx(sr.brier_score((s.change > 0).astype(float).to_numpy(), s.p_up.to_numpy())*1., abs=.26)   # ties apart
    moved = s[s.change != 0]; assert moved.brier.to_numpy() == pytest.approx(sr.brier_score((moved.change > 0).astype(float).to_numpy(), moved.p_up.to_numpy()))

# --- the statistical models

def log_series(n=420, seed=0):
    r = np.random.default_rng(seed); return 12 + np.cumsum(r.normal(0, .02, n)) + .1*np.sin(2*np.pi*np.arange(n)/7) + r.normal(0, .02, n)

@pytest.mark.parametrize('name,season', [('AutoETS', 7), ('AutoARIMA', 1)])
def test_a_walked_path_is_what_the_library_forecasts_from_the_whole_series(name, season):
    pytest.importorskip('statsforecast'); y = log_series()
    m = quietly(new_model(name, season).fit, y[:380]); path, response = impulse_response(m, y[:380], 70); assert response[0] == 1
    for x in y[380:]: path = advance(path, response, x)
    assert path == pytest.approx(quietly(m.forward, y, h=30)['mean'], abs=1e-4)
    C, own = path_covariance(m, response, 30), quietly(m.forward, y, h=30, level=[80])
    assert np.sqrt(np.diag(C))*Z80 == pytest.approx(own['hi-80'] - own['mean'], rel=.02)

def test_models_look_back_only_refit_seldom_and_bridge_gaps(monkeypatch):
    pytest.importorskip('statsforecast'); import cortex.forecasts as f
    made = []; monkeypatch.setattr(f, 'new_model', lambda *a: made.append(a) or new_model(*a))
    x = pd.Series(np.exp(log_series(1500)), pd.date_range('2019-01-01', periods=1500)); days = x.index[300::5].to_numpy()
    a = model_forecasts(x, days, (1, 30), 'flow', ('AutoETS',)); assert len(made) == 4 == len(refit_days(days)) and len(a) == 2*len(days)
    y = x.copy(); y.iloc[1000:] *= 2; b = model_forecasts(y, days, (1, 30), 'flow', ('AutoETS',)); early = a.date < x.index[1000]
    pd.testing.assert_frame_equal(a[early], b[early]); assert not np.allclose(a[~early]['median'], b[~early]['median'])
    y = x.copy(); y.iloc[700:704] = np.nan; y.iloc[900:920] = np.nan; c = model_forecasts(y, days, (1,), 'level', ('AutoETS',))
    there = set(c.date); assert x.index[705] in there and not any(x.index[i] in there for i in range(900, 1000, 5)) and x.index[1100] in there
    z = x.copy(); z.iloc[650] = 0; assert np.isfinite(model_forecasts(z, days[:80], (7,), 'flow', ('AutoETS',))[FIGURES]).all().all()

def test_path_figures_by_simulation():
    rng = np.random.default_rng(0); A = rng.normal(size=(7, 7))*.03; C, path = A @ A.T, 3 + np.linspace(0, .1, 7)
    days = np.exp(rng.multivariate_normal(path, C, 200_000))
    for kind, after in (('flow', days.mean(1)), ('level', days[:, 6])):
        assert path_figures(path, C, math.exp(3.02), 7, kind) == pytest.approx([(after > math.exp(3.02)).mean(), *np.quantile(after/math.exp(3.02) - 1, LEVELS)], abs=.004)
    assert path_figures(path, 0*C, math.exp(3), 7, 'level')[0] == .98

# --- bad input

def test_missing_replies_are_the_worst_and_are_counted(market, rows):
    asked = rows[rows.system == 'rules']; told = asked.iloc[::4]; s = score_rows(add_replies(rows, told, 'm', asked)); mine = s[s.system == 'm']
    lost = mine[mine.missing]; assert len(mine) == len(asked) and len(lost) == len(asked) - len(told) and (lost.crps == 8).all() and (lost.accuracy == 0).all() and (lost.brier == 1).all()
    assert lost.mae.to_numpy() == pytest.approx(WORST_ERROR*lost.sigma.to_numpy()) and s[s.system != 'm'].missing.sum() == 0
    assert section_of(rows, market, 'simulated', {}, None, 50, 0, 7, 'x').settings['left_out'] == rows.attrs['left_out'] > 0
    section = section_of(rows, market, 'simulated', {'m': (told, asked)}, None, 200, 0, 7, 'cortex bench forecasts')
    assert any('m: ' in w and f'{len(lost)} of {len(asked)} asked cases' in w for w in section.words) and Section.from_json(section.to_json()) == section
    t = section.table; t = t[(t.system == 'm') & (t.metric == 'crps')]; assert len(t) == 4*5 and (t['diff'] > 0).all()
    none = score_rows(add_replies(rows, told.head(0), 'm', asked)); assert none[none.system == 'm'].missing.all()

def test_silence_never_improves_calibration(rows):
    "Whoever says 55% before nothing but rises is off by 45 points; keeping silent in half of the cases is worse, not a way to cancel the rest."
    d = rows[(rows.system == 'drift') & (rows.horizon == 7) & (rows.target == 'tx_count')].assign(change=.1); off = []
    for silent in (0, 2):
        columns, _, at = figure_columns(score_rows(d.assign(p_up=np.where(np.arange(len(d)) % 2 < silent/2, np.nan, .55)))); off.append(figure_of(at, 'drift', 'ece')(columns.mean(0)))
    assert off[0] == pytest.approx(.45) and off[1] == pytest.approx((.45 + 1)/2, abs=.01)

def test_questions_that_nobody_else_answered_are_counted(market, rows):
    asked = rows[rows.system == 'rules']; early = asked.head(5).assign(date=asked.date.head(5) - pd.Timedelta(700, 'D')); both = pd.concat([asked, early])
    assert add_replies(rows, asked.assign(horizon=asked.horizon.astype(str)), 'm', both).attrs['unknown'] == 5
    words = section_of(rows, market, 'simulated', {'m': (asked, both)}, None, 50, 0, 7, 'x').words
    assert any(w.startswith('m: 5 more cases were asked') for w in words) and any('no model was named' in w for w in words)
    assert not any('nan' in w for w in section_of(rows, market, 'simulated', {'m': asked.head(1)}, 'rules', 50, 0, 7, 'x').words)

def test_measured_size_is_for_the_overlap_of_the_cuts(rows):
    "Weekly cuts of a 7-day question do not overlap; daily ones overlap six times."
    from cortex.significance import dm_size
    t = pd.DataFrame(dict(dates=[80, 2000], horizon=[7, 7]))
    weekly, daily = small_samples(t, 7), small_samples(t, 1); assert len(weekly) == 1 and (weekly.steps[0], daily.steps[0]) == (1, 7)
    assert weekly.dm_size[0] == pytest.approx(dm_size(80, 1, 2000)) and daily.dm_size[0] == pytest.approx(dm_size(80, 7, 2000))

def test_one_case_equal_outcomes_and_holes(market, rows):
    s = score_rows(rows); near = s[(s.chain == 'near') & (s.horizon == 7) & (s.target == 'tx_count')]; one = near[near.date == near.date.max()]
    t = main_lines(one, 100); assert len(t) and (t.left_out == 'no interval from 1 dates').all() and t.value.notna().all() and t.p_holm.isna().all()
    flat = score_rows(rows[(rows.horizon == 7) & (rows.target == 'tx_count')].assign(change=.02)); f = main_lines(flat, 100)
    assert f.value.notna().all() and set(f[f.metric == 'accuracy'].value) <= {0., .5, 1.} or f[f.metric == 'accuracy'].value.between(0, 1).all()
    still = score_rows(rows[(rows.horizon == 7) & (rows.target == 'tx_count')].assign(change=0.)); assert (still[still.system == 'persistence'].mae == 0).all() and main_lines(still, 100).value.notna().all()
    holed = market.copy(); holed.loc[(holed.chain == 'solana') & (holed.date > '2022-09-01'), 'price_usd'] = np.nan
    w = walk_forward(holed, ('price_usd',), (7,), every=7, models=()); assert w.notna().all().all() and w[w.chain == 'solana'].date.max() < pd.Timestamp('2022-09-01')
    gone = market.assign(price_usd=np.nan); assert set(walk_forward(gone, None, (7,), every=7, models=()).target) == {'tx_count', 'tvl_usd'}

def test_errors_say_what_and_where(market, rows):
    told = rows[rows.system == 'rules'].head(3)
    for fn, word in ((lambda: walk_forward(market, ('tps',)), "'tps' is not a target"), (lambda: walk_forward(market, ('fees_usd',)), 'the market has no fees_usd'), (lambda: walk_forward(market, horizons=(1.5,)), 'horizons'), (lambda: walk_forward(market, every=0), 'every=0'), (lambda: walk_forward(market, since='soon'), "since 'soon' is no day"),
                     (lambda: bench_market(market), 'no source'), (lambda: bench_market(market, 'simulated', model='gpt-9'), 'no knowledge cutoff'), (lambda: knowledge_windows(rows, 'soon'), "'soon' is no day"),
                     (lambda: add_replies(rows, told, 'drift'), "system='drift'"), (lambda: score_rows(rows.head(2).assign(sigma=0.)), 'row 0 has no outcome or no volatility'), (lambda: knowledge_cutoff('x'), 'no knowledge cutoff'),
                     (lambda: correlation_walk(market, 7, 'xrp'), 'the market has no xrp'), (lambda: new_model('Theta', 7), "no model is called 'Theta'")):
        with pytest.raises(CortexError, match=word): fn()

# --- the tables

def test_before_and_after_the_cutoff(rows):
    day = '2023-03-01'; w = knowledge_windows(rows, day); closes = rows.date + pd.to_timedelta(rows.horizon, 'D')
    assert (closes[w == f'before {day}'] <= day).all() and (rows.date[w == f'after {day}'] > day).all() and ((rows.date <= day) & (closes > day))[w == ''].all()
    assert all(k in ('rules',) or pd.Timestamp(d).year >= 2023 for k, (d, _) in CUTOFFS.items()) and knowledge_cutoff('deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B')[0] == '2025-01-20'

def test_tables_pay_for_their_size(rows):
    s = score_rows(rows); t = main_lines(s, 200); made = t.p.notna(); assert made.sum() > 100 and (t.p_holm[made] >= t.p[made]).all()
    assert t.p_holm.min() == pytest.approx(min(1, t.p.min()*made.sum()))
    c = slice_lines(s, 'chain', 100); assert set(c.against) == {'persistence', 'seasonal naive'} and set(c.system) == {'rules'}
    assert set(t[t.against == 'seasonal naive'].system) == {'rules'}

def test_calibration_error_with_interval(rows):
    from cortex.scores import calibration, ece, went_up
    g = score_rows(rows[(rows.target == 'tx_count') & (rows.horizon == 7)]); line, = group_lines(g, [(('drift', ''), ('ece',))], {}, 7, 300); d = g[g.system == 'drift']
    assert line['value'] == pytest.approx(ece(calibration(d.p_up, went_up(d.change), BINS))) and line['lo'] <= line['hi']

def test_quick_benchmark():
    pytest.importorskip('statsforecast'); s = bench_market(quick=True); assert s.data['simulated'] and {'AutoETS', 'rules', 'drift'} <= set(s.table.system) and len(s.figures) == 2
    assert set(s.table.metric) == {'accuracy', 'coverage', 'ece', *LOSSES} and s.words[0].startswith('rules against persistence') and len(s.scores)

@pytest.mark.skipif(not REAL or not os.environ.get('CORTEX_SLOW'), reason='minutes: set CORTEX_REAL_DATA and CORTEX_SLOW')
def test_real_market():
    from cortex.sources import load_market
    market, meta = load_market(REAL); s = bench_market(market, meta, ('tx_count', 'active_addresses'), workers=2, command='cortex bench forecasts --data DIR')
    print(*s.words, sep='\n'); t = s.table[(s.table.system == 'rules') & (s.table.metric == 'crps')]
    assert not (t[(t.against == 'persistence')].diff_lo > 0).any()
