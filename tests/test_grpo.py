"Learning from rewards: killed, told to leave, cut off from its weights, watched, and fed what it cannot learn from."
import difflib, json, os, signal, subprocess, sys, textwrap
from dataclasses import replace
from pathlib import Path
import pytest

GOLD = '<think>1 + 2 = 3.00</think>\n<answer>hold</answer>'
ROWS = [dict(prompt=[dict(role='user', content=f'{c} bear. Forecast.')], gold=GOLD) for c in ('near', 'xrp', 'polygon', 'bitcoin')]
def likeness(completions, gold, **kw): return [difflib.SequenceMatcher(None, c[0]['content'], g).ratio() for c, g in zip(completions, gold)]
def one_for_all(completions, **kw): return [.5]*len(completions)

@pytest.fixture(scope='module')
def start(tmp_path_factory):
    "A tiny model, and an adapter that has learnt one reply by heart."
    from cortex.models import make_tiny
    from cortex.sft import SFTRecipe, train_sft
    tmp = tmp_path_factory.mktemp('grpo')
    lesson = [dict(prompt=r['prompt'], completion=[dict(role='assistant', content=GOLD)]) for r in ROWS]
    tiny = make_tiny([r['prompt'][0]['content'] for r in ROWS] + [GOLD], tmp/'tiny')
    return tmp, tiny, train_sft(lesson*16, SFTRecipe(lr=1e-2, max_steps=8), tmp/'sft', model=tiny)['adapter']

@pytest.fixture(scope='module')
def recipe():
    from cortex.recipes import GRPORecipe
    return GRPORecipe(lr=1e-3, steps=4, groups=2, group_size=4, batch=4, max_new_tokens=40, save_steps=2, save_minutes=60, beta=.02)   # with a penalty: its reference must survive a kill too

@pytest.fixture(scope='module')
def whole(start, recipe):
    "The curve of a training that nobody disturbed."
    from cortex.grpo import train_grpo
    seen = []
    result = train_grpo(ROWS, recipe, likeness, start[0]/'whole', start[1], start[2], log=lambda **r: seen.append(r))
    return result, seen

CHILD = textwrap.dedent('''
    import json, os, signal, sys
    from pathlib import Path
    from cortex.grpo import train_grpo
    from cortex.recipes import load_recipe
    sys.path.insert(0, sys.argv[1])
    import test_grpo as t
    out, model, adapter, recipe, how, at = *map(Path, sys.argv[2:5]), load_recipe(sys.argv[5]), sys.argv[6], int(sys.argv[7])
    def log(step, **row):
        if step != at or 'reward' not in row: return
        if how == 'term': os.kill(os.getpid(), signal.SIGTERM)
        if how == 'kill': os.kill(os.getpid(), signal.SIGKILL)
    if how == 'save':   # killed while a checkpoint is written: after the adapter, before the optimizer
        import transformers
        save = transformers.Trainer._save_optimizer_and_scheduler
        def killed(self, *a):
            if self.state.global_step == at: os.kill(os.getpid(), signal.SIGKILL)
            return save(self, *a)
        transformers.Trainer._save_optimizer_and_scheduler = killed
    train_grpo(t.ROWS, recipe, t.likeness, out, model, adapter, log=log)
''')

@pytest.mark.parametrize('how, at, code, left', [('term', 1, 75, 'checkpoint-2'), ('kill', 3, -signal.SIGKILL, 'checkpoint-2'), ('save', 4, -signal.SIGKILL, 'checkpoint-2')])
def test_ended_from_outside_it_goes_on_to_the_same_curve(start, recipe, whole, how, at, code, left):
    from cortex.grpo import train_grpo
    tmp, model, adapter = start; out = tmp/f'{how}{at}'
    done = subprocess.run([sys.executable, '-c', CHILD, str(Path(__file__).parent), *map(str, (out, model, adapter)), recipe.to_json(), how, str(at)], capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))
    assert done.returncode == code, done.stderr[-1500:]
    seen = []
    result = train_grpo(ROWS, recipe, likeness, out, model, adapter, log=lambda **r: seen.append(r))
    assert result['resumed_from'] == left and result['steps'] == 4
    first = int(left.split('-')[1])
    for a, b in zip(seen, whole[1][first:], strict=True):
        for k in ('reward', 'kl', 'grad_norm', 'entropy', 'completion_length'): assert a[k] == pytest.approx(b[k], rel=1e-3, abs=1e-5), (a['step'], k)
    assert whole[1][-1]['kl'] > 0    # it had left its start, and resuming measures from that start

def test_a_sampler_that_is_left_behind_is_caught(start, recipe, monkeypatch):
    from cortex.artifacts import CortexError
    from cortex.grpo import train_grpo
    from cortex.rollouts import GenerateRollout, SYNC_LIMITS
    gaps, sync = [], GenerateRollout.sync
    monkeypatch.setattr(GenerateRollout, 'sync', lambda self, policy, step: sync(self, policy, step) if step == 0 else None)
    with pytest.raises(CortexError, match="step 2: the replies of 'generate' do not come from the weights in training"):
        train_grpo(ROWS, replace(recipe, lr=2e-2), likeness, start[0]/'cut', start[1], start[2], log=lambda **r: gaps.append(r['sync_gap']))
    assert gaps[0] < SYNC_LIMITS['generate'] < gaps[1]

def test_prompts_read_once_give_the_training_that_trl_would(start, recipe, whole, monkeypatch):
    from cortex import grpo
    seen = []
    monkeypatch.setattr(grpo, 'can_share', lambda model: False)
    grpo.train_grpo(ROWS, recipe, likeness, start[0]/'rowwise', start[1], start[2], log=lambda **r: seen.append(r))
    for a, b in zip(seen, whole[1], strict=True):
        for k in ('reward', 'kl', 'grad_norm', 'entropy'): assert a[k] == pytest.approx(b[k], rel=2e-3, abs=1e-4), (a['step'], k)

def test_groups_without_spread_move_nothing_and_are_counted(start, recipe):
    from safetensors.torch import load_file
    from cortex.grpo import train_grpo
    seen = []
    result = train_grpo(ROWS, replace(recipe, beta=0., steps=2), one_for_all, start[0]/'flat', start[1], start[2], log=lambda **r: seen.append(r))
    before, after = (load_file(Path(p)/'adapter_model.safetensors') for p in (start[2], result['adapter']))
    assert all((before[k] == after[k]).all() for k in before) and [r['zero_groups'] for r in seen] == [2, 2]
    assert all(r['grad_norm'] == 0 and r['sync_gap'] is None for r in seen)

def test_it_stops_when_held_out_questions_no_longer_get_better_and_keeps_the_best(start, recipe):
    from safetensors.torch import load_file
    from cortex.grpo import train_grpo
    pays = iter([.1, .9] + [.2]*20)
    def valid(completions, **kw): return [x := next(pays)] + [x]*(len(completions) - 1)
    saved, seen = {}, []
    def log(**r):
        seen.append(r); best = start[0]/'stop'/'best'/'adapter_model.safetensors'
        if r.get('valid_reward') == .9: saved.update(load_file(best))
    watched = replace(recipe, steps=8, eval_every=1, patience=2)
    result = train_grpo(ROWS, watched, likeness, start[0]/'stop', start[1], start[2], valid_rows=ROWS, valid_reward=valid, log=log)
    assert (result['steps'], result['best_step'], result['stopped'], result['cut']) == (3, 1, True, 0)
    kept = load_file(Path(result['adapter'])/'adapter_model.safetensors')
    assert saved and all((saved[k] == kept[k]).all() for k in kept)
    assert [r['step'] for r in seen if 'valid_reward' in r] == [0, 1, 2, 3] and not (start[0]/'stop'/'best').exists()
    assert (start[0]/'stop'/'curves.png').stat().st_size > 10_000

def test_all_weights_can_be_trained(start, recipe):
    from cortex.grpo import train_grpo
    from cortex.models import load_model
    seen = []
    result = train_grpo(ROWS, replace(recipe, tune='full', lr=1e-4, steps=2, beta=0.), likeness, start[0]/'full', start[1], start[2], log=lambda **r: seen.append(r))
    net, _ = load_model(result['model']); base, _ = load_model(start[1])
    assert any((a != b).any() for a, b in zip(net.parameters(), base.parameters())) and max(r['sync_gap'] for r in seen) < .03

def test_what_cannot_be_learnt_from_is_refused_in_a_line(start, recipe):
    from cortex.artifacts import CortexError
    from cortex.grpo import recipe_reward, train_grpo
    tmp, model, adapter = start
    go = lambda rows=ROWS, recipe=recipe, reward=likeness, **kw: train_grpo(rows, recipe, reward, tmp/'bad', model, adapter, **kw)
    for want, call in (('no questions to learn from', lambda: go(rows=[])), ('row 0: prompt must be a list of chat messages', lambda: go(rows=[dict(prompt=None)])),
                       ("row 0 has no 'task'", lambda: go(reward=recipe_reward(recipe))), ('do not fit into the model', lambda: go(recipe=replace(recipe, max_new_tokens=5000))),
                       ("needs a column `expected`", lambda: go(recipe=replace(recipe, target='expected'))), ('there are none: give valid_rows', lambda: go(recipe=replace(recipe, eval_every=1, patience=1))),
                       ('paid nan for reply 0 of step 1', lambda: go(reward=lambda completions, **kw: [float('nan')]*len(completions)))):
        with pytest.raises(CortexError, match=want) as e: call()
        assert '\n' not in str(e.value)
