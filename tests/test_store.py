"The store under stress: two writers, kill -9, packing while reading, damaged files and bombs, real files."
import gzip, json, multiprocessing, os, random, signal, time
from pathlib import Path
import numpy as np, pandas as pd, pytest
from cortex.artifacts import CortexError, content_hash
from cortex.catalogue import CHAINS
from cortex.sources import drop_flaws, read_market, source_choices
from cortex.store import MarketStore, STORED, odd_days, open_market, order_sources, read_rows, wrong_chain
import cortex.store as cs

REAL = os.environ.get('CORTEX_REAL_DATA')
FORK = multiprocessing.get_context('forkserver')   # children start from a process that has everything imported, and no threads
FORK.set_forkserver_preload(['pandas', 'pyarrow.parquet', 'cortex.store'])

def page(values, chain='near', metric='tx_count', source='counter_a', first='2020-01-01', fetched='2024-03-01 08:00', licence='MIT'):
    "Make rows of consecutive days."
    return pd.DataFrame(dict(date=pd.date_range(first, periods=len(values)), chain=chain, metric=metric, value=np.asarray(values, float), source=source,
                             fetched_at=pd.Timestamp(fetched), licence=licence))

def numbered(writer, i):
    "Make the page of one number: 50 days whose values tell the number, in a series of their own."
    return page(np.full(50, 1000. + i), chain=f'chain_{writer}', source=f's{i}')

def write_pages(path, acks, writer, start, n, pack=0):
    "Add pages; note each in a file once it was added."
    store = MarketStore(path)
    with open(acks, 'a') as f:
        for i in range(start, start + n):
            store.add(numbered(writer, i))
            f.write(f'{i}\n'); f.flush()
            if pack and i % pack == 0: store.pack()

def pages_in(store):
    "Count the days and the values of each page."
    rows = store.rows()
    t = rows.groupby(['chain', 'source'], observed=True).value.agg(['size', 'min', 'max'])
    return {(c, int(s[1:])): tuple(r) for (c, s), r in zip(t.index, t.to_numpy())}

def start(target, *args):
    p = FORK.Process(target=target, args=args); p.start(); return p

def done(*ps):
    for p in ps:
        p.join(120)
        assert p.exitcode == 0

# --- two writers, and kill -9 ---

def test_two_processes_add_at_once(tmp_path):
    "Ninety pages each, packed on the way by whoever comes to it: none is lost, none doubled."
    ps = [start(write_pages, tmp_path/'store', tmp_path/f'acks{w}', w, 0, 90) for w in (1, 2)]
    done(*ps)
    store = MarketStore(tmp_path/'store')
    assert pages_in(store) == {(f'chain_{w}', i): (50, 1000 + i, 1000 + i) for w in (1, 2) for i in range(90)}
    assert store.damaged == [] and len(store.files('market')) < 180
    raw = sum(len(b) for b in cs._blocks(store, 'market'))
    assert raw == 2*90*50

def test_two_processes_add_the_same(tmp_path):
    "Both ask for the same pages: every row is there once."
    ps = [start(write_pages, tmp_path/'store', tmp_path/f'acks{w}', 1, 0, 30) for w in (1, 2)]
    done(*ps)
    store = MarketStore(tmp_path/'store')
    assert sum(len(b) for b in cs._blocks(store, 'market')) == 30*50 == len(store.rows())

def test_kill_9_of_a_writer_in_a_loop(tmp_path):
    "Killed at any moment, also while packing, a writer leaves every page it finished, whole, and no half ones."
    rng, path, acks, at, kills, flown = random.Random(0), tmp_path/'store', tmp_path/'acks', 0, 0, set()
    while kills < 20 or at < 200:
        before = len(acks.read_text().split()) if acks.exists() else 0
        p = start(write_pages, path, acks, 1, at, 10**6, 20)
        until = time.time() + 60
        while time.time() < until and (not acks.exists() or len(acks.read_text().split()) <= before): time.sleep(.005)
        time.sleep(rng.random()*.8)
        os.kill(p.pid, signal.SIGKILL); p.join(); kills += 1
        finished = [int(x) for x in acks.read_text().split('\n')[:-1]]
        assert len(finished) > before, 'the writer came to nothing in a minute'
        store = MarketStore(path)
        found = pages_in(store)
        assert store.damaged == []
        assert set(finished) <= {i for _, i in found}                                                    # nothing lost
        assert all(v == (50, 1000 + i, 1000 + i) for (_, i), v in found.items())                         # nothing half, doubled or changed
        flight = {i for _, i in found} - set(finished) - flown                                           # added, and killed before it was noted
        assert flight <= {max(finished) + 1}; flown |= flight                                            # at most the page in flight on top
        at = max(i for _, i in found) + 1
    print(f'{kills} kills, {at} pages added')
    MarketStore(path).pack()
    assert len(MarketStore(path).files('market')) == 1 and not list(path.glob('*/*/.*.part'))            # leftovers are swept up
    assert len(pages_in(MarketStore(path))) == at

def pack_and_add(path, stop):
    "Add and pack without end."
    store, i = MarketStore(path), 0
    while not stop.exists():
        store.add(numbered(2, i)); i += 1
        if i % 3 == 0: store.pack()

@pytest.mark.parametrize('fresh', [True, False])
def test_pack_while_reading(tmp_path, fresh):
    "A reader never sees fewer rows than before, whether it starts anew or goes on."
    path, stop = tmp_path/'store', tmp_path/'stop'
    MarketStore(path).add(numbered(1, 0))
    p = start(pack_and_add, path, stop)
    try:
        reader, seen, sizes, until = MarketStore(path), 0, set(), time.time() + 4
        while time.time() < until or len(sizes) < 5 and time.time() < until + 60:
            store = MarketStore(path) if fresh else reader
            n = len(store.rows())
            assert n >= seen and n % 50 == 0 and store.damaged == []
            seen = n; sizes.add(n)
    finally: stop.touch(); p.join(60)
    assert len(sizes) >= 5 and p.exitcode == 0

def test_notes_survive_a_torn_line(tmp_path):
    store = MarketStore(tmp_path)
    store.note('defillama', 'near', 'tvl_usd', '2020-01-01', '2024-01-01', '2024-01-02 08:00')
    with (tmp_path/'asked.jsonl').open('ab') as f: f.write(b'{"source": "defill')          # a kill in the middle of a line
    assert len(store.asked()) == 1
    store.note('defillama', 'near', 'tvl_usd', '2024-01-02', '2024-02-01', pd.Timestamp('2024-02-02', tz='UTC'))
    assert [str(x)[:10] for x in store.asked().iloc[0][['since', 'until']]] == ['2020-01-01', '2024-02-01']

# --- as of ---

@pytest.mark.parametrize('seed', range(5))
def test_as_of_with_revisions(tmp_path, seed):
    "Forty downloads of three series that are revised, packed now and then; any moment reads as a plain replay says."
    rng, store, told = np.random.default_rng(seed), MarketStore(tmp_path), []
    values = {}
    for v in range(40):
        at = pd.Timestamp('2024-01-01') + pd.Timedelta(hours=7*v)
        chain, n = ['near', 'solana', 'base'][rng.integers(3)], 100 + v
        old = values.get(chain, np.zeros(0))
        new = np.r_[np.where(rng.random(len(old)) < .05, old + rng.integers(1, 9, len(old)), old), rng.integers(1000, 2000, n - len(old))]
        values[chain] = new
        rows = page(new, chain=chain, fetched=at); told.append(rows)
        added = store.add(rows)
        assert added.new + added.revised + added.same == n and added.new == n - len(old) and added.revised == (new[:len(old)] != old).sum()
        if rng.random() < .1: store.pack()
    for when in pd.date_range('2023-12-31', '2024-01-15', freq='17h'):
        known = pd.concat([r[r.fetched_at <= when] for r in told])
        want = known.sort_values('fetched_at', kind='stable').drop_duplicates(['chain', 'date'], keep='last').sort_values(['chain', 'date'])
        got = store.rows(as_of=when)
        assert got.value.tolist() == want.value.tolist() and got.date.tolist() == want.date.tolist()
    assert sum(len(b) for b in cs._blocks(store, 'market')) < sum(map(len, told))/3        # what did not change was not written

def test_a_frame_can_be_read_again(tmp_path):
    store = MarketStore(tmp_path/'s'); store.add(page([1, 2, 3])); store.add(page([9.], metric='price_usd', source='binance', licence='CC BY-NC 4.0'))
    frame, meta = store.frame()
    assert meta['licence'] == 'CC BY-NC 4.0' and meta['licences'] == {'counter_a': 'MIT', 'binance': 'CC BY-NC 4.0'} and meta['source'] == 'store:s'
    json.dumps(meta)                                                                         # goes into artifacts
    store.add(page([1, 5, 3, 4], fetched='2024-04-01')); store.pack()
    again, meta2 = open_market(str(tmp_path/'s'), as_of=meta['as_of'])
    pd.testing.assert_frame_equal(frame, again); assert meta2['hashes'] == meta['hashes']
    assert open_market(str(tmp_path/'s'))[1]['hashes'] != meta['hashes']

# --- damage ---

def test_a_corrupt_file_is_set_aside(tmp_path):
    "Cut, overwritten, empty, foreign or a bit flipped: named, moved, and the rest is read."
    store = MarketStore(tmp_path)
    for i in range(6): store.add(numbered(1, i))
    cut, over, empty, foreign, flipped, good = store.files('market')
    cut.write_bytes(cut.read_bytes()[:-20]); over.write_bytes(os.urandom(4000)); empty.write_bytes(b'')
    pd.DataFrame(dict(x=[1])).to_parquet(foreign)
    data = bytearray(flipped.read_bytes()); data[len(data)//2] ^= 1; flipped.write_bytes(data)
    again = MarketStore(tmp_path)
    assert {i for _, i in pages_in(again)} == {5}
    for p in (cut, over, empty, foreign, flipped): assert any(p.name in d and 'Set aside as aside/' in d for d in again.damaged) and not p.exists()
    assert len(list((tmp_path/'aside').iterdir())) == len(again.damaged) == 5
    assert MarketStore(tmp_path).rows().equals(again.rows()) and MarketStore(tmp_path).damaged == []
    assert again.add(numbered(1, 0)).new == 50                                             # what was lost can be had again

def test_any_flipped_byte_is_found(tmp_path):
    "Whichever byte is wrong: the file is set aside, and nothing else happens."
    store = MarketStore(tmp_path); store.add(page(np.arange(1, 30))); store.add(page(np.arange(1, 30), chain='base'))
    first, rng = store.files('market')[0], random.Random(0)
    whole = first.read_bytes()
    for _ in range(200):
        data = bytearray(whole); data[rng.randrange(len(data))] ^= 1 << rng.randrange(8); first.write_bytes(data)
        again = MarketStore(tmp_path)
        assert len(again.rows(chains='base')) == len(again.rows()) == 29 and 'do not have the hash' in again.damaged[0]
    first.write_bytes(whole)
    assert len(MarketStore(tmp_path).rows()) == 58

def test_a_damaged_file_to_import_is_an_error_that_says_so(tmp_path):
    "Any byte of a Parquet file may be wrong: it is read, or refused by name, and nothing else is raised."
    pd.DataFrame(dict(date=pd.date_range('2024-01-01', periods=40).strftime('%Y-%m-%d'), chain='near', tx_count=np.arange(40.) + 5)).to_parquet(tmp_path/'a.parquet', index=False)
    whole, rng, refused = (tmp_path/'a.parquet').read_bytes(), random.Random(0), 0
    for _ in range(200):
        data = bytearray(whole); data[rng.randrange(len(data))] = rng.randrange(256); (tmp_path/'b.parquet').write_bytes(data)
        try: read_rows(tmp_path/'b.parquet')
        except CortexError as e: refused += 1; assert 'b.parquet' in str(e)
    assert 50 < refused < 200

def test_bombs_are_refused_by_their_footer(tmp_path):
    import pyarrow as pa, pyarrow.parquet as pq
    store = MarketStore(tmp_path/'store'); store.add(page([1, 2, 3]))
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**6, 'int32')), pa.array(['x'])); days = pa.array(np.zeros(10**6, 'datetime64[D]'))
    columns = dict(date=days, chain=same, metric=same, value=pa.array(np.ones(10**6)), source=same, fetched_at=days.cast(pa.timestamp('us')), licence=same)
    bomb = tmp_path/'store'/'market'/'vintages'/'bomb.parquet'
    with pq.ParquetWriter(bomb, pa.table(columns).schema) as w:
        for _ in range(40): w.write_table(pa.table(columns))
    size = bomb.stat().st_size; bomb = bomb.rename(bomb.with_name(f'1-{content_hash(bomb)}.parquet'))   # the hash is right: somebody means it
    t0 = time.time(); again = MarketStore(tmp_path/'store'); again.rows()
    assert size < 2**20 and time.time() - t0 < 2 and '40,000,000 rows unpack to' in again.damaged[0] and len(again.rows()) == 3
    long = tmp_path/'long.parquet'                                                         # a text of a megabyte, a hundred thousand times
    pq.write_table(pa.table(dict(date=pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**5, 'int32')), pa.array(['2024-01-01'])),
        chain=pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**5, 'int32')), pa.array(['x'*2**20])), tx_count=pa.array(np.ones(10**5)))), long)
    with pytest.raises(CortexError, match='text of more than 200'): read_rows(long)
    (tmp_path/'big.csv.gz').write_bytes(gzip.compress(b'date,chain,tx_count\n' + b'0'*2**20)*600)
    with pytest.raises(CortexError, match='unpacks to more than'): read_rows(tmp_path/'big.csv.gz')

def test_a_place_that_is_no_store(tmp_path):
    (tmp_path/'market').touch()
    with pytest.raises(CortexError, match='a store is a directory'): MarketStore(tmp_path/'market')
    (tmp_path/'x').mkdir(); (tmp_path/'x'/'notes.txt').touch()
    with pytest.raises(CortexError, match="holds 'notes.txt' and is no store"): MarketStore(tmp_path/'x').add(page([1.]))
    with pytest.raises(CortexError, match='simulated rows together with those of counter_a'):
        MarketStore(tmp_path/'y').add(pd.concat([page([1.]), page([1.], source='simulated')]))

def test_what_was_lost_is_asked_for_again(tmp_path):
    "A damaged file takes the notes with it, also for somebody who looks at the notes alone; the names of both stay listed."
    store = MarketStore(tmp_path)
    store.add(page([1, 2, 3])); store.note('counter_a', 'near', 'tx_count', '2020-01-01', '2020-01-03')
    store.add(pd.DataFrame(dict(date=pd.Timestamp('2024-02-20'), pool=['a'], apy=[.05], source='s', fetched_at=pd.Timestamp('2024-03-01'), licence='MIT')), 'pools')
    assert store.aside == [] and len(store.asked()) == 1
    pools = store.files('pools')[0]; pools.write_bytes(pools.read_bytes()[:-9])
    again = MarketStore(tmp_path); again.rows(table='pools')
    assert len(again.asked()) == 1 and len(again.aside) == 1                                # notes are of market rows only
    first = store.files('market')[0]; first.write_bytes(first.read_bytes()[:-9])
    again = MarketStore(tmp_path)
    assert len(again.asked()) == 0 and 'will be asked for again' in again.damaged[0]
    assert [a.split('-')[0] for a in MarketStore(tmp_path).aside] == ['asked', 'market', 'pools'] and MarketStore(tmp_path).damaged == []
    assert again.add(page([1, 2, 3])).new == 3
    again.note('counter_a', 'near', 'tx_count', '2020-01-01', '2020-01-03'); assert len(MarketStore(tmp_path).asked()) == 1

@pytest.mark.parametrize('line', ['[1]', '5', 'null', '"x"', '{}', '{"source": 1}',
    '{"source": "a", "chain": "near", "metric": "tx_count", "since": "nope", "until": "2020-01-01", "at": "2020-01-02"}',
    '{"source": "a", "chain": "near", "metric": "tx_count", "since": "1500-01-01", "until": "2020-01-01", "at": "2020-01-02"}',
    '{"source": "a", "chain": "near", "metric": "tx_count", "since": "2020-01-01", "until": ["2020-01-01"], "at": "2020-01-02"}'])
def test_notes_of_the_wrong_shape(tmp_path, line):
    store = MarketStore(tmp_path); store.note('a', 'near', 'tx_count', '2020-01-01', '2020-01-03')
    with (tmp_path/'asked.jsonl').open('a') as f: f.write(line + '\n')
    with pytest.raises(CortexError, match='asked.jsonl, line 2: not a note'): store.asked()

def test_an_empty_store_has_the_same_columns(tmp_path):
    empty, store = MarketStore(tmp_path/'a').status(), MarketStore(tmp_path/'b')
    store.add(page([1, 2, 3]))
    assert empty.dtypes.astype(str).tolist() == store.status().dtypes.astype(str).tolist() and list(empty['last'].dt.strftime('%Y')) == []
    assert len(MarketStore(tmp_path/'a').disagreements()) == 0

def test_moments_and_names_out_of_reach(tmp_path):
    store = MarketStore(tmp_path); store.add(page([1, 2, 3]))
    for when in ('1500-01-01', '9999-01-01', pd.Timestamp('1500-01-01'), '300000-01-01', 10**30, 'x'*10**6):
        with pytest.raises(CortexError) as e: store.rows(as_of=when)
        assert len(str(e.value)) < 300
    for kw in (dict(chains=[]), dict(metrics=[]), dict(chains=['near'], metrics=[])):
        with pytest.raises(CortexError, match='none is named'): store.frame(**kw)
    with pytest.raises(CortexError) as e: store.rows(chains='nera')
    assert str(e.value).count('near') == 1

# --- two worlds, and places that cannot be used ---

def test_one_world_per_store(tmp_path):
    world = lambda k: page([k, k, k], source='simulated')
    store = MarketStore(tmp_path/'a'); store.add(world(1), seed=0)
    assert store.head == dict(format=1, kind='simulated', seed=0)
    with pytest.raises(CortexError, match='the world of seed 0, and seed 1 is another'): store.add(world(2), seed=1)
    with pytest.raises(CortexError, match='seed 1 is another'): store.ready('simulated', seed=1)
    assert store.add(world(1), seed=0).same == 3 and store.frame()[1]['seed'] == 0
    old = MarketStore(tmp_path/'b'); old.add(world(1))
    with pytest.raises(CortexError, match='whose seed was not noted'): old.add(world(1), seed=0)
    seen = MarketStore(tmp_path/'c'); seen.add(page([1.]), seed=3); assert 'seed' not in seen.head

def test_ready_makes_nothing(tmp_path):
    MarketStore(tmp_path/'new'/'deep').ready(); MarketStore(tmp_path/'new').ready('simulated'); assert not (tmp_path/'new').exists()
    (tmp_path/'file').touch(); (tmp_path/'full').mkdir(); (tmp_path/'full'/'cat.jpg').touch(); (tmp_path/'empty').mkdir()
    MarketStore(tmp_path/'empty').ready(); assert not list((tmp_path/'empty').iterdir())
    with pytest.raises(CortexError, match='a file; a store is a directory'): MarketStore(tmp_path/'file'/'below').ready()
    with pytest.raises(CortexError, match="holds 'cat.jpg' and is no store"): MarketStore(tmp_path/'full').ready()
    seen = MarketStore(tmp_path/'seen'); seen.add(page([1.])); seen.ready()
    with pytest.raises(CortexError, match='a store of observed rows takes no simulated'): seen.ready('simulated')
    late = MarketStore(tmp_path/'late'); (tmp_path/'late').touch()                           # became a file after it was opened
    with pytest.raises(CortexError, match='a file'): late.ready()
    (tmp_path/'shut').mkdir(); (tmp_path/'shut').chmod(0o500)
    if os.geteuid():
        with pytest.raises(CortexError, match='cannot be written'): MarketStore(tmp_path/'shut').ready()

# --- units and odd days ---

def test_a_lone_odd_day_and_a_new_unit(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = np.exp(rng.normal(19, .3, 60)); at = rng.integers(3, 57)
        slip = values.copy(); slip[at] *= 10.**rng.choice([-8, -6, 6, 8])
        rows = page(slip, metric='stablecoin_supply_usd'); odd = odd_days(rows)
        assert np.flatnonzero(odd).tolist() == [at]
        cs.check_shifts(rows[~odd])
        unit = values.copy(); unit[at:] *= 1e-6
        rows = page(unit, metric='stablecoin_supply_usd'); assert not odd_days(rows).any()
        with pytest.raises(CortexError, match='--accept-shifts'): cs.check_shifts(rows)

def test_a_new_unit_in_a_short_series(tmp_path):
    store = MarketStore(tmp_path); store.add(page([50, 51, 49], metric='fees_native', chain='litecoin'))
    with pytest.raises(CortexError, match='micro'): store.add(page([5e7], metric='fees_native', chain='litecoin', first='2020-01-04'))

def test_a_slip_is_found_against_what_is_held(tmp_path):
    store, rows = MarketStore(tmp_path), page([2e8]*5 + [1.] + [2e8]*5, metric='tvl_usd', chain='my_chain')
    assert store.odd_days(rows).sum() == 1 and store.odd_days(rows.head(0)).tolist() == []
    store.add(rows.head(5)); store.add(page([9.], metric='tvl_usd', chain='base'))
    assert np.flatnonzero(store.odd_days(rows.iloc[4:])).tolist() == [1]
    assert not store.odd_days(rows.iloc[5:7]).any()                                          # the week after is not here yet
    assert store.add(rows.iloc[4:][~store.odd_days(rows.iloc[4:])]).new == 5

# --- files of one's own ---

def test_two_columns_of_one_name(tmp_path):
    import pyarrow as pa, pyarrow.parquet as pq
    for head in ('date,chain,metric,value,value', 'date,chain,metric,value, value', '"date",chain,"metric",value,"value"', '\ufeffdate,chain,metric,value,value'):
        (tmp_path/'a.csv').write_text(head + '\n2024-01-01,near,tx_count,1,2\n')
        with pytest.raises(CortexError, match="a.csv: has two columns called 'value'"): read_rows(tmp_path/'a.csv')
    pq.write_table(pa.Table.from_arrays([pa.array([x]) for x in ('2024-01-01', 'near', 'near')] + [pa.array([1.])], names=['date', 'chain', 'chain', 'tx_count']), tmp_path/'a.parquet')
    with pytest.raises(CortexError, match="a.parquet: has two columns called 'chain'"): read_rows(tmp_path/'a.parquet')

def test_a_header_without_end(tmp_path):
    "Messages stay short however long the names of columns are."
    (tmp_path/'a.csv.gz').write_bytes(gzip.compress(b'x'*(300*2**20), 1))
    for text in ('x'*60_000, ','.join(['x\x1b'*900 + str(i) for i in range(30)]), 'date,chain,metric,' + 'y'*60_000, 'date,chain,' + 'y'*60_000):
        (tmp_path/'b.csv').write_text(text + '\n1,2,3,4\n')
        with pytest.raises(CortexError) as e: read_rows(tmp_path/'b.csv')
        assert len(str(e.value)) < 1200 and '\x1b' not in str(e.value), len(str(e.value))
    with pytest.raises(CortexError, match='first line is longer') as e: read_rows(tmp_path/'a.csv.gz')
    assert len(str(e.value)) < 500

def test_names_in_files(tmp_path):
    "A bad name is told with file and line; a misspelt chain is refused, a new one is not."
    def attempt(chain='near', source='me', name='a.csv', **kw):
        (tmp_path/name).write_text(f'date,chain,metric,value,source\n2024-01-01,near,tx_count,1,me\n2024-01-02,{chain},tx_count,1,{source}\n'); return read_rows(tmp_path/name, **kw)
    for bad, right in (('nera', 'near'), ('NEAR', 'near'), ('eth', 'ethereum'), ('btc', 'bitcoin'), ('BNB', 'bsc'), ('n\u0435ar', 'near'), ('\u0455olana', 'solana'), ('solna', 'solana')):
        with pytest.raises(CortexError, match=f'a.csv, line 3, column chain: .*Nearest: {right}'): attempt(bad)
    for new in ('my_own_chain', 'linea', 'zksync', 'scroll', 'mantle', 'celo', 'arbitrum_nova', 'market'): assert new in set(attempt(new).chain) and wrong_chain(new) is None
    with pytest.raises(CortexError, match='a.csv, line 3, column source'): attempt(source='\x1b[2J')
    with pytest.raises(CortexError, match="a.csv, line 3, column source: 'binance' is the name of a publisher.*'file:binance'"): attempt(source='binance')
    with pytest.raises(CortexError, match="a.csv, line 2, column source: 'growthepie'"): read_rows(tmp_path/'a.csv', source='growthepie')
    with pytest.raises(CortexError, match='column source'): read_rows(tmp_path/'a.csv', source='')
    with pytest.raises(CortexError, match='column licence'): attempt(licence='x'*99)
    assert set(attempt(source='simulated', chain='base').source) == {'me', 'simulated'} and set(read_rows(tmp_path/'a.csv', source='file:binance').source) == {'file:binance'}

# --- size ---

METRICS_15 = [m for m in STORED if m not in ('gas_used', 'gas_price_gwei', 'hash_rate')]

@pytest.fixture(scope='module')
def full(tmp_path_factory):
    "A full history: 14 chains, 3,200 days, 15 metrics, and two fetches that revised a quarter of it: a million rows."
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp('full')
    days, keys = pd.date_range('2018-01-01', periods=3200), pd.MultiIndex.from_product([list(CHAINS), METRICS_15], names=['chain', 'metric'])
    rows = pd.DataFrame(index=keys.repeat(len(days))).reset_index().assign(date=np.tile(days, len(keys)), source='counter_a', licence='MIT')
    base = np.exp(rng.normal(8, .3, len(rows))); store = MarketStore(path)
    for at, share in (('2026-11-01 08:00', 1), ('2026-11-02 08:00', .25), ('2026-11-03 08:00', .25)):
        some = rng.random(len(rows)) < share
        store.add(rows.assign(value=base*(1 + rng.random(len(rows))/9), fetched_at=pd.Timestamp(at))[some])
    store.pack()
    for i in range(cs.PACK_AT - 2): store.add(page(base[:40]*(2 + i), chain='near', source=f's{i}', fetched='2026-11-04'))   # the most vintages there ever are
    return path

def best(f, n=7):
    "Time the fastest of a few runs, in seconds of the processor, since other tests may be running; reading uses one thread."
    times = []
    for _ in range(n): t0 = time.process_time(); out = f(); times.append(time.process_time() - t0)
    return min(times), out

def test_a_full_history_is_read_in_half_a_second(full):
    took, rows = best(lambda: MarketStore(full).rows())
    took_frame, (frame, _) = best(lambda: MarketStore(full).frame())
    took_past, past = best(lambda: MarketStore(full).rows(as_of='2026-11-02 12:00'))
    print(f'rows {took:.2f} s, frame {took_frame:.2f} s, as of {took_past:.2f} s')
    assert len(rows) == 14*3200*15 + 40*(cs.PACK_AT - 2) and len(past) == 14*3200*15 and len(frame) == 14*3200
    assert took <= .5 and took_past <= .5 and took_frame <= .8

# --- real files ---

@pytest.mark.skipif(not REAL, reason='CORTEX_REAL_DATA is not set')
def test_real_files_pass_or_show_a_known_flaw(tmp_path):
    rows = read_rows(REAL)
    store = MarketStore(tmp_path/'real')
    added = store.add(rows)                                                                 # ranges and units of every row
    assert added.new == len(rows) and added.revised == added.same == 0
    frame, meta = store.frame()
    pd.testing.assert_frame_equal(frame, read_market(REAL))
    want = source_choices(REAL)
    got = pd.DataFrame(meta['choices'])
    assert got[['chain', 'metric', 'source', 'days', 'use']].astype(str).values.tolist() == want[['chain', 'metric', 'source', 'days', 'use']].astype(str).values.tolist()
    assert meta['flaws'] == drop_flaws(rows)[1] and meta['licence'] == cs.UNSTATED
    apart = store.disagreements()
    known = {('ethereum', 'active_addresses'), ('ethereum', 'fees_native'), ('ethereum', 'fees_usd')}   # definitions differ; mean gas price not weighted by gas
    assert set(zip(apart.chain, apart.metric)) == known
    estimates = apart[apart.metric != 'active_addresses']
    assert ((estimates.source_a == 'derived_cagatayozbek') | (estimates.source_b == 'derived_cagatayozbek')).all() and (estimates.date < '2020').all()
    again = store.add(read_rows(REAL)); assert again.same == len(rows) and again.file is None
