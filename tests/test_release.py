"Asking a model from the command line, and judging it: real processes, a model of two layers."
import json, os, subprocess, sys
import pytest

def cortex(*args, **env):
    return subprocess.run([sys.executable, '-P', '-c', 'from cortex.command import app; app()', *map(str, args)], capture_output=True, text=True,
                          env=os.environ | {'OMP_NUM_THREADS': '1', 'COLUMNS': '200'} | env, timeout=300)

@pytest.fixture(scope='module')
def made(tmp_path_factory):
    "A tiny base and an adapter on it."
    from peft import LoraConfig, get_peft_model
    from cortex.models import load_model, make_tiny
    from cortex.release import make_question
    home = tmp_path_factory.mktemp('release'); task = make_question(chain='near')
    base = make_tiny([m['content'] for m in task.prompt], home/'tiny')
    get_peft_model(load_model(base)[0], LoraConfig(r=4, target_modules='all-linear', task_type='CAUSAL_LM')).save_pretrained(home/'adapter')
    return home

def test_ask_shows_the_question_and_the_verdicts(made):
    done = cortex('ask', '--chain', 'near', '--size', made/'tiny', '--adapter', made/'adapter')
    assert done.returncode == 0, done.stderr
    assert 'near on 20' in done.stdout and 'simulated' in done.stdout and 'tiny + adapter with the calculator' in done.stdout

@pytest.mark.parametrize('args, said', [(('--chain', 'neer'), "No chain is called 'neer'. Nearest: near"), (('--adapter', 'cortex-9'), "no released adapter is called 'cortex-9'"),
                                        (('--date', '2031-01-01'), 'near has no row for 2031-01-01'), (('--kind', 'market.fortune'), 'market.fortune'),
                                        (('--data', 'nowhere'), 'nowhere'), (('--target', 'moon'), 'moon'), (('--horizon', '3'), 'horizon=3: questions look 1, 7, 30 days ahead')])
def test_what_cannot_be_asked_is_one_line(made, args, said):
    done = cortex('ask', '--size', made/'tiny', *(() if '--adapter' in args else ('--adapter', made/'adapter')), *args)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr

def test_bench_model_goes_on_and_says_what_is_kept(made, tmp_path):
    args = ('bench', 'model', '--size', made/'tiny', '--adapter', made/'adapter', '--cases', 6, '--out', tmp_path/'b')
    done = cortex(*args)
    assert done.returncode == 0, done.stderr
    promised = json.loads((tmp_path/'b/promises.json').read_text())
    assert [p['measure'] for p in promised][:3] == ['citations', 'supported', 'steps'] and not any(p['kept'] for p in promised if p['promise'] != 'none')
    replies = (tmp_path/'b/replies.jsonl').read_bytes()
    assert replies.count(b'\n') == 12
    assert cortex(*args).returncode == 0 and (tmp_path/'b/replies.jsonl').read_bytes() == replies   # nothing asked twice

# --- what travels with the package ---
def test_the_released_adapter_is_small_whole_and_says_what_it_rests_on():
    import torch
    from safetensors.torch import load_file
    from cortex.release import LIMIT, named_adapter, released_adapter
    home = released_adapter(); card, run = (home/'README.md').read_text(), json.loads((home/'release.json').read_text())
    assert home == named_adapter('cortex-1-nano') and (home/'adapter_model.safetensors').stat().st_size == run['bytes'] <= LIMIT == 10_000_000
    assert all(torch.isfinite(w).all() for w in load_file(home/'adapter_model.safetensors').values())
    assert json.loads((home/'adapter_config.json').read_text())['base_model_name_or_path'] == run['base']['id'] == 'HuggingFaceTB/SmolLM2-135M-Instruct'
    assert run['config']['data'] == 'simulated' and 'Simulated market days only' in card and 'four bits' in card and (home/'sft-curve.png').is_file()
    assert {e['data'] for e in run['evidence']} == {'simulated', 'real prices'} and all(e['kept'] for e in run['evidence']) and all(c in card for c in run['measured_by'])

def test_the_released_adapter_answers_with_supported_figures(embedded_model):
    from cortex.release import ask, make_question
    answer = ask(make_question(chain='near'))
    assert answer.model.endswith('cortex-1-nano') and answer.forecast is not None and answer.verification.supported_share == 1, answer.text
