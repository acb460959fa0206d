using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;

namespace Xfrmd.Attach;

// Who calls, and what lies in its memory. A call costs a few microseconds in all, so both are asked for as seldom as can be.
internal sealed partial class Session
{
    private const int MaxThreads = 64, PageSize = 4096, WindowSize = 2 * PageSize, Windows = 2;
    private readonly Dictionary<uint, ThreadView> _threads = [];
    private readonly byte[] _pages = new byte[Windows * WindowSize];
    private readonly (ulong Address, int Length)[] _windows = new (ulong, int)[Windows];
    private ulong _windowsOf;

    /// <summary>The call whose thread has been seen to live since its memory was read last.</summary>
    private ulong _alive;
    private int _nextWindow;

    /// <summary>
    /// The emulated socket behind the descriptor that is the first argument, or null: another file that lives at such a number. What an argument
    /// points at (<paramref name="reads"/>) is read before: then the look at the descriptor shows that it was the caller's.
    /// </summary>
    private EmulatedSocket? Ours(in SeccompNotification call, int reads = 0)
    {
        return _range.Contains(Int(call, 0)) ? OursAtAnyNumber(call, reads) : null;
    }

    /// <summary>The same for calls that are told of whatever the number: the descriptor may have come by SCM_RIGHTS.</summary>
    private EmulatedSocket? OursAtAnyNumber(in SeccompNotification call, int reads = 0)
    {
        if (reads != 0 && Pointer(call, reads) is not 0 and ulong address)
        {
            BeginReading(call);
            ReadAround(call, address, sizeof(int));
        }
        return _context.Sockets.Find(SocketInode(call));
    }

    /// <summary>The number of the socket behind the descriptor that is the first argument; 0: none.</summary>
    private ulong SocketInode(in SeccompNotification call)
    {
        (uint thread, int descriptor) = (call.ThreadId, Int(call, 0));
        if (_threads.GetValueOrDefault(thread)?.SocketInode(descriptor, out _) is not 0 and { } inode)
        {
            // The thread that was known before the call lives: so its number has been nobody else's meanwhile.
            _alive = call.Id;
            return inode;
        }
        return LivingThread(thread)?.SocketInode(descriptor, out _) ?? 0;
    }

    /// <summary>Who calls, behind a look at one of its descriptors.</summary>
    private Caller CallerOf(uint thread, UserNamespaces owners) =>
        ThreadOf(thread) is { } view ? new Caller(view.InnerTgid, owners.CapabilitiesOf(view)) : default;

    /// <summary>The same where the right may not matter: it is asked for while the call lasts.</summary>
    private Caller CallerLater(uint thread, UserNamespaces owners) =>
        ThreadOf(thread) is { } view ? new Caller(view.InnerTgid, () => owners.CapabilitiesOf(view)) : default;

    /// <summary>The thread, or one that is gone and whose number it has now.</summary>
    private ThreadView? ThreadOf(uint thread)
    {
        if (_threads.TryGetValue(thread, out ThreadView? view))
        {
            return view;
        }
        if (_threads.Count == MaxThreads)
        {
            ForgetThreads();
        }
        view = ThreadView.TryOpen((int)thread);
        if (view is not null)
        {
            _threads.Add(thread, view);
        }
        return view;
    }

    private ThreadView? LivingThread(uint thread)
    {
        ThreadView? view = ThreadOf(thread);
        if (view is not null && view.ReadNetworkNamespace() == 0)
        {
            Forget(thread);
            view = ThreadOf(thread);
        }
        return view;
    }

    /// <summary>unshare(2) and setns(2), which alone change what a <see cref="ThreadView"/> remembers.</summary>
    private Answer LeavesNamespaces(in SeccompNotification call)
    {
        Forget(call.ThreadId);
        return Answer.Continue;
    }

    private void Forget(uint thread)
    {
        if (_threads.Remove(thread, out ThreadView? view))
        {
            view.Dispose();
        }
    }

    private void ForgetThreads()
    {
        foreach (ThreadView view in _threads.Values)
        {
            view.Dispose();
        }
        _threads.Clear();
    }

    /// <summary>
    /// Fills the span from the caller's memory. What a call names lies close together (on its stack, as a rule), so whole pages are read, for
    /// messages two at once, and kept until the next call or until we write. False: some of it is not there (EFAULT), or the caller is gone.
    /// </summary>
    private bool TryRead(in SeccompNotification call, ulong address, Span<byte> buffer)
    {
        BeginReading(call);
        if (buffer.IsEmpty || TryCopy(address, buffer))
        {
            return true;
        }
        ReadAround(call, address, buffer.Length);
        if (TryCopy(address, buffer))
        {
            return true;
        }
        _alive = 0;
        return _memory.TryRead((int)call.ThreadId, address, buffer);
    }

    private void BeginReading(in SeccompNotification call)
    {
        if (_windowsOf != call.Id)
        {
            _windowsOf = call.Id;
            Array.Clear(_windows);
        }
    }

    private void ReadAround(in SeccompNotification call, ulong address, int length)
    {
        ulong page = address & ~(PageSize - 1ul);
        if (length > WindowSize || page >= ulong.MaxValue - WindowSize)
        {
            return;
        }
        // Header, vectors and what they point at: a frame of the stack, and those of its callers above.
        bool message = call.Data.Number is SystemCall.SendMsg or SystemCall.RecvMsg;
        int wanted = message || address - page + (ulong)length > PageSize ? WindowSize : PageSize;
        _alive = 0;
        int read = _memory.ReadPages((int)call.ThreadId, page, _pages.AsSpan(_nextWindow * WindowSize, wanted));
        _windows[_nextWindow] = (page, Math.Max(read, 0));
        _nextWindow = (_nextWindow + 1) % Windows;
    }

    private bool TryCopy(ulong address, Span<byte> buffer)
    {
        for (int i = 0; i < Windows; i++)
        {
            (ulong start, int length) = _windows[i];
            if (address >= start && address - start <= (ulong)length && (ulong)buffer.Length <= (ulong)length - (address - start))
            {
                _pages.AsSpan((i * WindowSize) + (int)(address - start), buffer.Length).CopyTo(buffer);
                return true;
            }
        }
        return false;
    }

    private bool TryRead<T>(in SeccompNotification call, ulong address, out T value)
        where T : unmanaged
    {
        value = default;
        return TryRead(call, address, MemoryMarshal.AsBytes(new Span<T>(ref value)));
    }

    private Errno ReadVectors(in SeccompNotification call, ulong pointer, ulong count, Errno tooMany, out IoVector[] vectors)
    {
        vectors = [];
        if (count > SocketAbi.MaxVectors)
        {
            return tooMany;
        }
        vectors = new IoVector[count];
        return TryRead(call, pointer, MemoryMarshal.AsBytes(vectors.AsSpan())) ? Errno.None : Errno.EFAULT;
    }

    private bool TryWrite(in SeccompNotification call, ulong address, ReadOnlySpan<byte> bytes)
    {
        _windowsOf = 0;
        return _memory.TryWrite((int)call.ThreadId, address, bytes);
    }

    private bool TryWrite<T>(in SeccompNotification call, ulong address, in T value)
        where T : unmanaged => TryWrite(call, address, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>Writes a span, and an int elsewhere.</summary>
    private bool TryWrite(in SeccompNotification call, ulong address, ReadOnlySpan<byte> bytes, ulong numberAddress, int number)
    {
        _windowsOf = 0;
        ReadOnlySpan<byte> second = MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in number));
        return _memory.TryWrite((int)call.ThreadId, address, bytes, numberAddress, second);
    }

    /// <summary>A flag that only the kernel itself may set (<c>__sys_sendmsg</c>, <c>__sys_recvmsg</c>).</summary>
    private static bool IsCompat(int flags) => (flags & SocketAbi.MsgCmsgCompat) != 0;
}
