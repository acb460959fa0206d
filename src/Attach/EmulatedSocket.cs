using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;

namespace Xfrmd.Attach;

/// <summary>One socket that a program believes to be netlink or PF_KEY: our end of the pair, and the protocol behind it.</summary>
internal sealed class EmulatedSocket : IDisposable
{
    /// <summary><c>SOCK_MIN_SNDBUF</c>, include/net/sock.h.</summary>
    public const int MinSendBuffer = 4608;

    private readonly Lock _calls = new();
    private bool _released;

    /// <summary>The inode of the program's end: what all its descriptors, in all processes, have in common.</summary>
    public required ulong Inode { get; init; }

    public required int Domain { get; init; }

    public required int Type { get; init; }

    public required int Protocol { get; init; }

    public required SafeFileHandle Ours { get; init; }

    public required UnixReceiveBuffer Buffer { get; init; }

    public required XfrmNamespace Space { get; init; }

    /// <summary>Who rules the namespace: decides about CAP_NET_ADMIN of later callers.</summary>
    public required UserNamespaces Owners { get; init; }

    /// <summary>Who made the socket.</summary>
    public required Caller Opener { get; init; }

    public required IProtocolSocket Handler { get; init; }

    /// <summary><c>sk->sk_sndbuf</c> of the program's end, where its changes are told; else 0, and it is asked for when it matters.</summary>
    public volatile int SendBuffer;

    /// <summary>SO_PASSCRED: receives tell who sent.</summary>
    public volatile bool TellsSenders;

    /// <summary>Whether what a receive says beside the data is ours to say: the kernel beneath would name the daemon, and no group.</summary>
    public bool HasControl => Domain == SocketAbi.AfNetlink && (TellsSenders || Handler.TellsOrigins);

    /// <summary>Taken by who receives for the program.</summary>
    public Lock Receiving { get; } = new();

    /// <summary>Whether epoll tells us now that the program has read.</summary>
    public volatile bool SpaceReported;

    /// <summary>Calls into the protocol, one at a time for one socket; after the release only <paramref name="gone"/>.</summary>
    public T Call<T>(Func<IProtocolSocket, T> call, T gone)
    {
        lock (_calls)
        {
            return _released ? gone : call(Handler);
        }
    }

    public Errno Send(ReadOnlySpan<byte> datagram, ReadOnlySpan<byte> address, in Caller caller)
    {
        lock (_calls)
        {
            return _released ? Errno.ECONNRESET : Handler.Send(datagram, address, caller);
        }
    }

    public void ReportSpace()
    {
        lock (_calls)
        {
            if (!_released)
            {
                Handler.OnReceiveSpace();
            }
        }
    }

    /// <summary>As <c>sk_setsockopt</c> counts SO_SNDBUF.</summary>
    public void SetSendBuffer(int value) => SendBuffer = (int)Math.Max(Math.Clamp(value, 0L, int.MaxValue / 2) * 2, MinSendBuffer);

    /// <summary>The program's last descriptor is closed.</summary>
    public void Dispose()
    {
        lock (_calls)
        {
            if (_released)
            {
                return;
            }
            _released = true;
            Buffer.Close();
            try
            {
                Handler.Dispose();
            }
            finally
            {
                Ours.Dispose();
            }
        }
    }
}
