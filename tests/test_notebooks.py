"Every notebook runs from top to bottom, each in a process of its own."
import os, signal, subprocess, sys, time
from contextlib import suppress
from pathlib import Path
import pytest

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 300  # seconds, on a machine that is busy with other tests; a notebook alone should need less than 60
NOTEBOOKS = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT/'nbs').rglob('*.ipynb')
                   if not any(part[0] in '._' for part in p.relative_to(ROOT).parts))
RUN = """
import sys
from pathlib import Path
from nbdev.config import get_config
from nbdev.test import test_nb
path, force = Path(sys.argv[1]).resolve(), sys.argv[2].split()
ok, seconds = test_nb(path, skip_flags=get_config().tst_flags.split(), force_flags=force, basepath=get_config().config_path)
sys.exit(0 if ok else 1)
"""

def run_group(command, cwd, timeout, log):
    "Run a command in its own process group, its output in `log`; whatever it started is gone afterwards."
    with open(log, 'wb') as out:
        p = subprocess.Popen(command, cwd=cwd, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        try: return p.wait(timeout)
        except subprocess.TimeoutExpired: return None
        finally:
            with suppress(ProcessLookupError, PermissionError): os.killpg(p.pid, signal.SIGKILL)
            p.wait()

@pytest.mark.parametrize('path', NOTEBOOKS)
def test_notebook(path, request, tmp_path):
    rc = run_group([sys.executable, '-c', RUN, path, request.config.getoption('--nb-flags')], ROOT, TIMEOUT, tmp_path/'log')
    if rc == 0: return
    what = f'did not end within {TIMEOUT} s' if rc is None else f'failed (exit {rc})'
    pytest.fail(f"{path} {what}\n{(tmp_path/'log').read_text(errors='replace')[-6000:]}", pytrace=False)

def alive(pid):
    "Is a process running? One that has ended but was not collected yet is not."
    try: os.kill(pid, 0)
    except ProcessLookupError: return False
    stat = Path(f'/proc/{pid}/stat')
    return not (stat.exists() and stat.read_text().rsplit(')', 1)[1].split()[0] == 'Z')

def test_a_hanging_notebook_is_stopped(tmp_path):
    "A process that outlives its time is killed together with its children."
    pid = tmp_path/'pid'
    code = (f"import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
            f"open({str(pid)!r}, 'w').write(str(p.pid)); time.sleep(60)")
    assert run_group([sys.executable, '-c', code], tmp_path, 3, tmp_path/'log') is None
    gone = lambda: not alive(int(pid.read_text()))
    for _ in range(100):
        if gone(): break
        time.sleep(.1)
    assert gone()
