"Sweeps that are killed, continued, locked, and given nonsense."
import json, os, signal, subprocess, sys, textwrap, time
from pathlib import Path
import pytest
pytest.importorskip('optuna')

def python(code, *args, **kw):
    return subprocess.Popen([sys.executable, '-c', textwrap.dedent(code), *map(str, args)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw)

def until(p, seen, seconds=120):
    "Wait until something is seen, while the process lives."
    end = time.monotonic() + seconds
    while not seen() and p.poll() is None and time.monotonic() < end: time.sleep(.01)
    return seen()

FORMULA = '''
    import math, sys, time
    from pathlib import Path
    from cortex.recipes import make_recipe
    from cortex.sweeps import read_space, search
    out, slow = Path(sys.argv[1]), float(sys.argv[2])
    out.mkdir(exist_ok=True)
    def fit(recipe, folder, look):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder/'begun').open('a') as f: f.write('x')
        level = -(math.log10(recipe.lr) + 3)**2 - .01*recipe.batch
        for k in (1, 2, 3): time.sleep(slow); look(k, level*k)
        return [level - .1, level, level + .1]
    found = search(out, make_recipe('sft'), read_space({'lr': {'low': 1e-5, 'high': 1e-1, 'log': True}, 'batch': [4, 8, 16]}, 'sft'), 9, fit, 'level', True)
    print(found.table.drop(columns='trial').to_json(orient='records'))
'''

def run_formula(out, slow=0.):
    p = python(FORMULA, out, slow); said = p.communicate(timeout=240)[0]
    assert p.returncode == 0, said
    return json.loads(said.splitlines()[-1])

def test_kills_change_nothing(tmp_path):
    whole = run_formula(tmp_path/'whole')
    assert len(whole) == 9 and {r['state'] for r in whole} == {'finished', 'pruned'}
    begun = lambda: len(list((tmp_path/'killed').glob('trials/*/begun')))
    for n in (1, 3, 6):   # in the middle of the base recipe, of a random trial, of one that TPE chose
        p = python(FORMULA, tmp_path/'killed', .3)
        assert until(p, lambda: begun() >= n), p.communicate()[0]
        time.sleep(.35); p.send_signal(signal.SIGKILL); p.communicate()
    assert run_formula(tmp_path/'killed') == whole
    assert (tmp_path/'killed'/'best.json').read_bytes() == (tmp_path/'whole'/'best.json').read_bytes()
    assert max(len(f.read_text()) for f in (tmp_path/'killed').glob('trials/*/begun')) == 2   # killed once, begun twice, in the same folder

TRAIN = '''
    import random, sys
    from pathlib import Path
    from cortex.models import make_tiny
    from cortex.recipes import make_recipe
    from cortex.sweeps import sweep
    def rows(n, chains, seed):
        rng = random.Random(seed)
        asked = [(rng.choice(chains), rng.choice(['up', 'down', 'flat']), rng.choice(['calm', 'wild'])) for _ in range(n)]
        return [dict(prompt=[dict(role='user', content=f'{c} is {b} and {a}.')], completion=[dict(role='assistant', content=f'{b} and {a}')], asof=f'2024-0{1 + i//28}-{1 + i % 28:02d}', horizon=1)
                for i, (c, a, b) in enumerate(asked)]
    train, valid, out = rows(48, ['near', 'xrp'], 0), rows(40, ['bsc'], 1), Path(sys.argv[1])
    tiny = out.parent/'tiny'
    if not tiny.exists(): make_tiny([m['content'] for r in train + valid for m in r['prompt'] + r['completion']], tiny)
    base = make_recipe('sft', 'tiny', lr=1e-4, max_steps=12, save_steps=2, **(dict(seed=1) if 'other' in sys.argv else {}))
    found = sweep('sft', base, train, valid, {'lr': {'low': 1e-4, 'high': 3e-2, 'log': True}, 'batch': [4, 8]}, int(sys.argv[2]), out, model=tiny, say=lambda line: print(line, flush=True))
    print(found.table.to_json(orient='records'))
'''

def run_training(*args, code=0):
    p = python(TRAIN, *args); said = p.communicate(timeout=400)[0]
    assert p.returncode == code, said
    return said

@pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='more than a minute: set CORTEX_SLOW=1')
def test_a_killed_training_goes_on_inside_the_sweep(tmp_path):
    whole = json.loads(run_training(tmp_path/'whole', 3).splitlines()[-1])
    assert [r['state'] for r in whole] == ['finished']*3 and whole[0]['verdict'] == 'base'
    p = python(TRAIN, tmp_path/'killed', 3)
    second = lambda: len(list((tmp_path/'killed').glob('trials/*'))) == 2 and list((tmp_path/'killed').glob('trials/*/checkpoint-*/complete.json'))
    assert until(p, second), p.communicate()[0]
    other = run_training(tmp_path/'killed', 3, code=1)          # while the first is still at it
    assert 'another process is working in it' in other
    p.send_signal(signal.SIGKILL); p.communicate()
    begun, = (f for f in (tmp_path/'killed').glob('trials/*') if list(f.glob('checkpoint-*')))
    again = json.loads(run_training(tmp_path/'killed', 3).splitlines()[-1])
    assert [(r['recipe'], r['state']) for r in again] == [(r['recipe'], r['state']) for r in whole]
    assert all(abs(a['value'] - b['value']) < 1e-3 for a, b in zip(again, whole))
    result = json.loads((begun/'training.json').read_text())['result']
    assert result['resumed_from'], 'the killed trial went on from its checkpoint'
    assert 'another configuration (recipe.seed: 0 -> 1' in run_training(tmp_path/'killed', 3, 'other', code=1)
    more = json.loads(run_training(tmp_path/'killed', 4).splitlines()[-1])
    assert [r['recipe'] for r in more[:3]] == [r['recipe'] for r in whole] and len(more) == 4
    from cortex.recipes import load_recipe
    best = load_recipe(tmp_path/'killed'/'best.json', 'sft')
    assert best.max_steps*best.batch == 12*8 and best.eval_every is None
