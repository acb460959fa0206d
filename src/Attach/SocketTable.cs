using System.Buffers;
using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

/// <summary>
/// All emulated sockets, and the thread that watches our ends of them: for datagrams that were sent through descriptors which no filter
/// tells us of (passed to a program that is not attached, or moved by dup2), for the program having read, and for the end.
/// </summary>
internal sealed class SocketTable : IDisposable
{
    private const int Batch = 64;
    private readonly ConcurrentDictionary<ulong, EmulatedSocket> _sockets = [];
    private readonly Epoll _epoll = new();
    private readonly NamespaceTracker _namespaces;
    private readonly PairPool _pairs;
    private readonly ILogger _log;
    private readonly Thread _thread;
    private volatile bool _stopping;

    public SocketTable(NamespaceTracker namespaces, PairPool pairs, ILogger log)
    {
        _pairs = pairs;
        _namespaces = namespaces;
        _log = log;
        _thread = new Thread(Watch) { Name = "attach-sockets", IsBackground = true };
        _thread.Start();
    }

    public int Count => _sockets.Count;

    public EmulatedSocket? Find(ulong inode) => inode != 0 && _sockets.TryGetValue(inode, out EmulatedSocket? socket) ? socket : null;

    public void Add(EmulatedSocket socket)
    {
        _namespaces.SocketOpened(socket.Space);
        _sockets[socket.Inode] = socket;
        socket.SpaceReported = socket.Handler.AwaitsReceiveSpace;
        _epoll.Add(socket.Ours, Events(socket.SpaceReported), socket.Inode);
    }

    /// <summary>After a call into the protocol: from now on it wants to know when the program reads, or does not.</summary>
    public void Refresh(EmulatedSocket socket)
    {
        if (socket.Handler.AwaitsReceiveSpace == socket.SpaceReported)
        {
            return;
        }
        socket.Call(
            handler =>
            {
                // Another thread's call may have changed it meanwhile, and found nothing to do.
                bool wanted = handler.AwaitsReceiveSpace;
                if (wanted != socket.SpaceReported)
                {
                    socket.SpaceReported = wanted;
                    _epoll.Modify(socket.Ours, Events(wanted), socket.Inode);
                }
                return true;
            },
            gone: false);
    }

    public void Dispose()
    {
        _stopping = true;
        _thread.Join();
        foreach (EmulatedSocket socket in _sockets.Values)
        {
            Release(socket);
        }
        _epoll.Dispose();
    }

    private static EpollEvents Events(bool space) =>
        EpollEvents.In | EpollEvents.EdgeTriggered | (space ? EpollEvents.Out : EpollEvents.None);

    private void Watch()
    {
        // In Linux the answer is queued when the send returns. Here it comes a moment later, however busy the machine is.
        _ = Scheduling.TryRunFirst();
        Span<(EpollEvents Events, ulong Token)> happened = new (EpollEvents, ulong)[Batch];
        while (!_stopping)
        {
            int count = _epoll.Wait(happened, milliseconds: 250);
            foreach (var (events, inode) in happened[..count])
            {
                if (Find(inode) is { } socket)
                {
                    Serve(socket, events);
                }
            }
        }
    }

    private void Serve(EmulatedSocket socket, EpollEvents events)
    {
        try
        {
            if ((events & EpollEvents.In) != 0)
            {
                TakeDatagrams(socket, ended: (events & EpollEvents.HangUp) != 0);
            }
            if ((events & EpollEvents.Out) != 0 && (events & EpollEvents.HangUp) == 0)
            {
                socket.ReportSpace();
                Refresh(socket);
            }
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            _log.SocketFailed(failure, socket.Inode);
        }
        if ((events & EpollEvents.HangUp) != 0)
        {
            Release(socket);
            _pairs.Refill();
        }
    }

    private void TakeDatagrams(EmulatedSocket socket, bool ended)
    {
        for (; ; )
        {
            int length = SeqpacketSocket.TryPeekLength(socket.Ours);
            if (length < 0 || (length == 0 && (ended || SeqpacketSocket.HasEnded(socket.Ours))))
            {
                return;
            }
            byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Max(length, 1));
            try
            {
                length = SeqpacketSocket.TryReceive(socket.Ours, buffer, out int sender);
                if (length < 0)
                {
                    return;
                }
                _ = socket.Send(buffer.AsSpan(0, length), [], CallerOf(socket, sender));
                Refresh(socket);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }

    /// <summary>The kernel says who sent; a sender that is gone already counts as the one who made the socket.</summary>
    private static Caller CallerOf(EmulatedSocket socket, int sender) =>
        sender > 0 && ProcStatus.TryRead(sender, out ProcStatus status)
            ? new Caller(status.InnerTgid, socket.Owners.CapabilitiesOf(sender, status))
            : socket.Opener;

    private void Release(EmulatedSocket socket)
    {
        if (!_sockets.TryRemove(socket.Inode, out _))
        {
            return;
        }
        try
        {
            socket.Dispose();
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            _log.SocketFailed(failure, socket.Inode);
        }
        _namespaces.SocketClosed(socket.Space);
    }
}
