"Whatever is written, parser and verifier answer: no exception, no claim out of place, no score out of bounds, time in proportion to length."
import math, os, subprocess, sys, time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from cortex.cases import Snapshot
from cortex.replies import MAX_CHARS, Forecast, parse_reply, write_reply
from cortex.tasks import make_task
from cortex.arithmetic import complete_expression
from cortex.verify import MAX_NUMBERS, STATUSES, mark_numbers, verify

SNAPSHOT = Snapshot(chain='near', asof='2025-03-01', horizon=7, condition='bear', source='simulated', peers={}, history=(),
    metrics={'price_usd': 3.1234, 'tx_count': 1_043_210., 'active_addresses': 402_411., 'fees_usd': 1_203_000.},
    features={'tx_count_change_7d': -.031, 'tx_count_trend_7d': -.0121, 'tx_count_range_7d': .0843, 'tx_count_sigma_7d': .07})
TASKS = (make_task('market.forecast', SNAPSHOT, 'tx_count'), make_task('protocol.ratios', SNAPSHOT))
HONEST = write_reply(TASKS[0], Forecast('tx_count', 7, .43, -.0121, -.0964, .0722))

def check(text, task=TASKS[0]):
    "Parse and verify a text and check everything that holds for any reply."
    reply = parse_reply(text)
    assert len(reply.text) <= MAX_CHARS and all(0 <= a <= b <= len(reply.text) for a, b in (reply.think, reply.answer))
    f = reply.forecast
    assert f is None or (0 <= f.p_up <= 1 and all(map(math.isfinite, (f.median, f.lo, f.hi))) and 0 < f.level < 1)
    v = verify(reply, task)
    assert 0 <= v.supported_share <= 1 and len(v.claims) <= MAX_NUMBERS + 40
    assert all(c.status in STATUSES and 0 <= c.start <= c.end <= len(reply.text) for c in v.claims)
    assert all(c.value is None or math.isfinite(c.value) for c in v.claims if c.supported)
    mark_numbers(v)
    done = complete_expression(reply.text[-2000:])
    assert done is None or (0 < len(done) < 40)
    return v

# Pieces that mean something to the reader, glued together at random: far more of them get deep than of random letters
PIECES = st.sampled_from(['1.04M', '402k', '[tx_count]', '[Active Users]', 'tx count', 'transactions', '7d', '30 days', '-1.2%', '8.4%', '−9.6%', '+7.2%', '±', '=', '≈', '->', '→', '/', '÷', '×', '·', '(', ')', '{', '}',
    '}{', '\\frac{', '\\times', '\\%', '$', '**', '*', '`', '_', '|', '\n', '\n| a | b |\n', '# Transactions\n', 'P(up)', '0.43', 'probability of a rise', 'median', '80% interval', 'to', 'and', 'by', 'dividing', 'subtracting', 'from', 'gives',
    'minus', 'x', 'forecast: tx_count 7d:', '<think>', '</think>', '<answer>', '</answer>', '1 March 2025', '2025-03-01', 'March 99', '99 May 0000', '1.2×10⁶', '10⁻⁹⁹⁹', '1e999', '9'*45, '1,2,3', '1.2.3', '1 000 000', "1'000", '1{,}000', 'NaN', 'inf', '٣', '３', '²',
    '\u200b', '\u202e', '\ufeff', '\x00', '\ud800', 'İ', 'ß', '👩\u200d💻', 'fell', 'a fall of', 'gwei', 'NEAR', 'USD', 'bps', ';', '.', ',', ':', '%', '-', '1', '0', '24h', '9 weeks', '7\u00a0days', '24\u202fh', '1st', '999th', 'EUR500M', '½', '③', '^', '^2', 'sqrt(', '√(', 'log(', 'half of', 'squared', 'of', 'sixty one percent', '€', 'Layer-2', '4.1 Volatility.', '~', 'tx_count: 1.04M\n', 'near | 2025-03-01 | bear\n', ' ', ' ', ' '])
TEXTS = st.one_of(st.text(max_size=400), st.lists(PIECES, max_size=120).map(''.join), st.lists(PIECES, max_size=120).map(' '.join))
CALM = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)

@CALM
@given(TEXTS, st.sampled_from(TASKS))
def test_any_text_is_answered(text, task): check(text, task)

@CALM
@given(st.integers(0, len(HONEST)), PIECES)
def test_an_honest_reply_survives_any_insertion(at, piece): check(HONEST[:at] + piece + HONEST[at:])

@CALM
@given(st.one_of(st.none(), st.binary(max_size=300), st.integers(), st.floats(), st.lists(st.text(max_size=5), max_size=3)))
def test_junk_that_is_not_text_is_answered(junk): check(junk)

@CALM
@given(st.lists(PIECES, max_size=60).map(' '.join))
def test_text_after_the_end_earns_nothing(tail):
    good, more = verify(HONEST, TASKS[0]), verify(HONEST + ' ' + tail, TASKS[0])
    assert more.supported_share <= good.supported_share and more.counts['cited'] <= good.counts['cited'] and more.counts['derived'] <= good.counts['derived']
    assert (more.reply.forecast or good.reply.forecast) == good.reply.forecast

@CALM
@given(st.lists(PIECES, max_size=60).map(' '.join))
def test_same_text_same_verdicts(text): assert verify(text, TASKS[0]).claims == verify(text, TASKS[0]).claims

@CALM
@given(st.floats(1e-3, 1e9), st.sampled_from([',', ' ', "'", '\u202f']))
def test_separators_do_not_change_a_figure(x, mark):
    n = f'{x:,.2f}'.replace(',', mark)
    v = verify(f'{n} [count]', {'count': float(f'{x:.2f}')})
    if mark != ' ' or len(n.split(' ')) != 2: assert [c.value for c in v.claims] == [float(f'{x:.2f}')]

def test_listed_bad_input():
    "What is known to break readers: each is flagged, none is believed."
    for text in ('', None, b'\xff\xfe\x00', '١٢٣ [tx_count]', '１．０４M [tx_count]', 'tx_count is NaN', 'tx_count is inf', '10^400 [tx_count]', '1e400 [tx_count]', '(' * 5000 + '1' + ')' * 5000 + ' = 1', '1.0\u200b4M [tx_count]', '\u202e1.04M', '9' * 5000):
        assert check(text).supported_share < 1
    assert check('1.0\u200b4M [tx_count]').counts['unsupported'] and check('١٢٣ [tx_count]').counts['unsupported'] == 1

@pytest.mark.parametrize('unit', ['1.04M [tx_count] / ', '1+', '(', '9', '= 1 ', '٣', '1\n', '<think>', 'P(up) 0.5 ', '(1', '1(', '| 1 ', '\\frac{1}{2}', '*1*', 'tx count ', 'tx_count 1 ', '\u200b', '}{', '1,', '1.', 'chance up 0.5\n', 'dividing 1 by 2 gives 3 ', ' ' * 200, '[', '80% interval -1% to '])
def test_time_is_linear(unit):
    "A megabyte costs no more than the first 100,000 characters of it, and those a few times what 20,000 cost."
    def seconds(n):
        text, best = unit*(n//len(unit)), 9
        for _ in range(2): t = time.process_time(); verify(text, TASKS[0]); best = min(best, time.process_time() - t)
        return best
    short, long = seconds(20_000), seconds(1_000_000)
    assert short < .3 and long < max(.1, 12*short)

FUZZ = r'''
import sys
sys.path[:0] = [sys.argv.pop(1), sys.argv.pop(1)]
import atheris
with atheris.instrument_imports(include=['cortex.replies', 'cortex.arithmetic', 'cortex.verify']):
    import cortex.replies, cortex.arithmetic, cortex.verify
import test_fuzz
def one(data):
    p = atheris.FuzzedDataProvider(data)
    task = test_fuzz.TASKS[p.ConsumeBool()]
    test_fuzz.check(p.ConsumeUnicode(4000), task)
atheris.Setup(sys.argv, one)
atheris.Fuzz()
'''

def fuzz(seconds, tmp_path):
    "Let atheris look for a text that breaks parser or verifier; it starts from honest ones."
    pytest.importorskip('atheris', reason='atheris is not installed: it needs CPython on Linux or macOS, pip install atheris')
    from free_replies import FREE_REPLIES
    seeds, script = tmp_path/'seeds', tmp_path/'fuzz.py'
    seeds.mkdir(); script.write_text(FUZZ)
    for k, text in enumerate([HONEST, *(r['text'] for r in FREE_REPLIES)]): (seeds/str(k)).write_bytes(b'\1\1' + text.encode())
    here = Path(__file__).parent
    out = subprocess.run([sys.executable, str(script), str(here.parent), str(here), str(seeds), f'-max_total_time={seconds}', '-max_len=4000', '-timeout=10', '-seed=1', f'-artifact_prefix={tmp_path}/'],
                         capture_output=True, text=True, errors='replace', timeout=seconds+120, env={**os.environ, 'OMP_NUM_THREADS': '1'}, cwd=tmp_path)
    assert out.returncode == 0, out.stderr[-3000:]
    runs = int(next(l.split()[1] for l in out.stderr.splitlines() if l.startswith('Done')))
    print(f'{runs:,} texts tried in {seconds} s, none broke parser or verifier')
    return runs

def test_fuzz(tmp_path): assert fuzz(int(os.environ.get('CORTEX_FUZZ_SECONDS', 60)), tmp_path) > 100

@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("CORTEX_SLOW"), reason="ten minutes: set CORTEX_SLOW=1 to run it")
def test_fuzz_ten_minutes(tmp_path): assert fuzz(600, tmp_path) > 10_000
