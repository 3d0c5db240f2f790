"Install cortex as settings.ini describes it."
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here/'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']

suffix = '_requirements'
extras = {k.removesuffix(suffix): v.split() for k, v in cfg.items() if k.endswith(suffix)}
readme = here/'README.md'
package = cfg['lib_path']
home = f"{cfg['user']}/{cfg['repo']}"

def absolute(text):
    "Turn links to files of the repository into addresses: the README is also read where those files are not."
    text = re.sub(r'(!\[[^\]]*\]\()(?![a-z]+:|#)', rf"\1https://raw.githubusercontent.com/{home}/{cfg['branch']}/", text)
    return re.sub(r'(\]\()(?![a-z]+:|#)', rf"\1https://github.com/{home}/blob/{cfg['branch']}/", text)

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=absolute(readme.read_text(encoding='utf-8')) if readme.exists() else cfg['description'],
    long_description_content_type='text/markdown',
    author=cfg['author'],
    author_email=cfg['author_email'],
    license=cfg['license'].upper(),
    license_files=['LICENSE'],
    keywords=cfg['keywords'].split(),
    python_requires=f">={cfg['min_python']}",
    packages=[package],
    package_data={package: ['data/*', 'data/*/*']},
    install_requires=cfg['requirements'].split(),
    extras_require=extras,
    entry_points={
        'console_scripts': [f'{package} = {package}.command:app'],
        'nbdev': [f"{package} = {package}._modidx:d"],
    },
    classifiers=[
        'Development Status :: 3 - Alpha',
        f"Intended Audience :: {cfg['audience']}",
        'Programming Language :: Python :: 3 :: Only',
        f"Programming Language :: Python :: {cfg['min_python']}",
        f"Natural Language :: {cfg['language']}",
    ],
    zip_safe=False,
)
