// The page of the service: asks, shows the answer as it is written, and marks every number with its verdict.
// Whatever a model or the service says reaches the page as text nodes; nothing here parses markup.

const $ = id => document.getElementById(id);
const LIMIT = 20000, MOST = 8 << 20;  // characters of a text that are shown; characters of one event
const STATUSES = {
  cited: 'stands in the data',
  derived: 'follows from the data by a sum that was recomputed',
  forecast: 'the model’s own estimate: only time can check it',
  structural: 'part of the question or of the format',
  unsupported: 'nothing that was shown supports it'};

// Makes an element. Names of tags and attributes are those written in this file, never words from outside.
const SHAPES = new Set(['svg', 'path', 'rect', 'circle', 'line', 'text']);
function make(tag, attrs = {}, ...children) {
  const node = SHAPES.has(tag) ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attrs)) if (v !== null && v !== undefined && v !== false) node.setAttribute(k, v === true ? '' : v);
  for (const c of children) if (c instanceof Node) node.append(c); else if (c !== null && c !== undefined && c !== '') fill(node, String(c));
  return node;
}

// ---- Text ----

// Characters that hide or reorder others are shown by their number; a run of them takes one place.
const HIDDEN = new RegExp('[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e'
  + '\\u2060-\\u2064\\u2066-\\u2069\\ufeff\\u{e0000}-\\u{e007f}\\p{Cs}]+', 'gu');
const FORMAT = /<\/?(?:think|answer)>|\[[a-z][a-z0-9_]*\]/g;  // parts of the reply's form, shown quietly
const codeOf = c => 'U+' + c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0');

export function fill(node, text) {
  let at = 0; text = text.replace(/\r\n/g, '\n');
  for (const m of text.matchAll(HIDDEN)) {
    const run = [...m[0]], span = document.createElement('span');
    span.className = 'odd';
    span.textContent = run.slice(0, 3).map(codeOf).join(' ') + (run.length > 3 ? ` … ${run.length} in all` : '');
    node.append(text.slice(at, m.index), span); at = m.index + m[0].length;
  }
  node.append(text.slice(at));
  return node;
}
function fillQuietly(node, text) {
  let at = 0;
  for (const m of text.matchAll(FORMAT)) {
    fill(node, text.slice(at, m.index)).append(make('span', {class: 'tag'}, m[0]));
    at = m.index + m[0].length;
  }
  return fill(node, text.slice(at));
}

// The service counts code points, a browser UTF-16 units: an emoji is one there and two here.
export function offsets(text) {
  const out = [0];
  for (const c of text) out.push(out.at(-1) + c.length);
  return out;
}
// Cuts a text at its claims. A claim that overlaps the one before, or lies outside, is not drawn.
export function pieces(text, claims) {
  const at = offsets(text), n = at.length - 1, out = [];
  const sound = claims.filter(c => Number.isInteger(c.start) && Number.isInteger(c.end) && c.start >= 0 && c.start < c.end && c.start < n);
  let end = 0;
  for (const claim of sound.sort((a, b) => a.start - b.start)) {
    if (claim.start < end) continue;
    if (claim.start > end) out.push({text: text.slice(at[end], at[claim.start])});
    end = Math.min(claim.end, n);
    out.push({text: text.slice(at[claim.start], at[end]), claim});
  }
  if (end < n) out.push({text: text.slice(at[end])});
  return out;
}
const whole = n => n.toLocaleString('en');
const cut = text => text.length <= LIMIT ? text : text.slice(0, LIMIT).replace(/[\ud800-\udbff]$/, '');
const cutNote = text => text.length <= LIMIT ? null
  : make('p', {class: 'note'}, `Cut here: the first ${whole(LIMIT)} of ${whole(text.length)} characters are shown.`);

const finite = x => typeof x === 'number' && Number.isFinite(x), minus = s => s.replace('-', '−');
export function percent(x) {
  if (!finite(x)) return '–';
  return minus((x > 0 ? '+' : '') + (Math.abs(x) < 10 ? (100*x).toFixed(1) : (100*x).toPrecision(3)) + '%');
}
const FOUR = new Intl.NumberFormat('en', {maximumSignificantDigits: 4});
const SHORT = new Intl.NumberFormat('en', {maximumSignificantDigits: 4, notation: 'compact'});
export function amount(x, name = '') {
  if (!finite(x)) return '–';
  const size = Math.abs(x), text = size >= 1e5 ? SHORT.format(size) : size && size < 1e-4 ? size.toExponential(2) : FOUR.format(size);
  return (x < 0 ? '−' : '') + (name.endsWith('_usd') ? '$' : '') + text;
}
const plural = (n, one) => `${whole(n)} ${one}${n === 1 ? '' : 's'}`;
const words = name => String(name ?? '').replace(/[_.]/g, ' ');

// ---- Talking to the service ----

export class Problem extends Error {
  constructor(body, status, wait = null) {
    const text = k => typeof body?.[k] === 'string' || finite(body?.[k]) ? String(body[k]).slice(0, 2000) : '';
    super(text('detail') || text('title') || `The service answered ${status} without saying why.`);
    this.title = text('title') || 'The service could not do that';
    for (const k of ['field', 'value', 'remedy', 'request_id']) this[k] = text(k);
    this.status = status; this.wait = wait;
  }
}
const noAnswer = () => new Problem({title: 'No answer', detail: 'The service cannot be reached.',
  remedy: 'See whether it runs and whether this machine is connected, then try again.'}, 0);
const garbled = () => new Problem({title: 'An answer that cannot be read', detail: 'What the service sent is not what it promises to send.',
  remedy: 'Try again. If it stays so, page and service may be of different versions: reload.'}, 502);
const brokenOff = () => new Problem({title: 'The answer broke off', detail: 'The connection ended before the answer was complete and checked.',
  remedy: 'Try again.'}, 0);
const unlessStopped = other => e => { throw e?.name === 'AbortError' ? e : other(); };

let key = null;  // an API key lives here and nowhere else

async function call(path, body, {signal, accept = 'application/json'} = {}) {
  const headers = {Accept: accept};
  if (body) headers['Content-Type'] = 'application/json';
  if (key) headers.Authorization = `Bearer ${key}`;
  const reply = await fetch(path, {method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body), signal,
    mode: 'same-origin', redirect: 'error', cache: 'no-store', referrerPolicy: 'no-referrer'}).catch(unlessStopped(noAnswer));
  if (reply.ok) return reply;
  const wait = Number(reply.headers.get('Retry-After'));
  throw new Problem(await reply.json().catch(() => null), reply.status, wait > 0 ? wait : null);
}
const json = reply => reply.json().catch(unlessStopped(garbled));

// Server-sent events as they arrive: any line ending, cut anywhere, even inside a character.
export async function* readEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '', event = '', data = [], size = 0;
  try {
    for (;;) {
      const {value, done} = await reader.read().catch(unlessStopped(brokenOff));
      const lines = (rest + (value ?? '')).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === '') {
          if (data.length) yield {event: event || 'message', data: data.join('\n')};
          event = ''; data = []; size = 0; continue;
        }
        const [, name, text] = line.match(/^([^:]*):? ?(.*)$/s);
        if (name === 'event') event = text;
        else if (name === 'data') { data.push(text); size += text.length; }
      }
      if (done) return;
      if (rest.length + size > MOST) throw garbled();
    }
  } finally { reader.cancel().catch(() => {}); }
}

// ---- Marks ----

export function describe(c) {
  if (c.status === 'unsupported' && c.why) return c.why;
  return [STATUSES[c.status], c.metric ? `as ${c.metric}` : '', c.why && c.why !== c.metric ? `(${c.why})` : ''].filter(Boolean).join(' ');
}
const tidy = c => ({...c, status: Object.hasOwn(STATUSES, c?.status) ? c.status : 'unsupported', text: String(c?.text ?? '').slice(0, 80),
  metric: c?.metric ? String(c.metric).slice(0, 200) : '', why: c?.why ? String(c.why).slice(0, 500) : ''});

// Fills `box` with the text, its claims marked. The marks are one stop of the Tab key; arrow keys go from one to the next.
function showMarks(box, text, claims) {
  const notes = make('div', {hidden: true}), marks = new Map();
  box.replaceChildren();
  for (const {text: t, claim: c} of pieces(cut(text), claims)) {
    if (!c) { fillQuietly(box, t); continue; }
    const id = `${box.id}-why-${marks.size}`;
    notes.append(make('span', {id}, `${c.status}: ${describe(c)}`));
    marks.set(c, make('span', {class: `n ${c.status}`, role: 'button', tabindex: marks.size ? -1 : 0, 'aria-describedby': id}, t));
    box.append(marks.get(c));
  }
  return {notes, marks};
}
function focusMark(mark) {
  for (const m of mark.parentElement.querySelectorAll('.n[tabindex="0"]')) m.tabIndex = -1;
  mark.tabIndex = 0; mark.focus();
}
function moveMarks(e) {
  const mark = e.target.closest?.('.n'); if (!mark) return;
  const all = [...mark.parentElement.querySelectorAll('.n')], i = all.indexOf(mark);
  const to = {ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1, Home: 0, End: all.length - 1}[e.key];
  if (to !== undefined) { e.preventDefault(); if (all[to]) focusMark(all[to]); }
  else if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); if (tip.mark === mark) hideTip(); else showTip(mark); }
}

// The reason of one mark, in a box beside it: it stays while the pointer is on it, and Escape closes it.
const tip = {mark: null, timer: 0};
function showTip(mark) {
  clearTimeout(tip.timer); if (tip.mark === mark) return;
  hideTip(); tip.mark = mark; mark.dataset.on = '';
  const [, status, why] = $(mark.getAttribute('aria-describedby')).textContent.match(/^(\w+): (.*)$/s), box = $('tip');
  box.replaceChildren(make('b', {}, status), make('span', {}, why)); box.hidden = false;
  const at = mark.getClientRects()[0], wide = document.documentElement.clientWidth, below = at.bottom + 8 + box.offsetHeight < innerHeight;
  box.style.left = `${scrollX + Math.max(8, Math.min(at.left, wide - box.offsetWidth - 8))}px`;
  box.style.top = `${scrollY + (below ? at.bottom + 6 : at.top - box.offsetHeight - 6)}px`;
}
function hideTip() {
  clearTimeout(tip.timer); $('tip').hidden = true;
  if (tip.mark) delete tip.mark.dataset.on;
  tip.mark = null;
}
const hideSoon = () => { clearTimeout(tip.timer); tip.timer = setTimeout(hideTip, 200); };

// ---- The verification of a text, from one line down to every figure ----

export function sumUp(n) {
  const of = n.cited + n.derived + n.unsupported;
  return of ? `${n.cited + n.derived} of ${plural(of, 'figure')} supported` : 'No figures to check';
}
const mark = s => make('span', {class: `n ${s}`}, s);
function signOf(n) {
  const [css, d] = n.unsupported ? ['no', 'M12 6v7.5M12 16.6v1.6'] : n.cited + n.derived ? ['ok', 'M6.5 12.5l3.7 3.7 7.3-8'] : ['none', 'M7 12h10'];
  return make('svg', {viewBox: '0 0 24 24', 'aria-hidden': 'true'}, make('circle', {cx: 12, cy: 12, r: 11, class: css}),
    make('path', {d, fill: 'none', 'stroke-width': 2.6, 'stroke-linecap': 'round'}));
}
function faultList(bad, marks) {
  if (!bad.length) return null;
  const items = bad.slice(0, 12).map(c => {
    const at = marks.get(c), go = make(at ? 'button' : 'b', at ? {type: 'button', class: 'link'} : {}, c.text);
    if (at) go.addEventListener('click', () => { focusMark(at); at.scrollIntoView({block: 'center'}); hideTip(); showTip(at); });
    return make('li', {}, go, ` ${describe(c)}`);
  });
  return make('div', {class: 'bad'}, make('h3', {}, 'What does not hold'), make('ul', {}, ...items),
    bad.length > 12 ? make('p', {class: 'note'}, `and ${whole(bad.length - 12)} more, in the table below`) : null);
}
const headOf = (...names) => make('thead', {}, make('tr', {}, ...names.map(h => make('th', {scope: 'col'}, h))));
function figureTable(claims) {
  const rows = claims.slice(0, 600).map(c => make('tr', {}, make('th', {scope: 'row'}, c.text), make('td', {}, mark(c.status)), make('td', {}, describe(c))));
  return make('details', {}, make('summary', {}, `All ${plural(claims.length, 'figure')}, one by one`),
    make('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'All figures'},
      make('table', {}, headOf('Figure', 'Verdict', 'Reason'), make('tbody', {}, ...rows))));
}
// Shows text and verdicts in the places `id`, `id`-summary and `id`-proof.
function showProof(id, text, verification) {
  const claims = (Array.isArray(verification?.claims) ? verification.claims : []).map(tidy).sort((a, b) => a.start - b.start);
  const counts = Object.fromEntries(Object.keys(STATUSES).map(s => [s, claims.filter(c => c.status === s).length]));
  const {notes, marks} = showMarks($(id), text, claims), summary = $(`${id}-summary`);
  const legend = make('ul', {class: 'legend', 'aria-label': 'Verdicts'},
    ...Object.entries(counts).filter(([, n]) => n).map(([s, n]) => make('li', {}, mark(s), ' ', make('b', {}, n))));
  const hint = make('p', {class: 'note'}, 'Point at a marked number, tap it, or go to it with Tab and the arrow keys, to read why.');
  summary.replaceChildren(signOf(counts), sumUp(counts)); summary.hidden = false;
  const bad = claims.filter(c => c.status === 'unsupported'), parts = claims.length ? [legend, faultList(bad, marks), hint, figureTable(claims)] : [];
  $(`${id}-proof`).replaceChildren(...[cutNote(text), ...parts, notes].filter(Boolean));
  return counts;
}

// ---- The forecast, drawn ----

const DAY = 86400000, day = s => Date.parse(`${s}T00:00:00Z`)/DAY, iso = d => new Date(d*DAY).toISOString().slice(0, 10);
const short = (d, year) => new Date(d*DAY).toLocaleDateString('en', {month: 'short', day: 'numeric', ...(year ? {year} : {}), timeZone: 'UTC'});
const levelOf = f => `${Math.round(100*(finite(f?.level) ? f.level : .8))}%`;

// What is drawn: as much of the past as lets the horizon be seen, and levels in place of changes. A change of a price is that from the last
// day to the day asked about; a change of a flow, such as fees, is that from the mean of as many days before to the mean of the days to come.
export const LEVELS = ['price_usd', 'tvl_usd'];
export function chartOf(r) {
  const rows = (Array.isArray(r.history) ? r.history : []).filter(p => Array.isArray(p) && finite(p[1]) && finite(day(p[0])));
  const past = rows.map(([d, v]) => ({d: day(d), v})).sort((a, b) => a.d - b.d), last = past.at(-1), h = Number(r.horizon) || 0;
  if (past.length < 2) return null;
  const mean = !LEVELS.includes(r.target) && h > 1, before = past.filter(p => p.d > last.d - h);
  const base = mean ? before.reduce((n, p) => n + p.v/before.length, 0) : last.v;
  const level = x => base*(1 + x), f = r.forecast, o = r.outcome, stated = f && [f.lo, f.median, f.hi].every(finite);
  return {name: String(r.target ?? ''), chain: String(r.chain ?? ''), last, base, h, mean, end: last.d + h,
    past: past.filter(p => p.d > last.d - Math.max(21, Math.min(60, 6*h))),
    f: stated ? {...f, at: {lo: level(f.lo), median: level(f.median), hi: level(f.hi)}} : null,
    o: o && finite(o.change) ? {change: o.change, v: level(o.change), inside: stated ? o.change >= f.lo && o.change <= f.hi : null} : null};
}
const whether = o => o.inside === null ? '' : o.inside ? ', inside the interval' : ', outside the interval';
export function chartText(c) {
  const values = c.past.map(p => p.v), a = x => amount(x, c.name), out = [];
  out.push(`${words(c.name)} of ${c.chain} over ${plural(c.past.length, 'day')} to ${iso(c.last.d)}: `
    + `between ${a(Math.min(...values))} and ${a(Math.max(...values))}, last ${a(c.last.v)}.`);
  const when = c.mean ? `the mean of the ${c.h} days to ${iso(c.end)}` : iso(c.end);
  if (c.f) out.push(`Forecast for ${when}: median ${percent(c.f.median)} (${a(c.f.at.median)}), ${levelOf(c.f)} interval `
    + `${percent(c.f.lo)} to ${percent(c.f.hi)} (${a(c.f.at.lo)} to ${a(c.f.at.hi)}).`);
  if (c.o) out.push(`What happened: ${percent(c.o.change)} (${a(c.o.v)})${whether(c.o)}.`);
  return out.join(' ');
}
function ticks(lo, hi, n) {
  const raw = (hi - lo)/n, unit = 10**Math.floor(Math.log10(raw)), step = unit*([1, 2, 2.5, 5].find(k => k*unit >= raw) ?? 10), out = [];
  for (let v = Math.ceil(lo/step)*step; v <= hi + step*1e-9 && out.length < 12; v += step) out.push(Math.abs(v) < step*1e-6 ? 0 : v);
  return out;
}
// Scales for a width. An interval out of all proportion is held at the edge of the picture; its figures are written beside it.
function scalesOf(c, wide) {
  const tall = wide < 480 ? 230 : 280, m = {l: 52, r: c.f ? 56 : c.o ? 24 : 14, t: 14, b: 26};
  const values = c.past.map(p => p.v), room = Math.max(3*(Math.max(...values) - Math.min(...values)), .05*Math.abs(c.last.v), 1e-12);
  const held = v => Math.max(c.last.v - room, Math.min(c.last.v + room, v));
  const all = [...values, ...(c.f ? [c.f.at.lo, c.f.at.hi] : []), ...(c.o ? [c.o.v] : [])].map(held);
  const low = Math.min(...all), top = Math.max(...all), pad = .08*(top - low) || .05*Math.abs(top) || 1, lo = low - pad, hi = top + pad;
  const x0 = c.past[0].d, x1 = Math.max(c.f || c.o ? c.end : c.last.d, x0 + 1), round = n => Math.round(10*n)/10;
  return {wide, tall, m, lo, hi, x0, x1, x: d => round(m.l + (d - x0)/(x1 - x0)*(wide - m.l - m.r)),
    y: v => round(tall - m.b - (held(v) - lo)/(hi - lo)*(tall - m.t - m.b))};
}
function drawAxes(put, c, s) {
  const {x, y, m, wide, tall} = s, base = tall - 7, now = x(c.last.d), end = x(c.end), ahead = c.f || c.o;
  for (const v of ticks(s.lo, s.hi, 4)) {
    put('line', {class: 'grid', x1: m.l, x2: wide - m.r, y1: y(v), y2: y(v)});
    put('text', {x: m.l - 6, y: y(v) + 4, 'text-anchor': 'end'}, amount(v, c.name));
  }
  put('text', {x: m.l, y: base}, short(s.x0, wide >= 480 && 'numeric'));
  put('text', {x: ahead ? Math.min(now + 16, end - 24) : now, y: base, 'text-anchor': 'end', class: 'strong'}, short(c.last.d));
  if (!ahead) return;
  put('line', {class: 'cut', x1: now, x2: now, y1: m.t - 6, y2: tall - m.b});
  put('text', {x: end, y: base, 'text-anchor': 'middle'}, short(c.end));
}
function drawForecast(put, c, {x, y, tall, m}) {
  const now = x(c.last.d), from = y(c.base), end = x(c.end), [lo, mid, hi] = [c.f.at.lo, c.f.at.median, c.f.at.hi].map(y);
  put('path', {class: 'wedge', d: `M${now} ${from}L${end} ${lo}V${hi}Z`});
  put('path', {class: 'edge', d: `M${end} ${lo}L${now} ${from}L${end} ${hi}`});
  put('path', {class: 'median', d: `M${now} ${from}L${end} ${mid}`});
  put('line', {class: 'end', x1: end, x2: end, y1: lo, y2: hi});
  if (c.mean) put('line', {class: 'base', x1: x(Math.max(c.past[0].d, c.last.d - c.h + 1)), x2: now, y1: from, y2: from});
  const at = [hi, Math.max(mid, hi + 14)]; at.push(Math.max(lo, at[1] + 14));
  const over = Math.max(0, at[2] - (tall - m.b));
  [c.f.hi, c.f.median, c.f.lo].forEach((v, i) => put('text', {class: 'of', x: end + 8, y: at[i] + 4 - over}, percent(v)));
}
// Shows the day under the pointer; the table below the chart says the same to everybody else.
function probe(svg, put, c, {x, m, x0, x1, wide, tall}) {
  const line = put('line', {class: 'probe', y1: m.t, y2: tall - m.b, visibility: 'hidden'});
  const text = put('text', {class: 'strong', y: m.t - 3, 'text-anchor': 'middle', visibility: 'hidden'});
  const show = on => { for (const node of [line, text]) node.setAttribute('visibility', on ? 'visible' : 'hidden'); };
  svg.addEventListener('pointerleave', () => show(false));
  svg.addEventListener('pointermove', e => {
    const box = svg.getBoundingClientRect(), d = x0 + ((e.clientX - box.left)*wide/box.width - m.l)/(wide - m.l - m.r)*(x1 - x0);
    const p = c.past.reduce((a, b) => Math.abs(b.d - d) < Math.abs(a.d - d) ? b : a);
    line.setAttribute('x1', x(p.d)); line.setAttribute('x2', x(p.d)); text.setAttribute('x', Math.max(70, Math.min(wide - 70, x(p.d))));
    text.textContent = `${short(p.d)}: ${amount(p.v, c.name)}`; show(d <= c.last.d + .5);
  });
}
function drawFan(box, c) {
  const s = scalesOf(c, Math.max(240, Math.min(900, box.clientWidth || 640))), {x, y} = s;
  const svg = make('svg', {viewBox: `0 0 ${s.wide} ${s.tall}`, role: 'img', 'aria-label': chartText(c)});
  const put = (tag, attrs, ...kids) => svg.appendChild(make(tag, attrs, ...kids));
  drawAxes(put, c, s);
  if (c.f) drawForecast(put, c, s);
  put('path', {class: 'past', d: c.past.map((p, i) => `${i ? 'L' : 'M'}${x(p.d)} ${y(p.v)}`).join('')});
  put('circle', {class: 'now', cx: x(c.last.d), cy: y(c.f ? c.base : c.last.v), r: 3.2});
  if (c.o?.inside === false) put('path', {class: 'outside', d: `M${x(c.end) - 5} ${y(c.o.v) - 5}l10 10m0 -10l-10 10`});
  else if (c.o) put('circle', {class: 'inside', cx: x(c.end), cy: y(c.o.v), r: 5.5});
  probe(svg, put, c, s);
  box.replaceChildren(svg);
}
function tilesOf(c, a) {
  const tile = (name, value, note, css) => make('div', {class: css}, make('dt', {}, name), make('dd', {}, value, make('small', {}, note)));
  return [...(c.f ? [
    tile('Chance of a rise', finite(c.f.p_up) ? `${Math.round(100*c.f.p_up)}%` : '–', 'as stated'),
    tile('Median', percent(c.f.median), a(c.f.at.median)),
    tile(`${levelOf(c.f)} interval`, `${percent(c.f.lo)} to ${percent(c.f.hi)}`, `${a(c.f.at.lo)} to ${a(c.f.at.hi)}`, 'wide')]
    : [tile('Forecast', 'none', 'the reply states none that can be read')]),
  c.o ? tile('What happened', percent(c.o.change), a(c.o.v) + whether(c.o)) : tile('What happened', 'not known', 'the data ends before that day')];
}
function chartTable(c, a) {
  const row = (d, v, what) => make('tr', {}, make('th', {scope: 'row'}, d), make('td', {class: 'num'}, a(v)), make('td', {}, what)), e = iso(c.end);
  return [headOf('Date', 'Value', 'What it is'), make('tbody', {}, ...(c.o ? [row(e, c.o.v, 'what happened')] : []),
    ...(c.f ? [row(e, c.f.at.hi, 'upper end of the interval'), row(e, c.f.at.median, 'median'), row(e, c.f.at.lo, 'lower end of the interval')] : []),
    ...[...c.past].reverse().map(p => row(iso(p.d), p.v, 'seen')))];
}
let chart = null;
function showFuture(r, final) {
  const c = chart = chartOf(r), a = v => amount(v, c.name), asked = r.kind === 'market.forecast' || r.forecast;
  $('future').hidden = !c || !asked; if ($('future').hidden) return;
  $('future-title').textContent = `${words(c.name)} of ${c.chain}, ${plural(c.end - c.last.d, 'day')} after ${iso(c.last.d)}`;
  $('tiles').replaceChildren(...(final ? tilesOf(c, a) : []));
  $('fan-table').replaceChildren(...chartTable(c, a));
  const when = !c.mean ? `It states them for ${iso(c.end)} alone`
    : `They are about the mean of the ${c.h} days to ${iso(c.end)}, against that of the ${c.h} days before`;
  const sign = !c.o ? '' : c.o.inside === false ? ' ✕ is what happened.' : ' ● is what happened.';
  $('fan-note').textContent = !c.f ? `The line is what the model could see.${sign}`
    : `The line is what the model could see; the wedge is its ${levelOf(c.f)} interval, the dashes are its median. ${when}: `
      + `the lines that lead there guide the eye.${sign}`;
  drawFan($('fan'), c);
}

// ---- The rest of an answer ----

function showScores(s) {
  const rect = width => make('rect', {width, height: 8, rx: 2});
  const row = (name, v, css) => [make('dt', {class: css}, words(name)), make('dd', {class: css}, finite(v) ? v.toFixed(2) : '–'), make('dd', {class: 'bar'},
    make('svg', {viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true'}, rect(100), rect(finite(v) ? 100*Math.max(0, Math.min(1, v)) : 0)))];
  $('scores').replaceChildren(...row('total', s?.total, 'total'), ...Object.entries(s?.parts ?? {}).slice(0, 40).flatMap(([k, v]) => row(k, v)));
  $('scores-note').textContent = s?.note ? String(s.note) : 'Without the outcome: how good the forecast was is not part of it.';
}
const timeOf = s => s > 0 && s < 1e11 ? new Date(1000*s).toISOString().slice(0, 19).replace('T', ' ') + ' UTC' : null;  // seconds since 1970
function showFacts(r) {
  const facts = {Model: r.model?.name, Base: r.model?.base, Adapter: r.model?.adapter, 'Model hash': r.model?.hash, Engine: r.model?.backend,
    Data: r.data?.source, 'Data hash': r.data?.hash, Calculator: r.calculator === undefined ? null : r.calculator ? 'on' : 'off',
    'Time taken': finite(r.seconds) ? `${r.seconds.toFixed(1)} s` : null, Written: finite(r.created) ? timeOf(r.created) : null, Answer: r.id,
    'Model’s licence': r.licence?.model, 'Base’s licence': r.licence?.base, 'Data’s licence': r.licence?.data ?? r.data?.licence};
  const known = Object.entries(facts).filter(([, v]) => v !== null && v !== undefined && v !== '');
  $('facts').replaceChildren(...known.flatMap(([k, v]) => [make('dt', {}, k), make('dd', {}, typeof v === 'object' ? JSON.stringify(v) : String(v))]));
}
function showOthers(list) {
  const others = (Array.isArray(list) ? list : []).slice(1, 16); $('others').hidden = !others.length;
  $('candidates').replaceChildren(...others.map((c, i) => {
    const text = String(c.reply ?? ''), share = finite(c.supported_share) ? `${Math.round(100*c.supported_share)}%` : '–';
    const total = finite(c.total) ? c.total.toFixed(2) : '–', left = c.finished === false ? ', cut at its length limit' : '';
    const head = `No. ${i + 2}: rubric ${total}, ${share} of its figures supported${left}`;
    return make('details', {}, make('summary', {}, head), fillQuietly(make('div', {class: 'text', dir: 'auto'}), cut(text)), cutNote(text));
  }));
}

// ---- Problems, and the key ----

// The input that a problem is about: "snapshot.chain" is about the chain.
function inputOf(form, field) {
  for (const name of field.split(/[^A-Za-z_]+/).reverse()) {
    const found = name && Object.hasOwn(form.elements, name) ? form.elements[name] : null;
    if (found) return found instanceof RadioNodeList ? found[0] : found;
  }
  return null;
}
function showProblem(which, e, again) {
  const box = $(`${which}-problem`), at = inputOf($(which), e.field), retry = again && !at ? make('button', {type: 'button'}, 'Try again') : null;
  const rows = [['Field', e.field], ['Value', e.value], ['Remedy', e.remedy], ['Wait', e.wait && plural(Math.ceil(e.wait), 'second')],
    ['Request', e.request_id]];
  retry?.addEventListener('click', () => { clearProblem(which); if (which === 'ask') $('go').focus(); again(); });
  box.replaceChildren(make('h2', {}, e.title), make('p', {}, e.message),
    make('dl', {}, ...rows.filter(([, v]) => v).flatMap(([k, v]) => [make('dt', {}, k), make('dd', {}, v)])), ...(retry ? [retry] : []));
  box.hidden = false;
  if (!at) return box.scrollIntoView({block: 'nearest'});
  at.closest('.field').append(make('p', {id: `${which}-wrong`, class: 'wrong'}, `${e.message} ${e.remedy}`));   // on a phone the box may be far below
  at.setAttribute('aria-invalid', 'true'); at.setAttribute('aria-errormessage', `${which}-wrong`);
  at.setAttribute('aria-describedby', `${at.getAttribute('aria-describedby') ?? ''} ${which}-wrong`.trim());
  const more = at.closest('details'); if (more) more.open = true;
  at.focus();
}
function accept(input) {
  const said = input.getAttribute('aria-errormessage'), rest = (input.getAttribute('aria-describedby') ?? '').split(' ').filter(i => i !== said);
  if (said) { $(said)?.remove(); input.setAttribute('aria-describedby', rest.join(' ')); }
  input.removeAttribute('aria-invalid'); input.removeAttribute('aria-errormessage');
}
function clearProblem(which) {
  $(`${which}-problem`).hidden = true;
  for (const x of $(which).querySelectorAll('[aria-invalid]')) accept(x);
}
// A refusal for want of a key opens the field for it; what was wanted is tried again with the key.
let wanted = null;
function failed(which, e, again) {
  if (e?.status !== 401) {
    const said = e instanceof Problem ? e : new Problem({title: 'The page failed', detail: String(e?.message ?? e), remedy: 'Reload the page.'}, 0);
    return showProblem(which, said, again);
  }
  $('key-why').textContent = key ? 'The key that was used is refused: it may have been mistyped or withdrawn.' : 'Whoever runs it can give you one.';
  key = null; wanted = again; $('key').hidden = false; $('key-value').focus();
}
function useKey(e) {
  e.preventDefault();
  const text = $('key-value').value.trim(), next = wanted;
  if (!/^[\x21-\x7e]{1,512}$/.test(text)) {
    $('key-why').textContent = 'A key is one word of letters, digits and signs.'; $('key-value').setAttribute('aria-invalid', 'true'); return;
  }
  key = text; wanted = null; accept($('key-value')); $('key-value').value = ''; $('key').hidden = true; $('main').focus();
  next?.();
}
const say = text => { $('said').textContent = text; };
const narrow = () => matchMedia('(max-width:59.99rem)').matches;

// ---- Asking ----

let running = null, data = null;
function question() {
  const f = $('ask').elements, out = {chain: f.chain.value, kind: f.kind.value, horizon: Number(f.horizon.value)};
  if (f.asof.value) out.asof = f.asof.value;
  if (!$('target-field').hidden) out.target = f.target.value;
  return out;
}
function settings() {
  const f = $('ask').elements, filled = ['n', 'seed', 'temperature', 'max_new_tokens'].filter(k => f[k].value !== '');
  return {calculator: f.calculator.checked, ...Object.fromEntries(filled.map(k => [k, Number(f[k].value)]))};
}
function busy(on, label = '') {
  $('go').setAttribute('aria-disabled', String(on || !data)); $('go').textContent = on ? 'Asking…' : 'Ask';
  if (!on && document.activeElement === $('stop')) $('answer-title').focus();
  $('stop').hidden = !on; $('reply').setAttribute('aria-busy', String(on)); $('state').textContent = label;
  if (!on) $('progress').hidden = true;
}
function clearAnswer() {
  hideTip(); clearProblem('ask'); chart = null;
  for (const id of ['empty', 'future', 'others', 'about', 'notice', 'reply-summary', 'asked', 'progress']) $(id).hidden = true;
  for (const id of ['reply', 'reply-proof', 'question']) $(id).replaceChildren();
  $('answer').hidden = false; $('answer-title').textContent = 'Answer';
}
function showStart(r) {
  $('answer-title').textContent = [words(r.kind), r.chain, r.asof].filter(Boolean).join(', ');
  $('asked').hidden = !r.question; $('question').replaceChildren(); fill($('question'), cut(String(r.question ?? '')));
  $('notice').hidden = !r.notice; $('notice').textContent = String(r.notice ?? '');
}
function showDone(r) {
  showStart(r);
  const counts = showProof('reply', String(r.reply ?? ''), r.verification), f = r.forecast, left = r.finished === false ? 'Cut at its length limit.' : '';
  showFuture(r, true); showOthers(r.candidates); showScores(r.scores); showFacts(r); $('about').hidden = false;
  busy(false, left);
  say([`The answer is there: ${sumUp(counts)}.`, left,
    f ? `Median ${percent(f.median)}, ${levelOf(f)} interval ${percent(f.lo)} to ${percent(f.hi)}.` : ''].filter(Boolean).join(' '));
}
async function follow(reply) {
  let length = 0;
  for await (const {event, data: text} of readEvents(reply.body)) {
    let x; try { x = JSON.parse(text); } catch { throw garbled(); }
    if (event === 'problem') throw new Problem(x, Number(x?.status) || 502);
    if (event === 'done') return showDone(x);
    if (event === 'start') { showStart(x); showFuture(x, false); $('state').textContent = 'Writing…'; }
    else if (event === 'token' && length < LIMIT) { const t = String(x?.text ?? ''); fill($('reply'), t.slice(0, LIMIT - length)); length += t.length; }
    else if (event === 'progress') {
      const bar = $('progress'); bar.hidden = false; bar.max = Number(x?.of) || 1; bar.value = Number(x?.done) || 0;
      $('state').textContent = `${bar.value} of ${bar.max} replies written`;
    }
  }
  throw brokenOff();
}
async function ask() {
  if (running || !data) return;
  const q = {...question(), ...settings()}, control = running = new AbortController();
  clearAnswer(); busy(true, 'Waiting for the model…'); say('Asking.');
  if (narrow()) $('answer').scrollIntoView({block: 'start'});
  history.replaceState(null, '', '#' + new URLSearchParams(Object.entries(q)));
  try {
    const reply = await call('v1/analyze', {...q, stream: true}, {signal: control.signal, accept: 'text/event-stream, application/json'});
    if ((reply.headers.get('Content-Type') ?? '').startsWith('application/json')) showDone(await json(reply)); else await follow(reply);
  } catch (e) {
    const begun = $('reply').textContent !== '', rest = begun ? ': what is here is not checked.' : '.', stopped = e.name === 'AbortError';
    busy(false, stopped ? `Stopped${rest}` : begun ? `Broken off${rest}` : ''); say(stopped ? $('state').textContent : '');
    if (!stopped) { if (!begun) $('answer').hidden = $('future').hidden = true; failed('ask', e, ask); }
  } finally { running = null; control.abort(); }
}
const stop = () => running?.abort();

// ---- Checking ----

// Reads figures as people write them: a name, then a number with $ , % k M B T; or a JSON object of numbers.
const FIGURE = /^([A-Za-z]\w*)\s*[:=\s]\s*([+\-−]?)\s*\$?\s*([+\-−]?)(\d[\d,_]*(?:\.\d+)?|\.\d+)(e[+-]?\d{1,3})?\s*([kmbt%]?)$/i;
const SCALE = {k: 1e3, m: 1e6, b: 1e9, t: 1e12, '%': .01, '': 1};
const unread = why => new Problem({title: 'A figure cannot be read', detail: why, field: 'values',
  remedy: 'Write one name: number per line, such as price_usd: $4.98.'}, 422);
export function readValues(text) {
  const out = text.trim().startsWith('{') ? fromJSON(text) : {};
  if (!text.trim().startsWith('{')) text.split('\n').forEach((line, i) => {
    const s = line.trim(); if (!s) return;
    const m = s.length < 200 && s.match(FIGURE);
    if (!m) throw unread(`Line ${i + 1} is “${s.slice(0, 60)}”.`);
    const sign = m[2] + m[3] !== '' && /[-−]/.test(m[2] + m[3]) ? -1 : 1;
    const value = sign*Number(m[4].replace(/[,_]/g, '') + (m[5] ?? ''))*SCALE[m[6].toLowerCase()];
    if (!Number.isFinite(value)) throw unread(`Line ${i + 1} is beyond what a number can hold.`);
    out[m[1]] = Number(value.toPrecision(15));
  });
  if (!Object.keys(out).length) throw unread('There are no figures to check against.');
  return out;
}
function fromJSON(text) {
  let x; try { x = JSON.parse(text); } catch (e) { throw unread(`The JSON is broken: ${e.message}`); }
  for (const [k, v] of Object.entries(x)) if (!finite(v)) throw unread(`${k.slice(0, 60)} is ${JSON.stringify(v).slice(0, 60)}, no number.`);
  return x;
}
async function check() {
  const f = $('check').elements, go = $('verify');
  if (go.getAttribute('aria-disabled') === 'true') return;
  clearProblem('check'); hideTip();
  try {
    if (!f.text.value.trim()) throw new Problem({title: 'There is no text yet', detail: 'Nothing can be checked in an empty text.', field: 'text',
      remedy: 'Paste one, or fill in the example.'}, 422);
    const against = f.by.value === 'day' ? question() : {values: readValues(f.values.value)};
    go.setAttribute('aria-disabled', 'true');
    const r = await json(await call('v1/verify', {text: f.text.value, ...against}));
    $('checked-card').hidden = false; say(`Checked: ${sumUp(showProof('checked', f.text.value, r.verification))}.`);
    if (narrow()) $('checked-card').scrollIntoView({block: 'start'});
  } catch (e) { $('checked-card').hidden = true; failed('check', e, check); }
  finally { go.removeAttribute('aria-disabled'); }
}
const EXAMPLE = {
  text: '9.19M transactions [tx_count] / 926k active addresses = 9.92 per address.\nFees: $50.9k / 9.19M = $0.0065 per transaction.\n'
    + 'The price rose +4.3% [change_7d] in a week, and users by 12%.',
  values: 'tx_count: 9.19M\nactive_addresses: 926k\nfees_usd: $50.9k\nchange_7d: +4.3%'};
function example() {
  $('text').value = EXAMPLE.text; $('values').value = EXAMPLE.values; $('by-values').checked = true; $('values-field').hidden = false;
  check();
}

// ---- Setting up ----

const option = (value, text) => make('option', {value}, text);
function keepInStep() {
  const kind = data?.kinds.find(k => k.name === $('kind').value), targets = kind?.targets ?? [], before = $('target').value;
  $('target-field').hidden = !targets.length; $('target').replaceChildren(...targets.map(t => option(t, words(t))));
  if (targets.includes(before)) $('target').value = before;
  $('kind-note').hidden = kind?.trained !== false;
  $('day-note').textContent = data ? `${$('chain').value} on ${$('asof').value || 'its last day'}, as chosen under Ask` : '';
}
// A chain has its own days; a date that was chosen stays, and the service says if that chain lacks it.
function keepDays() {
  const c = data?.chains.find(x => x.name === $('chain').value), date = $('asof'); if (!c) return;
  date.min = c.first; date.max = c.last;
  if (!date.value || date.value === date.dataset.last) date.value = c.last;
  date.dataset.last = c.last;
  $('asof-note').textContent = `From ${c.first} to ${c.last}. What happened is known for days further back.`;
}
function fillForm(d) {
  const groups = Map.groupBy?.(d.kinds, k => k.name.split('.')[0]) ?? new Map([['kinds', d.kinds]]), f = $('ask').elements;
  $('chain').replaceChildren(...d.chains.map(c => option(c.name, c.name)));
  $('kind').replaceChildren(...[...groups].map(([g, kinds]) => make('optgroup', {label: g}, ...kinds.map(k => option(k.name, words(k.name))))));
  const usual = d.horizons.includes(7) ? 7 : d.horizons[0];
  $('horizon').replaceChildren(...d.horizons.map(h => make('label', {}, make('input', {type: 'radio', name: 'horizon', value: h, checked: h === usual}), h)));
  if (d.chains.some(c => c.name === 'near')) f.chain.value = 'near';
  if (d.kinds.some(k => k.name === 'market.forecast')) f.kind.value = 'market.forecast';
  const start = new URLSearchParams(location.hash.slice(1));  // a question that was asked before, or sent by somebody
  const set = k => { const before = f[k].value, v = start.get(k); if (v === null) return; f[k].value = v; if (f[k].value !== v) f[k].value = before; };
  set('chain'); set('kind'); set('horizon'); keepInStep(); keepDays();
  for (const k of ['asof', 'target', 'n', 'seed', 'temperature', 'max_new_tokens']) set(k);
  if (start.get('calculator') === 'false') f.calculator.checked = false;
  keepInStep();
}
async function load() {
  try {
    const d = await json(await call('v1/data'));
    if (![d?.chains, d?.kinds, d?.horizons].every(x => Array.isArray(x) && x.length)) throw garbled();
    data = d; fillForm(d); busy(false); $('stamp').hidden = !d.simulated;
    $('licence').replaceChildren(`Data: ${d.source ?? 'unknown'}${d.licence ? `, licence ${d.licence}` : ''}.`);
  } catch (e) { failed('ask', e, load); }
}
function openTab(name, focus) {
  for (const t of ['ask', 'check']) {
    const on = t === name, tab = $(`tab-${t}`);
    tab.setAttribute('aria-selected', String(on)); tab.tabIndex = on ? 0 : -1; $(`panel-${t}`).hidden = !on;
    if (on && focus) tab.focus();
  }
  hideTip(); keepInStep();
}
const on = (id, kind, act) => $(id).addEventListener(kind, act);

function listen() {
  for (const [t, other, act] of [['ask', 'check', ask], ['check', 'ask', check]]) {
    on(`tab-${t}`, 'click', () => openTab(t));
    on(`tab-${t}`, 'keydown', e => {
      const to = {ArrowLeft: other, ArrowRight: other, Home: 'ask', End: 'check'}[e.key];
      if (to) { e.preventDefault(); openTab(to, true); }
    });
    on(t, 'submit', e => { e.preventDefault(); act(); });
    on(t, 'input', e => accept(e.target));
  }
  on('chain', 'change', () => { keepDays(); keepInStep(); }); on('kind', 'change', keepInStep); on('asof', 'change', keepInStep);
  for (const id of ['by-values', 'by-day']) on(id, 'change', () => { $('values-field').hidden = $('by-day').checked; });
  on('example', 'click', example); on('stop', 'click', stop); on('key', 'submit', useKey);
  document.addEventListener('keydown', e => { if (e.key === 'Escape') { if ($('tip').hidden) stop(); else hideTip(); } });
}
function listenToMarks(id) {
  const of = e => e.target.closest?.('.n');
  on(id, 'keydown', moveMarks); on(id, 'focusout', hideSoon);
  on(id, 'focusin', e => { if (of(e)) showTip(of(e)); });
  on(id, 'click', e => { if (of(e)) { focusMark(of(e)); showTip(of(e)); } });
  on(id, 'pointerover', e => { if (of(e) && e.pointerType !== 'touch') showTip(of(e)); });
  on(id, 'pointerout', e => { if (e.pointerType !== 'touch') hideSoon(); });
}
function start() {
  $('meaning').replaceChildren(...Object.entries(STATUSES).map(([s, t]) => make('li', {}, mark(s), make('span', {class: 'note'}, t))));
  listen(); listenToMarks('reply'); listenToMarks('checked');
  on('tip', 'pointerenter', () => clearTimeout(tip.timer)); on('tip', 'pointerleave', hideSoon); addEventListener('resize', hideTip);
  on('tip', 'click', e => { if (e.pointerType !== 'mouse') hideTip(); });  // under a finger it may lie over the next number
  let drawn = 0;
  new ResizeObserver(() => { const w = $('fan').clientWidth; if (chart && w && w !== drawn) { drawn = w; drawFan($('fan'), chart); } }).observe($('fan'));
  load();
}
start();
