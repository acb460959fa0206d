"""Runs each line of a file as `ip xfrm LINE` and prints what it says and how it ends, the same on any Linux: times, and what the kernel
chooses, are masked. After a line that begins with "+" comes what the database then has, and it is emptied. Behind a line of "%" monitors
of all kinds listen, and what each has heard comes at the end.

Run it in a network namespace of its own. Arguments: the ip program, the files."""
import re, shlex, subprocess, sys, tempfile, time

ip, monitors = sys.argv[1], {}
# The last event that a monitor of each kind hears.
EXPIRED, POLICY, SA = 'Expired src 203.0.113.8/32', 'src 203.0.113.8/32', 'src 203.0.113.9 '
KINDS = {'': EXPIRED, 'all': EXPIRED, 'nokeys': EXPIRED, 'all-nsid': EXPIRED, 'SA': SA, 'policy': POLICY, 'SA policy': POLICY, 'expire': EXPIRED,
         'aevent': None, 'acquire': None, 'report': None, 'other': None}


def mask(text):
    text = re.sub(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', 'TIME', text)
    text = re.sub(r'index \d{1,8}\b', 'index N', text)
    text = re.sub(r'(buckets count) \d+', r'\1 N', text)
    return ''.join(line.rstrip() + '\n' for line in text.splitlines())


def run(*arguments):
    done = subprocess.run([ip, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    sys.stdout.write(mask(done.stdout))
    if done.returncode:
        print('=', done.returncode)


def until(what, condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    print('waited in vain:', what)


def listens(process):
    return open('/proc/%d/syscall' % process.pid).read().startswith('47 ')   # recvmsg, which comes after it has joined its groups


def said(log):
    log.seek(0)
    return log.read()


for file in sys.argv[2:]:
    for line in open(file):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        print('$', line.strip())
        if words[0] == '%':
            for kind in KINDS:
                log = tempfile.TemporaryFile('w+')
                process = subprocess.Popen([ip, 'xfrm', 'monitor', *kind.split()], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
                until(kind, lambda: process.poll() is not None or listens(process))
                monitors[kind] = process, log
        elif words[0] == '+':
            run('xfrm', *words[1:])
            run('-s', 'xfrm', words[1], 'list')
            subprocess.run([ip, 'xfrm', words[1], 'flush'])
        elif words[0] == '-s':
            run('-s', 'xfrm', *words[1:])
        else:
            run('xfrm', *words)
for kind, (process, log) in monitors.items():
    until(kind, lambda: not KINDS[kind] or KINDS[kind] in said(log))
    process.terminate()
    process.wait()
    print('# monitor', kind)
    sys.stdout.write(mask(said(log)))
