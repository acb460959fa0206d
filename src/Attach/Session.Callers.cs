using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;

namespace Xfrmd.Attach;

// Who calls, and what lies in its memory. A call costs a few microseconds in all, so both are asked for as seldom as can be.
internal sealed partial class Session
{
    private const int MaxThreads = 64, PageSize = 4096, Pages = 2;
    private readonly Dictionary<uint, ThreadView> _threads = [];
    private readonly byte[] _pages = new byte[Pages * PageSize];
    private readonly ulong[] _pageAddresses = new ulong[Pages];
    private ulong _pagesOf;
    private int _nextPage;

    /// <summary>The emulated socket behind the descriptor that is the first argument, or null: another file that lives at such a number.</summary>
    private EmulatedSocket? Ours(in SeccompNotification call)
    {
        int descriptor = Int(call, 0);
        return _range.Contains(descriptor) ? _context.Sockets.Find(SocketInode(call.ThreadId, descriptor)) : null;
    }

    private ulong SocketInode(uint thread, int descriptor)
    {
        // A number that is found shows that the thread lives.
        ulong inode = ThreadOf(thread)?.SocketInode(descriptor, out _) ?? 0;
        return inode != 0 ? inode : LivingThread(thread)?.SocketInode(descriptor, out _) ?? 0;
    }

    /// <summary>Who calls, behind a look at one of its descriptors.</summary>
    private Caller CallerOf(uint thread, UserNamespaces owners) =>
        ThreadOf(thread) is { } view ? new Caller(view.InnerTgid, owners.Allow(view, UserNamespaces.NetAdmin)) : default;

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
    /// Fills the span from the caller's memory. What a call names lies close together (on its stack, as a rule), so whole pages are read, and
    /// kept until the next call or until we write. False: some of it is not there (EFAULT), or the caller is gone.
    /// </summary>
    private bool TryRead(in SeccompNotification call, ulong address, Span<byte> buffer)
    {
        ulong page = address & ~(PageSize - 1ul);
        if (buffer.Length > PageSize || ((address + (ulong)Math.Max(buffer.Length, 1) - 1) & ~(PageSize - 1ul)) != page)
        {
            return _memory.TryRead((int)call.ThreadId, address, buffer);
        }
        if (_pagesOf != call.Id)
        {
            _pagesOf = call.Id;
            Array.Fill(_pageAddresses, ulong.MaxValue);
        }
        int slot = Array.IndexOf(_pageAddresses, page);
        if (slot < 0)
        {
            slot = _nextPage;
            _nextPage = (slot + 1) % Pages;
            _pageAddresses[slot] = ulong.MaxValue;
            if (!_memory.TryRead((int)call.ThreadId, page, _pages.AsSpan(slot * PageSize, PageSize)))
            {
                return _memory.TryRead((int)call.ThreadId, address, buffer);
            }
            _pageAddresses[slot] = page;
        }
        _pages.AsSpan((slot * PageSize) + (int)(address - page), buffer.Length).CopyTo(buffer);
        return true;
    }

    private bool TryRead<T>(in SeccompNotification call, ulong address, out T value)
        where T : unmanaged
    {
        value = default;
        return TryRead(call, address, MemoryMarshal.AsBytes(new Span<T>(ref value)));
    }

    private bool TryWrite(in SeccompNotification call, ulong address, ReadOnlySpan<byte> bytes)
    {
        _pagesOf = 0;
        return _memory.TryWrite((int)call.ThreadId, address, bytes);
    }

    private bool TryWrite<T>(in SeccompNotification call, ulong address, in T value)
        where T : unmanaged => TryWrite(call, address, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>Writes a span, and an int elsewhere.</summary>
    private bool TryWrite(in SeccompNotification call, ulong address, ReadOnlySpan<byte> bytes, ulong numberAddress, int number)
    {
        _pagesOf = 0;
        ReadOnlySpan<byte> second = MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in number));
        return _memory.TryWrite((int)call.ThreadId, address, bytes, numberAddress, second);
    }
}
