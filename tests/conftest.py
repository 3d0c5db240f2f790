"Every test runs offline, on few threads, and with a cache of its own."
import contextlib, os, shutil, tempfile
import pytest

ENV = dict(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', TOKENIZERS_PARALLELISM='false', MPLBACKEND='Agg', PYTHONHASHSEED='0',
           HF_HUB_OFFLINE='1', TRANSFORMERS_OFFLINE='1', HF_DATASETS_OFFLINE='1', HF_HUB_DISABLE_TELEMETRY='1', DO_NOT_TRACK='1',
           WANDB_MODE='disabled')
KEYS = 'OPENROUTER_API_KEY DEEPSEEK_API_KEY CORTEX_TEACHER_KEY FLIPSIDE_API_KEY FLIPSIDE_URL COINGECKO_API_KEY NEARBLOCKS_API_KEY CORTEX_MIRROR WANDB_API_KEY HF_TOKEN HUGGINGFACE_TOKEN CORTEX_MODEL'.split()
CHROMIUM = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')

def pytest_addoption(parser):
    parser.addoption('--nb-flags', default='', help='cells to run that are left out otherwise, e.g. "slow gpu"')

def pytest_configure(config):
    "Prepare the environment once; the workers of pytest-xdist and all subprocesses inherit it."
    config.addinivalue_line('markers', 'slow: takes minutes; runs with CORTEX_SLOW=1')
    if hasattr(config, 'workerinput'): return
    os.environ.update(ENV)
    for k in KEYS: os.environ.pop(k, None)
    os.environ['CORTEX_CACHE'] = config.cortex_cache = tempfile.mkdtemp(prefix='cortex-tests-')

def pytest_unconfigure(config):
    if path := getattr(config, 'cortex_cache', None): shutil.rmtree(path, ignore_errors=True)

@contextlib.contextmanager
def _of_the_user():
    "Use the cache of the user inside the block: that of the tests holds no weights."
    cache = os.environ.pop('CORTEX_CACHE', None)
    try: yield
    finally:
        if cache: os.environ['CORTEX_CACHE'] = cache

@pytest.fixture
def users_cache():
    "Let a slow test and its processes find the weights that the user has."
    with _of_the_user(): yield

@pytest.fixture(scope='session')
def embedded_model():
    "Find the embedded model, for slow tests."
    from cortex.models import fetch_model
    with _of_the_user(): return fetch_model('nano')

@pytest.fixture(scope='module')
def browser():
    "Start the machine's own Chromium or Chrome."
    api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed: pip install playwright (no browser download is needed)')
    path = os.environ.get('CORTEX_CHROMIUM') or next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not path: pytest.skip('no Chromium or Chrome is installed here, or on the PATH: set CORTEX_CHROMIUM to one')
    with api.sync_playwright() as p:
        b = p.chromium.launch(executable_path=path, args=['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'])
        yield b
        b.close()
