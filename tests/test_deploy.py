"""The container and the manifests: linted by real linters, of one mind with each other and with the program, and their own commands run.

No Docker engine is needed: hadolint, kubernetes-validate and compose-spec are packages, and what ENTRYPOINT, CMD and HEALTHCHECK say is run as it stands there."""
import json, os, re, shutil, signal, socket, subprocess, sys, time, urllib.error, urllib.request, zipfile
from pathlib import Path
import pytest, yaml

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
K8S = ROOT/'deploy/kubernetes'
MANIFESTS = ('namespace.yaml', 'gateway.yaml', 'vllm.yaml', 'network.yaml', 'scaling.yaml')

def instructions():
    "List the instructions of the Dockerfile: (NAME, rest), continued lines joined."
    text = re.sub(r'^\s*#.*\n', '', (ROOT/'Dockerfile').read_text(), flags=re.M).replace('\\\n', ' ')
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]

def last(name):
    "Give the last instruction of a name: the one that counts."
    return [rest for n, rest in instructions() if n == name][-1]

def resources():
    "Read every resource of the manifests: (kind, name) -> it."
    return {(r['kind'], r['metadata']['name']): r for f in MANIFESTS for r in yaml.safe_load_all((K8S/f).read_text())}

def compose(): return yaml.safe_load((ROOT/'compose.yaml').read_text())
def pod(name): return resources()['Deployment', name]['spec']['template']['spec']
def cmd(): return json.loads(last('CMD'))
def after(args, option): return args[args.index(option) + 1]

# ---------------------------------------------------------------- linters

def tool(name):
    "Find a linter beside this Python."
    if not (path := shutil.which(name, path=str(BIN))): pytest.skip(f'{name} is not installed: pip install -e .[dev]')
    return path

def test_hadolint_has_nothing_to_say():
    p = subprocess.run([tool('hadolint'), '--no-color', str(ROOT/'Dockerfile')], capture_output=True, text=True)
    assert (p.returncode, p.stdout) == (0, '')

def test_hadolint_would_say_it(tmp_path):
    (tmp_path/'Dockerfile').write_text('FROM python\nRUN pip install torch\nCMD cortex serve\n')
    assert {'DL3006', 'DL3013', 'DL3025'} <= set(re.findall(r'DL\d+', subprocess.run([tool('hadolint'), '--no-color', str(tmp_path/'Dockerfile')], capture_output=True, text=True).stdout))

@pytest.mark.parametrize('file', MANIFESTS)
def test_manifests_fit_the_schemas_of_kubernetes(file):
    pytest.importorskip('kubernetes_validate')
    import kubernetes_validate
    for r in yaml.safe_load_all((K8S/file).read_text()): kubernetes_validate.validate(r, '1.37', strict=True)

def test_the_schemas_refuse_what_is_wrong():
    kubernetes_validate = pytest.importorskip('kubernetes_validate')
    bad = resources()['Deployment', 'cortex-gateway']; bad['spec']['template']['spec']['containers'][0]['readinesProbe'] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match='readinesProbe'): kubernetes_validate.validate(bad, '1.37', strict=True)

def test_the_compose_file_fits_its_specification():
    compose_spec = pytest.importorskip('compose_spec')
    text = re.sub(r'\$\{\w+:-([^}]*)\}', r'\1', (ROOT/'compose.yaml').read_text())   # what compose itself fills in
    compose_spec.PyCompose.from_yaml(text).validate()
    with pytest.raises(ValueError): compose_spec.PyCompose.from_yaml(text.replace('networks: [back]', 'networks: [bakc]')).validate()

def test_the_kustomization_names_every_manifest():
    k = yaml.safe_load((K8S/'kustomization.yaml').read_text())
    assert sorted(k['resources']) == sorted(MANIFESTS) and {p.name for p in K8S.glob('*.yaml')} == {*MANIFESTS, 'kustomization.yaml', 'adapter-values.yaml'}
    images = {c['image'] for kind, name in resources() if kind == 'Deployment' for c in pod(name)['containers']}
    assert images == {i['name'] for i in k['images']} and all(re.search(r'\d', i['newTag']) for i in k['images'])

# ---------------------------------------------------------------- hard to break into

@pytest.mark.parametrize('name', ['cortex-gateway', 'cortex-vllm'])
def test_pods_have_no_rights_that_they_do_not_need(name):
    spec = pod(name); s = spec['securityContext']
    assert s['runAsNonRoot'] and s['runAsUser'] > 9999 and s['seccompProfile'] == {'type': 'RuntimeDefault'} and spec['automountServiceAccountToken'] is False
    assert resources()['ServiceAccount', spec['serviceAccountName']]['automountServiceAccountToken'] is False
    for c in spec['containers']:
        assert c['securityContext'] == dict(allowPrivilegeEscalation=False, readOnlyRootFilesystem=True, capabilities={'drop': ['ALL']})
        assert c['resources']['requests'].keys() >= {'cpu', 'memory'} <= c['resources']['limits'].keys()
        assert {'startupProbe', 'readinessProbe', 'livenessProbe'} <= c.keys() and c['readinessProbe']['failureThreshold'] < c['livenessProbe']['failureThreshold']
        assert spec['terminationGracePeriodSeconds'] > c['lifecycle']['preStop']['sleep']['seconds'] + 30
        writable = [m['mountPath'] for m in c['volumeMounts'] if not m.get('readOnly')]
        assert set(writable) <= {'/tmp', '/dev/shm'} and not [m for m in c['volumeMounts'] if 'subPath' in m]
    assert not any(k in str(spec) for k in ('hostNetwork', 'hostPath', 'privileged'))
    assert spec['topologySpreadConstraints'][0]['labelSelector'] == resources()['Deployment', name]['spec']['selector']

def test_every_pod_has_a_policy_and_only_the_gateway_reaches_the_model():
    r = resources(); deny = r['NetworkPolicy', 'default-deny']['spec']
    assert deny == dict(podSelector={}, policyTypes=['Ingress', 'Egress'])
    for name in ('cortex-gateway', 'cortex-vllm'): assert r['NetworkPolicy', name]['spec']['podSelector']['matchLabels'].items() <= r['Deployment', name]['spec']['template']['metadata']['labels'].items()
    assert 'egress' not in r['NetworkPolicy', 'cortex-vllm']['spec'] and compose()['networks']['back'] == {'internal': True} and compose()['services']['vllm']['networks'] == ['back']
    assert not [s for s in compose()['services'].values() for p in s.get('ports', []) if not p.startswith('127.0.0.1:')]

@pytest.mark.parametrize('name', ['gateway', 'vllm'])
def test_composed_containers_have_no_rights_that_they_do_not_need(name):
    s = compose()['services'][name]
    assert s['read_only'] and s['cap_drop'] == ['ALL'] and s['security_opt'] == ['no-new-privileges:true'] and s['user'] == last('USER') and 'privileged' not in s
    assert all(v.endswith(':ro') for v in s['volumes']) and all(t.startswith('/tmp:size=') for t in s['tmpfs'])

def test_the_image_runs_as_a_number_and_without_a_shell():
    assert re.fullmatch(r'(\d{5}):\1', last('USER')) and [n for n, _ in instructions()][-3:] == ['HEALTHCHECK', 'ENTRYPOINT', 'CMD']
    assert json.loads(last('ENTRYPOINT')) == ['cortex'] and 'ADD' not in dict(instructions())
    assert int(last('USER').split(':')[0]) == pod('cortex-gateway')['securityContext']['runAsUser']
    assert not re.search(r'sk-|ctx_|hf_[A-Za-z0-9]{20}|password', ''.join(p.read_text() for p in [ROOT/'Dockerfile', ROOT/'compose.yaml', *K8S.iterdir()]))

def test_no_model_brings_code_of_its_own():
    for args in (pod('cortex-vllm')['containers'][0]['args'], compose()['services']['vllm']['command']):
        assert after(args, '--load-format') == 'safetensors' and not [a for a in args if 'trust' in str(a)]

# ---------------------------------------------------------------- of one mind

def gateways():
    "The three places that start the gateway, and the arguments there."
    return {'Dockerfile': cmd(), 'compose': compose()['services']['gateway']['command'], 'kubernetes': pod('cortex-gateway')['containers'][0]['args']}

def test_ports_agree():
    for where, args in gateways().items(): assert after(args, '--port') == last('EXPOSE') and after(args, '--host') == '0.0.0.0', where
    c = pod('cortex-gateway')['containers'][0]
    assert str(c['ports'][0]['containerPort']) == last('EXPOSE') and f":{last('EXPOSE')}/health" in last('HEALTHCHECK')
    assert compose()['services']['gateway']['ports'][0].endswith(f":{last('EXPOSE')}")
    r = resources(); vllm = str(pod('cortex-vllm')['containers'][0]['ports'][0]['containerPort'])
    assert vllm == after(pod('cortex-vllm')['containers'][0]['args'], '--port') == str(r['Service', 'cortex-vllm']['spec']['ports'][0]['port'])
    assert after(c['args'], '--vllm') == f'http://cortex-vllm:{vllm}' and {p['port'] for p in r['NetworkPolicy', 'cortex-vllm']['spec']['ingress'][0]['ports']} == {int(vllm)}
    for name in ('cortex-gateway', 'cortex-vllm'): assert pod(name)['containers'][0]['ports'][0]['containerPort'] == int(r['Deployment', name]['spec']['template']['metadata']['annotations']['prometheus.io/port'])

def test_models_keys_and_versions_agree():
    version = re.search(r'^version = (\S+)', (ROOT/'settings.ini').read_text(), re.M)[1]
    k = {i['name']: i['newTag'] for i in yaml.safe_load((K8S/'kustomization.yaml').read_text())['images']}
    assert k['cortex-gateway'] == version and compose()['services']['gateway']['image'] == f'cortex-gateway:{version}'
    assert f"vllm/vllm-openai:{k['vllm/vllm-openai']}" in compose()['services']['vllm']['image']
    for gateway, vllm, mounts in ((gateways()['compose'], compose()['services']['vllm']['command'], str(compose()['services']['gateway']['volumes'])),
                                  (gateways()['kubernetes'], pod('cortex-vllm')['containers'][0]['args'], str(pod('cortex-gateway')['containers'][0]['volumeMounts']))):
        assert after(gateway, '--model') == after(vllm, '--served-model-name') and after(gateway, '--size') == vllm[0] and '/models' in mounts
        assert str(Path(after(gateway, '--keys')).parent) in mounts and Path(after(gateway, '--keys')).name in (K8S/'README.md').read_text()
    assert pod('cortex-vllm')['containers'][0]['env'][-1]['valueFrom'] == pod('cortex-gateway')['containers'][0]['env'][0]['valueFrom']

def test_the_autoscaler_reads_a_figure_that_exists():
    from cortex.access import Metrics, Slots
    metrics = Metrics(); metrics.track(Slots())
    rules = {r['name'].get('as', r['name']['matches']): r['seriesQuery'].partition('{')[0] for r in yaml.safe_load((K8S/'adapter-values.yaml').read_text())['rules']['custom']}
    asked = {m['pods']['metric']['name'] for (kind, _), r in resources().items() if kind == 'HorizontalPodAutoscaler' for m in r['spec']['metrics']}
    assert asked == set(rules) == {'cortex_queue_fill', 'vllm_requests_waiting'}
    assert metrics.registry.get_sample_value(rules['cortex_queue_fill']) == 0.
    for (kind, name), r in resources().items():
        if kind == 'HorizontalPodAutoscaler': assert ('Deployment', r['spec']['scaleTargetRef']['name']) in resources() and 'replicas' not in resources()['Deployment', name]['spec']
        if kind in ('PodDisruptionBudget', 'Service'): assert (r['spec']['selector'].get('matchLabels') or r['spec']['selector']) == resources()['Deployment', name]['spec']['selector']['matchLabels']

@pytest.mark.parametrize('where', ['Dockerfile', 'compose', 'kubernetes'])
def test_the_command_takes_these_options(where):
    import typer
    from cortex.command import app
    args = gateways()[where]
    command = typer.main.get_command(app).commands[args[0]]
    context = command.make_context('serve', args[1:])
    assert context.params['port'] == int(last('EXPOSE')) and context.params['host'] == '0.0.0.0' and str(context.params['keys']) == after(args, '--keys')

# ---------------------------------------------------------------- what goes into the image

def copied():
    "List the files that COPY takes from the repository and .dockerignore lets through."
    rules = [r for r in (ROOT/'.dockerignore').read_text().splitlines() if r and r[0] != '#']
    assert rules[0] == '*'
    let = {r[1:] for r in rules if r[0] == '!'}
    wanted = {a for name, rest in instructions() if name == 'COPY' and '--from' not in rest for a in rest.split()[:-1]}
    assert wanted == let, 'COPY and .dockerignore name different files'
    return sorted(wanted)

def test_a_wheel_made_of_what_is_copied_is_whole(tmp_path):
    for name in copied():
        if (ROOT/name).is_dir(): shutil.copytree(ROOT/name, tmp_path/'src'/name, ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))
        else: (tmp_path/'src').mkdir(exist_ok=True); shutil.copy(ROOT/name, tmp_path/'src'/name)
    run = next(rest for name, rest in instructions() if name == 'RUN' and 'pip wheel' in rest).split('&&')[0].split()
    p = subprocess.run([sys.executable, '-m', *run, '--no-build-isolation', '-q'], cwd=tmp_path/'src', capture_output=True, text=True, timeout=300)
    assert p.returncode == 0, p.stderr
    names = set(zipfile.ZipFile(next((tmp_path/'src/dist').glob('*.whl'))).namelist())
    missing = [f for f in subprocess.run(['git', 'ls-files', 'cortex'], cwd=ROOT, capture_output=True, text=True).stdout.split() if f not in names]
    assert not missing and 'cortex/command.py' in names

def test_the_extras_and_the_pin_of_torch_are_there():
    settings, pins = (ROOT/'settings.ini').read_text(), (ROOT/'constraints.txt').read_text()
    extras = next(rest for n, rest in instructions() if n == 'ARG' and rest.startswith('EXTRAS')).partition('=')[2]
    for extra in extras.split(','): assert re.search(rf'^{extra}_requirements = ', settings, re.M)
    assert len(re.findall(r'^torch==', pins, re.M)) == 1
    order = [rest for n, rest in instructions() if n == 'RUN']
    assert [bool(re.search("'\\^torch=='", r)) for r in order].index(True) < [('pip wheel' in r) for r in order].index(True)
    served = re.search(r'^serve_requirements = (.*)', settings, re.M)[1].split()
    assert all(re.search(rf'^{re.split("[<>=~!]", r)[0].replace("-", "[-_]")}==', pins, re.M | re.I) for r in served), 'constraints.txt lacks a pin of the service'

# ---------------------------------------------------------------- the commands themselves

WATCH = '''
import os, sys
allowed = tuple(os.environ['WRITABLE'].split(':'))
def hook(event, args):
    if event == 'open' and isinstance(args[0], (str, bytes)) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        path = os.path.realpath(os.fsdecode(args[0]))
        if not path.startswith(allowed): sys.stderr.write(f'WROTE {path}\\n'); raise OSError(30, 'Read-only file system', path)
    elif event in ('os.mkdir', 'os.rename', 'os.remove') and not os.path.realpath(os.fsdecode(args[0])).startswith(allowed): sys.stderr.write(f'WROTE {os.fsdecode(args[0])}\\n'); raise OSError(30, 'Read-only file system')
sys.addaudithook(hook)
'''

def environment(folder):
    "Give the image's environment, and a Python that can write to /tmp alone, which is a folder here."
    tmp, site = folder/'tmp', folder/'site'
    for d in (tmp, site): d.mkdir()
    (site/'sitecustomize.py').write_text(WATCH)
    env = dict(m for n, rest in instructions()[-12:] if n == 'ENV' for m in re.findall(r'(\w+)=(\S+)', rest))
    env = {k: v.replace('/tmp', str(tmp)) for k, v in env.items()} | dict(PATH=f'{BIN}:/usr/bin:/bin', TMPDIR=str(tmp), CORTEX_CACHE=str(tmp/'cache'), PYTHONPATH=str(site), WRITABLE=f'{tmp}:/dev/', OMP_NUM_THREADS='1')
    return tmp, env

def free_port():
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); return s.getsockname()[1]

def test_entrypoint_command_and_health_check_do_what_they_say(tmp_path):
    from cortex.access import add_key
    tmp, env = environment(tmp_path)
    port, key = free_port(), add_key(tmp_path/'keys.txt', 'test')
    swap = {last('EXPOSE'): str(port), 'nano': 'tiny', '/etc/cortex/keys/keys.txt': str(tmp_path/'keys.txt')}    # the port, the size and where keys lie; all else as it stands
    command = [swap.get(a, a) for a in json.loads(last('ENTRYPOINT')) + cmd()]
    check = [a.replace(last('EXPOSE'), str(port)) for a in json.loads(last('HEALTHCHECK').partition('CMD')[2])]
    healthy = lambda: subprocess.run([shutil.which(check[0], path=env['PATH']), *check[1:]], env=env, capture_output=True).returncode
    log = (tmp_path/'log').open('w+')
    assert healthy() == 1                                                                    # nobody is there
    assert 'WROTE /etc/x' in subprocess.run([shutil.which('python', path=env['PATH']), '-c', "open('/etc/x', 'w')"], env=env, capture_output=True, text=True).stderr
    p = subprocess.Popen([shutil.which(command[0], path=env['PATH']), *command[1:]], env=env, cwd=tmp, stdout=log, stderr=log)
    said = lambda: Path(log.name).read_text()
    try:
        for _ in range(1200):
            if p.poll() is not None: pytest.fail('it ended: ' + said()[-2000:])
            try: urllib.request.urlopen(f'http://127.0.0.1:{port}/ready', timeout=5); break
            except OSError: time.sleep(.25)
        else: pytest.fail('not ready within 300 s: ' + said()[-2000:])
        assert healthy() == 0
        ask = lambda **headers: urllib.request.urlopen(urllib.request.Request(f'http://127.0.0.1:{port}/v1/analyze', json.dumps(dict(chain='near', max_new_tokens=8)).encode(), {'Content-Type': 'application/json', **headers}), timeout=300)
        with pytest.raises(urllib.error.HTTPError, match='401'): ask()
        r = ask(Authorization=f'Bearer {key}'); answer = json.load(r)
        assert r.status == 200 and answer['chain'] == 'near' and answer['data']['simulated'] and answer['notice'] and answer['verification']
        p.send_signal(getattr(signal, last('STOPSIGNAL')))
        code = p.wait(60)
    finally:
        if p.poll() is None: p.kill(); p.wait()
    assert code in (0, -signal.SIGTERM) and healthy() == 1, said()[-2000:]
    assert 'WROTE' not in said() and 'Traceback' not in said() and key not in said(), said()[-2000:]
    assert [x for x in map(json.loads, (line for line in said().splitlines() if line.startswith('{'))) if x.get('route') == '/v1/analyze' and x['status'] == 200 and x['key'] == 'test']

def test_without_keys_it_does_not_listen_to_a_network(tmp_path):
    tmp, env = environment(tmp_path)
    command = json.loads(last('ENTRYPOINT')) + cmd()[:cmd().index('--keys')]
    run = lambda *more: subprocess.run([shutil.which(command[0], path=env['PATH']), *command[1:], *more], env=env, cwd=tmp, capture_output=True, text=True, timeout=300)
    p = run(); assert p.returncode == 2 and '--keys FILE' in p.stderr and 'Traceback' not in p.stderr
    p = run('--keys', str(tmp/'none.txt')); assert p.returncode == 2 and 'none.txt' in p.stderr and 'Traceback' not in p.stderr

def test_a_gateway_needs_no_torch(tmp_path):
    from cortex.backends import tiny_texts
    from cortex.models import make_tiny
    make_tiny(tiny_texts(), tmp_path/'model')
    code = f'''
import sys; sys.modules['torch'] = None                       # as in an image with EXTRAS=serve
from cortex.backends import open_backend
from cortex.serve import make_app, open_data
backend = open_backend({str(tmp_path/'model')!r}, None, ('http://127.0.0.1:9',), 'cortex-1')
make_app(backend, open_data('simulated'))
print(backend.tok('near').input_ids != [])
'''
    p = subprocess.run([sys.executable, '-P', '-c', code], capture_output=True, text=True, timeout=300, cwd=ROOT, env=os.environ | {'PYTHONPATH': str(ROOT)})
    assert p.returncode == 0 and p.stdout.strip().endswith('True'), p.stderr[-2000:]
