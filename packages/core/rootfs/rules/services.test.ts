/** Sick and well trees for the rules about units and promised ports. */
import { elf, link, script } from '../testing/memory-image.ts';
import type { Pieces } from '../testing/memory-image.ts';
import { alpine, enable, serviceUnit } from '../testing/systems.ts';
import { table } from '../testing/table.ts';
import { portsRules } from './ports.ts';
import { unitsRules } from './units.ts';

const app = (rest: string, start = '/usr/bin/app'): Pieces => ({
  '/usr/bin/app': elf(),
  '/usr/lib/systemd/system/app.service': serviceUnit(start, rest),
});
const sshd: Pieces = {
  '/usr/sbin/sshd': elf(),
  '/usr/lib/systemd/system/ssh.service': serviceUnit('/usr/sbin/sshd -D'),
  ...enable('ssh.service'),
};
const websockify = (args: string): Pieces => ({
  '/usr/bin/websockify': script('#!/usr/bin/sh\n'),
  '/usr/lib/systemd/system/novnc.service': serviceUnit(`/usr/bin/websockify ${args}`),
});

table(
  [...unitsRules, ...portsRules],
  [
    {
      id: 'units.program-absent',
      name: 'not installed',
      pieces: [app(''), enable('app.service'), { '/usr/bin/app': null }],
      at: '/usr/lib/systemd/system/app.service:5',
      says: 'there is no /usr/bin/app',
    },
    {
      id: 'units.program-absent',
      name: 'a script without node',
      pieces: [app(''), enable('app.service'), { '/usr/bin/app': script('#!/usr/bin/node\n') }],
      says: '/usr/bin/node, is not there',
    },
    {
      id: 'units.program-absent',
      name: 'not found in the path',
      pieces: [app('', 'app2 -x'), enable('app.service')],
      says: 'there is no program app2',
    },
    {
      id: 'units.environment-absent',
      name: 'no file',
      pieces: [
        {
          '/usr/bin/app': elf(),
          '/usr/lib/systemd/system/app.service': `${serviceUnit('/usr/bin/app')}EnvironmentFile=/etc/default/app\n`,
        },
        enable('app.service'),
      ],
      says: '/etc/default/app',
    },
    {
      id: 'units.program-absent',
      name: 'of a unit linked to default.target by that name',
      pieces: [
        app('', '/usr/bin/gone'),
        { '/etc/systemd/system/default.target.wants/app.service': link('/usr/lib/systemd/system/app.service') },
      ],
      at: '/usr/lib/systemd/system/app.service:5',
    },
    {
      id: 'units.enabled-and-absent',
      name: 'a link that is left',
      pieces: enable('gone.service'),
      at: '/etc/systemd/system/multi-user.target.wants/gone.service',
    },
    {
      id: 'ports.loopback-only',
      name: 'websockify',
      pieces: [websockify('127.0.0.1:6080 localhost:5901'), enable('novnc.service')],
      given: { ports: [6080] },
      says: '127.0.0.1:6080',
    },
    {
      id: 'ports.loopback-only',
      name: 'a socket',
      pieces: {
        '/etc/systemd/system/sockets.target.wants/app.socket': link('../app.socket'),
        '/etc/systemd/system/app.socket': '[Socket]\nListenStream=127.0.0.1:6080\n',
      },
      given: { ports: [6080] },
      at: '/etc/systemd/system/app.socket:2',
    },
    {
      id: 'ports.loopback-only',
      name: 'nginx',
      pieces: [
        {
          '/usr/sbin/nginx': elf(),
          '/usr/lib/systemd/system/nginx.service': serviceUnit('/usr/sbin/nginx -g "daemon on;"'),
          '/etc/nginx/sites-enabled/default': 'server {\n  listen 127.0.0.1:6080 default_server;\n}\n',
        },
        enable('nginx.service'),
      ],
      given: { ports: [6080] },
      at: '/etc/nginx/sites-enabled/default:2',
    },
    {
      id: 'ports.loopback-only',
      name: 'a start script',
      base: alpine,
      pieces: { '/sbin/init': script('#!/bin/sh\nlisten=${listen:-127.0.0.1:6080}\nhttpd -p "$listen" -h /www\n') },
      given: { ports: [6080] },
      at: '/sbin/init:3',
    },
    {
      id: 'ports.not-started',
      name: 'not enabled',
      pieces: websockify('6080 localhost:5901'),
      given: { ports: [6080] },
      at: '/usr/lib/systemd/system/novnc.service:5',
      says: 'not started',
    },
    {
      id: 'ports.not-started',
      name: 'an OpenRC service in no runlevel',
      base: alpine,
      pieces: { '/etc/runlevels/default/httpd': null, '/etc/runlevels/default/other': link('/etc/init.d/other') },
      given: { ports: [8080] },
      at: '/etc/init.d/httpd:3',
    },
    {
      id: 'ports.loopback-only',
      name: 'a script of sysvinit, linked into its runlevel',
      base: alpine,
      pieces: {
        '/sbin/init': elf(),
        '/etc/runlevels/default/httpd': null,
        '/etc/inittab': 'id:3:initdefault:\nT0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n',
        '/etc/rc3.d/S01web': link('../init.d/web'),
        '/etc/init.d/web': script('#!/bin/sh\nDAEMON=/bin/httpd\nstart-stop-daemon --start --exec $DAEMON -- -p 127.0.0.1:6080\n'),
      },
      given: { ports: [6080] },
      at: '/etc/init.d/web:3',
    },
    { id: 'ports.nobody', name: 'nothing names it', given: { ports: [6080] } },
  ],
  [
    { name: 'a missing program behind -', pieces: [app('', '-/usr/bin/gone'), enable('app.service')] },
    {
      name: 'a missing program of a unit that a condition keeps back',
      pieces: [app('ConditionPathExists=/etc/app.conf\n', '/usr/bin/gone'), enable('app.service')],
    },
    { name: 'a missing program of a unit that nobody starts', pieces: app('', '/usr/bin/gone') },
    {
      name: 'an environment file behind -',
      pieces: [
        {
          '/usr/bin/app': elf(),
          '/usr/lib/systemd/system/app.service': `${serviceUnit('/usr/bin/app')}EnvironmentFile=-/etc/default/app\n`,
        },
        enable('app.service'),
      ],
    },
    {
      name: 'a promised port on every address',
      pieces: [websockify('--web /usr/share/novnc 6080 localhost:5901'), enable('novnc.service')],
      given: { ports: [6080] },
    },
    {
      name: 'a promised port on loopback and on every address',
      pieces: [
        websockify('6080 localhost:5901'),
        enable('novnc.service'),
        app('', '/usr/bin/app --listen 127.0.0.1:6080'),
        enable('app.service'),
      ],
      given: { ports: [6080] },
    },
    {
      name: 'a promised port that only an environment file names',
      pieces: [
        {
          '/usr/bin/app': elf(),
          '/etc/default/app': 'PORT=6080\n',
          '/usr/lib/systemd/system/app.service': `${serviceUnit('/usr/bin/app')}EnvironmentFile=/etc/default/app\n`,
        },
        enable('app.service'),
      ],
      given: { ports: [6080] },
    },
    { name: 'ssh by its usual port', pieces: sshd, given: { ports: [22] } },
  ],
);
