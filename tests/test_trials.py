"Simulated worlds are those of the simulator, planted edges have the size they claim, and the judge finds them at the promised rates."
import os
import numpy as np, pandas as pd, pytest
from cortex.artifacts import CortexError
from cortex.backtest import EDGE_LEVEL, Costs, edge_test, simulate_portfolio
from cortex.sources import CALIBRATION, market_factor, regime_path, simulate_price
from cortex.trials import (BASES, COINS, EVERY, LAG, PILOT, WARM, bench_trials, calibrate_lean, judge_worlds, plant, price_worlds, regime_worlds, run_families, run_trials,
    score_worlds, trial_words, walk_worlds, world_returns)

def test_worlds_are_those_of_the_simulator():
    logs = price_worlds(700, [0, 11]); test = regime_worlds(700, [0, 11])
    for w, seed in enumerate((0, 11)):
        assert test[:, w].tolist() == regime_path(700, seed).tolist()
        for c in ('bitcoin', 'solana', 'arbitrum'): np.testing.assert_allclose(np.exp(logs[:, w, COINS.index(c)]), simulate_price(c, market_factor(700, seed), seed)[0], rtol=1e-8)

def test_walks_are_those_of_the_backtest():
    "Strategy, equal weight, momentum and hold, in two worlds."
    n = 300; logs = price_worlds(n, [3, 4]); s = score_worlds(np.random.default_rng(0), n, (2, len(COINS))); got = walk_worlds(logs[:, None], s[WARM::EVERY, None], Costs(fee=.002))
    days = pd.date_range('2018-01-01', periods=n)
    for w in range(2):
        p = pd.DataFrame(np.exp(logs[:, w]), days, COINS); past = p/p.shift(28)
        for name, x in (('strategy', pd.DataFrame((1 + s[:, w])/12, days, COINS)), ('equal weight', p*0 + 1/12), ('momentum', (past.rank(axis=1) > 7)/5.)):
            np.testing.assert_allclose(got[name][:, 0, w], simulate_portfolio(p, x.iloc[WARM::EVERY].iloc[:-1 if (n - 1 - WARM) % EVERY == 0 else None], Costs(fee=.002)).returns, atol=1e-10)
        np.testing.assert_allclose(got['hold'][:, 0, w], simulate_portfolio(p, pd.DataFrame(1/12, days[[WARM]], COINS), Costs(fee=.002)).returns, atol=1e-10)

def test_a_planted_edge_moves_only_what_a_decision_can_earn():
    logs = np.zeros((100, 1, 4)); s = np.zeros((100, 1, 4)); s[40, 0] = [1, .3, -.3, -1]
    moved = np.diff(plant(logs, s, [.1], np.array([.01, .02, .03, .04]))[:, 0, 0], axis=0)
    assert moved.nonzero()[0].tolist() == [40 + LAG - 1]*4   # the return from the close of 41 to that of 42: decided at 40, traded at 41
    np.testing.assert_allclose(moved[40 + LAG - 1], [.001, .0006, -.0009, -.004])

def test_scores_are_balanced_fade_and_repeat():
    s = score_worlds(np.random.default_rng(1), 3000, (12,)); np.testing.assert_allclose(s.sum(-1), 0, atol=1e-12)
    assert np.corrcoef(s[:-14].ravel(), s[14:].ravel())[0, 1] == pytest.approx(.5, abs=.07) and np.abs(s.mean(0)).max() < .2
    a, b = (world_returns([5], [0.], 1.)['strategy'] for _ in range(2)); assert (a == b).all()

def test_the_planted_size_is_the_size_claimed():
    "Calibrated in pilot worlds, measured in others."
    lean = calibrate_lean((0., 2.), years=4, worlds=10); found = judge_worlds(world_returns(list(range(100, 116)), lean, 4))['appraisal'].mean(1)
    assert PILOT > 10**5 and abs(found[0]) < .5 and abs(found[1] - 2) < .5

def test_the_rule_holds_its_level_and_has_its_power_where_theory_knows_both():
    "Eight years of independent days: power of a one-sided 4% test at a ratio of 1 is Phi(sqrt(8) - 1.751) = 0.859."
    rng = np.random.default_rng(0); T, n = 2920, 500; null, power = [], []
    for _ in range(2):
        b = .03*rng.standard_t(5, (T, n)); e = .006*rng.standard_t(6, (T, n))*np.sqrt(4/6)
        null.append(edge_test(b + e, b)['p'] < EDGE_LEVEL); power.append(edge_test(.8*b + e + .006/365**.5, b)['p'] < EDGE_LEVEL)
    assert np.mean(null) == pytest.approx(.04, abs=.02) and np.mean(power) == pytest.approx(.859, abs=.04)

def test_a_trial_tells_noise_from_a_large_edge_and_says_so():
    t = run_trials(16, (0., 4.), years=3, batch=6); assert t.groupby('planted').size().to_dict() == {'none': 16, '0.0': 16, '4.0': 16}
    assert t[t.planted == '4.0'].found.mean() > .9 and t[t.planted != '4.0'].found.mean() < .25
    pd.testing.assert_frame_equal(t, run_trials(16, (0., 4.), years=3, batch=16))   # batches change nothing
    assert 'NOT as promised' in trial_words(t.assign(found=True), 3)[0]
    with pytest.raises(CortexError, match='0 worlds'): run_trials(0)

def test_no_worlds_no_tries_and_no_years_are_refused():
    for call, why in ((lambda: run_trials(0), '0 worlds'), (lambda: run_trials(5, years=float('nan')), 'nan years'), (lambda: run_families(5, tries=0), '0 strategies'), (lambda: run_families(-2), '-2 worlds')):
        with pytest.raises(CortexError, match=why): call()

def test_the_section_says_what_it_is():
    s = bench_trials(quick=True); t = s.table.set_index(['strategy', 'metric'])
    assert s.data['simulated'] and t.n['noise', 'declared'] == 20 and {'value', 'lo', 'hi'} <= set(t.columns) and len(s.words) == 4 and type(s).from_json(s.to_json()) == s

@pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='takes minutes: set CORTEX_SLOW=1')
def test_a_sharpe_of_one_is_found_and_nothing_is_not():
    "The promise itself: eight years, power at least 0.8, false alarms at most 5%."
    t = run_trials(1000, (0., 1.)).groupby('planted').agg(found=('found', 'mean'), appraisal=('appraisal', 'mean'))
    assert t.found['1.0'] >= .8 and t.found['0.0'] <= .05 and t.found['none'] <= .05 and abs(t.appraisal['1.0'] - 1) < .1
    f = run_families(100); assert f.plain.mean() > .3 and f.holm.mean() <= .1 and f.deflated.mean() <= .1
