"Supervised fine-tuning as it goes wrong: killed, told to leave, out of memory or disk, NaN, bad rows; and what it costs."
import json, os, random, subprocess, sys
from pathlib import Path
import pytest
import toy_rows

HERE = Path(__file__).parent
slow = pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='minutes of CPU: set CORTEX_SLOW=1')

def made_up(n, seed=0): return toy_rows.made_up(n, lambda rng, m: ' so'*rng.randint(0, 4), 'near\n', seed)

ROWS = made_up(40)
RECIPE = dict(size='tiny', lr=1e-2, batch=4, max_steps=12, save_steps=3)

class Server:
    "Ask the forking process for trainings."
    def __init__(self, tmp):
        from cortex.models import make_tiny
        self.tmp, self.n = tmp, 0
        self.model = make_tiny([m['content'] for r in ROWS for m in r['prompt'] + r['completion']] + ['§'], tmp/'tiny')
        self.p = subprocess.Popen([sys.executable, str(HERE/'training_server.py')], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  env=os.environ | dict(PYTHONPATH=str(HERE.parent)))
        assert json.loads(self.p.stdout.readline()) == 'ready'
    def folder(self): self.n += 1; return str(self.tmp/f'run{self.n}')
    def train(self, out=None, **job):
        job = dict(rows=ROWS, model=str(self.model), out=out or self.folder(), recipe=RECIPE) | job
        print(json.dumps(job), file=self.p.stdin, flush=True)
        return dict(json.loads(self.p.stdout.readline()), out=Path(job['out']))

@pytest.fixture(scope='module')
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp('training'))
    yield s
    s.p.stdin.close(); s.p.wait(30)

losses = lambda done: [r['loss'] for r in done['rows'] if 'loss' in r]

@pytest.fixture(scope='module')
def whole(server):
    "The curve of a training that nothing happened to."
    done = server.train()
    assert done['code'] == 0, done['err']
    assert len(losses(done)) == 12 and losses(done)[-1] < losses(done)[0]/2
    return losses(done)

def test_kills_at_every_moment_of_a_checkpoint_resume_to_the_same_curve(server, whole):
    "One folder, eight kills: before, between and after the files of a checkpoint, in its rotation, before its seal, before the result."
    out = server.folder()
    moments = [(3, 'adapter'), (3, 'cut-adapter'), (3, 'optimizer'), (6, 'rng'), (6, 'seal'), (9, 'rotate'), (9, 'seal'), (12, 'close')]
    last = 0
    for step, moment in moments:
        done = server.train(out, kill=(step, moment))
        assert done['code'] == -9, (step, moment, done)
        if moment != 'close': assert f'checkpoint-{step}' not in done['whole'], moment
        assert all(int(n.split('-')[1]) < step or moment == 'close' for n in done['whole']) and not (last and not done['whole']), (moment, done['whole'])
        last = max([last, *(int(n.split('-')[1]) for n in done['whole'])])
    done = server.train(out)
    assert done['code'] == 0 and done['result']['steps'] == 12 and done['result']['resumed_from'] == 'checkpoint-12'
    assert losses(done) == pytest.approx(whole, abs=1e-5)

@pytest.mark.parametrize('seed', [0, 1] + ([*range(2, 20)] if os.environ.get('CORTEX_SLOW') else []))
def test_kill_after_a_random_step_resumes_to_the_same_curve(server, whole, seed):
    out, rng, kills = server.folder(), random.Random(seed), 0
    for _ in range(3):
        done = server.train(out, kill=(rng.choice([3, 6, 9]), rng.choice(['adapter', 'cut-adapter', 'optimizer', 'rng', 'rotate', 'seal'])))
        kills += done['code'] == -9
        assert done['code'] in (0, -9), done['err']
    assert kills
    done = server.train(out)
    assert done['code'] == 0 and losses(done) == pytest.approx(whole, abs=1e-5)

def test_sigterm_seals_a_checkpoint_and_ends_with_75(server, whole):
    out = server.folder()
    left = server.train(out, term=[4], slow=.2)
    assert left['code'] == 75 and 'its checkpoint is sealed: run the same again to go on' in left['left'], left
    at = len(losses(left))
    assert 4 <= at < 12 and f'checkpoint-{at}' in left['whole']
    done = server.train(out)
    assert done['code'] == 0 and done['result']['resumed_from'] == f'checkpoint-{at}'
    assert losses(done) == pytest.approx(whole, abs=1e-5)

def test_a_second_sigterm_ends_at_once_and_the_last_sealed_checkpoint_counts(server, whole):
    out = server.folder()
    left = server.train(out, term=[5, 5], slow=1.5)
    assert left['code'] == 75 and 'told to leave twice' in left['left'] and left['whole'] == ['checkpoint-3'], left
    done = server.train(out)
    assert done['result']['resumed_from'] == 'checkpoint-3' and losses(done) == pytest.approx(whole, abs=1e-5)

def test_sigterm_with_accumulation_all_weights_and_cosine(server):
    recipe = dict(RECIPE, tune='full', lr=1e-3, batch=2, accumulate=2, schedule='cosine', weight_decay=.01, max_steps=6, save_steps=2)
    alone, out = server.train(recipe=recipe), server.folder()
    left = server.train(out, recipe=recipe, term=[3], slow=.2); done = server.train(out, recipe=recipe)
    assert (left['code'], done['code']) == (75, 0), (left, done)
    assert losses(done) == pytest.approx(losses(alone), abs=1e-5)
    from cortex.models import load_model
    a, b = (dict(load_model(d['result']['model'])[0].named_parameters()) for d in (alone, done))
    assert all((a[k] - b[k]).abs().max() < 1e-5 for k in a) and 'adapter' not in done['result']

def test_patience_survives_a_crash(server):
    "The looks are counted alike, the best is kept, and it is the same one."
    valid = [dict(a, completion=b['completion']) for a in made_up(9, 1) for b in made_up(9, 2) if a['prompt'] != b['prompt']][:9]
    recipe = dict(RECIPE, max_steps=60, eval_every=2, patience=2, save_steps=50)
    alone, out = server.train(recipe=recipe, valid=valid), server.folder()
    assert alone['code'] == 0, alone
    best = alone['result']['best_step']
    assert alone['result']['stopped_early'] and best == alone['result']['steps'] - 4
    assert server.train(out, recipe=recipe, valid=valid, kill=(best + 4, 'adapter'))['code'] == -9   # while the checkpoint of the last look is written
    done = server.train(out, recipe=recipe, valid=valid)
    assert (done['result']['best_step'], done['result']['steps']) == (best, best + 4)
    assert done['result']['eval_loss'] == pytest.approx(alone['result']['eval_loss'], abs=1e-5)

def test_a_loss_that_is_no_number_names_its_rows_and_keeps_the_last_checkpoint(server):
    from transformers import AutoTokenizer
    tok = AutoTokenizer.from_pretrained(server.model)
    rows = [*ROWS]; rows[17] = dict(rows[17], completion=[dict(role='assistant', content='§')])
    token = tok('§', add_special_tokens=False).input_ids[-1]
    done = server.train(rows=rows, nan=token, recipe=dict(RECIPE, epochs=1, max_steps=None, save_steps=1))
    assert done['code'] == 2 and 'the loss is nan at step' in done['refused'] and 'lower lr (now' in done['refused'], done
    step = int(done['refused'].split('at step ')[1].split()[0])
    named = [int(x) for x in done['refused'].split('(rows ')[1].split(')')[0].split(', ')]
    assert 17 in named and len(named) == 4
    if step > 1: assert f'checkpoint-{step - 1} is the last good checkpoint' in done['refused'] and f'checkpoint-{step - 1}' in done['whole']
    assert len(done['refused'].splitlines()) == 1

def test_a_full_disk_is_named_and_costs_no_checkpoint(server, whole):
    out = server.folder()
    done = server.train(out, disk=6)
    assert done['code'] == 2 and 'no space left on the disk' in done['refused'] and len(done['refused'].splitlines()) == 1, done
    assert done['checkpoints'] == done['whole'] == ['checkpoint-3']      # what could not be finished is gone
    done = server.train(out)
    assert done['code'] == 0 and losses(done) == pytest.approx(whole, abs=1e-5)

def test_too_little_memory_names_a_smaller_batch(server):
    rows = [dict(r, completion=[dict(role='assistant', content=r['completion'][0]['content']*8)]) for r in ROWS]
    done = server.train(rows=rows*20, memory=250_000_000, recipe=dict(RECIPE, batch=256, max_tokens=1024))
    assert done['code'] == 2 and 'not enough memory for a batch of 256 rows' in done['refused'], done
    assert 'times the accumulation may fit' in done['refused'] and len(done['refused'].splitlines()) == 1

def test_refusals_before_training_are_one_line_and_leave_the_folder_usable(server):
    out = server.folder()
    bad = [(dict(rows=[]), 'no rows to train on'), (dict(rows=[dict(question='a', answer='b')]), "row 0 has no column 'prompt', only answer, question"),
           (dict(rows=[dict(ROWS[0], completion=[dict(role='assistant', content='so '*900)])]), 'more than max_tokens=512'),
           (dict(valid=[dict(ROWS[0], prompt='hi')]), 'validation rows: row 0: prompt must be a list'),
           (dict(recipe=dict(RECIPE, max_tokens=4096)), 'max_tokens=4096 is more than the 1024 tokens this model can read'),
           (dict(recipe=dict(RECIPE, eval_every=2, patience=2)), 'counts looks at validation rows, and there are none'),
           (dict(recipe=dict(RECIPE, tune='qlora')), "tune='qlora' holds the base in 4 bits"),
           (dict(model=str(HERE)), 'holds no config.json')]
    for job, says in bad:
        done = server.train(out, **job)
        assert done['code'] == 2 and says in done['refused'] and len(done['refused'].splitlines()) == 1, (says, done)
    done = server.train(out, recipe=dict(RECIPE, max_steps=2))
    assert done['code'] == 0, done
    for job, says in ((dict(recipe=dict(RECIPE, max_steps=2, lr=2e-3)), 'holds another training (recipe.lr: 0.01 -> 0.002)'),
                      (dict(rows=ROWS[1:]), 'holds another training (recipe.max_steps')):
        done = server.train(out, **job)
        assert done['code'] == 2 and says in done['refused'], done

def test_two_processes_do_not_share_a_folder(server):
    from cortex.artifacts import CortexError
    from cortex.sft import hold_folder
    out = server.folder()
    with hold_folder(out):
        done = server.train(out)
        assert done['code'] == 2 and 'another process is working in it' in done['refused']
    assert server.train(out, recipe=dict(RECIPE, max_steps=1))['code'] == 0

def test_the_run_folder_tells_the_whole_story(server):
    done = server.train(valid=made_up(4, 1), recipe=dict(RECIPE, max_steps=4, eval_every=2))
    out, looks = done['out'], [r for r in done['rows'] if 'eval_loss' in r]
    assert [r['step'] for r in looks] == [2, 4] and done['result']['eval_loss'] == looks[-1]['eval_loss']
    assert (out/'curve.png').read_bytes()[:4] == b'\x89PNG' and not done['checkpoints']
    said = json.loads((out/'training.json').read_text())
    assert said['engine'].startswith('engine TRL + peft on') and said['config']['recipe']['size'] == 'tiny' and said['result'] == done['result']
    tokens = [r['tokens'] for r in done['rows'] if 'tokens' in r]
    assert tokens == sorted(tokens) and tokens[-1] == done['result']['tokens'] > 0

def test_wandb_offline_writes_the_curve_to_files(server):
    done = server.train(recipe=dict(RECIPE, max_steps=3), env=dict(WANDB_MODE='offline'))
    assert done['code'] == 0, done
    file, = done['out'].glob('wandb/offline-run-*/run-*.wandb')
    data = file.read_bytes()
    assert b'train/loss' in data and len(losses(done)) == 3
    assert all(json.dumps(l).encode() in data for l in losses(done))      # histories are JSON inside

def run(code, python=sys.executable, **env):
    "Run code in a process of its own; give what it prints last, parsed."
    p = subprocess.Popen([python, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE.parent,
                         env=os.environ | dict(PYTHONPATH=str(HERE.parent)) | env)
    out, err = p.communicate()
    assert p.returncode == 0, err[-3000:]
    return json.loads(out.strip().splitlines()[-1])

NANO = '''
import json, sys
from cortex.recipes import make_recipe
from cortex.sft import *
from cortex.recipes import SFTRecipe
from cortex.tasks import *
sys.path.insert(0, 'tests')
from test_training import nano_rows
rows = nano_rows(64)
'''

def nano_rows(n):
    "Rows as long as the rule teacher's: about 140 tokens asked, 115 written."
    rng = random.Random(0)
    fact = lambda i: f'metric_{i}: {rng.uniform(1, 99):.1f}%'
    facts = lambda n: '\n'.join(fact(i) for i in range(n))
    return [dict(prompt=[dict(role='user', content=facts(11))], completion=[dict(role='assistant', content=facts(rng.randint(7, 11)))]) for _ in range(n)]

@slow
def test_nano_needs_at_most_four_gigabytes(tmp_path):
    "Resident memory of a training of the embedded model, two steps with validation."
    peak = run(NANO + f'''
train_sft(rows, make_recipe('sft', max_steps=2), {str(tmp_path/'run')!r}, nano_rows(4))
print(1024*int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1]))''', CORTEX_CACHE=os.path.expanduser('~/.cache/cortex'))
    assert peak <= 4e9, peak

@slow
def test_nano_is_within_ten_percent_of_a_bare_loop():
    "CPU seconds, since other jobs may use the same cores."
    found = run(NANO + "print(json.dumps(bench_sft(rows, make_recipe('sft', max_steps=3, batch=4))))", CORTEX_CACHE=os.path.expanduser('~/.cache/cortex'))
    assert found['ratio_cpu'] >= .9 and found['differ'] < .05, found

@pytest.mark.skipif(not os.environ.get('CORTEX_UNSLOTH'), reason='set CORTEX_UNSLOTH to a python that has unsloth')
def test_unsloth_itself_trains_an_adapter_that_loads(server):
    "The real library, on whatever it finds; on a CPU it must be asked for by name."
    out = server.folder(); Path(out + '.rows').write_text(json.dumps(ROWS))
    done = run(f'''
import json
from pathlib import Path
from cortex.sft import *
from cortex.recipes import SFTRecipe
rows, seen = json.loads(Path({out + '.rows'!r}).read_text()), []
recipe = SFTRecipe('tiny', engine='unsloth', lr=1e-2, batch=4, max_steps=12)
result = train_sft(rows, recipe, {out!r}, model={str(server.model)!r}, log=lambda **r: seen.append(r['loss']))
print(json.dumps(dict(losses=seen, result=result)))''', python=os.environ['CORTEX_UNSLOTH'])
    assert done['losses'][-1] < done['losses'][0]/2 and done['result']['engine'].startswith('engine unsloth')
    from cortex.models import load_model
    assert load_model(server.model, adapter=done['result']['adapter'])[0].num_parameters() > 0
