using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

/// <summary>How much memory (<c>skb->truesize</c>) the kernel counts for a datagram of a length: asked once per length, on sockets of its own.</summary>
internal sealed class Truesizes : IDisposable
{
    /// <summary>Up to NLMSG_GOODSIZE what programs send has the memory that the kernel's own datagrams have.</summary>
    private const int LargestLooped = 3776;
    private const int Limit = 8192;
    private readonly Lock _gate = new();
    private readonly Dictionary<int, (int Pair, int Kernel)> _known = [];
    private readonly (SafeFileHandle A, SafeFileHandle B) _pair = SeqpacketSocket.CreatePair(named: false, nonBlocking: false);
    private readonly NetlinkLoop? _loop = NetlinkLoop.TryOpen();

    /// <summary>What it takes in a pair of unix sockets.</summary>
    public int Of(int length) => Find(length).Pair;

    /// <summary>What it takes in the queue of a netlink or PF_KEY socket, sent by the kernel.</summary>
    public int InKernel(int length) => Find(length).Kernel;

    public void Dispose()
    {
        _pair.A.Dispose();
        _pair.B.Dispose();
        _loop?.Dispose();
    }

    private (int Pair, int Kernel) Find(int length)
    {
        lock (_gate)
        {
            if (_known.TryGetValue(length, out (int, int) sizes))
            {
                return sizes;
            }
            if (_known.Count == Limit)
            {
                _known.Clear();
            }
            int pair = MeasurePair(length), looped = length is > 0 and <= LargestLooped ? _loop?.Measure(length) ?? 0 : 0;
            return _known[length] = (pair, looped == 0 ? pair : looped);
        }
    }

    private int MeasurePair(int length)
    {
        if (SocketOptions.SendBufferSize(_pair.A) < length + 64)
        {
            SocketOptions.SetSendBuffer(_pair.A, length + 64);
        }
        _ = SeqpacketSocket.TrySend(_pair.A, new byte[length]);
        int size = SocketOptions.UnreadBytes(_pair.A);
        _ = SeqpacketSocket.TryReceive(_pair.B, [], out _);
        return size;
    }
}
