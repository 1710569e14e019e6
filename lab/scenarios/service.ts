import type { Scenario } from '../scenario.ts';

const failed = (code: string, alsoTrue?: readonly string[]): Scenario['truth'] => ({
  outcome: 'failed',
  code,
  ...(alsoTrue ? { alsoTrue } : {}),
});

/** A WebSocket proxy in front of a VNC server that is not there: it takes the upgrade, is refused by the server, and closes with 1011. */
const proxy = `#!/bin/sh
while read -r line; do
  line=$(echo "$line" | tr -d '\\r')
  case $line in
    [Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey:*) key=$(echo "\${line#*:}" | tr -d ' ') ;;
    [Uu]pgrade:*) upgrade=yes ;;
    '') break ;;
  esac
done
if [ -z "$upgrade" ]; then printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nvnc'; exit; fi
accept=$(printf %s "\${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11" | sha1sum | cut -d' ' -f1 | xxd -r -p | base64)
printf 'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: %s\\r\\nSec-WebSocket-Protocol: binary\\r\\n\\r\\n' "$accept"
nc 127.0.0.1 5900 </dev/null || printf '\\210\\002\\003\\363'
`;

/** 6080 in hexadecimal, as the kernel lists what listens. */
const untilItListens = "until grep -qE ':17C0 0+:0000 0A' /proc/net/tcp /proc/net/tcp6; do :; done";

/** Network and guest are well; what was promised on the port is not there. */
export const service: readonly Scenario[] = [
  {
    name: 'service-not-started',
    breaks: 'nothing is started on the promised port',
    truth: failed('service.port-6080-not-listening'),
    vm: { bootArgs: { add: ['linstock.test.httpd=none'] } },
  },
  {
    name: 'service-on-loopback',
    breaks: 'the service listens on 127.0.0.1 only',
    truth: failed('service.port-6080-bound-to-loopback'),
    vm: { bootArgs: { add: ['linstock.test.httpd=127.0.0.1:6080'] } },
  },
  {
    name: 'service-cannot-start',
    breaks: 'the service is told to listen on an address that the guest does not have',
    truth: failed('service.port-6080-not-listening'),
    vm: { bootArgs: { add: ['linstock.test.httpd=10.9.9.9:6080'] } },
  },
  {
    name: 'service-crashed',
    breaks: 'the service dies after it had started',
    truth: failed('service.port-6080-not-listening'),
    break: (b) => b.guest('killall', '-9', 'httpd'),
  },
  {
    name: 'service-killed-for-memory',
    breaks: 'the guest runs out of memory, and its kernel kills the service',
    truth: failed('service.killed-by-oom', ['service.port-6080-not-listening']),
    break: (b) =>
      b.guest(
        'sh',
        '-c',
        'for pid in $(pidof httpd); do echo 1000 >/proc/$pid/oom_score_adj; done; echo -500 >/proc/self/oom_score_adj; tail /dev/zero; true',
      ),
  },
  {
    name: 'service-on-another-port',
    breaks: 'the service listens on another port than the promised one',
    truth: failed('service.port-6080-not-listening'),
    vm: { bootArgs: { add: ['linstock.test.httpd=0.0.0.0:6081'] } },
  },
  {
    name: 'service-hangs',
    breaks: 'the service accepts connections and answers nothing, because it is stopped',
    truth: failed('service.port-6080-silent'),
    break: (b) => b.guest('killall', '-STOP', 'httpd'),
  },
  {
    name: 'service-speaks-another-protocol',
    breaks: 'something else than HTTP answers on the promised port',
    truth: failed('service.port-6080-speaks-another-protocol'),
    vm: { bootArgs: { add: ['linstock.test.httpd=none'] } },
    break: (b) => b.guest('sh', '-c', `(setsid nc -ll -p 6080 -e echo 'SSH-2.0-dropbear' </dev/null >/dev/null 2>&1 &); ${untilItListens}`),
  },
  {
    name: 'vnc-down-behind-its-proxy',
    breaks: 'the WebSocket proxy runs, the VNC server behind it does not',
    truth: failed('service.vnc-backend-down'),
    vm: { ports: [{ port: 6080, level: 'rfb' }], bootArgs: { add: ['linstock.test.httpd=none'] } },
    break: async (b) => {
      await b.guest(
        'sh',
        '-c',
        `cat >/tmp/proxy <<'PROXY'\n${proxy}PROXY\nchmod +x /tmp/proxy; (setsid nc -ll -p 6080 -e /tmp/proxy </dev/null >/dev/null 2>&1 &); ${untilItListens}`,
      );
    },
  },
  {
    name: 'guest-disk-full',
    breaks: 'the root file system of the guest is full',
    truth: { outcome: 'degraded', code: 'image.root-filesystem-full' },
    break: (b) => b.guest('sh', '-c', 'dd if=/dev/zero of=/fill bs=64k 2>/dev/null; true'),
  },
  {
    name: 'root-made-read-only',
    breaks: 'the root file system of the guest turned read-only while it ran',
    truth: { outcome: 'degraded', code: 'image.root-remounted-read-only' },
    reprove: true,
    break: (b) => b.guest('mount', '-o', 'remount,ro', '/'),
  },
  {
    name: 'two-faults',
    breaks: 'the TAP is taken off its bridge, and the service listens on 127.0.0.1 only',
    truth: failed('host.net.tap-not-on-bridge', ['service.port-6080-bound-to-loopback']),
    vm: { bootArgs: { add: ['linstock.test.httpd=127.0.0.1:6080'] } },
    break: (b) => b.slot('ip', 'link', 'set', 'tap0', 'nomaster').then(() => undefined),
  },
];
