"""Makes an instance of 389-ds without systemd, stopped, on 127.0.0.1, with TLS by its own authority and memberOf kept as FreeIPA has it.

Arguments: name, port, secure port, password of cn=Directory Manager.
"""

import logging
import pathlib
import re
import sys

from lib389 import DirSrv

DirSrv.with_systemd = lambda self: False

from lib389.instance.options import General2Base, Slapd2Base
from lib389.instance.setup import SetupDs

name, port, secure_port, password = sys.argv[1:5]
pathlib.Path('/run/dirsrv').mkdir(exist_ok=True)
log = logging.getLogger('setup')
general = General2Base(log)
for key, value in {'strict_host_checking': False, 'full_machine_name': 'localhost', 'start': False, 'systemd': False}.items():
    general.set(key, value)
general.verify()
slapd = Slapd2Base(log)
for key, value in {'instance_name': name, 'port': int(port), 'secure_port': int(secure_port), 'root_password': password, 'self_sign_cert': True}.items():
    slapd.set(key, value)
slapd.verify()
SetupDs(verbose=False, dryrun=False, log=log).create_from_args(general.collect(), slapd.collect(), [{'cn': 'userroot', 'nsslapd-suffix': 'dc=example,dc=com'}])

config = pathlib.Path(f'/etc/dirsrv/slapd-{name}/dse.ldif')
text = config.read_text()
text = re.sub(r'(dn: cn=config\n)', r'\1nsslapd-listenhost: 127.0.0.1\nnsslapd-securelistenhost: 127.0.0.1\n', text, count=1)
blocks = text.split('\n\n')
blocks = [block.replace('nsslapd-pluginEnabled: off', 'nsslapd-pluginEnabled: on') if block.startswith('dn: cn=MemberOf Plugin,') else block for block in blocks]
config.write_text('\n\n'.join(blocks))
