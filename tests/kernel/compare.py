#!/usr/bin/python3
"""compare.py ORACLE REAL.jsonl OURS.jsonl [-v]: how many scenarios of scenarios.py were answered alike, and which were not, with what differs first.

The oracle's cmp.py compares; masked beside what the recorder marked: reqids that the kernel chose for level UNIQUE (one generator for the machine)."""
import json, os, struct, sys

sys.path.insert(0, os.path.join(sys.argv[1], 'tools'))
import cmp
import packets

FIRST_CHOSEN, MANY = 0x4000, 0x1000      # IPSEC_MANUAL_REQID_MAX + 1


def chosen_reqids(message):
    """Byte ranges of reqids that nobody asked for."""
    data, ranges = bytes.fromhex(message.get('hex', '')), []

    def find(value):
        if isinstance(value, dict):
            reqid = value.get('reqid', 0)
            if FIRST_CHOSEN <= reqid < FIRST_CHOSEN + MANY:
                at = data.find(struct.pack('<I', reqid))
                while at >= 0:
                    ranges.append([at, 4, 'reqid'])
                    at = data.find(struct.pack('<I', reqid), at + 1)
            value = value.values()
        if not isinstance(value, (str, int)) and value is not None:
            for inner in value:
                find(inner)
    find(message.get('dec', {}))
    return ranges


def more_marks(record):
    """What Linux chose (sequence numbers of acquires, SPIs): finalize.py finds and marks it on the sockets that it knows; here on all."""
    messages = [(step, m) for step in record.get('steps', []) for m in step['out'] if 'dec' in m and not m['sock'].startswith('pk')]
    others = [m for _, m in messages if m['sock'] not in ('nl', 'nlx', 'mc')]
    if not others:
        return
    chosen = set()
    for step, m in messages:
        data = bytes.fromhex(m['hex'])
        asked = step.get('req') if isinstance(step.get('req'), dict) else {}
        chosen |= {data[at:at + size] for at, size, kind in m.get('vol', []) if kind in ('acqseq', 'spi')}
        if m['dec'].get('type') == 'ACQUIRE':
            chosen.add(struct.pack('<I', m['dec']['body']['seq']))
        elif asked.get('type') == 'ALLOCSPI' and m['dec'].get('type') == 'NEWSA' and asked['body'].get('min', 0) < asked['body'].get('max', 0):
            chosen.add(data[88:92])
    chosen.discard(bytes(4))
    for _, m in messages:
        data = bytes.fromhex(m['hex'])
        for value in chosen:
            at = data.find(value)
            while at >= 0:
                m.setdefault('vol', []).append([at, 4, 'chosen'])
                at = data.find(value, at + 1)
        if m['dec'].get('type') in ('NEWSADINFO', 'NEWSPDINFO'):
            at = 20
            while at + 4 <= len(data):
                length, kind = struct.unpack_from('<HH', data, at)
                if kind == 2:
                    m.setdefault('vol', []).append([at + 4, length - 4, 'hashsize'])
                at += max(4, length + 3 & ~3)


def cpu_marks(record):
    """On which CPU a packet found no SA of its own."""
    if any('udp' in step for step in record.get('steps', [])):
        for message in (m for step in record['steps'] for m in step['out'] if any(a[0] == 'SA_PCPU' for a in m.get('dec', {}).get('attrs', []))):
            at = bytes.fromhex(message['hex']).find(b'\x08\0\x23\0')
            message.setdefault('vol', []).append([at + 4, 4, 'cpu'])


def datagrams(step):
    """How the messages of an answer lay in datagrams."""
    return [(m['sock'], m['dgram']) for m in step['out'] if 'dgram' in m]


def plain_tunnel(message):
    """An entry of a dump for the plain IP SA that leans on an IPComp one: Linux removes it some milliseconds after the other."""
    decoded = message.get('dec', {})
    return decoded.get('type') == 'NEWSA' and decoded['flags'] & 2 and decoded['body'].get('id', {}).get('proto') in (4, 41)


def load(path):
    scenarios = {}
    for record in map(json.loads, open(path)):
        compresses = any(name in json.dumps(step.get('req')) for step in record.get('steps', []) for name in ('"proto": 108', 'X_IPCOMP'))
        for step in record.get('steps', []):
            step['out'] = [m for m in step['out'] if not plain_tunnel(m)]
            if isinstance(step.get('req'), dict) and step['req'].get('type') in ('UPDSA', 'UPDATE'):
                # An expiry that the update makes due is told by a timer, before the update or after it.
                step['out'].sort(key=lambda m: m.get('dec', {}).get('type') != 'EXPIRE')
            for name in ('wire', 'lan', 'delivered', 'to_ike_socket', 'xfrm_stat'):
                if name in step:
                    step.setdefault('value', {})[name] = said(step[name]) if name in ('wire', 'lan') else step[name]
            if 'send' in step and step.get('send_errno') == 'EMSGSIZE':
                del step['send_errno']      # Linux says so of the first that is too large, a TUN of the second (docs/compat.md)
            if ('udp' in step or 'send' in step) and step.get('send_errno') in (0, 'EAGAIN', 'EINVAL', 'EOVERFLOW', 'EHOSTUNREACH', 'ENOBUFS', 'EEXIST'):
                del step['send_errno']      # a TUN takes what Linux refuses to send (docs/compat.md)
            for message in step['out']:
                message.setdefault('vol', []).extend(chosen_reqids(message))
                if compresses and message.get('dec', {}).get('type') == 'NEWSADINFO':
                    message['vol'].append([24, 4, 'count'])      # with SAs that plain_tunnel leaves out
        more_marks(record)
        cpu_marks(record)
        record['compresses'] = compresses
        scenarios[record['name']] = record
    return scenarios


def said(wire):
    """What left, packet by packet; where an outer packet is cut differs, and so how often it is told."""
    out = []
    for packet in wire:
        told = packets.told(bytes.fromhex(packet))
        if told != ['fragment'] or out[-1:] != [told]:
            out.append(told)
    return out


def unlike(a, b):
    """The parts of two values that differ."""
    if not isinstance(a, dict) or not isinstance(b, dict):
        return a, b
    return [{k: v.get(k) for k in a if a[k] != b.get(k)} for v in (a, b)]


def paths(a, b, at=''):
    """The fields in which two decoded messages differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in {**a, **b}:
            yield from paths(a.get(key), b.get(key), '%s.%s' % (at, key))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            yield from paths(x, y, '%s[%s]' % (at, x[0] if isinstance(x, list) and x and isinstance(x[0], str) else i))
    elif a != b and not at.endswith(('time', '.pid')):
        yield '%s: %s here %s' % (at, json.dumps(a)[:150], json.dumps(b)[:150])


def main():
    real, ours = load(sys.argv[2]), load(sys.argv[3])
    verbose = '-v' in sys.argv
    differing = 0
    for name, record in real.items():
        if name not in ours:
            print('%s: not answered' % name)
            differing += 1
            continue
        broken = [r.get('recorder_error', '').splitlines()[-1:] for r in (record, ours[name])]
        differences = cmp.diff(record, ours[name])
        differences += [(i, 'value', *unlike(a.get('value'), b.get('value'))) for i, (a, b) in enumerate(zip(record['steps'], ours[name]['steps'])) if a.get('value') != b.get('value')]
        differences += [(i, 'value', a.get('stdout'), b.get('stdout')) for i, (a, b) in enumerate(zip(record['steps'], ours[name]['steps'])) if a.get('cmd', [''])[0] == 'sh' and a.get('stdout') != b.get('stdout')]
        if not differences and not record['compresses']:
            differences = [(i, 'datagrams', datagrams(a), datagrams(b)) for i, (a, b) in enumerate(zip(record['steps'], ours[name]['steps'])) if datagrams(a) != datagrams(b)]
        if not differences and broken[0] == broken[1]:
            continue
        differing += 1
        print('%s:%s' % (name, ' '.join(map(str, broken)) if broken[0] != broken[1] else ''))
        for step, where, a, b in differences[:99 if verbose else 2]:
            print('   step %d %s [%s]: %s   here: %s' % (step, record['steps'][step].get('what', ''), where, *(str(x)[:700] if where in ('datagrams', 'value') else cmp.sm(x)[:300] for x in (a, b))))
            if isinstance(a, list) and where not in ('datagrams', 'value'):
                for x, y in zip(a, b):
                    if not cmp.same(x, y):
                        for path in list(paths(x.get('dec'), y.get('dec')))[:6]:
                            print('      ' + path)
                        break
    print('%d scenarios answered as Linux does, %d otherwise' % (len(real) - differing, differing))
    return 1 if differing or not real else 0


sys.exit(main())
