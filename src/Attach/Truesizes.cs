using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

/// <summary>How much memory (<c>skb->truesize</c>) the kernel counts for a datagram of a length: asked once per length, on a pair of its own.</summary>
internal sealed class Truesizes : IDisposable
{
    private const int Limit = 8192;
    private readonly Lock _gate = new();
    private readonly Dictionary<int, int> _known = [];
    private readonly (SafeFileHandle A, SafeFileHandle B) _pair = SeqpacketSocket.CreatePair(named: false, nonBlocking: false);

    public int Of(ReadOnlySpan<byte> datagram)
    {
        lock (_gate)
        {
            if (_known.TryGetValue(datagram.Length, out int size))
            {
                return size;
            }
            if (_known.Count == Limit)
            {
                _known.Clear();
            }
            if (SocketOptions.SendBufferSize(_pair.A) < datagram.Length + 64)
            {
                SocketOptions.SetSendBuffer(_pair.A, datagram.Length + 64);
            }
            _ = SeqpacketSocket.TrySend(_pair.A, datagram);
            size = SocketOptions.UnreadBytes(_pair.A);
            _ = SeqpacketSocket.TryReceive(_pair.B, [], out _);
            return _known[datagram.Length] = size;
        }
    }

    public void Dispose()
    {
        _pair.A.Dispose();
        _pair.B.Dispose();
    }
}
