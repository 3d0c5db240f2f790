"""The page of the service in a real browser: an answer streaming in, its marks by pointer and by keys, hostile replies, refusals, keys, phones, and what axe says.

It needs the `playwright` package and a Chromium or Chrome that is installed already; nothing is downloaded. CORTEX_CHROMIUM names the browser if it is not on the PATH, CORTEX_SHOTS a folder for screenshots."""
import json, os, re, urllib.error, urllib.request
from pathlib import Path
import pytest
from cortex.page import PAGE_CSP, check_page, page_files
from page_server import DATA, FORECAST, REPLY, VALUES, PageServer, history, verdict

STATUSES = ('cited', 'derived', 'forecast', 'structural', 'unsupported')

@pytest.fixture(scope='module')
def server():
    with PageServer() as s: yield s

@pytest.fixture
def service(server):
    "The stub, as it is at the start of each test."
    PageServer.__init__(server)
    return server

OWN = ('Failed to load resource', 'net::ERR')  # what Chromium itself says of a refused request

@pytest.fixture
def visit(browser, service):
    "Open the page in a fresh profile; whatever it asks for and whatever goes wrong in it is noted."
    opened = []
    def visit(url=None, wait='#go[aria-disabled=false]', **context):
        c = browser.new_context(**dict(viewport=dict(width=1280, height=900)) | context)
        page = c.new_page(); page.set_default_timeout(30_000); opened.append((c, page, url or service.url))
        page.asked, page.faults = [], []
        page.on('request', lambda r: page.asked.append(r.url)); page.on('pageerror', lambda e: page.faults.append(str(e)))
        page.on('console', lambda m: page.faults.append(m.text) if m.type in ('error', 'warning') and not m.text.startswith(OWN) else None)
        page.goto(url or service.url)
        if wait: page.wait_for_selector(wait)
        return page
    yield visit
    for c, page, url in opened:
        assert page.faults == []
        assert [u for u in page.asked if not u.startswith(url)] == []
        assert page.evaluate('window.stolen') is None
        c.close()

def ask(page, wait='#about:not([hidden])', **fields):
    for k, v in fields.items(): (page.select_option if page.eval_on_selector(f'#{k}', 'e => e.tagName') == 'SELECT' else page.fill)(f'#{k}', v)
    page.click('#go')
    if wait: page.wait_for_selector(wait)
def shot(page, name):
    if folder := os.environ.get('CORTEX_SHOTS'): page.screenshot(path=Path(folder)/f'page-{name}.png', full_page=True)
def text(page, selector): return page.eval_on_selector(selector, 'e => e.textContent')
def marks(page, box='#reply'): return [tuple(x) for x in page.eval_on_selector_all(f'{box} .n', "es => es.map(e => [e.textContent, e.className.replace('n ', '')])")]
def fits(page): return page.evaluate('document.documentElement.scrollWidth <= innerWidth')

# ---- files and headers

def test_the_files_keep_their_promises():
    "Policy, frame and script agree, and the colours are those of the report."
    from cortex.report import DARK, LIGHT, css_vars
    assert check_page()['controls'] >= 12
    css = page_files()['/page.css'][0].decode()
    assert css_vars(LIGHT).rstrip(';') in css and css_vars(DARK).rstrip(';') in css.split('prefers-color-scheme:dark')[1]

def test_headers_and_unchanged_files(service):
    "Over HTTP: the policy travels with each file, and a browser that knows a file is told so."
    for path in page_files():
        with urllib.request.urlopen(service.url[:-1] + path) as r: headers, body = r.headers, r.read()
        assert headers['Content-Security-Policy'] == PAGE_CSP and headers['X-Content-Type-Options'] == 'nosniff' and body == page_files()[path][0]
        with pytest.raises(urllib.error.HTTPError) as e: urllib.request.urlopen(urllib.request.Request(service.url[:-1] + path, headers={'If-None-Match': headers['ETag']}))
        assert e.value.code == 304 and e.value.read() == b''

# ---- an answer

def test_an_answer_streams_in_and_is_marked(visit, service):
    "Text is there before the answer is complete; then every number has its verdict, by colour and by line, and the forecast is drawn."
    service.pause, service.piece = .03, 37
    page = visit()
    page.evaluate("() => { window.said = []; new MutationObserver(() => said.push(document.getElementById('said').textContent)).observe(document.getElementById('said'), {childList: true, characterData: true, subtree: true}); }")
    ask(page, wait=None, asof='2026-11-01')
    page.wait_for_function("() => document.getElementById('reply').textContent.length > 20")
    assert page.get_attribute('#reply', 'aria-busy') == 'true' and page.is_visible('#stop') and page.is_hidden('#about') and marks(page) == []
    assert page.get_attribute('#go', 'aria-disabled') == 'true' and page.evaluate('document.activeElement.id') == 'go'
    page.wait_for_selector('#about:not([hidden])')
    want = [(c['text'], c['status']) for c in verdict(REPLY)['claims']]
    assert marks(page) == want and len({s for _, s in want}) == 4
    assert text(page, '#reply') == REPLY and page.get_attribute('#reply', 'aria-busy') == 'false' and page.is_hidden('#stop')
    assert text(page, '#reply-summary') == '9 of 9 figures supported'
    assert page.inner_text('#tiles').split('\n')[1::3] == ['55%', '+1.0%', '−10.2% to +12.3%', '+3.1%'] and 'inside the interval' in page.inner_text('#tiles')
    label = page.get_attribute('#fan svg', 'aria-label')
    assert 'over 42 days to 2026-11-01' in label and 'Forecast for 2026-11-08: median +1.0% ($5.03), 80% interval −10.2% to +12.3%' in label and 'What happened: +3.1% ($5.134), inside' in label
    assert page.locator('#fan .wedge').count() == page.locator('#fan .inside').count() == 1 and page.locator('#fan-table tr').count() == 1 + 4 + 42
    assert 'near | 2026-11-01' in text(page, '#question') and 'Not financial advice' in text(page, '#notice') and page.is_visible('#stamp')
    assert 'Apache-2.0' in text(page, '#facts') and '0badcafe12' in text(page, '#facts') and 'Without the outcome' in text(page, '#scores-note')
    assert page.evaluate('said') == ['Asking.', 'The answer is there: 9 of 9 figures supported. Median +1.0%, 80% interval −10.2% to +12.3%.']  # a screen reader hears two lines, not each word
    body = [b for m, p, h, b in service.asked if p == '/v1/analyze'][0]
    assert body == dict(chain='near', asof='2026-11-01', kind='market.forecast', target='price_usd', horizon=7, n=1, calculator=True, seed=0, stream=True)

def test_the_kinds_of_mark_differ_without_colour(visit):
    "Somebody who sees no colours tells the verdicts apart by the line under them."
    page = visit()
    looks = page.eval_on_selector_all('#meaning .n', 'es => es.map(e => { const s = getComputedStyle(e); return [e.textContent, s.textDecorationLine + " " + s.textDecorationStyle, s.color]; })')
    assert [s for s, *_ in looks] == list(STATUSES) and len({line for _, line, _ in looks}) == len({colour for *_, colour in looks}) == 5

def test_another_question_and_several_replies(visit, service):
    "Kinds without a target hide it and draw nothing; of several replies the progress shows, and the others are listed."
    service.pause, service.piece = .05, 4000
    page = visit()
    page.check('label:has-text("30") input', force=True)
    page.click('summary:has-text("How it writes")')
    ask(page, wait=None, chain='solana', kind='protocol.ratios', n='3', seed='5', max_new_tokens='64')
    assert page.is_hidden('#target-field')
    page.wait_for_selector('#progress:not([hidden])'); page.wait_for_selector('#about:not([hidden])')
    body = service.sent[3]
    assert body == dict(chain='solana', asof='2026-11-21', kind='protocol.ratios', horizon=30, n=3, seed=5, max_new_tokens=64, calculator=True, stream=True)
    assert page.is_hidden('#future') and page.locator('#candidates details').count() == 2 and 'No. 3: rubric 0.67, 80% of its figures supported, cut' in page.inner_text('#candidates')
    page.reload(); page.wait_for_selector('#go[aria-disabled=false]')   # the address holds the question
    assert [page.input_value(f'#{k}') for k in ('chain', 'kind', 'n', 'seed', 'max_new_tokens')] == ['solana', 'protocol.ratios', '3', '5', '64'] and page.is_checked('input[value="30"]')

def test_a_flow_is_drawn_from_its_mean(visit, service):
    "What is forecast of fees or counts is a mean of days to come against a mean of days before; the picture starts there."
    from cortex.features import TARGETS
    page = visit(); ask(page, asof='2026-11-01', target='tx_count')
    mean = sum(v for _, v in history('2026-11-01', target='tx_count')[-7:])/7
    label = page.get_attribute('#fan svg', 'aria-label')
    assert f'Forecast for the mean of the 7 days to 2026-11-08: median +1.0% ({mean*1.01/1e6:.4g}M)' in label and page.locator('#fan .base').count() == 1 and 'against that of the 7 days before' in text(page, '#fan-note')
    assert page.evaluate("import('/page.js').then(m => m.LEVELS)") == [k for k, v in TARGETS.items() if v == 'level']

def test_spans_are_code_points(visit, service):
    "An emoji is one character to the service and two to the browser; marks stand where they belong."
    service.reply = '📈🇩🇪 e\u0301 👩\u200d👩\u200d👧 $4.98 [price_usd] 🚀🚀 +4.3% [change_7d] 𝟜𝟚 and $777 📉'
    page = visit(); ask(page)
    claims = verdict(service.reply)['claims']
    assert [t for t, _ in marks(page)] == [service.reply[c['start']:c['end']] for c in claims] and {'$4.98', '+4.3%', '$777'} <= {t for t, _ in marks(page)}
    assert text(page, '#reply') == service.reply

# ---- marks, by keys, pointer and finger

def test_marks_by_keys(visit):
    "One Tab reaches the marks, arrows move among them, each is described, and Escape closes the reason without stopping anything."
    page = visit(); ask(page)
    page.focus('#answer-title'); page.keyboard.press('Tab')
    at = lambda: page.evaluate("[document.activeElement.textContent, document.getElementById(document.activeElement.getAttribute('aria-describedby'))?.textContent]")
    assert at() == ['$4.98', 'cited: stands in the data as price_usd'] and page.inner_text('#tip') == 'cited\nstands in the data as price_usd'
    page.keyboard.press('ArrowRight'); assert at()[0] == '+4.3%' and page.is_visible('#tip')
    page.keyboard.press('Escape'); assert page.is_hidden('#tip') and at()[0] == '+4.3%'
    page.keyboard.press('Enter'); assert page.is_visible('#tip')
    page.keyboard.press(' '); assert page.is_hidden('#tip')
    page.keyboard.press('End'); assert at()[0] == '+12.3%' and 'only time can check it' in at()[1]
    page.keyboard.press('ArrowRight'); assert at()[0] == '+12.3%'
    page.keyboard.press('Home'); page.keyboard.press('ArrowLeft'); assert at()[0] == '$4.98'
    page.keyboard.press('Tab'); assert page.evaluate("document.activeElement.closest('#reply')") is None   # the next Tab leaves the text
    page.wait_for_selector('#tip', state='hidden')
    page.keyboard.press('Shift+Tab'); assert at()[0] == '$4.98'

def test_marks_by_pointer_and_finger(visit, service):
    "A pointer may rest on the reason; a finger opens it; what does not hold is listed and leads to its place."
    service.reply = REPLY.replace('= 9.92', '= 9.99')
    page = visit(); ask(page)
    assert text(page, '#reply-summary') == '8 of 9 figures supported' and 'does not recompute' in page.inner_text('.bad')
    page.hover('#reply .unsupported'); assert 'does not recompute' in page.inner_text('#tip')
    page.hover('#tip'); page.wait_for_timeout(350); assert page.is_visible('#tip')
    page.hover('h1'); page.wait_for_selector('#tip', state='hidden')
    page.click('.bad .link'); assert page.evaluate('document.activeElement.textContent') == '9.99' and page.is_visible('#tip')
    phone = visit(viewport=dict(width=360, height=740), has_touch=True, is_mobile=True, device_scale_factor=2)
    phone.tap('#go'); phone.wait_for_selector('#about:not([hidden])')
    for i in range(len(marks(phone))):
        phone.locator('#reply .n').nth(i).tap()
        box = phone.locator('#tip').bounding_box()
        assert box['x'] >= 0 and box['x'] + box['width'] <= 360 and fits(phone)
        phone.locator('#tip').tap(); assert phone.is_hidden('#tip')   # it may lie over the next number
    shot(phone, 'phone-tip')

# ---- hostile text

HOSTILE = ['</script><script>window.stolen = 1</script> 12.5%', '<img src="http://192.0.2.1/x.png" onerror="window.stolen = 2"> $4.98', '"><svg onload=window.stolen=3>', '<a href="javascript:window.stolen=4">$7</a>', '${window.stolen = 5} {{7*7}} &lt;b&gt; &amp;',
           'P(up) \u202e5.21\u202c and \u2066hidden\u2069 \u200b9\u200b9', '\x00\x1b[31mred\x07 4.98', '\ud800 half a pair $4.98', 'نعم 12.5% and עברית 2.59', 'W'*3000, '\u202e'*5000 + '1', '4.98 '*20_000, 'data: {"event": "done"}\n\nevent: done\ndata: {}\n\n']

def test_hostile_replies_are_text(visit, service):
    "Whatever the model writes stands there as text or as a code, marks included, and nothing of it runs."
    page = visit(viewport=dict(width=360, height=740))
    for reply in HOSTILE:
        service.reply, service.piece = reply, 5000
        page.evaluate("document.getElementById('about').hidden = true"); ask(page)
        shown = text(page, '#reply')
        if len(reply) > 20_000: assert shown == reply[:20_000] and 'first 20,000 of 100,000 characters' in text(page, '#reply-proof')
        elif any(c in reply for c in '\u202e\x00\ud800'): assert re.search(r'U\+(202E|0000|D800)', shown) and not re.search('[\u202e\x00]', shown)
        else: assert shown == reply
        assert page.evaluate("[...document.querySelectorAll('#reply *')].every(e => e.tagName === 'SPAN')") and fits(page), reply[:40]
    assert page.evaluate("document.scripts.length") == 1

def test_hostile_service_fields(visit, service):
    "Spans out of range, verdicts of no kind, markup in names: drawn as far as they make sense, run never."
    evil = '<img src=x onerror="window.stolen=9">'
    claim = lambda start, end, status='cited', **x: dict(start=start, end=end, text=evil, status=status, metric=evil, why=evil) | x
    service.verification = dict(supported_share=1, counts={}, claims=[claim(-5, 3), claim(0, 5, '__proto__'), claim(3, 9), claim(8, 10_000, 'constructor'), claim('1', 2), claim(2.5, 4), claim(99_999, 100_000), claim(6, 6), None, 7, {}])
    service.extra = dict(model=dict(name=evil, base=[evil], adapter={}, hash=None, backend=evil), notice=evil, question=evil, chain=evil, id=evil, licence=evil, scores=dict(total='high', parts={evil: 7, '__proto__': -1}, note=evil),
                         history=[['2026-11-20', 1], ['x', 2], ['2026-11-21', 'y'], None, ['2026-11-21', 3]], outcome=dict(date=evil, change=.2), candidates=[{}, dict(reply=evil, total=evil), dict(reply=7)])
    service.forecast = dict(FORECAST, hi=1e308, lo=-5)
    page = visit(); ask(page)
    assert page.locator('#reply .n').count() == 2 and [s for _, s in marks(page)] == ['unsupported', 'unsupported'] and text(page, '#reply') == REPLY
    assert page.locator('img').count() == 1 and text(page, '#notice') == evil and fits(page)
    numbers = page.eval_on_selector_all('#fan path, #fan text', "es => es.map(e => e.getAttribute('d') || e.getAttribute('x') + ' ' + e.getAttribute('y')).join(' ')")
    assert 'NaN' not in numbers and 'Infinity' not in numbers

def test_what_is_injected_does_not_run(visit):
    "Were escaping to fail, the browser would still refuse: no script, no style, no request, no markup. (What the policy reports is no fault of the page.)"
    page = visit()
    failed = page.evaluate("""async () => {
      const out = [], s = document.createElement('script');
      try { s.textContent = 'window.stolen = 8'; document.body.append(s); } catch { out.push('script'); }
      try { document.body.innerHTML = '<b>x</b>'; } catch { out.push('markup'); }
      const i = new Image(); i.src = 'http://192.0.2.1/y.png';
      try { await fetch('http://192.0.2.1/'); } catch { out.push('fetch'); }
      const p = document.createElement('p'); p.setAttribute('style', 'color: rgb(1, 2, 3)'); document.body.append(p);
      if (getComputedStyle(p).color !== 'rgb(1, 2, 3)') out.push('style');
      return out; }""")
    assert {'markup', 'fetch', 'style'} <= set(failed) and page.evaluate('window.stolen') is None
    assert page.faults and all(re.search('Content Security Policy|Trusted(Script|HTML)', f) for f in page.faults), page.faults
    page.faults.clear(); page.asked[:] = [u for u in page.asked if '192.0.2.1' not in u]

# ---- what goes wrong

def test_stopping(visit, service):
    "Stop ends the request, says that what is there is not checked, and gives the focus back; the next question works."
    service.how = 'hang'
    page = visit(); ask(page, wait=None)
    page.wait_for_function("() => document.getElementById('reply').textContent.includes('[price_usd]')")
    page.focus('#stop'); page.keyboard.press('Enter')
    page.wait_for_selector('#stop', state='hidden')
    assert text(page, '#state') == 'Stopped: what is here is not checked.' and page.evaluate('document.activeElement.id') == 'answer-title' and page.is_hidden('#ask-problem') and marks(page) == []
    service.gone.set(); service.how = 'stream'; ask(page); assert text(page, '#reply') == REPLY
    service.gone.clear(); service.how = 'hang'; ask(page, wait=None)
    page.wait_for_function("() => document.getElementById('state').textContent === 'Writing…'")
    page.keyboard.press('Escape'); page.wait_for_selector('#stop', state='hidden'); assert page.is_hidden('#tip') and 'Stopped' in text(page, '#state')
    service.gone.set()

@pytest.mark.parametrize('how, title, state', [('cut', 'The answer broke off', 'Broken off: what is here is not checked.'), ('garbage', 'An answer that cannot be read', 'Broken off: what is here is not checked.'),
                                               ('problem', 'The model failed', 'Broken off: what is here is not checked.'), ('html', 'The service could not do that', None)])
def test_broken_answers(visit, service, how, title, state):
    "An answer that ends early, cannot be read or turns into an error is never shown as checked, and may be asked for again."
    service.how = how
    page = visit(); ask(page, wait='#ask-problem:not([hidden])')
    assert page.inner_text('#ask-problem h2') == title and page.is_hidden('#about') and page.is_hidden('#reply-summary') and marks(page) == []
    if state: assert text(page, '#state') == state
    else: assert page.is_hidden('#answer') and '502' in page.inner_text('#ask-problem')
    service.how = 'json'; page.click('#ask-problem button'); page.wait_for_selector('#about:not([hidden])')   # a whole reply in place of a stream is as good
    assert text(page, '#reply') == REPLY and page.is_hidden('#ask-problem')

def test_refusals_name_field_value_and_remedy(visit, service):
    "A refusal stands beside the form with field, value and remedy, and leads to the field; without a field it can be tried again."
    page = visit()
    service.problem = ((422, 'Out of range', 'max_new_tokens is 9999, more than 512.', 'body.max_new_tokens', '9999', 'Give 1 to 512.'), {})
    ask(page, wait='#ask-problem:not([hidden])')
    assert [page.inner_text(f'#ask-problem dd >> nth={i}') for i in range(4)] == ['body.max_new_tokens', '9999', 'Give 1 to 512.', 'req-42']
    assert page.evaluate('document.activeElement.id') == 'max_new_tokens' and page.get_attribute('#max_new_tokens', 'aria-invalid') == 'true' and page.inner_text('#' + page.get_attribute('#max_new_tokens', 'aria-errormessage')) == 'max_new_tokens is 9999, more than 512. Give 1 to 512.'
    page.keyboard.type('20'); assert page.get_attribute('#max_new_tokens', 'aria-invalid') is None and page.locator('.wrong').count() == 0
    service.problem = ((404, '<b>No</b> such day', 'near has no 2001-01-01.', 'asof', '<script>window.stolen=1</script>', 'Choose 2023-01-01 or later.'), {})
    ask(page, asof='2001-01-01', wait='#asof[aria-invalid=true]'); assert page.inner_text('#ask-problem h2') == '<b>No</b> such day' and service.sent[3]['asof'] == '2001-01-01'
    service.problem = ((429, 'Too many requests', 'Eight answers are being written.', None, None, 'Wait, then ask again.'), dict(Retry_After='7'))
    ask(page, wait='#ask-problem button'); assert '7 seconds' in page.inner_text('#ask-problem') and page.locator('[aria-invalid]').count() == 0
    service.problem = ((422, 'Odd', 'No such field here.', '__proto__.length.item', '', ''), {}); ask(page, wait='#ask-problem button')
    service.problem = None; page.click('#ask-problem button'); page.wait_for_selector('#about:not([hidden])')

def test_a_service_that_is_gone(browser, visit):
    "Nothing answers: the page says so, and loads when the service is back."
    with PageServer(data=dict(DATA, chains=[])) as s:
        page = visit(s.url, wait='#ask-problem:not([hidden])')
        assert 'cannot be read' in page.inner_text('#ask-problem') and page.get_attribute('#go', 'aria-disabled') == 'true'
        s.data = DATA; page.click('#ask-problem button'); page.wait_for_selector('#go[aria-disabled=false]')
    ask(page, wait='#ask-problem:not([hidden])')
    assert 'cannot be reached' in page.inner_text('#ask-problem') and page.is_hidden('#answer')

def test_the_key_is_asked_for_and_forgotten(visit, service):
    "Only a 401 opens the field for a key; the key goes to this service alone, and into no storage, address or text."
    service.key = 'ctx_right-0123456789'
    page = visit(wait='#key:not([hidden])')
    assert page.evaluate('document.activeElement.id') == 'key-value' and page.get_attribute('#key-value', 'type') == 'password' and 'memory alone' in page.inner_text('#key')
    page.keyboard.type('two words'); page.keyboard.press('Enter'); assert 'one word' in text(page, '#key-why')
    page.fill('#key-value', 'ctx_wrong'); page.keyboard.press('Enter'); page.wait_for_function("() => document.getElementById('key-why').textContent.includes('refused')")
    page.fill('#key-value', service.key); page.keyboard.press('Enter'); page.wait_for_selector('#go[aria-disabled=false]')
    assert page.is_hidden('#key') and page.input_value('#key-value') == ''
    ask(page); assert service.sent[2]['Authorization'] == f'Bearer {service.key}'
    assert page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]') == [0, 0, ''] and service.key not in page.url + page.content()
    assert [h for m, p, h, b in service.asked if p in page_files() and 'Authorization' in h] == []
    service.key = 'ctx_rotated'; ask(page, wait='#key:not([hidden])'); assert 'refused' in text(page, '#key-why')    # withdrawn in the middle of the day
    page.fill('#key-value', service.key); page.click('#key button'); page.wait_for_selector('#about:not([hidden])')
    page.reload(); page.wait_for_selector('#key:not([hidden])')

# ---- any text

def test_any_text_is_checked(visit, service):
    "The second tab checks a text against figures or against a day, and says which line of the figures it cannot read."
    page = visit()
    page.focus('#tab-ask'); page.keyboard.press('ArrowRight'); assert page.evaluate('document.activeElement.id') == 'tab-check' and page.is_visible('#panel-check') and page.is_hidden('#panel-ask')
    page.click('#verify'); page.wait_for_selector('#check-problem:not([hidden])'); assert page.evaluate('document.activeElement.id') == 'text'
    page.click('#example'); page.wait_for_selector('#checked-card:not([hidden])')
    assert text(page, '#checked-summary') == '6 of 8 figures supported' and {s for _, s in marks(page, '#checked')} == {'cited', 'derived', 'unsupported'}
    assert service.sent[3]['values'] == dict(tx_count=9.19e6, active_addresses=926_000, fees_usd=50_900, change_7d=.043)
    page.fill('#values', 'tx_count: 9.19M\nnonsense'); page.click('#verify'); page.wait_for_selector('#values[aria-invalid=true]'); assert 'Line 2' in page.inner_text('#check-problem')
    page.fill('#text', '🚀 It costs $4.98 [price_usd]'); page.check('#by-day'); assert page.is_hidden('#values-field') and 'near on 2026-11-21' in page.inner_text('#day-note')
    page.click('#verify'); page.wait_for_selector('#checked-card:not([hidden])')
    assert service.sent[3] == dict(text='🚀 It costs $4.98 [price_usd]', chain='near', asof='2026-11-21', kind='market.forecast', target='price_usd', horizon=7) and marks(page, '#checked') == [('$4.98', 'cited')]

def test_how_figures_and_events_are_read(visit):
    "The script's own functions, in the browser: figures as people write them, events cut anywhere, numbers as shown."
    page = visit()
    run = lambda code, arg=None: page.evaluate("async ([code, arg]) => { const m = await import('/page.js'); return await ({" + code + "}).f(m, arg); }", [code, arg])
    read = lambda t: run("f: (m, t) => { try { return m.readValues(t); } catch (e) { return [e.field, e.message]; } }", t)
    assert read('price_usd: $4.98\ntx_count = 9,190,000\nchange_7d -4.3%\nfees_usd: 1.5e3\n\n x:−2k ') == dict(price_usd=4.98, tx_count=9.19e6, change_7d=-.043, fees_usd=1500, x=-2000)
    assert read('{"a": 1.5, "b": -2}') == dict(a=1.5, b=-2)
    for bad in ('', 'price_usd', 'a: 1.2.3', 'a: 1 2', '{"a": "1"}', '{"a":', 'a: 1e999', ' '*50 + 'a' + ' '*50_000 + ':', '9: 9'): assert read(bad)[0] == 'values', bad
    events = run("""f: async (m, bytes) => { const out = []; let i = 0; const s = new ReadableStream({pull(c) { if (i >= bytes.length) c.close(); else { c.enqueue(new Uint8Array(bytes.slice(i, i + 1))); i += 1; } }});
      for await (const e of m.readEvents(s)) out.push([e.event, e.data]); return out; }""", list('\ufeff: hi\r\n\r\nevent: token\r\ndata: {"text": "📈"}\r\n\r\ndata:a\rdata: b\r\revent:x\n\ndata: never ended'.encode()))
    assert events == [['token', '{"text": "📈"}'], ['message', 'a\nb']]
    assert run("f: m => [.0123, -.5, 0, NaN, 123].map(m.percent)") == ['+1.2%', '−50.0%', '0.0%', '–', '+1.23e+4%']
    assert run("f: m => [[4.9812, 'price_usd'], [9.19e6, 'tx_count'], [-5.5e-5, ''], [0, ''], [1234.5, 'fees_usd'], [null, '']].map(x => m.amount(...x))") == ['$4.981', '9.19M', '−5.50e-5', '0', '$1,235', '–']

# ---- everywhere

def test_behind_a_proxy_with_a_prefix(visit, service):
    "Every address is relative: the page works under a path of another server."
    service.prefix = '/markets/cortex'
    page = visit(service.url + 'markets/cortex/'); ask(page)
    assert text(page, '#reply') == REPLY and all('/markets/cortex/' in u for u in page.asked)

STATES = ('start', 'answer', 'problem', 'check', 'key')

SLOW = [pytest.mark.slow, pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='slow: set CORTEX_SLOW=1')]

@pytest.mark.parametrize('width, scheme', [(1280, 'light'), (360, 'dark'), pytest.param(1280, 'dark', marks=SLOW), pytest.param(360, 'light', marks=SLOW)])
def test_names_contrast_and_width(visit, service, width, scheme):
    "axe finds nothing to object to, light and dark, wide and narrow, in each state of the page; nothing runs off the screen, and nothing moves for those who asked for that."
    axe = pytest.importorskip('axe_playwright_python.sync_playwright', reason='axe is not installed: pip install axe-playwright-python').Axe()
    page = visit(viewport=dict(width=width, height=740), color_scheme=scheme, reduced_motion='reduce')
    for state in STATES:
        if state == 'answer':
            service.reply = REPLY.replace('= 9.92', '= 9.99'); ask(page, asof='2026-11-01', n='3')
            for d in page.locator('#panel-ask summary').all(): d.click()
            page.focus('#reply .unsupported')
        if state == 'problem': service.problem = ((422, 'Out of range', 'n is 99.', 'n', '99', 'Give 1 to 16.'), {}); ask(page, wait='#n[aria-invalid=true]')
        if state == 'check': page.click('#tab-check'); page.click('#example'); page.wait_for_selector('#checked-card:not([hidden])') if not service.problem else page.wait_for_selector('#check-problem:not([hidden])')
        if state == 'key': service.problem, service.key = None, 'k'; page.click('#verify'); page.wait_for_selector('#key:not([hidden])')
        found = axe.run(page, options=dict(resultTypes=['violations'], runOnly=['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']))
        assert [(v['id'], v['impact'], v['nodes'][0]['html'][:120], v['nodes'][0].get('failureSummary', '')[:200]) for v in found.response['violations']] == [], state
        assert fits(page), state
        shot(page, f'{width}-{scheme}-{state}')
        if state == 'problem': service.problem = None
    assert page.evaluate("document.getAnimations().length") == 0
    page.click('#tab-ask'); reached = set()
    for _ in range(60): page.keyboard.press('Tab'); reached.add(page.evaluate("document.activeElement.id || document.activeElement.name || document.activeElement.tagName"))
    assert {'chain', 'asof', 'kind', 'target', 'horizon', 'n', 'calculator', 'seed', 'SUMMARY', 'go', 'tab-ask', 'key-value'} <= reached

# ---- the service itself

@pytest.fixture(scope='module', params=['rules', pytest.param('tiny', marks=SLOW)])
def address(request, tmp_path_factory):
    "The real service, with keys, on a small simulated market: replies by rule, or by a random model in process."
    pytest.importorskip('fastapi', reason='the service needs its extra: pip install "cortex-1[serve]"')
    from cortex.access import KeyRing, add_key
    from cortex.backends import open_backend
    from cortex.serve import Market, make_app, served
    from cortex.sources import simulate_market
    keys = tmp_path_factory.mktemp('keys')/'keys'; key = add_key(keys, 'reader')
    market = Market(simulate_market(['near', 'bitcoin'], end='2025-06-30', seed=0), dict(source='simulated', licence='MIT'))
    backend = open_backend(request.param, **({} if request.param == 'rules' else dict(adapter='none')))
    with served(make_app(backend, market, keys=KeyRing(keys))) as url: yield url + '/', key, request.param

def test_against_the_service_itself(visit, address):
    "The real service and the page agree: key, question, stream, verdicts, outcome, refusal, and a text checked against a day."
    url, key, size = address
    page = visit(url, wait='#key:not([hidden])')
    page.fill('#key-value', key); page.keyboard.press('Enter'); page.wait_for_selector('#go[aria-disabled=false]')
    assert page.eval_on_selector_all('#chain option', 'es => es.map(e => e.value)') == ['bitcoin', 'near'] and page.input_value('#asof') == '2025-06-30' and page.is_visible('#stamp')
    page.click('summary:has-text("How it writes")'); ask(page, asof='2025-06-01', max_new_tokens='48' if size == 'tiny' else '160')
    assert 'near | 2025-06-01' in text(page, '#question') and 'Not financial advice' in text(page, '#notice') + text(page, 'footer')
    assert 'what happened' in page.inner_text('#tiles').lower() and page.locator('#fan svg').count() == 1 and 'UTC' in text(page, '#facts')
    found, reply = marks(page), text(page, '#reply')
    if size == 'rules': assert re.fullmatch(r'(\d+) of \1 figures supported', text(page, '#reply-summary')) and len(found) > 5 and page.locator('#fan .wedge').count() == 1 and '<answer>' in reply
    for kind in ('protocol.ratios', 'risk.var') if size == 'rules' else (): ask(page, kind=kind, n='2'); assert 'supported' in text(page, '#reply-summary') and page.locator('#candidates details').count() == 1
    shot(page, f'real-{size}')
    ask(page, n='99', wait='#n[aria-invalid=true]'); assert '99' in page.inner_text('#ask-problem') and page.evaluate('document.activeElement.id') == 'n'
    ask(page, n='1', asof='1999-01-01', wait='#asof[aria-invalid=true]')
    page.fill('#asof', '2025-06-01'); page.select_option('#kind', 'market.forecast'); page.click('#tab-check'); page.fill('#text', '🚀 It rose 400% [change_7d].'); page.check('#by-day'); page.click('#verify')
    page.wait_for_selector('#checked-card:not([hidden])'); assert marks(page, '#checked') == [('400%', 'unsupported')]
    page.check('#by-values'); page.fill('#values', 'change_7d: 400%'); page.click('#verify')
    page.wait_for_function("() => document.getElementById('checked-summary').textContent.startsWith('1 of 1')"); assert marks(page, '#checked') == [('400%', 'cited')]
