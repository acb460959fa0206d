# Says how a PF_KEY socket behaves, a line for each question; pfkey-socket.txt is what Linux 6.12 says.
import ctypes, errno, os, select, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
name = ctypes.create_string_buffer(struct.pack("=H14x", 15))
def attempt(what, call):
    try: print(what, call())
    except OSError as e: print(what, errno.errorcode.get(e.errno, e))
def raw(call, *arguments):
    r = getattr(libc, call)(*arguments)
    if r < 0: raise OSError(ctypes.get_errno(), call)
    return r
def message(kind, satype=0, seq=1, body=b"", words=None, version=2, reserved=0):
    return struct.pack("=BBBBHHII", version, kind, 0, satype, (16 + len(body)) // 8 if words is None else words, reserved, seq, 77) + body
def header(data): return struct.unpack_from("=BBBBHHII", data)[1:6:1][:3] + struct.unpack_from("=II", data, 8) + (len(data),)
for kind in (1, 2, 3, 5):
    for protocol in (0, 1, 2, 3): attempt("socket %d %d" % (kind, protocol), lambda: socket.socket(15, kind, protocol).close())
s = socket.socket(15, socket.SOCK_RAW, 2)
attempt("type, domain, protocol, error", lambda: [s.getsockopt(1, o) for o in (3, 39, 38, 4)])
for call, arguments in (("bind", (name, 16)), ("connect", (name, 16)), ("listen", (1,)), ("accept", (None, None)), ("getsockname", (name, ctypes.byref(ctypes.c_int(16)))), ("getpeername", (name, ctypes.byref(ctypes.c_int(16))))):
    attempt(call, lambda: raw(call, s.fileno(), *arguments))
attempt("getsockopt of its level", lambda: s.getsockopt(15, 1))
attempt("setsockopt of its level", lambda: s.setsockopt(15, 1, 1))
s.setblocking(False)
attempt("nothing there", lambda: s.recv(100))
attempt("poll", lambda: select.select([s], [s], [], 0)[0] == [])
for what, data in (("empty", b""), ("15", bytes(15)), ("version", message(7, version=1)), ("reserved", message(7, reserved=1)), ("type 0", message(0)), ("type 25", message(25)),
    ("1 word", message(7, words=1)), ("3 words", message(7, words=3)), ("200000", message(7, body=bytes(200000 - 16))), ("300000", message(7, body=bytes(300000)))):
    attempt("send " + what, lambda: s.send(data))
    attempt("then", lambda: header(s.recv(1 << 17)))
attempt("send", lambda: s.send(message(7, 3, 5)))
attempt("poll", lambda: select.select([s], [], [], 0)[0] == [s])
attempt("peek", lambda: header(s.recv(1 << 16, socket.MSG_PEEK)))
attempt("peek trunc", lambda: len(s.recv(16, socket.MSG_PEEK)))
room = ctypes.create_string_buffer(20)
attempt("trunc", lambda: (raw("recv", s.fileno(), room, 20, socket.MSG_TRUNC), header(room.raw)))
attempt("the rest is lost", lambda: s.recv(100))
attempt("write", lambda: os.write(s.fileno(), message(7, 3, 6)))
attempt("read", lambda: header(os.read(s.fileno(), 100)))
attempt("writev", lambda: os.writev(s.fileno(), [message(9, 0, 7)[:7], message(9, 0, 7)[7:]]))
attempt("readv", lambda: (lambda a, b: (os.readv(s.fileno(), [a, b]), header(a + b)))(bytearray(10), bytearray(30)))
attempt("sendto", lambda: raw("sendto", s.fileno(), message(9, 0, 8), 16, 0, name, 16))
size = ctypes.c_int(16)
attempt("recvfrom", lambda: (raw("recvfrom", s.fileno(), room, 20, 0, name, ctypes.byref(size)), size.value))
attempt("oob", lambda: s.send(message(9, 0, 9), socket.MSG_OOB))
t = socket.socket(15, socket.SOCK_RAW, 2); t.setblocking(False)
attempt("two", lambda: s.send(message(11, 1, 20)))
attempt("one hears", lambda: header(s.recv(100)))
attempt("twice", lambda: header(s.recv(100)))
attempt("other hears", lambda: header(t.recv(100)))
attempt("other once", lambda: header(t.recv(100)))
attempt("promiscuous", lambda: t.send(message(9, 0, 21)))
attempt("request", lambda: header(s.recv(100)))
attempt("answer", lambda: header(s.recv(100)))
attempt("no more", lambda: header(s.recv(100)))
t.close()
attempt("off", lambda: s.send(message(11, 0, 22)))
while True:
    try: s.recv(100)
    except OSError: break
s.setsockopt(1, socket.SO_RCVBUF, 4096)
print("buffer", s.getsockopt(1, socket.SO_RCVBUF))
for i in range(200): s.send(message(9, 0, 100 + i))
first, last, count = None, None, 0
while True:
    try: h = header(s.recv(100))
    except OSError as e: print("end", errno.errorcode[e.errno]); break
    first, last, count = h[3] if first is None else first, h[3], count + 1
print("kept from the first", first == 100, last - first + 1 == count, 1 < count < 100)
attempt("after it", lambda: s.send(message(9, 0, 999)))
attempt("answered", lambda: header(s.recv(100)))
attempt("shutdown", lambda: raw("shutdown", s.fileno(), 2))
