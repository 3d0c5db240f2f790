"The ledger under attack and under stress: a thousand tamperings, two writers, kill -9, clocks that jump, revisions, and what the report makes of it."
import json, multiprocessing, os, random, signal, sqlite3, subprocess, time
from pathlib import Path
import numpy as np, pandas as pd, pytest
import cortex.live as live
from cortex.artifacts import CortexError
from cortex.benchmarks import bench_forecasts
from cortex.live import (Appended, Ledger, System, forecast_key, issue, judged_rows, live_workflow, read_anchors, read_said, report, restore_ledger, seal, settle, verify_ledger)
from cortex.sections import load_section, save_section
from cortex.sources import long_rows, simulate_market
from cortex.store import MarketStore

FORK = multiprocessing.get_context('forkserver')   # children start from a process that has everything imported, and no threads
FORK.set_forkserver_preload(['pandas', 'cortex.live', 'cortex.teachers'])
NAMES = ['a', 'b|c', 'quote"d', 'back\\slash', 'na\u00efve', '\u65e5\u672c', '"at":"2025', "o'brien", '{}', 'x,y']   # parts of keys that could confuse a careless check

def filled(path, n=60, batch=4):
    "Make a ledger of `n` rows, `batch` at a time, each day a batch."
    with Ledger.open(path, create=True, now='2025-01-01') as b:
        for k in range(1, n, batch):
            b.append([(f'note|{NAMES[i % len(NAMES)]}|{i}', dict(kind='note', says=f'word {i}', value=i/7)) for i in range(k, min(k + batch, n))], pd.Timestamp('2025-01-01') + pd.Timedelta(days=k))
    return path

def start(target, *args):
    p = FORK.Process(target=target, args=args); p.start(); return p

def done(*ps):
    for p in ps:
        p.join(300)
        assert p.exitcode == 0

# --- known answers ---

def test_hashes_are_those_of_sha256sum(tmp_path):
    "What the ledger calls the hash of a row is what another program makes of its text, and each row names the one before."
    with Ledger.open(filled(tmp_path/'l.db', 13)) as b: rows = b.db.execute('SELECT line, hash FROM rows ORDER BY n').fetchall(); b.export(tmp_path/'l.jsonl')
    before = '0'*64
    for line, digest in rows:
        said = subprocess.run(['sha256sum'], input=line.encode(), capture_output=True, check=True).stdout.split()[0].decode()
        assert said == digest and json.loads(line)['prev'] == before
        before = digest
    lines = (tmp_path/'l.jsonl').read_text().split('\n')
    assert json.loads(lines[0])['_ledger'] == dict(format=1, rows=13, head=before) and [json.loads(x)['hash'] for x in lines[1:-1]] == [h for _, h in rows]
    assert [json.loads(x)['key'] for x in lines[2:-1]] == [f'note|{NAMES[i % 10]}|{i}' for i in range(1, 13)]

# --- a thousand tamperings ---

def resealed(rows, first):
    "Number and seal rows anew from position `first` on, as somebody would who knows how."
    out, prev = rows[:first], rows[first - 1][3] if first else '0'*64
    for n, (_, _, line, _) in enumerate(rows[first:], first + 1):
        d = json.loads(line); fields = {k: v for k, v in d.items() if k not in ('n', 'prev', 'key', 'at')}
        line, digest = seal(n, prev, d['key'], d['at'], fields); out.append((n, d['key'], line, digest)); prev = digest
    return out

def edited(row, r):
    "Change one character of what a row says."
    n, key, line, digest = row; at = r.randrange(line.index('"at":"') + 30, len(line) - 1); c = r.choice([x for x in '0123456789abc' if x != line[at]])
    return n, key, line[:at] + c + line[at + 1:], digest

def tampered(rows, how, r):
    "Tamper with rows (n, key, line, hash); gives the rows, and the first and last number that a finding may name."
    N, i = len(rows), r.randrange(1, len(rows) - 1); j = r.choice([x for x in range(1, N) if x != i]); rows = list(rows)
    if how == 'edit': rows[i] = edited(rows[i], r); return rows, i + 1, i + 1
    if how == 'edit and reseal the row': rows[i] = resealed(rows[:i] + [edited_value(rows[i])], i)[i]; return rows, i + 1, i + 2
    if how == 'edit and reseal all': rows[i] = edited_value(rows[i]); return resealed(rows, i), i + 1, None
    if how == 'delete': del rows[i]; return rows, i + 1, i + 1
    if how == 'delete and reseal all': del rows[i]; return resealed(rows, i), i + 1, None
    if how == 'cut the end': return rows[:i], i + 1, N
    if how == 'swap': rows[i], rows[j] = (rows[i][0], *rows[j][1:]), (rows[j][0], *rows[i][1:]); return rows, min(i, j) + 1, max(i, j) + 1
    if how == 'swap and reseal all': a, b = min(i, j), max(i, j); rows[a], rows[b] = rows[b], rows[a]; return resealed(rows, a), a + 1, None
    if how == 'change a hash': n, k, line, h = rows[i]; rows[i] = n, k, line, h[:7] + ('0' if h[7] != '0' else '1') + h[8:]; return rows, i + 1, i + 1
    if how == 'change a key': n, k, line, h = rows[i]; rows[i] = n, k + 'x', line, h; return rows, i + 1, i + 1
    if how == 'backdate and reseal all':
        d = json.loads(rows[i][2]); d['at'] = '2024-12-31T00:00:00Z'; rows[i] = rows[i][0], rows[i][1], json.dumps(d), ''; return resealed(rows, i), i + 1, None
    if how == 'insert': rows.insert(i, (0, 'note|new', json.dumps(dict(n=0, prev='', key='note|new', at=json.loads(rows[i][2])['at'], says='new')), '')); return resealed(rows, i), i + 1, None
    if how == 'replace all': return resealed([(n, k, json.dumps(json.loads(line) | dict(says='mine')), '') for n, k, line, _ in rows], 0), 1, None
    raise AssertionError(how)

def edited_value(row):
    "Change what a row says, as JSON."
    n, key, line, _ = row; return n, key, json.dumps(json.loads(line) | dict(says='better', value=99)), ''

HOW = ['edit', 'edit and reseal the row', 'edit and reseal all', 'delete', 'delete and reseal all', 'cut the end', 'swap', 'swap and reseal all', 'change a hash', 'change a key', 'backdate and reseal all', 'insert', 'replace all']

def rewrite(path, rows):
    "Write rows into a ledger behind its back, its triggers put back afterwards."
    db = sqlite3.connect(path, isolation_level=None); db.execute('PRAGMA synchronous=OFF'); db.execute('BEGIN')
    for t in ('no_update', 'no_delete'): db.execute(f'DROP TRIGGER {t}')
    db.execute('DELETE FROM rows')
    db.executemany('INSERT INTO rows VALUES (?, ?, ?, ?)', rows)
    for sql in live._SCHEMA[1:]: db.execute(sql)
    db.execute('COMMIT'); db.close()

def test_a_thousand_tamperings_are_found_and_located(tmp_path):
    "Seven hundred in the database, three hundred in an export; anchors were kept beside, or elsewhere. What reseals everything is located between two anchors."
    path = filled(tmp_path/'l.db'); anchors = read_anchors(f'{path}.anchors.jsonl')
    with Ledger.open(path) as b: rows = b.db.execute('SELECT n, key, line, hash FROM rows ORDER BY n').fetchall()
    assert verify_ledger(path).ok and len(anchors) == 16 and len(rows) == 60
    r, missed, misplaced, seen = random.Random(0), [], [], {h: 0 for h in HOW}
    for k in range(1000):
        how = HOW[k % len(HOW)]
        if k >= 700 and how == 'change a key': how = 'edit'                       # an export has no key but the one inside the text
        bad, first, last = tampered(rows, how, r)
        if last is None: last = min(a['n'] for a in anchors if a['n'] >= first)   # the first anchor that can tell
        assert bad != rows
        if k < 700: rewrite(path, bad); check = verify_ledger(path)
        else:
            text = [json.dumps(dict(_ledger=dict(format=1, rows=len(bad), head=bad[-1][3]))), *(f'{line[:-1]},"hash":"{h}"}}' for _, _, line, h in bad)]
            (tmp_path/'bad.jsonl').write_text('\n'.join(text) + '\n'); check = verify_ledger(tmp_path/'bad.jsonl', anchors)
        seen[how] += 1
        if check.ok: missed.append((k, how, first))
        elif not any(f.first <= last and f.last >= first for f in check.faults): misplaced.append((k, how, first, last, str(check)))
        elif how in ('edit', 'delete', 'change a hash', 'change a key') and (check.faults[0].first, check.faults[0].last) != (first, last): misplaced.append((k, how, first, last, str(check)))
        elif how.endswith('all') and not any(f.first <= first <= f.last < f.first + 8 for f in check.faults): misplaced.append((k, how, first, last, str(check)))
    assert not missed and not misplaced, (missed[:5], misplaced[:3])
    assert sum(seen.values()) == 1000
    rewrite(path, rows); assert verify_ledger(path).ok

def test_findings_stop_all_work(tmp_path):
    "A changed ledger takes no forecast, settles none, reports none and is not exported; the message says where."
    path = filled(tmp_path/'l.db', 20)
    with Ledger.open(path) as b: rows = b.db.execute('SELECT n, key, line, hash FROM rows ORDER BY n').fetchall()
    rewrite(path, rows[:7] + [edited(rows[7], random.Random(1))] + rows[8:])
    with Ledger.open(path) as b:
        for f in (lambda: issue(b, tmp_path/'market'), lambda: settle(b, tmp_path/'market'), lambda: report(b), lambda: b.export(tmp_path/'x.jsonl')):
            with pytest.raises(CortexError, match='row 8: its text does not have the hash'): f()
    rewrite(path, rows[:15])
    with Ledger.open(path) as b, pytest.raises(CortexError, match='its end was changed.*row 20'): b.append([('note|z', {})])
    assert not (tmp_path/'x.jsonl').exists()

def test_bytes_of_the_file(tmp_path):
    "Whatever is written over a page: nothing raises, and if any row reads differently it is a finding."
    path = filled(tmp_path/'l.db', 40); raw, r, found = path.read_bytes(), random.Random(3), 0
    with Ledger.open(path) as b: rows = b.rows()
    Path(f'{path}-wal').unlink(missing_ok=True)
    for _ in range(40):
        bad, at = bytearray(raw), r.randrange(100, len(raw) - 64); bad[at:at + 64] = r.randbytes(64); path.write_bytes(bad)
        for end in ('-wal', '-shm'): Path(f'{path}{end}').unlink(missing_ok=True)
        try: check = verify_ledger(path)
        except CortexError as e: assert str(path) in str(e); found += 1; continue
        if not check.ok: found += 1; continue
        with Ledger.open(path) as b: assert b.rows() == rows
    assert found > 10

# --- exports ---

def test_export_and_restore(tmp_path):
    "An export verifies, restores to the same rows, and any other JSON of the same content is refused."
    path = filled(tmp_path/'l.db', 30)
    with Ledger.open(path) as b: kept = b.export(tmp_path/'l.jsonl').anchor(); rows = b.rows()
    restore_ledger(tmp_path/'l.jsonl', tmp_path/'back.db', [kept])
    with Ledger.open(tmp_path/'back.db') as b:
        assert b.rows() == rows and b.append([('note|more', dict(says='goes on'))], '2025-06-01') == Appended(1, 0)
    assert verify_ledger(tmp_path/'back.db', [kept]).ok and verify_ledger(path).rows == 30
    lines = (tmp_path/'l.jsonl').read_text().splitlines()
    (tmp_path/'spaced.jsonl').write_text('\n'.join([lines[0], *(json.dumps(json.loads(x)) for x in lines[1:])]))
    assert verify_ledger(tmp_path/'spaced.jsonl').faults[0].first == 1
    (tmp_path/'cut.jsonl').write_text('\n'.join(lines[:20])[:-50])
    assert [f.first for f in verify_ledger(tmp_path/'cut.jsonl').faults] == [19, 20]
    for junk in (b'', b'\xff\xfe', b'{"_ledger":7}\n', b'[' * 100_000):
        (tmp_path/'junk.jsonl').write_bytes(junk)
        with pytest.raises(CortexError, match='line 1: not the beginning'): verify_ledger(tmp_path/'junk.jsonl')
    (tmp_path/'deep.jsonl').write_bytes(lines[0].encode() + b'\n' + b'['*100_000 + b'\n7\n{"n":1}\n')
    assert len(verify_ledger(tmp_path/'deep.jsonl').faults) >= 3

# --- two writers, kill -9 ---

def write_notes(path, who, n):
    "Add notes, some of them the same as the other writer's, in transactions of three."
    with Ledger.open(path, create=True) as b:
        for i in range(n): b.append([(f'note|both|{i}', dict(says=who)), (f'note|{who}|{i}', dict(says=i)), (f'note|{who}|{i}|again', dict(says=i))])

def test_two_processes_write_at_once(tmp_path):
    "Both begin by making the ledger. Nothing is lost, nothing is there twice, the chain holds, anchors go up."
    ps = [start(write_notes, tmp_path/'l.db', w, 40) for w in 'ab']
    done(*ps)
    check = verify_ledger(tmp_path/'l.db'); assert check.ok and check.rows == 1 + 40*5 == check.anchored
    with Ledger.open(tmp_path/'l.db') as b: keys = [r['key'] for r in b.rows()]; firsts = {r['says'] for r in b.rows('note') if r['key'].startswith('note|both|')}
    assert len(set(keys)) == len(keys) and {f'note|both|{i}' for i in range(40)} <= set(keys) and firsts <= {'a', 'b'}
    ns = [a['n'] for a in read_anchors(tmp_path/'l.db.anchors.jsonl')]; assert ns == sorted(set(ns))

def write_until_killed(path, acks):
    "Add notes in transactions of twenty for ever; note each transaction once it is done."
    with Ledger.open(path, create=True) as b, open(acks, 'a') as f:
        i = len(b.rows())
        while True:
            b.append([(f'note|{i}|{k}', dict(says='x'*500)) for k in range(20)]); f.write(f'{i}\n'); f.flush(); i += 1

def test_kill_9_in_the_middle(tmp_path):
    "Whenever a writer is killed: what it reported is there, transactions are there whole or not at all, and the next writer goes on."
    path, acks, r = tmp_path/'l.db', tmp_path/'acks', random.Random(5)
    for k in range(5):
        had = acks.read_text().count('\n') if acks.exists() else 0
        p = start(write_until_killed, path, acks); end = time.monotonic() + 120
        while (acks.read_text().count('\n') if acks.exists() else 0) < had + 3 and p.is_alive() and time.monotonic() < end: time.sleep(.01)
        time.sleep(r.random()/10); os.kill(p.pid, signal.SIGKILL); p.join()
        check = verify_ledger(path); assert check.ok, str(check)
        with Ledger.open(path) as b: there = [r_['key'].split('|')[1] for r_ in b.rows('note')]
        assert set(acks.read_text().split()) <= set(there) and all(there.count(i) == 20 for i in set(there)) and len(set(there)) >= had + 3
    assert (check.rows - 1) % 20 == 0

def test_killed_between_commit_and_anchor(tmp_path):
    "The anchor is then older than the rows: that is no finding, and the next addition brings it up to date."
    path = filled(tmp_path/'l.db', 20); anchors = Path(f'{path}.anchors.jsonl'); lines = anchors.read_text().splitlines(True)
    anchors.write_text(''.join(lines[:-1]) + lines[-1][:9])                      # half a line, as a kill leaves it
    check = verify_ledger(path); assert check.ok and check.anchored < check.rows == 20
    with Ledger.open(path) as b: b.append([('note|next', {})], '2025-03-01')
    assert verify_ledger(path).anchored == 21

# --- clocks ---

def test_clocks_that_jump(tmp_path, monkeypatch):
    "Back by seconds: no matter. Back by days: refused, until somebody says which of the two was wrong. Ahead by years: the data are too old for a forecast of today."
    clock = [pd.Timestamp('2025-03-01 06:00')]; monkeypatch.setattr(live, '_utc_now', lambda: clock[0])
    with Ledger.open(tmp_path/'l.db', create=True) as b:
        b.append([('note|1', {})]); clock[0] -= pd.Timedelta(seconds=40); b.append([('note|2', {})])
        assert [r['at'] for r in b.rows('note')] == ['2025-03-01T06:00:00Z']*2 and [r['clock'] for r in b.rows('note')] == ['system']*2
        clock[0] = pd.Timestamp('2025-02-20')
        with pytest.raises(CortexError, match='9 days 06:00:00 later. Set the clock right'): b.append([('note|3', {})])
        assert b.append([('note|2', {})]) == Appended(0, 1)                      # nothing to write, nothing to refuse
        b.accept_clock(); b.append([('note|3', {})]); assert [r['was'] for r in b.rows('clock')] == ['2025-03-01T06:00:00Z']
    assert verify_ledger(tmp_path/'l.db').ok
    store = MarketStore(tmp_path/'market'); world = simulate_market(['near'], '2024-06-01', '2025-02-19', seed=0)[['chain', 'date', 'price_usd']]
    store.add(long_rows(world, 'simulated', 'MIT', '2025-02-20'), seed=0)
    clock[0] = pd.Timestamp('2031-01-01')
    with pytest.raises(CortexError, match='near price_usd: its newest figures are of 2025-02-19, 2142 days ago'): issue(tmp_path/'l.db', store, horizons=(1,))
    with Ledger.open(tmp_path/'l.db') as b: assert not b.rows('forecast')

# --- issue and settle on a store ---

def test_what_was_fetched_in_this_second_is_known(tmp_path, monkeypatch):
    "A store that is filled a tenth of a second before has all of it known, and the moment on record gives the same frame again."
    clock = [pd.Timestamp('2025-02-01 06:00:00.2')]; monkeypatch.setattr(live, '_utc_now', lambda: clock[0])
    world = simulate_market(['near'], '2024-06-01', '2025-01-31', seed=1)[['chain', 'date', 'price_usd']]
    store = MarketStore(tmp_path/'market'); store.add(long_rows(world, 'simulated', 'MIT', '2025-02-01 06:00:00.1'), seed=0)
    assert issue(tmp_path/'l.db', store, horizons=(7,)).new == 3
    with Ledger.open(tmp_path/'l.db') as b: row = b.rows('forecast')[0]
    assert (row['at'], row['known']) == ('2025-02-01T06:00:00Z', '2025-02-01T06:00:00.200000Z') and store.frame(as_of=row['known'])[1]['hashes']['market'] == row['data_hash']

def test_counts_and_names_of_an_issue(tmp_path):
    "Forecasters without an opinion are not counted as known; nobody takes the name of a baseline; a report against nobody is refused."
    store, _ = small_store(tmp_path/'market'); silent = System('silent', 'none', '0'*16, lambda questions: [None for _ in questions]); path = tmp_path/'l.db'
    done = issue(path, store, (silent,), horizons=(7,), now='2025-02-01 07:00'); assert (done.new, done.known) == (8, 0)
    done = issue(path, store, (silent,), horizons=(7,), now='2025-02-01 08:00'); assert (done.new, done.known) == (0, 8)
    with pytest.raises(CortexError, match='name of a naive forecaster'): issue(path, store, (System('climatology', '', '', len),), now='2025-02-01 08:00')
    with pytest.raises(CortexError, match='clairvoyance'): report(path, 'clairvoyance')

def test_anchors_that_are_not_there_confirm_nothing(tmp_path):
    path = filled(tmp_path/'l.db', 8)
    with pytest.raises(CortexError, match='no anchors there'): verify_ledger(path, tmp_path/'typo.jsonl')
    (tmp_path/'empty.jsonl').write_text('')
    with pytest.raises(CortexError, match='no anchors there'): verify_ledger(path, tmp_path/'empty.jsonl')

def small_store(path, end='2025-01-31'):
    "Make a store of two series, told the morning after its last day; gives it with the world it is part of."
    world = simulate_market(['bitcoin', 'near'], '2024-06-01', '2025-03-31', seed=1)[['chain', 'date', 'price_usd', 'tx_count']]
    store = MarketStore(path); store.add(long_rows(world[world.date <= end], 'simulated', 'MIT', pd.Timestamp(end) + pd.Timedelta(days=1, hours=6)), seed=0)
    return store, world

def issue_here(path, store, out):
    done = issue(path, store, horizons=(7,), now='2025-02-01 07:00'); Path(out).write_text(f'{done.new} {done.known}')

def test_two_processes_issue_the_same_day(tmp_path):
    "Each forecast is issued once, and both are told how many were theirs."
    small_store(tmp_path/'market')
    ps = [start(issue_here, tmp_path/'l.db', str(tmp_path/'market'), tmp_path/f'out{i}') for i in (1, 2)]
    done(*ps)
    new, known = zip(*(map(int, (tmp_path/f'out{i}').read_text().split()) for i in (1, 2)))
    assert sum(new) == 12 and all(a + b == 12 for a, b in zip(new, known)) and verify_ledger(tmp_path/'l.db').rows == 13

def test_the_first_vintage_counts_whenever_it_is_settled(tmp_path):
    "A revision that comes later changes nothing, neither for who settled before it nor for who settles after it."
    store, world = small_store(tmp_path/'market')
    for name in ('early', 'late'): issue(tmp_path/f'{name}.db', store, horizons=(1,), now='2025-02-01 07:00')
    store.add(long_rows(world[world.date == '2025-02-01'], 'simulated', 'MIT', '2025-02-02 06:00'), seed=0)
    assert settle(tmp_path/'early.db', store, '2025-02-02 12:00').new == 0        # known, but not due before the 3rd begins
    assert settle(tmp_path/'early.db', store, '2025-02-03').new == 12
    revised = world[world.date == '2025-02-01'].assign(price_usd=lambda d: d.price_usd*1.5)
    store.add(long_rows(revised, 'simulated', 'MIT', '2025-02-04 06:00'), seed=0)
    assert settle(tmp_path/'late.db', store, '2025-02-20').new == 12
    rows = {}
    for name in ('early', 'late'):
        with Ledger.open(tmp_path/f'{name}.db') as b: rows[name] = [{k: r[k] for k in ('ref', 'change', 'outcome_known', 'outcome_fetched', 'outcome_hash', 'brier', 'crps')} for r in b.rows('settlement')]
    assert rows['early'] == rows['late'] and {r['outcome_known'] for r in rows['late']} == {'2025-02-03T00:00:00Z'} and {r['outcome_fetched'] for r in rows['late']} == {'2025-02-02T06:00:00Z'}
    x = world.set_index(['chain', 'date']).price_usd
    with Ledger.open(tmp_path/'early.db') as b: f = {r['n']: r for r in b.rows('forecast')}
    for r in rows['early']:
        if f[r['ref']]['target'] == 'price_usd': assert r['change'] == pytest.approx(x[f[r['ref']]['chain'], '2025-02-01']/x[f[r['ref']]['chain'], '2025-01-31'] - 1, abs=1e-12)

def test_the_same_snapshot_can_be_had_again(tmp_path):
    "What a row says it was made from, the store gives again by the moment on record, also after it was told more."
    store, world = small_store(tmp_path/'market'); issue(tmp_path/'l.db', store, horizons=(7,), now='2025-02-01 07:00')
    store.add(long_rows(world[(world.date > '2025-01-31') & (world.date < '2025-02-20')], 'simulated', 'MIT', '2025-02-20 06:00'), seed=0)
    with Ledger.open(tmp_path/'l.db') as b: row = b.rows('forecast')[0]
    assert store.frame(as_of=row['known'])[1]['hashes']['market'] == row['data_hash'] and row['simulated'] is True and row['licence'] == 'MIT'

def test_report_is_the_table_of_the_benchmark(tmp_path):
    "Every figure of the report equals that of `bench_forecasts` on the same rows; a mute model is scored as the worst; what is open, replayed or unusable is counted."
    store, world = small_store(tmp_path/'market'); path = tmp_path/'l.db'
    mute = System('mute', 'none', '0'*16, lambda questions: [read_said('I cannot say.', q.task) for q in questions])
    for day in pd.date_range('2025-02-01', '2025-02-14'):
        issue(path, store, ('rules', mute), ('price_usd',), (1,), now=day + pd.Timedelta(hours=7))
        store.add(long_rows(world[world.date == day], 'simulated', 'MIT', day + pd.Timedelta(days=1, hours=6)), seed=0)
    settle(path, store, '2025-02-15 07:00')
    s = report(path, n=300); t = s.table.set_index(['horizon', 'system', 'target', 'metric'])
    with Ledger.open(path) as b: judged, counts = judged_rows(b)
    want = bench_forecasts(judged, n=300)
    for r in want[want.group == 'all'].to_dict('records'):
        got = t.loc[('1d', r['system'], 'all targets', r['measure'])]
        alone = r['system'] == 'climatology' or r['measure'] == 'coverage'         # the reference itself, and what has no good direction
        for k in ('value', 'lo', 'hi') if alone else ('value', 'lo', 'hi', 'diff', 'diff_lo', 'diff_hi'): assert got[k] == pytest.approx(r[k], nan_ok=True)
    assert t.loc[('1d', 'mute', 'all targets', 'brier')].value == 1.0 and any(w.startswith('Worse: mute') for w in s.words)
    assert (counts['issued'], counts['settled'], counts['unusable'], counts['replayed'], counts['late'], counts['gaps']) == (112, 104, 28, 112, 0, 0)
    assert s.data['simulated'] and s.data['hash'] == verify_ledger(path).head[:16] and any('replay' in n for n in s.notes)
    assert load_section(save_section(s, tmp_path)) == s

def test_a_forecast_written_too_late_is_not_scored(tmp_path):
    "Whoever adds rows past `issue` cannot add a forecast whose outcome had closed: it is counted and left out."
    path = tmp_path/'l.db'
    fields = dict(kind='forecast', asof='2025-01-01', chain='near', target='price_usd', horizon=1, closes='2025-01-02', system='rules', p_up=1., median=.1, lo=.05, hi=.2, sigma=.05, source='simulated')
    with Ledger.open(path, create=True, now='2025-01-02') as b:
        b.append([('forecast|2025-01-01|near|price_usd|1d|rules', fields)], '2025-01-03 00:00')
        n, h = b.rows('forecast')[0]['n'], b.rows('forecast')[0]['hash']
        b.append([('settlement|forecast|2025-01-01|near|price_usd|1d|rules', dict(kind='settlement', ref=n, ref_hash=h, change=.1))], '2025-01-05')
        judged, counts = judged_rows(b); assert judged == {} and counts['late'] == 1 and counts['settled'] == 0

# --- the example ---

def test_the_example_workflow_runs_commands_that_exist():
    "The YAML is read, it cannot run twice at once, and every command in it is understood by the command line."
    yaml = pytest.importorskip('yaml'); flow = yaml.safe_load(live_workflow()); job = flow['jobs']['live']
    assert flow['concurrency'] and flow['permissions'] == dict(contents='write') and flow[True]['schedule'][0]['cron'].count(' ') == 4
    import re, shlex, typer
    from cortex.command import app
    root, found = typer.main.get_command(app), []
    for line in [s['run'] for s in job['steps'] if 'run' in s]:
        for text in re.findall(r'cortex [a-z]+ [^|;\n]*', line):
            args, cmd = shlex.split(text)[1:], root
            while hasattr(cmd, 'commands'): name = args.pop(0); cmd = cmd.commands.get(name); assert cmd is not None, f'no such command: {text}'
            cmd.make_context(name, args); found.append(text)
    assert len(found) == 6

# --- size ---

@pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='takes half a minute: CORTEX_SLOW=1')
def test_a_hundred_thousand_rows_are_verified_in_two_seconds(tmp_path):
    "On a quiet machine; the best of three."
    fields = dict(kind='forecast', asof='2025-06-30', chain='near', target='price_usd', horizon=7, closes='2025-07-07', system='rules', p_up=.51, median=.012, lo=-.05, hi=.07, sigma=.0512, model='rules-2', model_hash='a'*16,
                  task_hash='c'*16, source='store:market', simulated=False, licence='CC BY-NC 4.0', data_hash='b'*16, known='2025-07-01T06:00:00Z', code='d'*16, version='0.1.0', text='x'*300)
    with Ledger.open(tmp_path/'l.db', create=True, now='2025-01-01') as b: b.append([(f'forecast|2025-06-30|near|price_usd|7d|rules{i}', fields) for i in range(100_000)], '2025-07-01')
    took = []
    for _ in range(3): t = time.perf_counter(); check = verify_ledger(tmp_path/'l.db'); took.append(time.perf_counter() - t)
    print(f'100,001 rows verified in {min(took):.2f} s'); assert check.ok and check.rows == 100_001 and min(took) <= 2
