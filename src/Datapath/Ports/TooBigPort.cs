using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Engine;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Ports;

/// <summary>The ICMP errors of a family that may be about packets of ours.</summary>
/// <param name="socket">From <see cref="PacketSockets.OpenTooBigReceiver"/>; owned.</param>
/// <param name="family">Its family.</param>
public sealed class TooBigPort(SafeFileHandle socket, ushort family) : IDisposable
{
    private const int Capacity = 16, SlotSize = 2048;
    private readonly ReceiveBatch _batch = new(Capacity, SlotSize, 0, 0);

    public SafeFileHandle Socket => socket;

    /// <summary>Takes what waits, one batch.</summary>
    public void Receive(LearnedMtus learned)
    {
        int count = _batch.Receive(socket);
        for (int i = 0; i < count; i++)
        {
            _batch.Locate(i, out byte[] buffer, out int offset, out int length, out _, out _);
            learned.Hear(family, buffer.AsSpan(offset, length));
        }
    }

    public void Dispose() => socket.Dispose();
}
