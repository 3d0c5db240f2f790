"""A process that imports the trainers once and forks a child for every training asked of it: lines of JSON in, lines of JSON out.

Each line is one training: `rows`, `out`, `model`, `recipe`, and what shall happen to it: `kill` (step, moment of writing a checkpoint), `term` (after how
many lines of the log SIGTERM comes, once for each), `nan` (token id that makes the loss NaN), `disk` (step whose checkpoint meets a full disk), `memory`
(bytes the child may add), `slow` (seconds per log line), `env`. The answer holds the exit code or signal, the message of the refusal, the result, and the
rows that were logged."""
import json, os, resource, signal, sys, time
from pathlib import Path
import torch, transformers
import cortex.sft as sft
from cortex.artifacts import CortexError
from cortex.models import quiet
from cortex.recipes import load_recipe
from trl import SFTTrainer

MOMENTS = dict(adapter=(transformers.Trainer, 'save_model'), optimizer=(transformers.Trainer, '_save_optimizer_and_scheduler'),
               rng=(transformers.Trainer, '_save_rng_state'), rotate=(transformers.trainer, 'rotate_checkpoints'),
               seal=(sft, 'seal_checkpoint'), close=(sft, 'close_training'))

def kill_at(step:int, moment:str, seen:dict)->None:
    "Kill this process at a moment of writing the checkpoint of a step; `cut-adapter` leaves half a file behind."
    where, name = MOMENTS[moment.removeprefix('cut-')]; original = getattr(where, name)
    def killed(*a, **kw):
        if seen.get('step') == step:
            if moment == 'cut-adapter':
                original(*a, **kw)
                for p in Path(seen['out']).glob(f'checkpoint-{step}/*.safetensors'): p.write_bytes(p.read_bytes()[:100])
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*a, **kw)
    setattr(where, name, killed)

def spoil(token:int)->None:
    "Make the loss NaN whenever a batch holds the token."
    original = SFTTrainer.compute_loss
    def compute_loss(self, model, inputs, return_outputs=False, **kw):
        bad = bool((inputs['input_ids'] == token).any())
        loss, out = original(self, model, inputs, return_outputs=True, **kw)
        if bad: loss = loss*float('nan')
        return (loss, out) if return_outputs else loss
    SFTTrainer.compute_loss = compute_loss

def train(job:dict, answer:Path)->None:
    "Run one training in this child and write down how it went."
    os.environ.update(job.get('env', {})); seen = dict(out=job['out'])
    if 'kill' in job: kill_at(*job['kill'], seen)
    if 'nan' in job: spoil(job['nan'])
    if 'memory' in job:
        used = int(Path('/proc/self/statm').read_text().split()[0])*resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + job['memory'],)*2)
    def log(**row):
        seen.update(step=row['step'])
        if row['step'] == job.get('disk'):     # what stands for a full disk is the device that always is
            folder = Path(job['out'])/f"checkpoint-{row['step']}"; folder.mkdir(exist_ok=True)
            (folder/'trainer_state.json').symlink_to('/dev/full')
        if job.get('slow'): time.sleep(job['slow'])
    try: said = dict(result=sft.train_sft(job['rows'], load_recipe(job['recipe'], 'sft'), job['out'], job.get('valid'), model=job['model'], log=log))
    except CortexError as e: said = dict(refused=str(e))
    except SystemExit as e: answer.write_text(json.dumps(dict(left=str(e)))); os._exit(e.code)
    answer.write_text(json.dumps(said)); os._exit(0 if 'result' in said else 2)

def serve(job:dict)->dict:
    "Fork, train, disturb, wait."
    answer, metrics = Path(job['out'] + '.answer'), Path(job['out'])/'metrics.jsonl'
    answer.unlink(missing_ok=True); before = len(metrics.read_text().splitlines()) if metrics.exists() else 0
    child = os.fork()
    if child == 0:
        with open(job['out'] + '.err', 'w') as f: os.dup2(f.fileno(), 2); os.dup2(f.fileno(), 1)
        try: train(job, answer)
        except BaseException:
            import traceback; traceback.print_exc()
        os._exit(70)
    lines = lambda: len(metrics.read_text().splitlines()) if metrics.exists() else 0
    alive = lambda: os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    for n in job.get('term', []):
        while lines() < before + n and alive(): time.sleep(.02)
        os.kill(child, signal.SIGTERM); time.sleep(.3)      # two at once would be one
    status = os.waitpid(child, 0)[1]
    found = sorted(Path(job['out']).glob('checkpoint-*'))
    return dict(code=os.waitstatus_to_exitcode(status), err=Path(job['out'] + '.err').read_text()[-3000:], rows=sft.read_metrics(job['out']),
                checkpoints=[p.name for p in found], whole=[p.name for p in found if sft.is_whole(p)],
                **(json.loads(answer.read_text()) if answer.exists() else {}))

if __name__ == '__main__':
    out = os.fdopen(os.dup(1), 'w'); os.dup2(2, 1)
    print(json.dumps('ready'), file=out, flush=True)
    for line in sys.stdin: print(json.dumps(serve(json.loads(line))), file=out, flush=True)
