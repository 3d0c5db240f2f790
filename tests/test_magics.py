"`%load_ext cortex` in a real shell: cells that ask and cells that verify, and what they say when they are given nonsense."
import subprocess, sys
from pathlib import Path
import pytest

pytest.importorskip('IPython', reason='IPython is not installed: it comes with Jupyter')
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from cortex.artifacts import CortexError
from cortex.magics import Asker, Marked, answer_cell, as_svg, read_question, read_shown

ROOT = Path(__file__).resolve().parents[1]
SHOWN = dict(tx_count=1_040_000, active_addresses=402_000)
REPLY = '1.04M [tx_count] / 402k [active_addresses] = 2.59, against 1.9 a year ago'

@pytest.fixture(scope='module')
def shell():
    s = InteractiveShell()
    s.run_line_magic('load_ext', 'cortex')
    s.user_ns['shown'] = SHOWN
    return s

def test_verify_marks_every_number(shell):
    m = shell.run_cell_magic('verify', 'shown', REPLY)
    assert (m.summary, len(m.faults)) == ('2 from the data, 1 recomputed, 1 not supported', 1)
    page = m._repr_html_()
    assert page.count('title="cited: ') == 2 and 'title="derived: ' in page and 'title="unsupported ' in page and '1.9: ' in page
    assert '1.9[?]' in repr(m)

def test_verify_takes_figures_from_the_line(shell):
    assert shell.run_cell_magic('verify', 'tx_count=1_040_000 active_addresses=402000', REPLY).summary == '2 from the data, 1 recomputed, 1 not supported'

def test_a_terminal_gets_colours(shell):
    from IPython.lib.pretty import pretty
    text = pretty(shell.run_cell_magic('verify', 'shown', REPLY))
    assert '\x1b[32m1.04M\x1b[0m' in text and '\x1b[1;31m1.9\x1b[0m' in text

def test_ask_answers_with_marked_numbers(shell):
    m = shell.run_cell_magic('ask', '--size rules --date 2025-06-30', 'Where will the price of near be in 7 days?')
    n = m.verification.counts
    assert n['forecast'] and n['cited'] and not n['unsupported']
    assert m.above.startswith('near on 2025-06-30, simulated: Forecast price_usd over the next 7 days')

@pytest.mark.parametrize('text', ['<script>alert(1)</script> 5', '"><img src=x onerror=alert(1)> 7', '\u202e 5', '5 & 6 < 7', ''])
def test_hostile_text_is_shown_as_text(shell, text):
    page = shell.run_cell_magic('verify', 'shown', text or ' ')._repr_html_()
    assert '<script' not in page and '<img' not in page

@pytest.mark.parametrize('line, cell, complaint', [
    ('verify', '5', 'against what?'), ('verify nothing_such', '5', "nothing is called 'nothing_such' here"), ('verify tx_count=many', '5', 'could not convert'),
    ('verify shown shown', '5', 'Give one name'), ('ask --size rules', 'Tell me a story', 'nothing in the question says what is asked'),
    ('ask --size rules', 'the price of bitcoin or ethereum?', 'One chain at a time'), ('ask --colour red', 'the price of near', 'unrecognized arguments'),
    ('ask --size rules', 'the price in 7 days', 'about which chain?'), ('ask --size rules', 'the price of near in 5 days', '5 days ahead cannot be asked about'), ('verify "', '5', 'No closing quotation'),
    ('ask --horizon soon', 'the price of near', 'invalid int value'), ('ask "', 'the price of near', 'No closing quotation')])
def test_a_mistake_is_one_line(shell, line, cell, complaint):
    with capture_output() as out: result = shell.run_cell(f'%%{line}\n{cell}')
    assert isinstance(result.error_in_exec, CortexError)
    told = out.stderr.strip()
    assert told.startswith('cortex: ') and complaint in told and '\n' not in told and 'Traceback' not in out.stdout + out.stderr

def test_other_errors_keep_their_traceback(shell):
    with capture_output() as out: shell.run_cell('1/0')
    assert 'ZeroDivisionError' in out.stdout + out.stderr and 'cortex: ' not in out.stderr

@pytest.mark.parametrize('text, said', [
    ('Where will the price of ethereum be in 30 days?', dict(chain='ethereum', kind='market.forecast', target='price_usd', horizon=30)),
    ('transactions on NEAR tomorrow', dict(chain='near', kind='market.forecast', target='tx_count', horizon=1)),
    ('What will BTC fees be next month?', dict(chain='bitcoin', kind='market.forecast', target='fees_usd', horizon=30)),
    ('active addresses of solana in 2 weeks', dict(chain='solana', kind='market.forecast', target='active_addresses', horizon=14)),
    ('the usage ratios of ethereum', dict(chain='ethereum', kind='protocol.ratios')), ('hello', {}), ('', {}), ('x'*100_000, {})])
def test_questions_in_words(text, said): assert read_question(text) == said

def test_an_unknown_chain_or_target_is_refused_by_name():
    with pytest.raises(CortexError, match='naer'): answer_cell('--size rules --chain naer', 'the price', Asker())
    with pytest.raises(CortexError, match='prise'): answer_cell('--size rules --chain near --target prise', '', Asker())

@pytest.mark.parametrize('text', ['', '<script>alert(1)</script> & 5 \x00\x1b', '9'*4000, '\u202e 5 \ud800', 'a\n\n\nb 5', ' '*200])
def test_a_picture_is_well_formed_and_shows_text_as_text(text):
    "Whatever is in the reply, the SVG parses, draws no foreign element, and is the same twice."
    from xml.etree import ElementTree
    from cortex.verify import verify
    picture = as_svg(Marked(verify(text, SHOWN), f'<b>asked</b> {text}', text), 30)
    names = {e.tag.rpartition('}')[2] for e in ElementTree.fromstring(picture).iter()}
    assert names <= {'svg', 'title', 'style', 'rect', 'path', 'g', 'text', 'tspan'} and picture == as_svg(Marked(verify(text, SHOWN), f'<b>asked</b> {text}', text), 30)

def test_a_picture_says_what_the_verifier_says():
    from cortex.verify import verify
    picture = as_svg(Marked(verify(REPLY, SHOWN)))
    assert picture.count('class="cited"><rect') == 3 and picture.count('class="unsupported"><rect') == 3 and 'no source is named' in picture
    assert '2 from the data, 1 recomputed, 1 not supported</title>' in picture and 'prefers-color-scheme:dark' in picture

def test_loading_is_light():
    "`import cortex` and `%load_ext cortex` bring neither torch nor pandas."
    code = ("import sys, cortex\nclass S:\n    def register_magic_function(self, *a): print(a[-1])\n    def set_custom_exc(self, *a): pass\n    user_ns = {}\n"
            "cortex.load_ipython_extension(S())\nprint({'torch', 'transformers', 'pandas', 'matplotlib', 'nbdev'} & set(sys.modules))")
    p = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert p.stdout.split('\n')[:3] == ['ask', 'verify', 'set()'], p.stderr
